"""The layers of the map: name, zoom range, fields, and who may see them. The query of each is ``sql/<name>.sql``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from gis.permissions import Action

SQL = Path(__file__).resolve().parent / "sql"

EXTENT = 4096
BUFFER = 64
MAX_ZOOM = 20
ALL = "all"
"""In an address: every layer that the caller may see."""


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer of vector tiles.

    Attributes
    ----------
    name : str
        Also the name of the layer inside the tile and of its SQL file.
    min_zoom, max_zoom : int
        Below ``min_zoom`` tiles are empty; from ``max_zoom`` on, pages enlarge the tiles that they have.
    action : Action
        What a caller must be allowed to do to see it; rows are limited to the areas in which they are.
    fields : mapping of str to str
        Property → what it means, for TileJSON.
    has_drafts : bool
        Whether ``?plan=ID`` shows the cells of a draft.
    is_base : bool
        Part of the base map: the same for everybody who may see the map at all.
    max_age_s : int
        How long a browser may show a tile before it asks again.
    shown_from : mapping of str to int
        Property → the zoom from which it is given; those not named are given at all.
    """

    name: str
    min_zoom: int
    max_zoom: int
    action: Action
    fields: Mapping[str, str] = field(default_factory=dict)
    has_drafts: bool = False
    is_base: bool = False
    max_age_s: int = 0
    shown_from: Mapping[str, int] = field(default_factory=dict)

    @property
    def sql(self) -> str:
        """The query of the layer: parameters z, x, y, at, scopes, plan_id; one row, one column, the tile."""
        return read_sql(self.name)


@cache
def read_sql(name: str) -> str:
    """The text of a query file."""
    return (SQL / f"{name}.sql").read_text(encoding="utf-8")


_CELL_FIELDS = {
    "depth": "tier's depth, 1 at the top",
    "households": "households as of the plan's making",
    "state": "in_band, under or over",
    "color_index": "0 to 7; neighbours differ where that was possible",
    "code": "code of the cell",
    "name": "name, if it has one",
    "parent_id": "cell one tier up",
    "floor_from": "lowest floor, for one of a stack",
    "floor_to": "highest floor, for one of a stack",
    "is_dedicated": "true for a dedicated grid (专属网格)",
    "generalised": "grids or communities: drawn instead of cells too many for a tile of this zoom",
}
_NEAR_FIELDS = {"parent_id": 13, "floor_from": 13, "floor_to": 13}

LAYERS: Mapping[str, Layer] = {
    layer.name: layer
    for layer in (
        Layer(
            "areas",
            5,
            14,
            Action.VIEW_MAP,
            {
                "code": "12-digit code",
                "level": "county, street or community",
                "name": "name",
                "name_en": "English name",
            },
        ),
        Layer(
            "ground",
            10,
            15,
            Action.VIEW_MAP,
            {"kind": "green, farmland, square …", "name": "name"},
            is_base=True,
            max_age_s=300,
        ),
        Layer("water", 6, 15, Action.VIEW_MAP, {"kind": "water or river", "name": "name"}, is_base=True, max_age_s=300),
        Layer(
            "roads",
            8,
            15,
            Action.VIEW_MAP,
            {"kind": "arterial, secondary or minor", "is_bridge": "on a bridge", "name": "name"},
            is_base=True,
            max_age_s=300,
        ),
        Layer(
            "rail",
            8,
            15,
            Action.VIEW_MAP,
            {"kind": "rail or wall", "is_bridge": "on a bridge", "name": "name"},
            is_base=True,
            max_age_s=300,
        ),
        Layer(
            "compounds",
            11,
            15,
            Action.VIEW_MAP,
            {
                "code": "code",
                "name": "name",
                "name_en": "English name",
                "label": "name, in one tile only",
                "is_walled": "closed",
                "housing_class": "class",
            },
        ),
        Layer(
            "buildings",
            13,
            16,
            Action.VIEW_MAP,
            {
                "households": "households",
                "floors": "floors",
                "use": "use",
                "code": "code",
                "name": "name",
                "label": "name or households, in one tile only",
                "estimated": "true where the households are an estimate",
            },
        ),
        Layer(
            "grids",
            8,
            16,
            Action.VIEW_MAP,
            _CELL_FIELDS,
            has_drafts=True,
            shown_from={"code": 11, "name": 11, **_NEAR_FIELDS},
        ),
        Layer(
            "micro_grids",
            10,
            16,
            Action.VIEW_MAP,
            _CELL_FIELDS,
            has_drafts=True,
            shown_from={"code": 13, "name": 13, **_NEAR_FIELDS},
        ),
        Layer(
            "pois",
            13,
            16,
            Action.VIEW_MAP,
            {"kind": "gate, school, hospital …", "name": "name"},
            is_base=True,
            max_age_s=300,
        ),
        Layer(
            "incidents",
            6,
            16,
            Action.VIEW_INCIDENTS,
            {"status": "status", "severity": "1 to 4", "category": "code of the category", "code": "code"},
        ),
    )
}
"""In the order in which they are drawn, lowest first."""
