"""Maps of atlas pages and notice boards as SVG in millimetres of paper: no script, no address, readable in grey.

What a colour says, a line, a sign or a word says too.
"""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import shapely
import shapely.affinity

from gis.printing.gathering import Book, Cell, Geometries
from gis.printing.paper import bar_metres, scale_for

TINTS = ("#cfe5df", "#f3e2c7", "#d9dcef", "#f0d6d6", "#dfe9c8", "#d3e6f0", "#ead9ea", "#e6e2d3")
FONT = "Noto Sans CJK SC, Noto Sans SC, Source Han Sans SC, sans-serif"
STREETS = {"arterial": (1.5, "#f3c98b"), "secondary": (1.1, "#f7e3b5"), "minor": (0.7, "#ffffff")}
NEAR_M = 1.0  # cells nearer than this are neighbours
_RULES = {
    ".t": "fill:none;stroke:#fff;stroke-width:.7;stroke-linejoin:round",
    ".b": "fill:#8795a0;fill-opacity:.35;stroke:#6d7a83;stroke-width:.09",
    ".o": "fill:#8795a0;fill-opacity:.16;stroke:#a9b3b9;stroke-width:.07",
    ".k": "fill:none;stroke:#8a6f55;stroke-width:.25;stroke-dasharray:1.1 .7",
    ".n": "fill:none;stroke:#8b989f;stroke-width:.3",
    ".m": "fill:none;stroke:#51636b;stroke-width:.25;stroke-dasharray:1.4 .7",
    ".g": "fill:none;stroke:#1d3b46;stroke-width:.9;stroke-linejoin:round",
    ".c": "fill:none;stroke:#22303a;stroke-width:.55;stroke-dasharray:3 1 .7 1",
    ".w": "fill:none;stroke:#6ea6cc;stroke-width:1.4",
    ".r": "fill:none;stroke:#444;stroke-width:.5;stroke-dasharray:2 1",
    ".f": "fill:none;stroke:#22303a;stroke-width:.35",
    "text": f"font-family:{FONT};fill:#22303a",
}
STYLE = f"<style>{''.join(f'{name}{{{rule}}}' for name, rule in _RULES.items())}</style>"


@dataclass(frozen=True)
class View:
    """A piece of ground in a frame of paper, at a scale.

    Attributes
    ----------
    west, north : float
        Metres, of the upper left corner.
    scale : int
        1 to this.
    width, height : float
        Millimetres.
    """

    west: float
    north: float
    scale: int
    width: float
    height: float

    @classmethod
    def of(cls, shape: shapely.Geometry, frame_mm: tuple[float, float]) -> View:
        """The view that shows a shape in the middle of a frame, at the largest round scale."""
        west, south, east, north = shapely.bounds(shape)
        scale = scale_for(east - west, north - south, frame_mm)
        wide, high = frame_mm[0] * scale / 1000, frame_mm[1] * scale / 1000
        return cls((west + east - wide) / 2, (south + north + high) / 2, scale, *frame_mm)

    @property
    def box(self) -> tuple[float, float, float, float]:
        """The ground shown, in metres: west, south, east, north."""
        wide, high = self.width * self.scale / 1000, self.height * self.scale / 1000
        return (self.west, self.north - high, self.west + wide, self.north)

    def placed(self, shapes: Geometries) -> Geometries:
        """Shapes in millimetres from the upper left corner, cut off at the frame."""
        cut = shapely.clip_by_rect(shapes, *self.box)
        scaled = shapely.transform(cut, self.on_paper)
        return np.asarray(shapely.simplify(scaled, 0.05), dtype=object)

    def on_paper(self, points: np.ndarray) -> np.ndarray:
        """Metres to millimetres."""
        return np.column_stack([(points[:, 0] - self.west), (self.north - points[:, 1])]) * (1000 / self.scale)


@dataclass
class Labels:
    """Words on a map, none over another or beyond the frame: those that find no room are left out.

    Those placed first stay, so what a page is about comes first.
    """

    view: View
    taken: list[shapely.Geometry] = field(default_factory=list)
    drawn: list[str] = field(default_factory=list)

    def keep_free(self, west: float, north: float, east: float, south: float) -> None:
        """Keep a piece of the paper for other things; in millimetres."""
        self.taken.append(shapely.box(west, north, east, south))

    def put(self, spot: np.ndarray, words: str, size: float, *, must: bool = False, turn: float = 0.0,
            colour: str = "#22303a", halo: bool = True, bold: bool = False) -> bool:  # fmt: skip
        """Place words with their middle on a spot; True if there was room, or if they must be there."""
        x, y = float(spot[0]), float(spot[1])
        wide, high = _width(words, size) / 2 + 0.3, size * 0.6
        ground = shapely.affinity.rotate(shapely.box(x - wide, y - high, x + wide, y + high), turn, origin=(x, y))
        frame = shapely.box(0, 0, self.view.width, self.view.height)
        if not must and (not frame.contains(ground) or any(ground.intersects(other) for other in self.taken)):
            return False
        self.taken.append(ground)
        self.drawn.append(_text(spot, words, size, colour=colour, turn=turn, halo=halo, bold=bold))
        return True


def _width(words: str, size: float) -> float:
    """How long words are on paper, in millimetres: Chinese letters are square, others about half as wide."""
    return sum(size if ord(letter) > 0x2E7F else size * 0.56 for letter in words)


def page_map(book: Book, number: int, frame_mm: tuple[float, float], pages: Mapping[int, int]) -> tuple[str, int]:
    """The map of one grid, and its scale.

    Parameters
    ----------
    number : int
        Of the grid among the book's cells.
    pages : mapping of int to int
        Page numbers by the number of a grid; those that are not printed have none.
    """
    cell = book.cells[number]
    own = book.shapes[number]
    view = View.of(own, frame_mm)
    frame = shapely.box(*view.box)
    shapely.prepare(frame)
    tree = shapely.STRtree(book.shapes)
    near = [int(i) for i in tree.query(frame, predicate="intersects") if i != number]
    beside = [int(i) for i in tree.query(own, predicate="dwithin", distance=NEAR_M) if i != number]
    small = book.inside.get(cell.id, ())
    labels = Labels(view)
    for corner in _free(view):
        labels.keep_free(*corner)
    _codes(book, labels, small)
    tabs = _neighbours(book, labels, beside, pages)
    _street_names(book, labels, frame)
    _names(book, labels, frame, own)
    body = [
        _fills(book, view, small, own),
        _ground(book, view, frame, own),
        _borders(view, book.small[[one.ground for one in small]], "m"),
        _borders(view, book.shapes[near], "n"),
        _borders(view, book.communities.shapes, "c"),
        _borders(view, np.array([own], dtype=object), "g"),
        *labels.drawn,
        *tabs,
        _furniture(view),
    ]
    return _svg(view, "".join(body), label=cell.label), view.scale


def index_map(book: Book, numbers: Sequence[int], frame_mm: tuple[float, float], pages: Mapping[int, int]) -> str:
    """All printed grids with the numbers of their pages."""
    shapes = book.shapes[list(numbers)]
    view = View.of(shapely.box(*shapely.total_bounds(shapes)), frame_mm)
    drawn = [
        f'<path fill="{TINTS[book.cells[n].colour % len(TINTS)]}" d="{path}"/>'
        for n, path in zip(numbers, _paths(view.placed(shapes)), strict=True)
    ]
    spots = shapely.get_coordinates(shapely.point_on_surface(shapes))
    size = max(1.6, min(3.6, 900 / max(len(numbers), 60) ** 1.25))
    labels = [_text(spot, str(pages[n]), size) for n, spot in zip(numbers, view.on_paper(spots), strict=True)]
    streets = _streets(book, view, shapely.box(*view.box), thin=0.35)
    body = "".join(drawn) + streets + _borders(view, shapes, "n") + _borders(view, book.communities.shapes, "c")
    return _svg(view, body + "".join(labels) + _furniture(view), label=book.title)


def board_map(book: Book, number: int, frame_mm: tuple[float, float]) -> str:
    """The map on a notice board: the grid, its micro-grids, the names of compounds and streets."""
    return page_map(book, number, frame_mm, {})[0]


# --- What is drawn ---------------------------------------------------------------------------------------------------


def _fills(book: Book, view: View, small: Sequence[Cell], own: shapely.Geometry) -> str:
    if not small:
        return _path(view.placed(np.array([own], dtype=object)), f'fill="{TINTS[0]}"')
    shapes = view.placed(book.small[[one.ground for one in small]])
    return "".join(
        f'<path fill="{TINTS[one.colour % len(TINTS)]}" d="{path}"/>'
        for one, path in zip(small, _paths(shapes), strict=True)
    )


def _ground(book: Book, view: View, frame: shapely.Geometry, own: shapely.Geometry) -> str:
    """Streets, compounds and houses; those of other grids paler."""
    shapely.prepare(own)
    houses = book.buildings.shapes[book.buildings.tree.query(frame, predicate="intersects")]
    middles = shapely.point_on_surface(houses)
    mine = shapely.intersects(own, middles)
    compounds = book.compounds.shapes[book.compounds.tree.query(frame, predicate="intersects")]
    return (
        _streets(book, view, frame)
        + _once(view, np.concatenate([shapely.boundary(compounds), _walls(book, frame)]), "k")
        + _lines(view, houses[~mine], "o")
        + _lines(view, houses[mine], "b")
    )


def _walls(book: Book, frame: shapely.Geometry) -> Geometries:
    at = book.barriers.tree.query(frame, predicate="intersects")
    walls: Geometries = book.barriers.shapes[at[np.array(book.barriers.kinds, dtype=object)[at] == "wall"]]
    return walls


def _streets(book: Book, view: View, frame: shapely.Geometry, *, thin: float = 1.0) -> str:
    at = book.barriers.tree.query(frame, predicate="intersects")
    kinds = np.array(book.barriers.kinds, dtype=object)[at]
    drawn = []
    for kind, (wide, colour) in reversed(STREETS.items()):
        lines = view.placed(book.barriers.shapes[at[kinds == kind]])
        for ink, more in (("#b9b3a4", 0.5), (colour, 0.25)):
            width = f'stroke="{ink}" stroke-width="{wide * thin + more:.2f}"'
            drawn.append(_path(lines, f'fill="none" stroke-linecap="round" {width}'))
    for kind, name in (("river", "w"), ("rail", "r")):
        drawn.append(_lines(view, book.barriers.shapes[at[kinds == kind]], name))
    return "".join(drawn)


def _codes(book: Book, labels: Labels, small: Sequence[Cell]) -> None:
    """Micro-grids by the end of their code; floors of one ground once."""
    floors: dict[bytes, list[Cell]] = {}
    for one in small:
        ground = shapely.to_wkb(book.small[one.ground]) if one.floors else str(one.id).encode()
        floors.setdefault(ground, []).append(one)
    for cells in floors.values():
        spot = shapely.get_coordinates(shapely.point_on_surface(book.small[cells[0].ground]))
        labels.put(labels.view.on_paper(spot)[0], _short(cells, book), 3.2, bold=True, must=True)


def _short(cells: Sequence[Cell], book: Book) -> str:
    """The end of a micro-grid's code; of a stack those of the lowest and the uppermost."""
    digits = book.below.code_digits if book.below else 2
    ends = sorted(one.code[-digits:] for one in cells)
    if len(ends) < 3 or not ends[0].isdigit() or not ends[-1].isdigit():
        return "/".join(ends)
    return f"{ends[0]}–{ends[-1]}" if int(ends[-1]) - int(ends[0]) == len(ends) - 1 else f"{ends[0]}…{ends[-1]}"


def _names(book: Book, labels: Labels, frame: shapely.Geometry, own: shapely.Geometry) -> None:
    """Compounds and houses by name, where there is room."""
    view = labels.view
    per_mm = view.scale / 1000
    for i in book.compounds.tree.query(frame, predicate="intersects"):
        part = shapely.intersection(book.compounds.shapes[i], frame)
        west, _, east, _ = shapely.bounds(part)
        name = book.compounds.names[i]
        if name and (east - west) / per_mm > 2.2 * len(name):
            spot = view.on_paper(shapely.get_coordinates(shapely.point_on_surface(part)))[0]
            any(labels.put(spot + np.array([0.0, down]), name, 2.2, colour="#7a5a3a") for down in (4.2, -4.2, 7.5, 0.0))
    for i in book.buildings.tree.query(own, predicate="intersects"):
        shape = book.buildings.shapes[i]
        west, south, east, north = shapely.bounds(shape)
        short = _house_name(book.buildings.names[i])
        if short and max(east - west, north - south) / per_mm > 1.0 * len(short) + 1:
            spot = view.on_paper(shapely.get_coordinates(shapely.point_on_surface(shape)))[0]
            labels.put(spot, short, 1.7, halo=False, colour="#3d4a52")


def _house_name(name: str) -> str:
    """The number of a house out of its name."""
    return name[-5:] if len(name) > 5 else name


def _street_names(book: Book, labels: Labels, frame: shapely.Geometry) -> None:
    """A name once along its longest piece in the frame."""
    view = labels.view
    longest: dict[str, shapely.Geometry] = {}
    for i in book.barriers.tree.query(frame, predicate="intersects"):
        name = book.barriers.names[i]
        if not name or book.barriers.kinds[i] == "wall":
            continue
        parts = shapely.get_parts(shapely.line_merge(shapely.intersection(book.barriers.shapes[i], frame)))
        for part in parts:
            if part.length > longest.get(name, shapely.LineString()).length:
                longest[name] = part
    for name, line in sorted(longest.items()):
        if line.length * 1000 / view.scale < 2.6 * len(name) + 6:
            continue
        ends = shapely.line_interpolate_point(line, [line.length * 0.5 - 1, line.length * 0.5, line.length * 0.5 + 1])
        before, at, after = view.on_paper(shapely.get_coordinates(ends))
        turn = float(np.degrees(np.arctan2(after[1] - before[1], after[0] - before[0])))
        turn = turn - 180 if turn > 90 else turn + 180 if turn < -90 else turn
        labels.put(at, name, 2.3, colour="#6a5320", turn=turn)


def _neighbours(book: Book, labels: Labels, beside: Sequence[int], pages: Mapping[int, int]) -> list[str]:
    """Names of the neighbours on their ground; what comes back are tabs with the page of each at the map's edge."""
    view = labels.view
    drawn: list[str] = []
    tabs: dict[str, list[tuple[float, str]]] = {"n": [], "e": [], "s": [], "w": []}
    middle = np.array([view.width, view.height]) / 2
    frame = shapely.box(*view.box)
    for number in beside:
        part = shapely.intersection(book.shapes[number], frame)
        if part.is_empty or part.area <= 0:
            continue
        spot = view.on_paper(shapely.get_coordinates(shapely.point_on_surface(part)))[0]
        label = book.cells[number].name or book.cells[number].code[-3:]
        labels.put(spot, label[:10], 2.5, colour="#5b6b75")
        if number in pages:
            edge, at = _edge(spot - middle, view)
            tabs[edge].append((at, str(pages[number])))
    for edge, found in tabs.items():
        drawn += _tabs(edge, sorted(found), view)
    return drawn


def _edge(way: np.ndarray, view: View) -> tuple[str, float]:
    """Which edge of the frame lies that way, and how far along it."""
    x, y = float(way[0]) or 1e-6, float(way[1]) or 1e-6
    share = min(view.width / 2 / abs(x), view.height / 2 / abs(y))
    at = (view.width / 2 + x * share, view.height / 2 + y * share)
    if abs(x) * view.height > abs(y) * view.width:
        return ("e" if x > 0 else "w"), at[1]
    return ("s" if y > 0 else "n"), at[0]


TAB_MM = (9.0, 5.0)


def _tabs(edge: str, found: list[tuple[float, str]], view: View) -> list[str]:
    """Tabs along an edge that do not lie over one another."""
    step = TAB_MM[0] + 1 if edge in "ns" else TAB_MM[1] + 1
    length = view.width if edge in "ns" else view.height
    drawn, last = [], -step
    for i, (at, page) in enumerate(found):
        room = length - step * (len(found) - i - 0.5)
        last = max(min(max(at, step / 2), room), last + step)
        x, y = {"n": (last, TAB_MM[1] / 2), "s": (last, view.height - TAB_MM[1] / 2), "w": (TAB_MM[0] / 2, last),
                "e": (view.width - TAB_MM[0] / 2, last)}[edge]  # fmt: skip
        arrow = {"n": "▲", "s": "▼", "w": "◀", "e": "▶"}[edge]
        drawn.append(
            f'<rect x="{x - TAB_MM[0] / 2:.2f}" y="{y - TAB_MM[1] / 2:.2f}" width="{TAB_MM[0]}" height="{TAB_MM[1]}"'
            f' rx=".8" fill="#1d5b62"/><text x="{x:.2f}" y="{y + 1.05:.2f}" font-size="3" text-anchor="middle"'
            f' style="fill:#fff">{arrow}{page}</text>'
        )
    return drawn


def _bar(view: View) -> tuple[int, float]:
    """The metres of the scale bar, and how long it is on paper."""
    metres = bar_metres(view.scale, view.width / 4)
    return metres, metres * 1000 / view.scale


def _free(view: View) -> tuple[tuple[float, float, float, float], ...]:
    """The paper of scale bar and north arrow: west, north, east, south."""
    x, y = view.width - 9, view.height - 7
    return (3, y - 5.5, 25 + _bar(view)[1], y + 5), (x - 6.6, 6, x + 6.6, 22.6)


def _furniture(view: View) -> str:
    """Scale bar, north arrow and frame."""
    metres, long = _bar(view)
    y = view.height - 7
    words = f"{metres / 1000:g} km" if metres >= 1000 else f"{metres} m"
    half = long / 2
    bar = (
        f'<rect x="3" y="{y - 5.5:.2f}" width="{long + 22:.2f}" height="10.5" fill="#fff" fill-opacity=".85"/>'
        f'<rect x="5" y="{y:.2f}" width="{half:.2f}" height="1.3" fill="#22303a"/>'
        f'<rect x="{5 + half:.2f}" y="{y:.2f}" width="{half:.2f}" height="1.3" fill="#fff" stroke="#22303a"'
        ' stroke-width=".2"/>'
        f'<text x="5" y="{y - 1.2:.2f}" font-size="2.6" text-anchor="middle">0</text>'
        f'<text x="{5 + long:.2f}" y="{y - 1.2:.2f}" font-size="2.6" text-anchor="middle">{words}</text>'
        f'<text x="5" y="{y + 4.2:.2f}" font-size="2.6">1 : {view.scale:,}</text>'
    )
    x = view.width - 9
    north = (
        f'<circle cx="{x:.2f}" cy="16" r="6.6" fill="#fff" fill-opacity=".85"/>'
        f'<path d="M{x:.2f} 10.5L{x + 2.2:.2f} 20L{x:.2f} 18.2Z" fill="#22303a"/>'
        f'<path d="M{x:.2f} 10.5L{x - 2.2:.2f} 20L{x:.2f} 18.2Z" fill="#fff" stroke="#22303a" stroke-width=".2"/>'
        f'<text x="{x:.2f}" y="9.6" font-size="3" text-anchor="middle" font-weight="bold">N</text>'
    )
    return f'{bar}{north}<rect class="f" x="0" y="0" width="{view.width:.2f}" height="{view.height:.2f}"/>'


def _lines(view: View, shapes: Geometries, name: str) -> str:
    return _path(view.placed(shapes), f'class="{name}"') if len(shapes) else ""


def _borders(view: View, shapes: Geometries, name: str) -> str:
    """The borders of shapes, which the frame is none of."""
    return _once(view, np.asarray(shapely.boundary(shapes), dtype=object), name)


def _once(view: View, lines: Geometries, name: str) -> str:
    """Lines, each once though two things share it: dashes drawn twice run together."""
    inside = shapely.clip_by_rect(lines, *view.box)
    return _lines(view, np.array([shapely.line_merge(shapely.union_all(inside))], dtype=object), name)


def _path(shapes: Geometries, style: str) -> str:
    path = "".join(_paths(shapes))
    return f'<path {style} d="{path}"/>' if path else ""


def _paths(shapes: Iterable[shapely.Geometry]) -> list[str]:
    return [_of(shape) for shape in shapes]


def _of(shape: shapely.Geometry) -> str:
    parts = []
    for part in shapely.get_parts(shape):
        closed = part.geom_type == "Polygon"
        for line in [part.exterior, *part.interiors] if closed else [part]:
            points = np.round(shapely.get_coordinates(line), 2)
            if len(points) > 1:
                kept = points[:-1] if closed else points
                parts.append("M" + " ".join(f"{x:g} {y:g}" for x, y in kept.tolist()) + ("Z" if closed else ""))
    return "".join(parts)


def _text(
    spot: np.ndarray,
    words: str,
    size: float,
    *,
    colour: str = "#22303a",
    turn: float = 0.0,
    halo: bool = True,
    bold: bool = False,
) -> str:
    x, y = float(spot[0]), float(spot[1]) + size * 0.36
    turned = f' transform="rotate({turn:.1f} {x:.2f} {float(spot[1]):.2f})"' if turn else ""
    strong = ' font-weight="bold"' if bold else ""
    plain = f'x="{x:.2f}" y="{y:.2f}" font-size="{size:g}" text-anchor="middle"{strong}{turned}'
    told = html.escape(words)
    under = f'<text class="t" {plain}>{told}</text>' if halo else ""
    return f'{under}<text {plain} style="fill:{colour}">{told}</text>'


def _svg(view: View, body: str, *, label: str) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{view.width:.2f}mm" height="{view.height:.2f}mm"'
        f' viewBox="0 0 {view.width:.2f} {view.height:.2f}" role="img" aria-label="{html.escape(label)}">'
        f"{STYLE}{body}</svg>"
    )
