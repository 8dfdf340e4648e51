"""What each block is used for: homes, schools, parks, industry, fields."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import shapely
from shapely.geometry import Polygon

from gis.demo.streets import HALF_WIDTH, Block, Edge, Network, edge_distance
from gis.demo.warp import Coords

USES = (
    "home",
    "bank",
    "field",
    "industry",
    "park",
    "square",
    "school",
    "hospital",
    "market",
    "station",
    "office",
    "shops",
    "pocket",
)


@dataclass(frozen=True)
class Plot:
    """A block without its share of the streets: what may be built on, in ground metres."""

    community: int
    polygon: Polygon
    middle: Coords
    out: float
    use: str
    angle: float
    """Direction of its rows of houses, radians from east, within a quarter turn of it."""


def divide_land(network: Network, rng: np.random.Generator) -> tuple[Plot, ...]:
    """Give every block a use, public ones first, one school to each community that has houses."""
    polygons = buildable(network)
    plots = [
        Plot(block.community, polygon, block.middle, edge_distance(block.middle), "home", row_angle(polygon))
        for block, polygon in zip(network.blocks, polygons, strict=True)
        if polygon.area > 600
    ]
    kept = [block for block, polygon in zip(network.blocks, polygons, strict=True) if polygon.area > 600]
    uses = [_natural_use(block, plot, rng) for block, plot in zip(kept, plots, strict=True)]
    _place_public(plots, uses, rng)
    return tuple(
        Plot(plot.community, plot.polygon, plot.middle, plot.out, use, plot.angle)
        for plot, use in zip(plots, uses, strict=True)
    )


def buildable(network: Network) -> list[Polygon]:
    """Blocks less half of the streets about them, corners rounded as kerbs are."""
    strips = shapely.buffer(
        [edge.line for edge in network.edges], [HALF_WIDTH[edge.kind] for edge in network.edges], cap_style="round"
    )
    tree = shapely.STRtree(strips)
    faces = np.array([block.polygon for block in network.blocks], dtype=object)
    block_index, strip_index = tree.query(faces, predicate="intersects")
    result = []
    for i, face in enumerate(faces):
        rest = face.difference(shapely.union_all(strips[strip_index[block_index == i]]))
        rest = rest.buffer(-7).buffer(7, quad_segs=3).simplify(0.3).intersection(face)
        parts = shapely.get_parts(rest)
        result.append(parts[np.argmax(shapely.area(parts))] if len(parts) else Polygon())
    return result


def row_angle(polygon: Polygon) -> float:
    """Direction of the longer pair of sides of the tightest box, turned to lie within 45° of east."""
    box = shapely.get_coordinates(polygon.minimum_rotated_rectangle if polygon.area else shapely.box(0, 0, 1, 1))
    side = box[1] - box[0]
    angle = float(np.arctan2(side[1], side[0]))
    return (angle + np.pi / 4) % (np.pi / 2) - np.pi / 4


def _natural_use(block: Block, plot: Plot, rng: np.random.Generator) -> str:
    u, v = plot.middle
    if block.is_bank:
        return "bank"
    if plot.polygon.area < 2600:
        return "pocket"
    if 1.0 < plot.out < 1.36 and (v > 1560 or (u > 2000 and v > 100)):
        return "industry" if rng.random() < 0.85 else "field"
    if plot.out > 1.03 + rng.normal(0, 0.04):
        return "field"
    return "home"


# use, number, area wanted (ha), place wanted on the board
PUBLIC: tuple[tuple[str, int, float, tuple[float, float]], ...] = (
    ("station", 1, 2.0, (500, 1560)),
    ("square", 1, 2.0, (100, 560)),
    ("square", 1, 3.5, (250, -420)),
    ("hospital", 1, 4.0, (-760, 1020)),
    ("hospital", 1, 3.0, (780, -520)),
    ("market", 1, 1.2, (-300, 420)),
    ("market", 1, 1.5, (900, 980)),
    ("market", 1, 1.5, (-1650, 560)),
    ("market", 1, 1.5, (-500, -480)),
    ("park", 1, 6.0, (820, 420)),
    ("park", 1, 6.0, (-1700, 1100)),
    ("park", 1, 5.0, (-450, -800)),
    ("park", 1, 4.0, (1750, 700)),
    ("office", 1, 2.5, (120, -250)),
    ("office", 1, 2.5, (-50, -600)),
    ("office", 1, 2.0, (300, 900)),
    ("office", 1, 2.0, (-900, 500)),
    ("shops", 1, 1.5, (150, 380)),
    ("shops", 1, 1.5, (-120, 800)),
    ("shops", 1, 2.0, (620, 1300)),
    ("shops", 1, 2.0, (1500, 400)),
)


def _place_public(plots: list[Plot], uses: list[str], rng: np.random.Generator) -> None:
    areas = np.array([plot.polygon.area for plot in plots]) / 1e4
    middles = np.array([plot.middle for plot in plots])

    def take(use: str, wanted: float, place: tuple[float, float], community: int | None = None) -> None:
        free = np.array([name == "home" for name in uses])
        if community is not None:
            free &= np.array([plot.community == community for plot in plots])
        if free.any():
            cost = np.hypot(*(middles - np.array(place)).T) / 250 + 3 * np.abs(np.log(areas / wanted))
            uses[int(np.argmin(np.where(free, cost, np.inf)))] = use

    for use, number, wanted, place in PUBLIC:
        for _ in range(number):
            take(use, wanted, place)
    for community in range(max(plot.community for plot in plots) + 1):
        homes = [plot for plot, use in zip(plots, uses, strict=True) if use == "home" and plot.community == community]
        if len(homes) >= 5:
            middle = np.mean([plot.middle for plot in homes], axis=0) + rng.normal(0, 150, 2)
            take("school", 2.2, (float(middle[0]), float(middle[1])), community)


def nearest_edges(network: Network) -> tuple[shapely.STRtree, list[Edge]]:
    """The streets that can be driven on, to be searched by distance."""
    edges = [edge for edge in network.edges if edge.kind in ("arterial", "secondary", "minor") and not edge.is_bridge]
    return shapely.STRtree([edge.line for edge in edges]), edges
