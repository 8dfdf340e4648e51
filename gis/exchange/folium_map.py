"""A report of one division as a single HTML file: map, statistics, histograms, what is out of order, legend.

The map is folium's. Folium names some seventy files on other people's servers; here it is given none: leaflet is
written into the page from the npm package that the web pages are built with, there is no tile layer (our own
geometry is the ground), and popups are made by ``folium_map.js`` rather than with jQuery. The page loads with every
network request refused, and its Chinese and English are both in it.
"""

from __future__ import annotations

import base64
import html
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import folium
import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from branca.element import Element, Figure, MacroElement
from folium.template import Template
from folium.utilities import JsCode
from numpy.typing import NDArray

from gis import messages
from gis.division import Division
from gis.errors import Unavailable
from gis.findings import Finding, Severity
from gis.rule_set import Tier
from gis.town import Town

# No orange and no red among them: those warn.
PALETTE = ("#7fb3d5", "#a9dfbf", "#d7bde2", "#f9e79f", "#a2d9ce", "#aeb6bf", "#c5cae9", "#d4e6a5")
OUT_OF_BAND = {"under": "#e67e22", "over": "#c0392b"}
GROUND_COLORS = {"water": "#c6e2f2", "green": "#d9ecd0", "farmland": "#eef2d8", "square": "#ece8e1"}
BARRIER_STYLES: Mapping[str, dict[str, Any]] = {
    "arterial": {"color": "#b9b2a6", "weight": 4},
    "secondary": {"color": "#c9c3b8", "weight": 2.5},
    "minor": {"color": "#d9d4ca", "weight": 1.2},
    "river": {"color": "#9cc9e6", "weight": 3},
    "rail": {"color": "#8d8d8d", "weight": 2, "dashArray": "6 4"},
    "wall": {"color": "#b08d6e", "weight": 1, "dashArray": "2 2"},
}
DECIMALS = 6
"""Of coordinates in the page: 11 cm, which halves the size of the file."""


@dataclass(frozen=True, slots=True)
class TierFigures:
    """What the report says of the cells of one tier."""

    tier: Tier
    cells: int
    in_band_ratio: float
    households_min: int
    households_mean: float
    households_max: int
    histogram: tuple[tuple[int, int, int], ...]
    """(from, to, cells); ``to`` is not included."""


class _OfflineMap(folium.Map):
    """A folium map that names no file on any server."""

    default_js: list[tuple[str, str]] = []  # noqa: RUF012 (folium reads the class attribute)
    default_css: list[tuple[str, str]] = []  # noqa: RUF012


class _Start(MacroElement):
    """The last line of the page's script, run when the map and all layers are there."""

    _template = Template(
        "{% macro script(this, kwargs) %}"
        "wangge.start({{ this._parent.get_name() }}, {{ this.bounds | tojson }}, {{ this.language | tojson }});"
        "{% endmacro %}"
    )

    def __init__(self, bounds: list[list[float]], language: str) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._name = "Start"
        self.bounds = bounds
        self.language = language


def is_one(path: Path) -> bool:
    """Whether a file is a map of `report_html`, and so may be replaced."""
    try:
        with path.open(encoding="utf-8") as file:
            return ".leaflet-pane" in file.read(2_000)
    except (OSError, UnicodeDecodeError):
        return False


def report_html(
    division: Division,
    town: Town,
    *,
    title: str,
    leaflet: Path,
    measures: Mapping[str, Any] | None = None,
    sources: Sequence[str] = (),
    language: str = "zh",
) -> str:
    """Draw a division and say how good it is, in one self-contained HTML page.

    Parameters
    ----------
    division : Division
    town : Town
        The ground below: communities, buildings, barriers, ground; layers may be absent.
    title : str
        Heading of the page.
    leaflet : Path
        Folder with ``leaflet.js``, ``leaflet.css`` and ``images/``; see `leaflet_folder`.
    measures : mapping, optional
        ``gap_m2``, ``overlap_m2``, ``pieces_not_contiguous`` and others of `gis.partition.quality.statistics`.
    sources : sequence of str
        Whose data these are, to be credited at the foot.
    language : str
        The language shown first; a button changes it.

    Returns
    -------
    str
        HTML without any address outside of itself.

    Raises
    ------
    Unavailable
        ``report.no_leaflet`` if the folder has not what is needed.
    """
    chart = _OfflineMap(tiles=None, prefer_canvas=True, control_scale=True, zoom_control=True)
    figure = chart.get_root()
    assert isinstance(figure, Figure)
    figure.title = title
    _put_header(figure, leaflet)
    _add_ground(chart, town)
    for position in reversed(range(len(division.cells))):
        _add_cells(chart, division, position, shown=position == 0)
    folium.LayerControl(collapsed=True).add_to(chart)
    figures = [tier_figures(frame, tier) for frame, tier in zip(division.cells, division.rules.grid_tiers, strict=True)]
    figure.html.add_child(_raw(_panel(division, figures, title=title, measures=measures or {}, sources=sources)))
    _Start(_bounds(division), "en" if language == "en" else "zh").add_to(chart)
    page: str = figure.render()
    # The licence line and comments of leaflet quote addresses; nothing loads them, and a closed network's scanner
    # need not ask. The names of XML vocabularies are no addresses and stay.
    for scheme in ("https://", "http://"):
        page = page.replace(f"{scheme}www.w3.org/", "\0").replace(scheme, "").replace("\0", "http://www.w3.org/")
    return page


def leaflet_folder(web: Path) -> Path:
    """Where leaflet is: copied beside the built pages, or in the npm package itself.

    Parameters
    ----------
    web : Path
        Folder of the built pages (``Settings.web_dist``).

    Raises
    ------
    Unavailable
        ``report.no_leaflet``.
    """
    for folder in (web / "vendor" / "leaflet", web.parent / "node_modules" / "leaflet" / "dist"):
        if (folder / "leaflet.js").is_file():
            return folder
    raise Unavailable("report.no_leaflet", path=str(web / "vendor" / "leaflet"))


def tier_figures(cells: gpd.GeoDataFrame, tier: Tier) -> TierFigures:
    """Count the cells of a tier and their households."""
    households = cells["households"].fillna(0).astype(int).to_numpy()
    if len(households) == 0:
        return TierFigures(tier, 0, 0.0, 0, 0.0, 0, ())
    in_band = np.array([band_state(value, tier) == "in_band" for value in households])
    counts, edges = np.histogram(households, bins=_edges(int(households.max()), tier))
    bars = tuple(
        (int(low), int(high), int(count)) for low, high, count in zip(edges[:-1], edges[1:], counts, strict=True)
    )
    low, mean, high = int(households.min()), float(households.mean()), int(households.max())
    return TierFigures(tier, len(households), float(in_band.mean()), low, mean, high, bars)


def band_state(households: int, tier: Tier) -> str:
    """``in_band``, ``under`` or ``over`` the tier's band; without a band every cell is in it."""
    if tier.households_min is not None and households < tier.households_min:
        return "under"
    if tier.households_max is not None and households > tier.households_max:
        return "over"
    return "in_band"


def _edges(largest: int, tier: Tier) -> np.ndarray[Any, Any]:
    """Histogram edges such that the band's own ends are edges."""
    low, high = tier.households_min, tier.households_max
    if low is None or high is None or high <= low:
        return np.unique(np.linspace(0, largest + 1, 11).astype(int))
    width = max((high - low) / 5, 1)
    below = np.arange(low, 0, -width)[1:][::-1]
    above = np.arange(high + 1, largest + 1 + width, width)
    inside = np.linspace(low, high + 1, 6)
    return np.unique(np.concatenate([[0], below, inside, above]).round().astype(int))


# The map


def _put_header(figure: Figure, leaflet: Path) -> None:
    # After folium's own, whose <meta> and <style> come when the map renders itself; before any of its scripts.
    figure.header.add_child(_raw(f"<style>{_leaflet_css(leaflet)}</style>"))
    figure.header.add_child(_raw(f"<style>{_own('folium_map.css')}</style>"))
    figure.header.add_child(_raw(f"<script>{_read(leaflet / 'leaflet.js')}</script>"))
    figure.header.add_child(_raw(f"<script>{_own('folium_map.js')}</script>"))


def _raw(text: str) -> Element:
    """Text that branca's template engine leaves as it is."""
    return Element("{% raw %}" + text.replace("{% endraw %}", "") + "{% endraw %}")


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").replace("//# sourceMappingURL=leaflet.js.map", "")
    except OSError as error:
        raise Unavailable("report.no_leaflet", path=str(path)) from error


def _leaflet_css(leaflet: Path) -> str:
    css = _read(leaflet / "leaflet.css")
    for name in ("layers.png", "layers-2x.png"):
        path = leaflet / "images" / name
        data = base64.b64encode(path.read_bytes()).decode() if path.is_file() else ""
        css = css.replace(f"url(images/{name})", f"url(data:image/png;base64,{data})")
    return css.replace("url(images/marker-icon.png)", "none")


@cache
def _own(name: str) -> str:
    return (files("gis") / "exchange" / name).read_text(encoding="utf-8")


def _bounds(division: Division) -> list[list[float]]:
    west, south, east, north = (round(float(value), DECIMALS) for value in division.cells[0].total_bounds)
    return [[south, west], [north, east]]


def _slim(frame: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    """Geometry with fewer decimals; rows without geometry left out."""
    kept = frame[~(frame.geometry.isna() | frame.geometry.is_empty)]
    rounded = shapely.set_precision(kept.geometry.to_numpy(), 10.0**-DECIMALS, mode="pointwise")
    return gpd.GeoDataFrame(kept.drop(columns=kept.geometry.name), geometry=rounded, crs=kept.crs)


def _add_ground(chart: folium.Map, town: Town) -> None:
    """Our own base map: ground, roads and rails, buildings, community borders."""
    ground, barriers, buildings = town.geo("ground"), town.geo("barriers"), town.geo("buildings")
    background = folium.FeatureGroup(name="底图 Base map", control=True)
    for kind, color in GROUND_COLORS.items():
        style = {"fillColor": color, "fillOpacity": 1, "stroke": False}
        _add_plain(background, ground[ground["kind"] == kind], style)
    for kind in reversed(list(BARRIER_STYLES)):
        _add_plain(background, barriers[barriers["kind"] == kind], {**BARRIER_STYLES[kind], "fill": False})
    _add_plain(background, buildings, {"color": "#8f8a82", "weight": 0.5, "fillColor": "#cfc9bf", "fillOpacity": 0.9})
    background.add_to(chart)
    outline = folium.FeatureGroup(name="社区界 Communities")
    style = {"color": "#34495e", "weight": 2.5, "fill": False, "dashArray": "8 4"}
    _add_plain(outline, town.geo("communities"), style)
    outline.add_to(chart)


def _add_plain(group: folium.FeatureGroup, frame: gpd.GeoDataFrame, style: dict[str, Any]) -> None:
    """Shapes without words, all of one style: one feature, which folium and the browser draw fastest."""
    if len(frame) == 0:
        return
    pieces = shapely.get_parts(_slim(frame[[frame.geometry.name]]).geometry.to_numpy())
    is_area = shapely.get_dimensions(pieces) == 2
    for shape in (shapely.multipolygons(pieces[is_area]), shapely.multilinestrings(pieces[~is_area])):
        if not shape.is_empty:
            feature = {"type": "Feature", "properties": {}, "geometry": json.loads(shapely.to_geojson(shape))}
            options = {**style, "interactive": False}
            folium.GeoJson(feature, style_function=lambda _, options=options: options).add_to(group)


def _add_cells(chart: folium.Map, division: Division, position: int, *, shown: bool) -> None:
    """A layer of the cells of one tier; stacked cells, which share their ground, are one shape with all of them."""
    tier = division.rules.grid_tiers[position]
    frame = _slim(division.cells[position]).reset_index(drop=True)
    stacks = frame.groupby(shapely.to_wkb(frame.geometry.to_numpy()), sort=False).indices.values()
    shapes = frame.geometry.to_numpy()[[members[0] for members in stacks]]
    told = [_told(cell, tier) for cell in frame.drop(columns=frame.geometry.name).to_dict("records")]
    features = [
        {
            "type": "Feature",
            "id": told[members[0]]["code"],
            "properties": {
                "tier": [tier.name_zh, tier.name_en],
                "cells": [told[member] for member in members],
                "color": _color((told[member]["state"] for member in members), color),
            },
            "geometry": json.loads(shape),
        }
        for members, shape, color in zip(stacks, shapely.to_geojson(shapes), coloring(shapes), strict=True)
    ]
    weight = max(2.2 - 0.8 * position, 0.8)
    group = folium.FeatureGroup(name=f"{tier.name_zh} {tier.name_en}", show=shown)
    folium.GeoJson(
        {"type": "FeatureCollection", "features": features},
        style_function=lambda feature: {
            "fillColor": feature["properties"]["color"],
            "fillOpacity": 0.45,
            "color": "#2c3e50",
            "weight": weight,
        },
        on_each_feature=JsCode("function (feature, layer) { wangge.cell(feature, layer); }"),
    ).add_to(group)
    group.add_to(chart)


def _told(cell: Mapping[Any, Any], tier: Tier) -> dict[str, Any]:
    """What a popup tells of a cell, as plain values."""
    told: dict[str, Any] = {"code": str(cell["code"]), "community": str(cell["community"])}
    told["households"] = 0 if pd.isna(cell["households"]) else int(cell["households"])
    told["state"] = band_state(told["households"], tier)
    if not pd.isna(cell["area_m2"]):
        told["area_m2"] = round(float(cell["area_m2"]))
    for name in ("floor_from", "floor_to"):
        if not pd.isna(cell[name]):
            told[name] = int(cell[name])
    return told


def _color(states: Iterable[str], index: int) -> str:
    """A colour of warning where any of the stacked cells is out of band, else one that differs from the neighbours."""
    return next((OUT_OF_BAND[state] for state in states if state in OUT_OF_BAND), PALETTE[index])


def coloring(geometry: NDArray[np.object_]) -> list[int]:
    """Give neighbours different numbers of `PALETTE`, greedily, most neighbours first."""
    left, right = shapely.STRtree(geometry).query(geometry, predicate="intersects")
    neighbours: list[set[int]] = [set() for _ in geometry]
    for a, b in zip(left.tolist(), right.tolist(), strict=True):
        if a != b:
            neighbours[a].add(b)
    colors = [-1] * len(geometry)
    for cell in sorted(range(len(geometry)), key=lambda number: (-len(neighbours[number]), number)):
        taken = {colors[other] for other in neighbours[cell]}
        colors[cell] = next((color for color in range(len(PALETTE)) if color not in taken), cell % len(PALETTE))
    return colors


# The panel


def _panel(
    division: Division,
    figures: Sequence[TierFigures],
    *,
    title: str,
    measures: Mapping[str, Any],
    sources: Sequence[str],
) -> str:
    rules = division.rules
    unverified = "" if rules.is_verified else _both("（待核对）", " (to be verified)")
    parts = [
        '<aside id="panel"><button id="language" type="button">中 / EN</button>',
        f"<h1>{html.escape(title)}</h1>",
        f"<p>{_both(rules.name_zh, rules.name_en)}{unverified}</p>",
        *(_tier_section(figure) for figure in figures),
        _measures_section(measures),
        _findings_section(division.findings),
        _legend(),
        _recipe(division.recipe),
        f"<p class=sources>{_both('数据来源：', 'Data: ')}{html.escape('; '.join(sources))}</p>" if sources else "",
        "</aside>",
    ]
    return "\n".join(part for part in parts if part)


def _both(zh: str, en: str) -> str:
    return f'<span class="zh">{html.escape(zh)}</span><span class="en">{html.escape(en)}</span>'


def _rows(rows: Iterable[tuple[str, str, str]]) -> str:
    cells = "".join(f"<tr><th>{_both(zh, en)}</th><td>{html.escape(value)}</td></tr>" for zh, en, value in rows)
    return f"<table>{cells}</table>"


def _tier_section(figure: TierFigures) -> str:
    tier = figure.tier
    band = "–" if tier.households_max is None else f"{tier.households_min or 0}–{tier.households_max}"
    rows = [
        ("数量", "Cells", f"{figure.cells:,}"),
        ("户数标准", "Household band", band),
        ("达标率", "In band", f"{figure.in_band_ratio:.1%}"),
        ("户数（最少 / 平均 / 最多）", "Households (min / mean / max)", _range_of(figure)),
    ]
    return f"<section><h2>{_both(tier.name_zh, tier.name_en)}</h2>{_rows(rows)}{_histogram(figure)}</section>"


def _range_of(figure: TierFigures) -> str:
    return f"{figure.households_min:,} / {figure.households_mean:,.1f} / {figure.households_max:,}"


def _histogram(figure: TierFigures) -> str:
    """Bars as SVG, those within the band in green."""
    tallest = max((count for *_, count in figure.histogram), default=0)
    if tallest == 0:
        return ""
    width = 320 / len(figure.histogram)
    bars = []
    for position, (low, high, count) in enumerate(figure.histogram):
        height = 80 * count / tallest
        color = (
            "#27ae60" if band_state(low, figure.tier) == band_state(high - 1, figure.tier) == "in_band" else "#e67e22"
        )
        place = f'x="{position * width:.1f}" y="{90 - height:.1f}"'
        size = f'width="{max(width - 1, 0.5):.1f}" height="{height:.1f}"'
        bars.append(f'<rect {place} {size} fill="{color}"><title>{low}–{high - 1}: {count}</title></rect>')
    ends = f'<text x="0" y="103">{figure.histogram[0][0]}</text>'
    ends += f'<text x="320" y="103" text-anchor="end">{figure.histogram[-1][1] - 1}</text>'
    return f'<svg viewBox="0 0 320 106" role="img" aria-label="histogram">{"".join(bars)}{ends}</svg>'


_MEASURES = {
    "gap_m2": ("空隙（平方米）", "Gaps (m²)"),
    "overlap_m2": ("重叠（平方米）", "Overlaps (m²)"),
    "pieces_not_contiguous": ("不连片的网格", "Cells not contiguous"),
    "boundary_on_barriers_ratio": ("边界沿道路河流等", "Borders on roads, rivers, walls"),
    "compounds_cut": ("被切分的小区", "Compounds cut"),
}


def _measures_section(measures: Mapping[str, Any]) -> str:
    rows = [(*_MEASURES[name], _number(name, measures[name])) for name in _MEASURES if measures.get(name) is not None]
    return f"<section><h2>{_both('质量', 'Quality')}</h2>{_rows(rows)}</section>" if rows else ""


def _number(name: str, value: Any) -> str:
    return f"{value:.1%}" if name.endswith("_ratio") else f"{value:,.10g}"


def _findings_section(findings: Sequence[Finding]) -> str:
    """What is out of order; a line with a cell's code goes to it on the map."""
    items = "".join(
        f'<li class="{finding.severity}" data-cell="{html.escape(finding.key or "")}">'
        + _both(*(_sentence(finding, language) for language in ("zh", "en")))
        + "</li>"
        for finding in sorted(findings, key=lambda f: (f.severity == Severity.NOTE, f.code, f.key or ""))
    )
    heading = f"<h2>{_both('需要注意', 'To be looked at')} ({len(findings)})</h2>"
    none = f"<p>{_both('没有问题。', 'Nothing.')}</p>"
    return f"<section>{heading}{f'<ul>{items}</ul>' if items else none}</section>"


def _sentence(finding: Finding, language: str) -> str:
    place = {"layer": finding.layer, "row": finding.row, "key": finding.key}
    return messages.text(finding.code, {**place, **finding.params}, language=language)


def _legend() -> str:
    entries = [(PALETTE[0], "达标（颜色只为区分相邻）", "In band (colours only tell neighbours apart)")]
    entries += [(OUT_OF_BAND["under"], "户数不足", "Too few households"), (OUT_OF_BAND["over"], "户数超出", "Too many")]
    items = "".join(f'<li><i style="background:{color}"></i>{_both(zh, en)}</li>' for color, zh, en in entries)
    return f'<section><h2>{_both("图例", "Legend")}</h2><ul class="legend">{items}</ul></section>'


def _recipe(recipe: Mapping[str, Any]) -> str:
    plain = {key: value for key, value in recipe.items() if isinstance(value, str | int | float)}
    if not plain:
        return ""
    rows = "".join(
        f"<tr><th>{html.escape(key)}</th><td>{html.escape(str(value))}</td></tr>" for key, value in plain.items()
    )
    return f"<details><summary>{_both('生成参数', 'How it was made')}</summary><table>{rows}</table></details>"
