"""Rule sets as plain values: the tiers of a place, their bands, and how a cell of each tier is made.

A rule set is data (``data/presets/*.toml``, or rows in the database), never code. Tiers run from the top (ordinal 1)
down; area tiers are the administrative tree, grid tiers are cut by the partitioner.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from gis.errors import InvalidInput, NotFound
from gis.settings import ROOT

PRESETS = ROOT / "data" / "presets" / "rules"

TierKind = Literal["area", "grid", "micro_grid"]
CellOf = Literal["band", "parent", "building"]


@dataclass(frozen=True, slots=True)
class Post:
    """A slot that somebody must hold for each cell or area of a tier (网格长, 专职网格员 …)."""

    code: str
    name_zh: str
    name_en: str
    holders_min: int = 1
    holders_max: int | None = 1


@dataclass(frozen=True, slots=True)
class Tier:
    """One level of a rule set.

    Attributes
    ----------
    ordinal : int
        1 (top) to 6.
    kind : {"area", "grid", "micro_grid"}
    cell_of : {"band", "parent", "building"}
        How cells are made: by the household band, the whole cell or community above, or one inhabited building each.
    households_min, households_max : int or None
        The band, inclusive. ``None`` where the source names no bound.
    households_target : int or None
        Wanted size; the middle of the band where none is given.
    tolerance_ratio : float
        A cell within the band widened by this share passes and is marked.
    code_digits : int
        Digits that the tier adds to its parent's code.
    """

    ordinal: int
    kind: TierKind
    name_zh: str
    name_en: str
    cell_of: CellOf = "band"
    households_min: int | None = None
    households_max: int | None = None
    households_target: int | None = None
    tolerance_ratio: float = 0.0
    code_digits: int = 3
    posts: tuple[Post, ...] = ()

    @property
    def target(self) -> float | None:
        """Wanted households of a cell, or ``None`` where there is no band."""
        if self.households_target is not None:
            return float(self.households_target)
        if self.households_min is None or self.households_max is None:
            return None
        return (self.households_min + self.households_max) / 2


class Banded(Protocol):
    """What of a tier says whether a cell passes: a `Tier`, or its row."""

    @property
    def cell_of(self) -> str: ...
    @property
    def households_min(self) -> int | None: ...
    @property
    def households_max(self) -> int | None: ...
    @property
    def tolerance_ratio(self) -> float: ...


def band_states(households: NDArray[np.int64], tier: Banded) -> list[str]:
    """``in_band``, ``under`` or ``over`` for each number of households; what is not cut by households is in band.

    Examples
    --------
    >>> band_states(np.array([299, 300, 501]), Tier(1, "grid", "", "", households_min=300, households_max=500))
    ['under', 'in_band', 'over']
    """
    if tier.cell_of != "band":
        return ["in_band"] * len(households)
    low = -np.inf if tier.households_min is None else tier.households_min * (1 - tier.tolerance_ratio)
    high = np.inf if tier.households_max is None else tier.households_max * (1 + tier.tolerance_ratio)
    return np.where(households < low, "under", np.where(households > high, "over", "in_band")).tolist()  # type: ignore[no-any-return]


@dataclass(frozen=True, slots=True)
class RuleSet:
    """The rules of a place for a time.

    Attributes
    ----------
    code, name_zh, name_en, source : str
        ``source`` quotes where the numbers come from.
    is_verified : bool
        ``False`` is shown as 待核对.
    tiers : tuple of Tier
        3 to 6, top first.
    keep_buildings_whole : bool
        Whether a building over the maximum of a grid stays in one piece (and is reported).
    weights : mapping of str to float
        Weights of the partitioner's cost terms that differ from its defaults.
    """

    code: str
    name_zh: str
    name_en: str
    source: str
    tiers: tuple[Tier, ...]
    is_verified: bool = True
    keep_buildings_whole: bool = False
    weights: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        ordinals = [tier.ordinal for tier in self.tiers]
        if not 3 <= len(ordinals) <= 6 or ordinals != list(range(1, len(ordinals) + 1)):
            raise InvalidInput("rules.tiers_not_3_to_6", rule_set=self.code, ordinals=ordinals)
        kinds = [tier.kind for tier in self.tiers]
        if kinds != sorted(kinds, key=("area", "grid", "micro_grid").index) or "grid" not in kinds:
            raise InvalidInput("rules.tiers_out_of_order", rule_set=self.code, kinds=kinds)
        for tier in self.tiers:
            low, high = tier.households_min, tier.households_max
            if low is not None and high is not None and not 0 <= low <= high:
                raise InvalidInput("rules.bad_band", rule_set=self.code, tier=tier.name_zh, low=low, high=high)

    @property
    def grid_tiers(self) -> tuple[Tier, ...]:
        """The tiers whose cells are cut, top first; position + 1 is the grid depth."""
        return tuple(tier for tier in self.tiers if tier.kind != "area")


def load_preset(code: str, *, folder: Path = PRESETS) -> RuleSet:
    """Read a rule set that ships with Wangge.

    Raises
    ------
    NotFound
        ``rules.unknown_preset``.
    """
    path = folder / f"{code}.toml"
    if not path.is_file():
        raise NotFound("rules.unknown_preset", preset=code, known=preset_codes(folder=folder))
    return from_mapping({"code": code, **tomllib.loads(path.read_text(encoding="utf-8"))})


def load_file(path: Path) -> RuleSet:
    """Read a rule set from a TOML file of the form of the presets; its code is the file's name.

    Raises
    ------
    NotFound
        ``rules.no_file``.
    InvalidInput
        ``rules.unreadable`` with what the reader said, or what `RuleSet` refuses.
    """
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
        return from_mapping({"code": path.stem, **data})
    except OSError as error:
        raise NotFound("rules.no_file", path=str(path)) from error
    except (ValueError, TypeError, KeyError) as error:
        raise InvalidInput("rules.unreadable", path=str(path), said=str(error)) from error


def preset_codes(*, folder: Path = PRESETS) -> list[str]:
    """Codes of the presets, sorted."""
    return sorted(path.stem for path in folder.glob("*.toml"))


def from_mapping(data: Mapping[str, Any]) -> RuleSet:
    """Make a rule set of plain nested data, as TOML or JSON gives it."""
    return RuleSet(**{**data, "tiers": tiers_from(data["tiers"])})


def tiers_from(rows: Iterable[Mapping[str, Any]]) -> tuple[Tier, ...]:
    """Make tiers of plain nested data; ``holders_max = 0`` says "as many as there are" where null cannot be said."""
    return tuple(
        Tier(**{**tier, "ordinal": ordinal, "posts": tuple(_post(post) for post in tier.get("posts", ()))})
        for ordinal, tier in enumerate(rows, start=1)
    )


def _post(data: Mapping[str, Any]) -> Post:
    post = Post(**data)
    return replace(post, holders_max=None) if post.holders_max == 0 else post


# --- Which tiers of other rules go on --------------------------------------------------------------------------------

MOST_UNLIKE = 2.0


def matching_tiers(old: RuleSet, new: RuleSet) -> list[int | None]:
    """For each grid tier of the new rules the position of the old one that it goes on from.

    That with the nearest number of households within a factor of two; tiers without a number by how they are made.
    """
    matched: list[int | None] = []
    first = 0
    for tier in new.grid_tiers:
        choices = [
            (_unlike(other, tier), position)
            for position, other in enumerate(old.grid_tiers)
            if position >= first and _unlike(other, tier) <= MOST_UNLIKE
        ]
        matched.append(min(choices)[1] if choices else None)
        first = first if matched[-1] is None else matched[-1] + 1
    return matched


def _unlike(one: Tier, other: Tier) -> float:
    """By what factor the cells of two tiers differ."""
    if one.target and other.target:
        return max(one.target / other.target, other.target / one.target)
    alike = one.target == other.target and (one.kind, one.cell_of) == (other.kind, other.cell_of)
    return 1.0 if alike else np.inf


def followed_tiers(old: RuleSet, new: RuleSet) -> list[int | None]:
    """For each grid tier of the new rules the position of the old one whose cells become its cells.

    As `matching_tiers`; and where no size fits, of the tiers left over in the same order that of the same kind whose
    size is nearest: rules that double the grids are still rules of grids.
    """
    followed = matching_tiers(old, new)
    for position, tier in reversed(list(enumerate(new.grid_tiers))):
        if followed[position] is not None:
            continue
        above = max((one for one in followed[:position] if one is not None), default=-1)
        below = min((one for one in followed[position:] if one is not None), default=len(old.grid_tiers))
        choices = [
            (_unlike(old.grid_tiers[one], tier), -one)
            for one in range(above + 1, below)
            if old.grid_tiers[one].kind == tier.kind
        ]
        followed[position] = -min(choices)[1] if choices else None
    return followed
