"""River, railway, streets and the blocks between them.

Everything is drawn on the board (see `gis.demo.warp`): eighteen communities as four-sided fields between long straight
lines, cut again and again by shorter streets until the blocks have the size usual for their quarter. Nodes are
made on the board, once, so that after bending neighbours still share every vertex.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry import LineString, Polygon

from gis.demo.warp import Coords, Warp, draw_warp, stream

AREA_M2 = 27_000_000.0
BANK = 78.0
"""Distance of the embankment roads from the middle of the river, on the board."""
HALF_WIDTH = {"arterial": 19.0, "secondary": 13.0, "minor": 7.0, "rail": 20.0, "outline": 0.0, "river": 0.0}
RANK = ("rail", "river", "arterial", "secondary", "minor", "outline")
CORE = np.array([60.0, 480.0])

Line = tuple[float, float, float]
"""Line a·u + b·v = c."""


@dataclass(frozen=True)
class Edge:
    """A piece of street between two nodes: kind, index of the street it belongs to, line in ground metres."""

    kind: str
    street: int
    line: LineString
    is_bridge: bool = False


@dataclass(frozen=True)
class Block:
    """A face of the network: community index, polygon in ground metres, its middle on the board."""

    community: int
    polygon: Polygon
    middle: Coords
    is_bank: bool


@dataclass(frozen=True)
class Network:
    """All that the streets decide. ``streets[i]`` is (kind, is it rather east-west, length in m) of street i."""

    warp: Warp
    edges: tuple[Edge, ...]
    blocks: tuple[Block, ...]
    communities: tuple[Polygon, ...]
    streets: tuple[tuple[str, bool, float], ...]
    river: LineString
    water: Polygon
    outline: Polygon


# Rows of the table: street (0 core, 1 north, 2 south), left, right, bottom and top line.
FIELDS: tuple[tuple[int, str, str, str, str], ...] = (
    (0, "west1", "core1", "river", "core_w"),
    (0, "core1", "core2", "river", "core_m"),
    (0, "core2", "east1", "river", "core_e"),
    (0, "west1", "core1", "core_w", "rail"),
    (0, "core1", "core2", "core_m", "rail"),
    (0, "core2", "east1", "core_e", "rail"),
    (1, "edge_w", "west2", "river", "edge_n"),
    (1, "west2", "west1", "river", "rail"),
    (1, "west2", "core2", "rail", "edge_n"),
    (1, "core2", "edge_e", "rail", "edge_n"),
    (1, "east1", "east2", "river", "east_m"),
    (1, "east1", "east2", "east_m", "rail"),
    (1, "east2", "edge_e", "river", "rail"),
    (2, "edge_w", "west1", "edge_s", "river"),
    (2, "west1", "south_m", "south", "river"),
    (2, "south_m", "east1", "south", "river"),
    (2, "east1", "edge_e", "edge_s", "river"),
    (2, "west1", "east1", "edge_s", "south"),
)
KINDS = {
    "river": "river",
    "rail": "rail",
    "core_m": "secondary",
    "core_e": "secondary",
    "core_w": "arterial",
    "core1": "secondary",
    "east_m": "secondary",
    "south_m": "secondary",
    "west2": "secondary",
}
# Where a street of one bank is continued on the other: fields cut there first, at the line named.
FORCED = {1: "south_m", 8: "west1", 9: "east1", 13: "west2", 16: "east2"}
BRIDGES = ("west2", "west1", "south_m", "east1", "east2")


def draw_lines(rng: np.random.Generator) -> dict[str, Line]:
    """The long lines of the plan, each a little off its usual place and direction."""

    def column(u: float, wobble: float = 60.0) -> Line:
        lean = rng.uniform(-0.09, 0.09)
        return (1.0, -lean, u + rng.uniform(-wobble, wobble))

    def row(v: float, wobble: float = 50.0, lean: float = 0.07) -> Line:
        return (-rng.uniform(-lean, lean), 1.0, v + rng.uniform(-wobble, wobble))

    return {
        "river": (0.0, 1.0, 0.0),
        "rail": row(1720, 40, 0.03),
        "core_w": row(820),
        "core_m": row(690),
        "core_e": row(790),
        "east_m": row(860),
        "south": row(-1010),
        "west2": column(-2200),
        "west1": column(-1230),
        "core1": column(-380),
        "core2": column(480),
        "south_m": column(60, 25),
        "east1": column(1310),
        "east2": column(2230),
        "edge_w": (1.0, 0.0, -4300.0),
        "edge_e": (1.0, 0.0, 4300.0),
        "edge_s": (0.0, 1.0, -3100.0),
        "edge_n": (0.0, 1.0, 3600.0),
    }


def cross(first: Line, second: Line) -> Coords:
    """Where two lines meet."""
    matrix = np.array([first[:2], second[:2]])
    return np.linalg.solve(matrix, np.array([first[2], second[2]]))


def draw_outline(rng: np.random.Generator) -> Polygon:
    """The edge of the town on the board: a soft oblong with bays."""
    angle = np.linspace(0, 2 * np.pi, 181)[:-1]
    cos, sin = np.cos(angle), np.sin(angle)
    power = 2.5
    radius = (np.abs(cos / 3350) ** power + np.abs(sin / 2350) ** power) ** (-1 / power)
    for number in range(2, 8):
        radius *= 1 + rng.normal(0, 0.02) * np.cos(number * angle + rng.uniform(0, 2 * np.pi))
    return Polygon(np.column_stack([radius * cos, 260 + radius * sin]))


class Drawing:
    """Streets as they are being drawn on the board. Only `draw` uses it."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng
        self.lines: list[tuple[str, Coords, Coords]] = []
        self.nodes: list[Coords] = []

    def add(self, kind: str, start: Coords, end: Coords) -> None:
        self.lines.append((kind, start, end))
        self.nodes += [start, end]

    def point_on(self, start: Coords, end: Coords, share: float) -> Coords:
        """A point at a share of a side, or a node already there if one is near: streets rather cross than miss."""
        length = float(np.hypot(*(end - start)))
        wanted = start + share * (end - start)
        if not self.nodes:
            return wanted
        nodes = np.array(self.nodes)
        along = (nodes - start) @ (end - start) / length
        off = np.abs(np.cross(np.append(end - start, 0), np.column_stack([nodes - start, np.zeros(len(nodes))]))[:, 2])
        usable = (off / length < 0.5) & (along > 55) & (along < length - 55) & (np.abs(along - share * length) < 60)
        if not usable.any():
            return wanted
        best = np.flatnonzero(usable)[np.argmin(np.abs(along[usable] - share * length))]
        chosen: Coords = nodes[best]
        return chosen

    def cut(self, quad: Coords, level: int) -> None:
        """Cut a four-sided field (corners in turn) by streets until its blocks are small enough."""
        a, b, c, d = quad
        width = (np.hypot(*(b - a)) + np.hypot(*(c - d))) / 2
        height = (np.hypot(*(d - a)) + np.hypot(*(c - b))) / 2
        wanted, skew = block_size(quad.mean(axis=0))
        area = width * height
        if area < wanted * self.rng.uniform(0.75, 1.7) or max(width, height) < 150:
            return
        share = self.rng.uniform(0.4, 0.6)
        lean = self.rng.uniform(-skew, skew)
        if width >= height:
            p, q = self.point_on(a, b, share + lean), self.point_on(d, c, share - lean)
            halves = np.array([a, p, q, d]), np.array([p, b, c, q])
        else:
            p, q = self.point_on(a, d, share + lean), self.point_on(b, c, share - lean)
            halves = np.array([a, b, q, p]), np.array([p, q, c, d])
        length = np.hypot(*(q - p))
        kind = "secondary" if level == 0 or (level == 1 and length > 700) else "minor"
        self.add(kind if wanted < 2e5 else "minor", p, q)
        for half in halves:
            self.cut(half, level + 1)


SATELLITES = np.array(
    [(-2650, 850, 430), (-900, 2120, 400), (1500, 2150, 400), (2800, 850, 430), (100, -1430, 480), (-1750, -650, 500),
     (1950, -600, 450)], dtype=float
)  # fmt: skip
"""Small towns of their own in the outer communities: middle on the board and radius."""


def edge_distance(middle: Coords) -> float:
    """How far out a place is: 0 in the old core, about 1 where the built-up town ends."""
    main = np.hypot((middle[0] - 50) / 2080, (middle[1] - 330) / 1350)
    small = 0.62 + 0.38 * np.hypot(*(SATELLITES[:, :2] - middle).T) / SATELLITES[:, 2]
    return float(min(main, small.min()))


def block_size(middle: Coords) -> tuple[float, float]:
    """Usual size of a block in m² about a place on the board, and how much its streets lean (share of a side)."""
    out = edge_distance(middle)
    if out > 1.08:
        return 3.2e5, 0.12
    if middle[1] > 1500:
        return 6.8e4, 0.06
    if np.hypot(*(middle - CORE)) < 620:
        return 3.3e4, 0.1
    if middle[1] < 0:
        return 6.2e4, 0.07
    return 5.2e4, 0.08


def field_quad(lines: dict[str, Line], field: tuple[int, str, str, str, str]) -> Coords:
    """Corners of a community's field on the board, without the bank if it lies at the river."""
    _, left, right, bottom, top = field
    low = (0.0, 1.0, BANK) if bottom == "river" else lines[bottom]
    high = (0.0, 1.0, -BANK) if top == "river" else lines[top]
    return np.array(
        [cross(lines[left], low), cross(lines[right], low), cross(lines[right], high), cross(lines[left], high)]
    )


def draw(rng: np.random.Generator) -> tuple[Drawing, dict[str, Line]]:
    """Draw all streets on the board."""
    lines = draw_lines(rng)
    board = Drawing(rng)
    for side in (-BANK, BANK):
        board.add("secondary", np.array([-4300.0, side]), np.array([4300.0, side]))
    for line_name in ("rail", "south", "core_w", "core_m", "core_e", "east_m"):
        users = [field for field in FIELDS if line_name in field[3:]]
        lefts = [cross(lines[line_name], lines[field[1]]) for field in users]
        rights = [cross(lines[line_name], lines[field[2]]) for field in users]
        board.add(KINDS.get(line_name, "arterial"), min(lefts, key=lambda p: p[0]), max(rights, key=lambda p: p[0]))
    for line_name in ("west2", "west1", "core1", "core2", "south_m", "east1", "east2"):
        corners = [
            cross(lines[line_name], lines[edge]) for field in FIELDS if line_name in field[1:3] for edge in field[3:]
        ]
        start, end = min(corners, key=lambda p: p[1]), max(corners, key=lambda p: p[1])
        if line_name == "core1" or (line_name == "core2"):
            start = cross(lines[line_name], (0.0, 1.0, BANK))
        if line_name == "east2":
            end = cross(lines[line_name], lines["rail"])
        board.add(KINDS.get(line_name, "arterial"), start, end)
    for index, field in enumerate(FIELDS):
        quad = field_quad(lines, field)
        if index in FORCED:
            a, b, c, d = quad
            line = lines[FORCED[index]]
            p, q = cross(line, _through(a, b)), cross(line, _through(d, c))
            board.add("secondary", p, q)
            board.cut(np.array([a, p, q, d]), 1)
            board.cut(np.array([p, b, c, q]), 1)
        else:
            board.cut(quad, 0)
    for name in BRIDGES:
        ends = [cross(lines[name], (0.0, 1.0, side)) for side in (-BANK, BANK)]
        board.add(KINDS.get(name, "arterial"), ends[0], ends[1])
    for name in ("core1", "core2"):
        board.add("outline", cross(lines[name], lines["river"]), cross(lines[name], (0.0, 1.0, BANK)))
    return board, lines


def _through(start: Coords, end: Coords) -> Line:
    a, b = end[1] - start[1], start[0] - end[0]
    return (float(a), float(b), float(a * start[0] + b * start[1]))


def bend(warp: Warp, geometry: LineString | Polygon, step: float = 25.0) -> LineString | Polygon:
    """Bring a shape from the board to the ground, with a vertex at least every ``step`` metres, on a 1 mm lattice."""
    return shapely.transform(shapely.segmentize(geometry, step), lambda points: np.round(warp(points), 3))


def make_network(*, seed: int) -> Network:
    """Draw a town's streets, blocks and communities.

    Returns
    -------
    Network
        Ground metres about the middle of the town; the outline holds `AREA_M2` to within 0.1 %.
    """
    rng = stream(seed, 1)
    warp, outline = draw_warp(rng), draw_outline(rng)
    board, lines = draw(rng)
    warp = warp.scaled(float(np.sqrt(AREA_M2 / bend(warp, outline).area)))
    sources = [(kind, LineString([start, end])) for kind, start, end in board.lines]
    sources.append(("river", LineString([(-4300, 0), (4300, 0)])))
    sources.append(("outline", outline.exterior))
    noded = shapely.get_parts(shapely.union_all([line for _, line in sources], grid_size=0.01))
    noded = noded[shapely.contains(outline.buffer(0.5), shapely.line_interpolate_point(noded, 0.5, normalized=True))]
    ground = np.array([bend(warp, line) for line in noded], dtype=object)
    blocks = _blocks(noded, ground, warp, lines)
    communities = tuple(
        shapely.coverage_union_all([block.polygon for block in blocks if block.community == index])
        for index in range(len(FIELDS))
    )
    whole = shapely.coverage_union_all([block.polygon for block in blocks])
    return Network(
        warp,
        _edges(noded, ground, sources),
        blocks,
        communities,
        tuple((kind, _is_eastward(line), float(line.length)) for kind, line in sources),
        river=_longest(bend(warp, LineString([(-4300, 0), (4300, 0)])).intersection(whole)),
        water=_water(stream(seed, 2), warp).intersection(whole),
        outline=whole,
    )


def _is_eastward(line: LineString) -> bool:
    (x0, y0), (x1, y1) = line.coords[0], line.coords[-1]
    return bool(abs(x1 - x0) > abs(y1 - y0))


def _longest(line: shapely.Geometry) -> LineString:
    parts = shapely.get_parts(line)
    longest: LineString = parts[np.argmax(shapely.length(parts))]
    return longest


def _edges(
    noded: NDArray[np.object_], ground: NDArray[np.object_], sources: Sequence[tuple[str, LineString]]
) -> tuple[Edge, ...]:
    """Give each piece between nodes its kind and street; where lines share a piece, the weightier kind has it."""
    middles = shapely.line_interpolate_point(noded, 0.5, normalized=True)
    tree = shapely.STRtree([line for _, line in sources])
    pieces, owners = tree.query(middles, predicate="dwithin", distance=0.05)
    best: dict[int, int] = {}
    for piece, owner in zip(pieces.tolist(), owners.tolist(), strict=True):
        # Of two lines of one kind the later: bridges are drawn last and are streets of their own.
        if piece not in best or (RANK.index(sources[owner][0]), -owner) < (
            RANK.index(sources[best[piece]][0]),
            -best[piece],
        ):
            best[piece] = owner
    edges = []
    for piece, owner in sorted(best.items()):
        kind = sources[owner][0]
        over_water = abs(middles[piece].y) < BANK - 1 and kind in ("arterial", "secondary", "minor")
        if kind != "outline":
            edges.append(Edge(kind, owner, ground[piece], over_water))
    return tuple(edges)


def _blocks(
    noded: NDArray[np.object_], ground: NDArray[np.object_], warp: Warp, lines: dict[str, Line]
) -> tuple[Block, ...]:
    """Faces of the bent network, each with its community and its middle on the board."""
    on_board = shapely.get_parts(shapely.polygonize(noded))
    points = shapely.get_coordinates(shapely.point_on_surface(on_board))
    faces = shapely.get_parts(shapely.polygonize(ground))
    point_index, face_index = shapely.STRtree(faces).query(shapely.points(warp(points)), predicate="intersects")
    fields = [Polygon([cross(lines[s], lines[r]) for s, r in _corners(field)]) for field in FIELDS]
    blocks = []
    for i, j in sorted(zip(point_index.tolist(), face_index.tolist(), strict=True), key=lambda pair: pair[1]):
        point = shapely.Point(points[i])
        community = int(np.argmin([field.distance(point) for field in fields]))
        middle = shapely.get_coordinates(on_board[i].centroid)[0]
        blocks.append(Block(community, faces[j], middle, bool(abs(points[i][1]) < BANK)))
    return tuple(blocks)


def _corners(field: tuple[int, str, str, str, str]) -> list[tuple[str, str]]:
    _, left, right, bottom, top = field
    return [(left, bottom), (right, bottom), (right, top), (left, top)]


def _water(rng: np.random.Generator, warp: Warp) -> Polygon:
    """The river's surface: a band that widens and narrows."""
    u = np.arange(-4300.0, 4301.0, 25.0)
    half = 40.0 + sum(
        rng.uniform(3, 6) * np.sin(2 * np.pi * u / length + rng.uniform(0, 6.3)) for length in (2600.0, 900.0, 410.0)
    )
    return Polygon(np.round(warp(np.vstack([np.column_stack([u, half]), np.column_stack([u, -half])[::-1]])), 3))
