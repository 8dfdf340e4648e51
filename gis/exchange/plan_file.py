"""Plan files: a division as one GeoPackage that other tools and an independent checker can read.

Layers: ``grids`` (code, community, households), ``micro_grids`` (code, grid, households, floor_from, floor_to; floors
empty unless the cell is one of a stack over the same ground) and the table ``parts`` (one row an inhabited part). A
division of more tiers than two has its lowest tier as ``micro_grids``, the one above as ``grids``, and each tier also
as ``tier_1`` … with the code of its parent; of one tier, each cell stands in both layers, with ``-0`` added to its
code below.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import geopandas as gpd
import pandas as pd
import pyogrio

from gis.division import CELL_COLUMNS, PART_COLUMNS, Division
from gis.errors import InvalidInput
from gis.exchange.town_file import replacing
from gis.findings import Finding, Severity
from gis.rule_set import from_mapping
from gis.town import WGS84


def write(division: Division, path: Path) -> None:
    """Write a division; a file that is there is replaced.

    Raises
    ------
    Unavailable
        ``import.cannot_write`` if the folder or the disk refuses.
    """
    grids, micro = _two_tiers(division)
    part_grid = dict(zip(micro["code"], micro["grid"], strict=True))
    parts = division.parts[division.parts["households"] > 0].copy()
    parts["micro_grid"] = parts["cell"] if len(division.cells) > 1 else parts["cell"] + "-0"
    parts["grid"] = parts["micro_grid"].map(part_grid).astype("string")
    parts = parts.drop(columns=["cell"])
    with replacing(path) as temporary:
        _write(grids, temporary, "grids")
        _write(micro, temporary, "micro_grids")
        pyogrio.write_dataframe(_plain(parts), temporary, layer="parts")
        for depth, cells in enumerate(division.cells, start=1):
            _write(cells, temporary, f"tier_{depth}")
        pyogrio.write_dataframe(_plain(division.parts), temporary, layer="all_parts")
        pyogrio.write_dataframe(pd.DataFrame({"document": [_document(division)]}), temporary, layer="recipe")


def read(path: Path) -> Division:
    """Read a division that `write` wrote.

    Raises
    ------
    InvalidInput
        ``partition.no_plan_file`` if it is not one.
    """
    try:
        document = json.loads(pyogrio.read_dataframe(path, layer="recipe", read_geometry=False)["document"].iloc[0])
        rules = from_mapping(document["rules"])
        cells = tuple(
            _cells(pyogrio.read_dataframe(path, layer=f"tier_{depth}")) for depth in range(1, len(rules.grid_tiers) + 1)
        )
        parts = pyogrio.read_dataframe(path, layer="all_parts", read_geometry=False)
    except (OSError, pyogrio.errors.DataSourceError, pyogrio.errors.DataLayerError, KeyError, ValueError) as error:
        raise InvalidInput("partition.no_plan_file", path=str(path)) from error
    findings = tuple(
        Finding(**{**finding, "severity": Severity(finding["severity"])}) for finding in document["findings"]
    )
    return Division(rules, cells, _parts(parts), findings, document["recipe"])


def _two_tiers(division: Division) -> tuple[gpd.GeoDataFrame, gpd.GeoDataFrame]:
    low = division.cells[-1]
    if len(division.cells) > 1:
        micro = low.rename(columns={"parent": "grid"})
        grids = division.cells[-2]
    else:
        micro = low.assign(grid=low["code"], code=low["code"] + "-0").drop(columns=["parent"])
        grids = low
    micro = micro[["code", "grid", "households", "floor_from", "floor_to", "area_m2", "geometry"]]
    return grids[["code", "community", "households", "area_m2", "geometry"]], micro


def _write(frame: gpd.GeoDataFrame, path: Path, layer: str) -> None:
    pyogrio.write_dataframe(_plain(frame), path, layer=layer, geometry_type="MultiPolygon", promote_to_multi=True)


def _plain(frame: pd.DataFrame) -> pd.DataFrame:
    """Text as objects, missing as ``None``: not every GDAL takes pandas' string type, and its NA becomes a word."""
    text = [c for c in frame.columns if isinstance(frame[c].dtype, pd.StringDtype)]
    return frame.assign(**{c: frame[c].astype(object).where(frame[c].notna(), None) for c in text})


def _cells(frame: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    types = {"code": "string", "community": "string", "parent": "string", "floor_from": "Int64", "floor_to": "Int64",
             "households": "int64"}  # fmt: skip
    plain = pd.DataFrame({column: frame[column] for column in CELL_COLUMNS}).astype(types)
    return gpd.GeoDataFrame(plain, geometry=frame.geometry.to_numpy(), crs=WGS84)


def _parts(frame: pd.DataFrame) -> pd.DataFrame:
    whole = dict.fromkeys(("unit_from", "unit_to", "floor_from", "floor_to"), "Int64")
    types = {**whole, "building": "string", "cell": "string", "households": "int64", "units_estimated": "bool"}
    return frame[list(PART_COLUMNS)].astype(types)


def _document(division: Division) -> str:
    return json.dumps(
        {
            "rules": asdict(division.rules),
            "recipe": dict(division.recipe),
            "findings": [asdict(finding) for finding in division.findings],
        },
        ensure_ascii=False,
        default=str,
    )
