"""What a page is told of a board: plain values for JSON."""

from __future__ import annotations

from typing import Any

import numpy as np
import orjson
import shapely

from gis.desk.board import Board, Building, Cell, Compound, Edge, Face, Part, Rows

Told = dict[str, Any]


def cell(board: Board, row: Cell) -> Told:
    """A cell with its figures; open incidents of a stack are told of each of its cells."""
    figures = board.figures[row.id]
    incidents = sum(board.incidents_at.get(plot, 0) for plot in {board.plot(low) for low in board.under(row.id)})
    return {
        "id": row.id, "depth": row.depth, "parent": row.parent, "community": row.community, "code": row.code,
        "name": row.name, "dedicated": row.is_dedicated, "locked": ("cell", row.id) in board.locks,
        "households": row.households, "buildings": row.buildings, "residents": row.residents,
        "area_m2": round(row.area_m2, 1), "perimeter_m": round(figures.perimeter_m, 1), "pieces": figures.pieces,
        "band_state": row.band_state, "floor_from": row.floor_from, "floor_to": row.floor_to,
        "people": board.setting.people.get(row.code, 0), "open_incidents": incidents, "bbox": figures.bbox,
    }  # fmt: skip


def part(row: Part) -> Told:
    """A part of a building."""
    return {
        "id": row.id, "building": row.building, "unit_from": row.unit_from, "unit_to": row.unit_to,
        "floor_from": row.floor_from, "floor_to": row.floor_to, "households": row.households, "cell": row.cell,
    }  # fmt: skip


def building(board: Board, row: Building) -> Told:
    """A building, whether the plan knows it or not."""
    return {
        "id": row.id, "code": row.code, "name": row.name, "community": row.community, "households": row.households,
        "compound": row.compound, "use": row.use, "floors": row.floors, "units": row.units, "lon": row.lon,
        "lat": row.lat, "locked": ("building", row.id) in board.locks,
    }  # fmt: skip


def compound(row: Compound) -> Told:
    """A compound."""
    return {"id": row.id, "code": row.code, "name": row.name, "households": row.households, "bbox": row.bbox}


def tiers(board: Board) -> list[Told]:
    """The grid tiers with their bands."""
    return [
        {
            "depth": one.depth, "name_zh": one.name_zh, "name_en": one.name_en, "kind": one.kind,
            "low": one.low if one.cell_of == "band" else None, "high": one.high if one.cell_of == "band" else None,
            "tolerance": one.tolerance, "target": one.target,
        }
        for one in board.setting.tiers
    ]  # fmt: skip


def everything(board: Board) -> Told:
    """All of a board but its ground."""
    return {
        **frame(board),
        "cells": cells(board),
        "buildings": buildings(board),
        "parts": parts(board),
        "land": land(board),
    }


def frame(board: Board) -> Told:
    """What everything on a board is of."""
    setting = board.setting
    return {
        "seq": board.seq,
        "ground": board.ground,
        "locked_all": ("all", 0) in board.locks,
        "tiers": tiers(board),
        "communities": [
            {"id": one.id, "code": one.code, "name": one.name, "name_en": one.name_en, "bbox": one.bbox,
             "ground_m2": round(one.ground_m2, 1)}
            for one in setting.communities.values()
        ],
        "compounds": [compound(one) for one in setting.compounds.values()],
    }  # fmt: skip


def cells(board: Board) -> list[Told]:
    """All cells."""
    return [cell(board, row) for row in board.cells.values()]


def buildings(board: Board) -> list[Told]:
    """All buildings of the communities, whether the plan knows them or not."""
    return [building(board, one) for one in board.setting.buildings.values()]


def parts(board: Board) -> list[Told]:
    """All parts."""
    return [part(row) for row in board.parts.values()]


def land(board: Board) -> list[list[int | None]]:
    """Faces that no part stands on, and the cell of each: what `gis.desk.columns` leaves out."""
    return [[key, board.cell_of(face)] for key, face in board.faces.items() if board.is_land(face)]


def faces(board: Board, rows: list[Face]) -> list[Told]:
    """Faces as GeoJSON features."""
    return [
        {
            "type": "Feature", "id": row.id, "geometry": shape,
            "properties": {
                "building": row.building, "cell": board.home.get(row.id), "area_m2": round(row.area_m2, 2),
                "parts": [one.id for one in board.parts_on(row)], "community": row.community,
                "unit_from": row.unit_from, "unit_to": row.unit_to,
            },
        }
        for row, shape in zip(rows, _geojson([row.shape for row in rows]), strict=True)
    ]  # fmt: skip


def edges(rows: list[Edge]) -> list[Told]:
    """Borders of faces as GeoJSON features."""
    return [
        {
            "type": "Feature", "id": row.id, "geometry": shape,
            "properties": {
                "a": row.a, "b": -1 if row.b is None else row.b, "length_m": round(row.length_m, 2),
                "barrier": row.barrier, "crossable": row.is_crossable,
            },
        }
        for row, shape in zip(rows, _geojson([row.line for row in rows]), strict=True)
    ]  # fmt: skip


def ground(board: Board) -> Told:
    """The whole ground."""
    return {
        "ground": board.ground,
        "faces": {"type": "FeatureCollection", "features": faces(board, list(board.faces.values()))},
        "edges": {"type": "FeatureCollection", "features": edges(list(board.edges.values()))},
    }


def _geojson(wkb: list[bytes]) -> list[orjson.Fragment]:
    shapes = np.asarray(shapely.from_wkb(wkb), dtype=object)
    return [orjson.Fragment(text) for text in shapely.to_geojson(shapes).tolist()]


def change(before: Board, after: Board, rows: Rows) -> Told:
    """What a page needs to follow a change of rows."""
    removed = sorted(key for key, row in rows.cells.items() if row is None)
    moved = {key for key in rows.faces if rows.faces[key] is not None}
    moved |= {
        face
        for key, row in rows.parts.items()
        for whose in {one.building for one in (row, before.parts.get(key)) if one is not None}
        for face in after.faces_of.get(whose, ())
    }
    buildings = {item: held for (kind, item), held in rows.locks.items() if kind == "building"}
    told = {key for key, row in rows.cells.items() if row is not None}
    told |= {item for kind, item in rows.locks if kind == "cell" and item in after.cells}
    arrived = _arrived(before, after, rows)
    compounds = {one.compound for one in arrived if one.compound in after.setting.compounds}
    return {
        "buildings": [building(after, one) for one in arrived],
        "compounds": [compound(one) for key, one in after.setting.compounds.items() if key in compounds],
        "cells": [cell(after, after.cells[key]) for key in sorted(told)],
        "removed_cells": removed,
        "parts": [part(row) for row in rows.parts.values() if row is not None],
        "removed_parts": sorted(key for key, row in rows.parts.items() if row is None),
        "locked_buildings": buildings,
        "locked_all": ("all", 0) in after.locks,
        "land": [[key, after.cell_of(after.faces[key])] for key in sorted(moved) if key in after.faces],
        "ground": _ground_change(after, rows) if rows.changes_ground else None,
    }


def _arrived(before: Board, after: Board, rows: Rows) -> list[Building]:
    """Buildings that have ground now, and had none."""
    whose = {row.building for row in rows.faces.values() if row is not None and row.building is not None}
    known = after.setting.buildings
    return [known[key] for key in sorted(whose) if not before.faces_of.get(key) and key in known]


def _ground_change(after: Board, rows: Rows) -> Told:
    return {
        "number": after.ground,
        "removed_faces": sorted(key for key, row in rows.faces.items() if row is None),
        "faces": faces(after, [row for row in rows.faces.values() if row is not None]),
        "removed_edges": sorted(key for key, row in rows.edges.items() if row is None),
        "edges": edges([row for row in rows.edges.values() if row is not None]),
    }
