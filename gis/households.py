"""Estimate households where a file gives none, by a documented rule that can be replaced.

The rule is data (``data/presets/households.toml``); what it gave is marked ``households_estimated``.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray

from gis import crs
from gis.errors import InvalidInput, NotFound
from gis.findings import Finding, Severity
from gis.settings import ROOT
from gis.town import Town

PRESET = ROOT / "data" / "presets" / "households.toml"

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class UseRule:
    """How much of a building of one use is dwellings.

    Attributes
    ----------
    dwelling_ratio : float
        Share of the storeys that are lived in, in [0, 1].
    efficiency_ratio : float
        Share of the gross floor area that lies inside dwellings, in (0, 1].
    m2_per_dwelling : float
        Net floor area of a dwelling, > 0.
    """

    dwelling_ratio: float
    efficiency_ratio: float
    m2_per_dwelling: float

    def __post_init__(self) -> None:
        if not (0 <= self.dwelling_ratio <= 1 and 0 < self.efficiency_ratio <= 1 and self.m2_per_dwelling > 0):
            raise InvalidInput(
                "households.bad_rule",
                dwelling_ratio=self.dwelling_ratio,
                efficiency_ratio=self.efficiency_ratio,
                m2_per_dwelling=self.m2_per_dwelling,
            )

    def dwellings(self, footprint_m2: FloatArray, floors: FloatArray) -> FloatArray:
        """Dwellings of buildings, not rounded; arrays of shape (buildings,)."""
        return footprint_m2 * floors * self.dwelling_ratio * self.efficiency_ratio / self.m2_per_dwelling


@dataclass(frozen=True, slots=True)
class HouseholdRule:
    """The rule for all uses; a use that is not named has no dwellings.

    Attributes
    ----------
    uses : mapping of use to UseRule
    floor_height_m : float
        Height of a storey, for floors out of heights.
    floors_default, floors_known_min : int
        Floors of a building of which nothing is known, and how many known ones of its use make their median better.
    footprint_min_m2 : float
        Smaller buildings have no dwellings.
    unknown_use : str
        What a building of unknown use is taken for …
    unknown_footprint_m2 : (float, float)
        … if its footprint is in this range; else it has no dwellings.
    """

    uses: Mapping[str, UseRule]
    floor_height_m: float = 3.0
    floors_default: int = 6
    floors_known_min: int = 10
    footprint_min_m2: float = 40.0
    unknown_use: str = "residential"
    unknown_footprint_m2: tuple[float, float] = (80.0, 2500.0)


def load_rule(path: Path = PRESET) -> HouseholdRule:
    """Read a rule from TOML.

    Raises
    ------
    NotFound
        ``households.no_rule``.
    InvalidInput
        ``households.unreadable_rule``, ``households.bad_rule``.
    """
    if not path.is_file():
        raise NotFound("households.no_rule", path=str(path))
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
        unknown = data.pop("unknown", {})
        uses = {use: UseRule(**values) for use, values in data.pop("uses").items()}
        return HouseholdRule(
            uses=uses,
            unknown_use=unknown.get("use", "residential"),
            unknown_footprint_m2=(
                float(unknown.get("footprint_min_m2", 80.0)),
                float(unknown.get("footprint_max_m2", 2500.0)),
            ),
            **data,
        )
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, KeyError, TypeError, ValueError) as error:
        raise InvalidInput("households.unreadable_rule", path=path.name, reason=str(error)) from error


def estimate(town: Town, rule: HouseholdRule | None = None) -> tuple[Town, tuple[Finding, ...]]:
    """Fill in floors from heights and households from the rule; what is given is left as it is.

    Parameters
    ----------
    town : Town
    rule : HouseholdRule, optional
        The preset by default.

    Returns
    -------
    Town
        Every building has ``households`` (0 where it has no dwellings) and ``households_estimated``; ``floors`` is
        filled where there is a height.
    tuple of Finding
        One note with the sums, if anything was estimated.
    """
    frame = town.geo("buildings").copy()
    if not len(frame):
        return town, ()
    chosen = rule or load_rule()
    given = frame["households"].notna()
    footprint_m2 = _footprints_m2(frame)
    frame["floors"] = frame["floors"].fillna(_floors_of_heights(frame["height_m"], chosen))
    use = _likely_use(frame["use"], footprint_m2, chosen)
    dwellings = _dwellings(use, footprint_m2, _floors(frame["floors"], use, chosen), chosen)
    estimated = np.maximum(np.round(dwellings), dwellings > 0).astype(np.int64)
    frame["households"] = frame["households"].fillna(pd.Series(estimated, index=frame.index, dtype="Int64"))
    frame["households_estimated"] = (frame["households_estimated"].fillna(False) | ~given).astype("boolean")
    missing = ~given.to_numpy()
    findings: tuple[Finding, ...] = ()
    if missing.any():
        params = {
            "buildings": int(missing.sum()),
            "inhabited": int((estimated[missing] > 0).sum()),
            "households": int(estimated[missing].sum()),
            "of": len(frame),
        }
        findings = (Finding("households.estimated", Severity.NOTE, "buildings", params=params),)
    return town.with_layers(buildings=frame), findings


def _footprints_m2(frame: gpd.GeoDataFrame) -> FloatArray:
    areas = shapely.area(shapely.make_valid(crs.to_metric(frame.geometry).to_numpy()))
    return np.nan_to_num(np.asarray(areas, dtype=np.float64))


def _floors_of_heights(height_m: pd.Series, rule: HouseholdRule) -> pd.Series:
    floors = (height_m.astype("Float64") / rule.floor_height_m).round().clip(1, 200)
    return floors.astype("Int64")


def _likely_use(use: pd.Series, footprint_m2: FloatArray, rule: HouseholdRule) -> pd.Series:
    low, high = rule.unknown_footprint_m2
    house = pd.Series((footprint_m2 >= low) & (footprint_m2 <= high), index=use.index)
    guess = pd.Series("other", index=use.index, dtype="string").mask(house, rule.unknown_use)
    return use.fillna(guess)


def _floors(floors: pd.Series, use: pd.Series, rule: HouseholdRule) -> FloatArray:
    """Floors to count with: known, else the median of the known ones of the same use, else the default."""
    known = floors.astype("Float64")
    by_use = known.groupby(use)
    typical = by_use.transform("median").where(by_use.transform("count") >= rule.floors_known_min)
    filled = known.fillna(typical).fillna(float(rule.floors_default))
    return np.asarray(filled.to_numpy(dtype=np.float64))


def _dwellings(use: pd.Series, footprint_m2: FloatArray, floors: FloatArray, rule: HouseholdRule) -> FloatArray:
    dwellings = np.zeros(len(use))
    for name, of_use in rule.uses.items():
        rows = (use == name).to_numpy(dtype=bool) & (footprint_m2 >= rule.footprint_min_m2)
        dwellings[rows] = of_use.dwellings(footprint_m2[rows], floors[rows])
    return dwellings
