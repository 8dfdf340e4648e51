"""Maps and histograms of a plan's report as SVG text: no script, no address, readable in grey and on paper.

What a colour says, a pattern, a sign or a number says too.
"""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import geopandas as gpd
import numpy as np
import shapely
from numpy.typing import NDArray

Geometries = NDArray[np.object_]
M_PER_DEGREE = 111_320.0

BARRIER_CLASSES = {"arterial": "street wide", "secondary": "street", "minor": "street narrow", "river": "water",
                   "rail": "rail", "wall": "wall"}  # fmt: skip
SIGNS = {"under": "▼", "over": "▲"}


@dataclass(frozen=True)
class View:
    """The part of the ground that a map shows, and its scale: longitude and latitude to pixels.

    Attributes
    ----------
    west, north : float
        Degrees, of the upper left corner.
    per_lon, per_lat : float
        Pixels a degree.
    width, height : float
        Pixels.
    """

    west: float
    north: float
    per_lon: float
    per_lat: float
    width: float
    height: float

    @classmethod
    def of(cls, shapes: Geometries, *, width: float, tallest: float) -> View:
        """A view of shapes (EPSG:4326) with some room around them."""
        west, south, east, north = shapely.total_bounds(shapes)
        narrow = float(np.cos(np.radians((south + north) / 2)))
        wide, high = max((east - west) * narrow, 1e-9), max(north - south, 1e-9)
        scale = min((width - 16) / wide, (tallest - 16) / high)
        height = high * scale + 16
        left = west - (width - wide * scale) / 2 / (scale * narrow)
        return cls(left, north + 8 / scale, scale * narrow, scale, width, height)

    @property
    def m_per_pixel(self) -> float:
        """Metres that a pixel spans."""
        return M_PER_DEGREE / self.per_lat

    def paths(self, shapes: Geometries) -> list[str]:
        """The ``d`` of a path for each shape (polygons or lines)."""
        placed = shapely.transform(np.asarray(shapes, dtype=object), self._place)
        placed = shapely.simplify(placed, 0.35)
        return [_path(shape) for shape in placed]

    def spots(self, shapes: Geometries) -> NDArray[np.float64]:
        """Where a label of each shape goes, shape (n, 2)."""
        inside = shapely.get_coordinates(shapely.point_on_surface(shapes))
        return np.asarray(self._place(inside), dtype=np.float64)

    def _place(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.column_stack([(points[:, 0] - self.west) * self.per_lon, (self.north - points[:, 1]) * self.per_lat])


def _path(shape: shapely.Geometry) -> str:
    parts = []
    for part in shapely.get_parts(shape):
        lines = [*_rings(part)] if part.geom_type == "Polygon" else [part]
        for line in lines:
            points = np.round(shapely.get_coordinates(line), 1)
            if len(points) > 1:
                closing = "Z" if part.geom_type == "Polygon" else ""
                parts.append("M" + " ".join(f"{x:g} {y:g}" for x, y in points[: len(points) - bool(closing)]) + closing)
    return "".join(parts)


def _rings(polygon: shapely.Geometry) -> Iterable[shapely.Geometry]:
    return () if polygon.is_empty else (polygon.exterior, *polygon.interiors)


def shade(households: float, tier: Mapping[str, Any], state: str) -> str:
    """The class of a cell's fill: out of band, tolerated, nobody, or the third of the band it is in."""
    if state in ("under", "over", "tolerated"):
        return "nobody" if households == 0 else state
    low, high = tier["passes_from"], tier["passes_to"]
    if low is None or high is None or high <= low:
        return "third2"
    return f"third{min(int(3 * (households - low) / (high - low)), 2) + 1}"


def overview(
    cells: gpd.GeoDataFrame, rows: Sequence[Mapping[str, Any]], tier: Mapping[str, Any], communities: Geometries,
    barriers: gpd.GeoDataFrame | None, *, label: str,
) -> str:  # fmt: skip
    """All grids by their households against the band, with community borders and barriers."""
    shapes = np.asarray(cells.geometry.to_numpy(), dtype=object)
    view = View.of(shapes, width=960, tallest=1180)
    spots = view.spots(shapes)
    state = [row["state"] for row in rows]
    marks = [
        _text(spots[i], f"{SIGNS[state[i]]}{row['households']}", f"mark {state[i]}")
        for i, row in enumerate(rows)
        if state[i] in SIGNS
    ]
    layers = [
        _cell_paths(view, shapes, rows, tier),
        _barriers(view, barriers, shapes),
        f'<g class="outlines">{_paths(view.paths(shapes), "outline")}</g>',
        f'<g class="communities">{_paths(view.paths(communities), "community")}</g>' if len(communities) else "",
        f'<g class="marks">{"".join(marks)}</g>',
        scale_bar(view),
    ]
    return _svg(view, "".join(layers), label=label)


def detail(
    cells: gpd.GeoDataFrame, rows: Sequence[Mapping[str, Any]], tier: Mapping[str, Any], *,
    below: gpd.GeoDataFrame | None, below_out: Mapping[str, Mapping[str, Any]], buildings: Geometries,
    barriers: gpd.GeoDataFrame | None, label: str,
) -> str:  # fmt: skip
    """One community: its grids with their households, its buildings, and what is out of band in both tiers."""
    shapes = np.asarray(cells.geometry.to_numpy(), dtype=object)
    view = View.of(shapes, width=460, tallest=520)
    spots = view.spots(shapes)
    lower = ""
    if below is not None and len(below):
        ground = np.asarray(below.geometry.to_numpy(), dtype=object)
        out = [below_out.get(code) for code in below["code"].astype(str)]
        hatched = np.array([row is not None for row in out])
        found = [row for row in out if row is not None]
        lower = f'<g class="below">{_paths(view.paths(ground), "line")}'
        for row, path in zip(found, view.paths(ground[hatched]), strict=True):
            name = row["state"] if row["households"] else "nobody"
            lower += f'<path class="{name}" d="{path}">{_title(row)}</path>'
        lower += "</g>"
    labels = [
        _text(spot, f"{SIGNS.get(row['state'], '')}{row['households']}", f"size {row['state']}")
        for spot, row in zip(spots, rows, strict=True)
    ]
    layers = [
        _cell_paths(view, shapes, rows, tier),
        f'<g class="buildings">{_paths(view.paths(buildings), "building")}</g>' if len(buildings) else "",
        lower,
        _barriers(view, barriers, shapes),
        f'<g class="outlines">{_paths(view.paths(shapes), "outline")}</g>',
        f'<g class="marks">{"".join(labels)}</g>',
        scale_bar(view),
    ]
    return _svg(view, "".join(layers), label=label)


def _cell_paths(
    view: View, shapes: Geometries, rows: Sequence[Mapping[str, Any]], tier: Mapping[str, Any]
) -> str:  # fmt: skip
    drawn = [
        f'<path class="{shade(row["households"], tier, row["state"])}" d="{path}">{_title(row)}</path>'
        for row, path in zip(rows, view.paths(shapes), strict=True)
    ]
    return f'<g class="cells">{"".join(drawn)}</g>'


def _title(row: Mapping[str, Any]) -> str:
    return f"<title>{html.escape(str(row['code']))} · {row['households']}户 households</title>"


def _barriers(view: View, barriers: gpd.GeoDataFrame | None, shapes: Geometries) -> str:
    if barriers is None or not len(barriers):
        return ""
    box = shapely.box(*shapely.total_bounds(shapes))
    lines = np.asarray(barriers.geometry.to_numpy(), dtype=object)
    near = shapely.intersects(lines, box)
    lines, kinds = shapely.intersection(lines[near], box), barriers["kind"].astype(str).to_numpy()[near]
    groups = []
    for kind, name in BARRIER_CLASSES.items():
        own = lines[kinds == kind]
        if len(own):
            path = "".join(view.paths(np.array([shapely.line_merge(shapely.union_all(own))], dtype=object)))
            groups.append(f'<path class="{name}" d="{path}"/>')
    return f'<g class="barriers">{"".join(groups)}</g>'


def _paths(paths: Iterable[str], name: str) -> str:
    return f'<path class="{name}" d="{"".join(paths)}"/>'


def _text(spot: NDArray[np.float64], words: str, name: str) -> str:
    return f'<text class="{name}" x="{spot[0]:.1f}" y="{spot[1]:.1f}">{html.escape(words)}</text>'


def scale_bar(view: View) -> str:
    """A bar of a round number of metres, at the lower left."""
    metres = next(
        (step for step in (2000, 1000, 500, 200, 100, 50, 20, 10) if step / view.m_per_pixel <= view.width / 4), 10
    )
    length, y = metres / view.m_per_pixel, view.height - 10
    words = f"{metres / 1000:g} km" if metres >= 1000 else f"{metres} m"
    line = f"M10 {y - 4:.1f}V{y:.1f}H{10 + length:.1f}V{y - 4:.1f}"
    return f'<g class="scale"><path d="{line}"/><text x="{14 + length:.1f}" y="{y:.1f}">{words}</text></g>'


def _svg(view: View, body: str, *, label: str) -> str:
    size = f"0 0 {view.width:g} {view.height:.0f}"
    return f'<svg class="map" viewBox="{size}" role="img" aria-label="{html.escape(label)}">{body}</svg>'


def histogram(
    bars: Sequence[Sequence[float]], *, band: tuple[float, float] | None, label: str, unit: str = "", decimals: int = 0
) -> str:
    """Bars ``[from, to, n]``; those that are not within the band are hatched and counted above."""
    if not bars:
        return ""
    width, height, base = 400.0, 150.0, 122.0
    tallest = max(n for *_, n in bars) or 1
    step = (width - 8) / len(bars)
    every = max(int(np.ceil(len(bars) * 34 / width)), 1)
    drawn = []
    for i, (low, high, n) in enumerate(bars):
        is_in = band is None or (low >= band[0] and high <= band[1] + 1e-9)
        tall = max((base - 18) * n / tallest, 1.5 if n else 0)
        x = 4 + i * step
        name = "in" if is_in else "out"
        told = f"<title>{low:g}–{high:g}{unit}: {n:g}</title>"
        drawn.append(
            f'<rect class="{name}" x="{x + 1:.1f}" y="{base - tall:.1f}" width="{max(step - 2, 1):.1f}"'
            f' height="{tall:.1f}">{told}</rect>'
        )
        if n and (step > 17 or not is_in):
            drawn.append(f'<text class="count" x="{x + step / 2:.1f}" y="{base - tall - 3:.1f}">{n:g}</text>')
        if i % every == 0:
            drawn.append(f'<text class="tick" x="{x:.1f}" y="{base + 13:.1f}">{low:.{decimals}f}</text>')
    last = f"{bars[-1][1]:.{decimals}f}{unit}"
    axis = (
        f'<path class="axis" d="M4 {base:g}H{width - 4:g}"/><text class="tick end" x="{width - 4:g}" y="{base + 25:g}">'
    )
    body = "".join(drawn) + axis + f"→ {last}</text>"
    return (
        f'<svg class="histogram" viewBox="0 0 {width:g} {height:g}" role="img" aria-label="{html.escape(label)}">'
        f"{body}</svg>"
    )


PATTERNS = """<svg class="patterns" aria-hidden="true" width="0" height="0"><defs>
<pattern id="under" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">
<rect width="6" height="6" fill="#fbeeda"/><path d="M0 0V6" stroke="#b8701f" stroke-width="2.4"/></pattern>
<pattern id="over" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">
<rect width="6" height="6" fill="#f8dfdb"/><path d="M0 0V6M0 3H6" stroke="#a13a34" stroke-width="1.6"/></pattern>
<pattern id="tolerated" width="5" height="5" patternUnits="userSpaceOnUse">
<rect width="5" height="5" fill="#eef1dc"/><circle cx="2.5" cy="2.5" r=".9" fill="#7c8448"/></pattern>
<pattern id="nobody" width="8" height="8" patternUnits="userSpaceOnUse">
<rect width="8" height="8" fill="#fbfbf9"/><path d="M3 4H5M4 3V5" stroke="#9aa5a9" stroke-width=".8"/></pattern>
</defs></svg>"""
"""Fills that differ in pattern, not in colour alone; once a page."""
