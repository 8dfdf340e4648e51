"""MapLibre styles of the map as the pages draw it, a style for each role, for programs that are not our pages.

The base map is the one of `api/web/src/map/base_style.ts`, kept in ``look/base.json`` beside the pages' colours; a test
compares the two. No glyphs and no sprite: letters come from the fonts of whoever draws, and nothing is asked elsewhere.
"""

from __future__ import annotations

from collections.abc import Collection
from functools import cache
from pathlib import Path
from typing import Any

import orjson

LOOK = Path(__file__).parent / "look" / "base.json"
NAMES = {"planner": "网格规划 · Planner", "command": "指挥中心 · Command", "field": "网格员 · Field"}
_FONT = ["Noto Sans CJK SC", "PingFang SC", "Microsoft YaHei", "Source Han Sans SC"]
_UNDER_WATER, _UNDER_NAMES = "water", "water-name"
_COMMUNITY_DIGITS = 12
_LABELS_FROM = {"grids": 12.2, "micro_grids": 13.4}

Json = dict[str, Any]


@cache
def look() -> Json:
    """Colours and layers of the base map."""
    read: Json = orjson.loads(LOOK.read_bytes())
    return read


def style(role: str, *, base: str, shown: Collection[str]) -> Json:
    """The style of a role.

    Parameters
    ----------
    role : str
        One of `NAMES`.
    base : str
        ``https://host`` of the service; every address begins with it.
    shown : collection of str
        Layers that the caller may see; no others are named.
    """
    layers = [layer for layer in _ordered(role) if layer.get("source") in (None, *shown)]
    used = dict.fromkeys(layer["source"] for layer in layers if "source" in layer)
    return {
        "version": 8,
        "name": NAMES[role],
        "sources": {name: {"type": "vector", "url": f"{base}/tiles/{name}.json"} for name in used},
        "layers": layers,
    }


def _ordered(role: str) -> list[Json]:
    """Fills of cells below water and houses, lines below the names, incidents above all."""
    filled, lined = {
        "planner": (["grids"], ["micro_grids", "grids"]),
        "command": ([], ["grids"]),
        "field": ([], ["micro_grids", "grids"]),
    }[role]
    result: list[Json] = []
    for layer in look()["layers"]:
        if layer["id"] == _UNDER_WATER:
            result += map(_fill, filled)
        if layer["id"] == _UNDER_NAMES:
            result += [_line(name, is_thick=name == "grids" and len(lined) > 1) for name in lined]
        result.append(layer)
    result.append(_label(lined[0] if role == "field" else "grids"))
    return result if role == "planner" else [*result, *_incidents()]


def _of(name: str) -> Json:
    return {"source": name, "source-layer": name}


def _fill(name: str) -> Json:
    colours = look()["colours"]["cells"]
    which = ["%", ["coalesce", ["get", "color_index"], 0], len(colours)]
    choices = [part for number, colour in enumerate(colours) for part in (number, colour)]
    paint = {"fill-color": ["match", which, *choices, colours[0]], "fill-opacity": 0.62}
    return {"id": f"{name}-fill", "type": "fill", **_of(name), "paint": paint}


def _line(name: str, *, is_thick: bool) -> Json:
    far, near = (1.4, 3.2) if is_thick else (0.9, 2.2) if name == "grids" else (0.4, 1.3)
    paint = {
        "line-color": look()["colours"]["outline"],
        "line-opacity": 0.85,
        "line-width": ["interpolate", ["linear"], ["zoom"], 11, far, 16, near],
    }
    return {"id": f"{name}-line", "type": "line", **_of(name), "layout": {"line-join": "round"}, "paint": paint}


def _label(name: str) -> Json:
    """A cell's name, or what in its code follows the community's, and its households."""
    tail = ["slice", ["coalesce", ["get", "code"], ""], _COMMUNITY_DIGITS]
    words = ["format", ["coalesce", ["get", "name"], tail], {}, "\n", {}]
    words += [["to-string", ["coalesce", ["get", "households"], ""]], {"font-scale": 0.82}]
    return {
        "id": f"{name}-label",
        "type": "symbol",
        **_of(name),
        "minzoom": _LABELS_FROM[name],
        "layout": {
            "text-field": words,
            "text-font": _FONT,
            "text-size": ["interpolate", ["linear"], ["zoom"], 12, 10.5, 16, 15],
            "text-padding": 6,
        },
        "paint": {
            "text-color": look()["colours"]["ink"],
            "text-halo-color": "rgba(255,255,255,0.85)",
            "text-halo-width": 1.5,
        },
    }


def _incidents() -> list[Json]:
    """A disc in the colour of the state, and in it the sign of the state: meaning never rests on colour alone."""
    states = look()["colours"]["status"]
    colours = [part for state, drawn in states.items() for part in (state, drawn["colour"])]
    signs = [part for state, drawn in states.items() for part in (state, drawn["sign"])]
    disc = {
        "circle-radius": ["interpolate", ["linear"], ["zoom"], 8, 3, 12, 6, 16, 9],
        "circle-color": ["match", ["get", "status"], *colours, "#5b5f6b"],
        "circle-stroke-color": "#ffffff",
        "circle-stroke-width": 1.5,
    }
    sign = {
        "text-field": ["match", ["get", "status"], *signs, "?"],
        "text-font": _FONT,
        "text-size": 12,
        "text-allow-overlap": True,
    }
    return [
        {"id": "incident", "type": "circle", **_of("incidents"), "paint": disc},
        {
            "id": "incident-sign",
            "type": "symbol",
            **_of("incidents"),
            "minzoom": 12,
            "layout": sign,
            "paint": {"text-color": "#ffffff"},
        },
    ]
