"""A small town near Donggang to make files of, and short ways to write them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import geopandas as gpd
import pandas as pd
import shapely
from openpyxl import Workbook

from gis.findings import Finding
from gis.town import Town, conform

LON, LAT = 124.15, 39.86
STEP = 0.001  # degrees; about 85 m east, 111 m north


def square(column: float, row: float, size: float = 0.4) -> shapely.Polygon:
    """A square of a part of a cell of the town's lattice."""
    west, south = LON + column * STEP, LAT + row * STEP
    return shapely.box(west, south, west + size * STEP, south + size * STEP)


def frame(layer: str, rows: Sequence[dict[str, Any]]) -> gpd.GeoDataFrame:
    """Rows of a layer of a town."""
    made = conform(layer, gpd.GeoDataFrame(list(rows), geometry="geometry", crs=4326))
    assert isinstance(made, gpd.GeoDataFrame)
    return made


def buildings(count: int = 6, **columns: Any) -> gpd.GeoDataFrame:
    """Residential buildings in a row, six floors and 24 households each unless said otherwise."""
    row = {"use": "residential", "floors": 6, "units": 2, "households": 24, **columns}
    return frame(
        "buildings",
        [{"code": f"B{at:03d}", "name": f"{at}号楼", **row, "geometry": square(at, 0)} for at in range(1, count + 1)],
    )


def town() -> Town:
    """A street with two communities, a compound, six buildings, a road, a park, a gate, and the people for it."""
    west, east = shapely.box(LON, LAT - STEP, LON + 4 * STEP, LAT + STEP), None
    east = shapely.box(LON + 4 * STEP, LAT - STEP, LON + 8 * STEP, LAT + STEP)
    areas = [
        {"code": "210681", "name": "东港市", "level": "county", "geometry": None},
        {"code": "210681001", "name": "大东街道", "level": "street", "parent": "210681", "geometry": None},
    ]
    communities = [
        {"code": "210681001001", "name": "西社区", "parent": "210681001", "geometry": west},
        {"code": "210681001002", "name": "东社区", "parent": "210681001", "geometry": east},
    ]
    compound = {
        "code": "C1",
        "name": "阳光花园",
        "community": "210681001001",
        "housing_class": "commodity",
        "is_walled": True,
        "geometry": square(0.5, -0.5, 3.2),
    }
    road = shapely.LineString([(LON, LAT - STEP / 2), (LON + 8 * STEP, LAT - STEP / 2)])
    gate = shapely.Point(LON + STEP, LAT - STEP / 2)
    post = {"staff": "S1", "post": "community_secretary", "place": "210681001001", "valid_from": "2026-01-01"}
    return Town(
        {
            "areas": frame("areas", areas),
            "communities": frame("communities", communities),
            "compounds": frame("compounds", [compound]),
            "buildings": buildings(),
            "barriers": frame("barriers", [{"kind": "secondary", "name": "人民路", "geometry": road}]),
            "ground": frame("ground", [{"kind": "green", "name": "公园", "geometry": square(6, -0.9)}]),
            "pois": frame("pois", [{"code": "P1", "kind": "gate", "name": "南门", "geometry": gate}]),
            "departments": conform("departments", pd.DataFrame([{"code": "D1", "name": "城管", "area": "210681001"}])),
            "staff": conform(
                "staff", pd.DataFrame([{"code": "S1", "name": "张三", "phone": "13800000000", "department": "D1"}])
            ),
            "assignments": conform("assignments", pd.DataFrame([post])),
        },
        title="small",
    )


def workbook(path: Path, sheets: dict[str, list[list[Any]]]) -> Path:
    """Write an Excel file."""
    book = Workbook()
    book.remove(book.active)
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(row)
    book.save(path)
    return path


def codes(findings: Sequence[Finding]) -> Counter[str]:
    """How often each kind of finding came."""
    return Counter(found.code for found in findings)


def only(findings: Sequence[Finding], code: str) -> Finding:
    """The one finding of a kind."""
    found = [finding for finding in findings if finding.code == code]
    assert len(found) == 1, findings
    return found[0]
