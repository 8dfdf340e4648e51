"""Divisions that others have drawn: polygons of grids and micro-grids, or a table building → grid (and micro-grid)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd
import shapely

from gis.crs import Crs, parse
from gis.errors import InvalidInput, UnknownCrs
from gis.exchange import columns, osm
from gis.exchange.places import place
from gis.exchange.reading import LIMIT_MB, agree, check_file, sheets_of
from gis.exchange.rows import geometries_of
from gis.exchange.vectors import VectorLayer
from gis.findings import Finding, Severity
from gis.geometry import Geometries, as_polygons

COMMUNITY_DIGITS = 12
TIERS = ("grids", "micro_grids")
SMALL = ("micro", "微网", "微格", "楼栋网格", "子网格", "tier_2", "二级")

POLYGON_COLUMNS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "code": ("code", "网格编码", "网格代码", "网格编号", "网格号", "微网格编码", "微网格编号", "grid_code",
                 "micro_code", "编码", "代码", "编号", "统一编码", "objectid", "id"),
        "name": ("name", "网格名称", "网格名", "微网格名称", "微网格", "网格", "名称", "名字", "title"),
        "parent": ("grid", "parent", "上级编码", "所属网格", "所属网格编码", "上级网格", "上级", "parent_code"),
        "households": ("households", "户数", "总户数", "居民户数", "住户数"),
        "floor_from": ("floor_from", "起始楼层"),
        "floor_to": ("floor_to", "终止楼层"),
    }
)  # fmt: skip
"""What files call the columns of cells; of two headers that mean one column the earlier wins."""

MICRO_COLUMNS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        **POLYGON_COLUMNS,
        "code": ("微网格编码", "微网格编号", "微网格代码", "micro_code", "micro_grid", "code", "编码", "代码", "编号",
                 "统一编码", "objectid", "id"),
        "name": ("name", "微网格名称", "微网格", "名称", "名字", "title"),
        "parent": ("grid", "parent", "网格编码", "网格代码", "网格编号", "所属网格编码", "所属网格", "上级编码",
                   "上级网格", "上级", "网格", "grid_code", "parent_code"),
    }
)  # fmt: skip
"""The same in a layer of micro-grids, where the code of a grid is that of the cell above."""

TABLE_COLUMNS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "building": ("building", "楼栋编码", "楼栋代码", "楼栋编号", "楼栋", "楼栋号", "建筑编码", "房屋编码",
                     "building_code", "code", "编码"),
        "grid": ("grid", "网格编码", "网格代码", "网格编号", "网格", "所属网格", "所属网格编码", "所在网格",
                 "grid_code"),
        "grid_name": ("网格名称", "grid_name"),
        "micro": ("micro_grid", "微网格编码", "微网格编号", "微网格", "所属微网格", "所在微网格", "micro_grid_code"),
        "micro_name": ("微网格名称", "micro_grid_name"),
        "households": ("households", "户数", "总户数", "居民户数"),
    }
)  # fmt: skip
"""What tables call their columns."""


@dataclass(frozen=True)
class Polygons:
    """Cells of one tier with their ground.

    Attributes
    ----------
    row : int array, shape (cells,)
        As a person counts, from 1.
    code, name, parent : tuple of str or None
    households : tuple of int or None
        As the file states them.
    floors : tuple of (int, int) or None
    ground : array of polygons, shape (cells,)
        EPSG:4326, valid.
    """

    row: np.ndarray[Any, np.dtype[np.int64]]
    code: tuple[str | None, ...]
    name: tuple[str | None, ...]
    parent: tuple[str | None, ...]
    households: tuple[int | None, ...]
    floors: tuple[tuple[int, int] | None, ...]
    ground: Geometries


@dataclass(frozen=True)
class Line:
    """A row of a table: where a building belongs."""

    row: int
    building: str
    grid: str
    micro: str | None
    grid_name: str | None = None
    micro_name: str | None = None
    households: int | None = None


@dataclass(frozen=True)
class DivisionFile:
    """What a file says of a division: cells with ground, or lines of a table.

    Attributes
    ----------
    grids, micro_grids : Polygons or None
    lines : tuple of Line
        Empty where there are polygons.
    crs : str
        The system that was believed; empty for a table.
    findings : tuple of Finding
        Rows that were left out.
    """

    grids: Polygons | None
    micro_grids: Polygons | None
    lines: tuple[Line, ...]
    crs: str
    findings: tuple[Finding, ...]


def read(
    path: Path,
    *,
    crs: str | Crs | None = None,
    layers: Mapping[str, str] | None = None,
    mapping: Mapping[str, str] | None = None,
    limit_mb: int = LIMIT_MB,
    name: str | None = None,
) -> DivisionFile:
    """Read a division.

    Parameters
    ----------
    path : Path
        GeoPackage, GeoJSON, Shapefile (also zipped; GBK or UTF-8), KML, FlatGeobuf, GeoParquet; CSV or Excel with
        outlines as WKT, or with the buildings of each grid.
    crs : str or Crs, optional
        What the coordinates are in; needed where the file does not say it.
    layers : mapping of tier to layer, optional
        Which layer holds ``grids`` and ``micro_grids``, where their names do not tell.
    mapping : mapping of header to column, optional
        Headers that are not known by themselves.
    name : str, optional
        What its sender calls the file.

    Raises
    ------
    NotFound, InvalidInput, UnknownCrs
        As `gis.exchange.read_any`; ``take.no_such_layer``, ``take.nothing_known``, ``take.no_rows``,
        ``take.bad_mapping``.
    """
    called = name or path.name
    check_file(path, limit_mb)
    if path.name.lower().endswith(osm.SUFFIXES):
        raise InvalidInput("take.nothing_known", path=called, found=[])
    sheets, findings = sheets_of(path)
    said = dict(mapping or {})
    _check_mapping(said)
    chosen = _chosen(sheets, dict(layers or {}), called)
    if chosen:
        read_cells = {tier: _polygons(sheet, tier, crs, said, called) for tier, sheet in chosen.items()}
        found = [finding for _, more, _ in read_cells.values() for finding in more]
        grids, micro = (read_cells[tier][0] if tier in read_cells else None for tier in TIERS)
        if not sum(len(cells.row) for cells in (grids, micro) if cells is not None):
            raise InvalidInput("take.no_rows", path=called)
        system = next(iter(read_cells.values()))[2]
        return DivisionFile(grids, micro, (), system, (*findings, *found))
    for sheet in sheets:
        lines, more = _lines(sheet, said)
        if lines:
            return DivisionFile(None, None, tuple(lines), "", (*findings, *more))
    headers = [str(header) for _, frame, _ in sheets[:1] for header in frame.columns]
    raise InvalidInput("take.nothing_known", path=called, found=headers)


def _check_mapping(mapping: Mapping[str, str]) -> None:
    known = sorted({*POLYGON_COLUMNS, *TABLE_COLUMNS, "wkt"})
    for header, column in mapping.items():
        if column not in known:
            raise InvalidInput("take.bad_mapping", header=header, column=column, known=known)


def _chosen(sheets: Sequence[VectorLayer], layers: dict[str, str], path: str) -> dict[str, VectorLayer]:
    """The layers with ground by tier: as said, else as their names tell; the first of several."""
    titles = [title for title, *_ in sheets]
    for tier, title in layers.items():
        if title not in titles:
            raise InvalidInput("take.no_such_layer", path=path, tier=tier, layer=title, found=titles)
    if layers:
        return {tier: sheets[titles.index(layers[tier])] for tier in TIERS if tier in layers}
    drawn = [sheet for sheet in sheets if _has_ground(sheet)]
    named = {sheet[0].lower(): sheet for sheet in drawn}
    if "grids" in named:
        return {tier: named[tier] for tier in TIERS if tier in named}
    chosen: dict[str, VectorLayer] = {}
    for sheet in drawn:
        small = any(word in sheet[0].lower() for word in SMALL)
        chosen.setdefault(TIERS[small], sheet)
    return chosen


def _has_ground(sheet: VectorLayer) -> bool:
    shapes = geometries_of(sheet[1], {})
    if shapes is None or not len(sheet[1]):
        return False
    kinds = shapely.get_type_id(np.asarray(shapes, dtype=object))
    return bool(np.isin(kinds, (3, 6, 7)).any())


def _polygons(
    sheet: VectorLayer, tier: str, crs: str | Crs | None, mapping: Mapping[str, str], path: str
) -> tuple[Polygons, list[Finding], str]:
    title, raw, own = sheet
    system = agree(None if crs is None else parse(crs), own, path)
    if system is None:
        raise UnknownCrs("import.crs_missing", file=path, layer=title)
    found = _columns(raw, POLYGON_COLUMNS if tier == "grids" else MICRO_COLUMNS, mapping)
    row = raw.index.to_numpy(dtype=np.int64)
    code = _words(raw, found["code"])
    shapes = np.asarray(geometries_of(raw, mapping), dtype=object)
    placed = place(shapes, "communities", row, code, system)
    told = [replace(finding, layer=tier) for finding in placed.findings]
    shapes = placed.geometries_wgs84.copy()
    shapes[~placed.is_kept] = None
    ground = as_polygons(shapes)
    kept = placed.is_kept & ~shapely.is_empty(ground)
    told += [
        Finding("take.no_ground", Severity.REJECTED, tier, int(row[i]), code[i])
        for i in np.flatnonzero(placed.is_kept & ~kept)
    ]
    told += [
        Finding("take.outline_repaired", Severity.REPAIRED, tier, int(row[i]), code[i])
        for i in np.flatnonzero(kept)
        if not shapely.is_valid(placed.geometries_wgs84[i])
    ]
    number = np.flatnonzero(kept).tolist()
    low, high = (_wholes(raw, found[column]) for column in ("floor_from", "floor_to"))

    def of(values: Sequence[Any]) -> tuple[Any, ...]:
        return tuple(values[i] for i in number)

    floors = [(a, b) if a is not None and b is not None and a <= b else None for a, b in zip(low, high, strict=True)]
    names = [_given_name(*one) for one in zip(code, _words(raw, found["name"]), strict=True)]
    cells = Polygons(
        row[number], of(code), of(names), of(_words(raw, found["parent"])),
        of(_wholes(raw, found["households"])), of(floors), ground[number],
    )  # fmt: skip
    return cells, told, system.name


def _lines(sheet: VectorLayer, mapping: Mapping[str, str]) -> tuple[list[Line], list[Finding]]:
    title, raw, _ = sheet
    found = _columns(raw, TABLE_COLUMNS, mapping)
    if found["building"] is None or found["grid"] is None:
        return [], []
    values = {column: _words(raw, header) for column, header in found.items() if column != "households"}
    households = _wholes(raw, found["households"])
    lines: list[Line] = []
    findings: list[Finding] = []
    for at, row in enumerate(raw.index):
        building, grid, micro = (values[column][at] for column in ("building", "grid", "micro"))
        if building is None or grid is None:
            code = "take.row_without_building" if building is None else "take.row_without_grid"
            findings.append(Finding(code, Severity.REJECTED, title, int(row), building))
            continue
        lines.append(
            Line(int(row), building, grid, micro, values["grid_name"][at], values["micro_name"][at], households[at])
        )
    return lines, findings


def _columns(
    raw: pd.DataFrame, names: Mapping[str, tuple[str, ...]], mapping: Mapping[str, str]
) -> dict[str, str | None]:
    """The header of each column; a header is taken once."""
    headers = [str(header) for header in raw.columns if header != "geometry"]
    said = {column: header for header, column in mapping.items() if header in headers}
    taken = set(said.values())
    found: dict[str, str | None] = {}
    for column, wanted in names.items():
        free = [header for header in headers if header not in taken and _says_something(raw[header])]
        found[column] = said.get(column) or columns.find(free, wanted)
        if found[column] is not None:
            taken.add(str(found[column]))
    return found


def _says_something(values: pd.Series) -> bool:
    return bool(values.notna().any())


def _given_name(code: str | None, name: str | None) -> str | None:
    """A name, unless it is a community's with the cell's number, as our own files label cells that have none."""
    tail = (code or "")[COMMUNITY_DIGITS:]
    return None if name and tail and name.endswith(f" {tail}") else name


def _words(raw: pd.DataFrame, header: str | None) -> list[str | None]:
    return [None] * len(raw) if header is None else [word(value) for value in raw[header]]


def _wholes(raw: pd.DataFrame, header: str | None) -> list[int | None]:
    if header is None:
        return [None] * len(raw)
    numbers = pd.to_numeric(raw[header], errors="coerce")
    return [None if pd.isna(value) else round(float(value)) for value in numbers]


def word(value: object) -> str | None:
    """A code as text: a spreadsheet's 12.0 is 12, and the apostrophe that guards a formula is none of it."""
    if value is None or (not isinstance(value, str) and bool(pd.isna(value))):
        return None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    text = str(value).strip()
    return (text[1:] if text[:2] in ("'=", "'+", "'-", "'@") else text) or None
