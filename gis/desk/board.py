"""A plan on the desk as one value: cells, parts, ground faces and what lies between them.

A `Board` never changes; `Board.replaced` gives the next one, sharing all that is alike. Everything that happens to a
plan (an edit, its undoing, what another process has stored) is a change of `Rows`, so that there is one way to bring a
board up to date, and what an edit stores is what undoing it puts back.

Grounds are functions of the faces alone: the faces of a cell in the order of their ids, united. So the same faces give
the same bytes, whichever way a cell came by them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from typing import Any

import numpy as np
import shapely

from gis import crs
from gis.geometry import Geometries

PIECE_M2 = 0.5
"""Smaller pieces are rounding."""


@dataclass(frozen=True, slots=True)
class Tier:
    """A grid tier: its depth from 1 (top), words, and the band that its cells should keep."""

    depth: int
    name_zh: str
    name_en: str
    kind: str
    cell_of: str
    low: int | None
    high: int | None
    tolerance: float
    target: float | None
    digits: int

    def band_state(self, households: int) -> str:
        """``in_band``, ``under`` or ``over``, the tolerance granted."""
        if self.cell_of != "band":
            return "in_band"
        if self.low is not None and households < self.low * (1 - self.tolerance):
            return "under"
        if self.high is not None and households > self.high * (1 + self.tolerance):
            return "over"
        return "in_band"


@dataclass(frozen=True, slots=True)
class Community:
    """A community whose ground the plan divides; bbox in degrees."""

    id: int
    code: str
    name: str | None
    name_en: str | None
    bbox: tuple[float, float, float, float]
    ground_m2: float


@dataclass(frozen=True, slots=True)
class Compound:
    """A residential compound."""

    id: int
    code: str
    name: str | None
    households: int
    bbox: tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Building:
    """A building; lon and lat are a point on its footprint."""

    id: int
    code: str
    name: str | None
    community: int
    compound: int | None
    use: str
    households: int
    floors: int | None
    units: int | None
    lon: float
    lat: float


@dataclass(frozen=True, slots=True)
class Cell:
    """A row of `gis.models.Grid`; ``ground`` is WKB of a MultiPolygon in degrees."""

    id: int
    depth: int
    parent: int | None
    community: int
    code: str
    name: str | None
    is_dedicated: bool
    floor_from: int | None
    floor_to: int | None
    households: int
    residents: int | None
    buildings: int
    area_m2: float
    band_state: str
    color_index: int
    ground: bytes


@dataclass(frozen=True, slots=True)
class Part:
    """A row of `gis.models.GridPart` with what its `BuildingPart` says."""

    id: int
    building: int
    unit_from: int | None
    unit_to: int | None
    floor_from: int | None
    floor_to: int | None
    households: int
    residents: int | None
    units_estimated: bool
    cell: int


@dataclass(frozen=True, slots=True)
class Face:
    """A row of `gis.models.PlanFace`; ``shape`` is WKB of a Polygon in degrees."""

    id: int
    community: int
    building: int | None
    unit_from: int | None
    unit_to: int | None
    cell: int | None
    area_m2: float
    shape: bytes


@dataclass(frozen=True, slots=True)
class Edge:
    """A row of `gis.models.PlanEdge`; ``line`` is WKB of a LineString in degrees."""

    id: int
    a: int
    b: int | None
    length_m: float
    barrier: int
    is_crossable: bool
    line: bytes


Lock = tuple[str, int]
"""Kind (``cell``, ``building`` or ``all``) and id (0 for all)."""


@dataclass
class Rows:
    """Rows by their keys; ``None`` is a row that is not there."""

    cells: dict[int, Cell | None] = field(default_factory=dict)
    parts: dict[int, Part | None] = field(default_factory=dict)
    faces: dict[int, Face | None] = field(default_factory=dict)
    edges: dict[int, Edge | None] = field(default_factory=dict)
    locks: dict[Lock, bool] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return any(getattr(self, one.name) for one in fields(self))

    @property
    def changes_ground(self) -> bool:
        """Whether faces are split or joined, not only given to other cells."""
        return bool(self.edges) or any(row is None for row in self.faces.values())


@dataclass(frozen=True, slots=True)
class Figures:
    """What is measured of a cell's ground."""

    perimeter_m: float
    pieces: int
    bbox: tuple[float, float, float, float]


@dataclass(frozen=True)
class Setting:
    """What edits do not change: the rules and the place."""

    plan_id: int
    zone: int
    tiers: tuple[Tier, ...]
    communities: Mapping[int, Community]
    compounds: Mapping[int, Compound]
    buildings: Mapping[int, Building]
    people: Mapping[str, int] = field(default_factory=dict)
    """By the code of a cell how many hold its posts now."""
    incidents: tuple[tuple[float, float], ...] = ()
    """Places of open incidents."""
    given: frozenset[str] = frozenset()
    """Codes that cells of these communities bear or ever bore."""
    town: int = 0
    """The import after which this was read: a later one may have brought buildings."""

    @property
    def lowest(self) -> int:
        """Depth of the cells that parts lie in."""
        return len(self.tiers)

    def tier(self, depth: int) -> Tier:
        """The tier of a depth."""
        return self.tiers[depth - 1]

    def metric(self, geometry: Any) -> Any:
        """Degrees to metres."""
        return shapely.transform(geometry, lambda xy: crs.points_to_metric(xy, self.zone))


Index = dict[int, frozenset[int]]
_NONE: frozenset[int] = frozenset()


@dataclass(frozen=True)
class Board:
    """A plan at one number of its log.

    Attributes
    ----------
    cells, parts, faces, edges : dicts by id
    locks : frozenset of Lock
    children : dict
        Cells by their parent.
    parts_in, parts_of : dicts
        Parts by cell and by building.
    faces_of, land_in : dicts
        Faces by building; faces without parts by the cell that they are given to.
    edges_of : dict
        Edges by face.
    figures : dict
        By cell.
    """

    setting: Setting
    seq: int
    ground: int
    cells: dict[int, Cell]
    parts: dict[int, Part]
    faces: dict[int, Face]
    edges: dict[int, Edge]
    locks: frozenset[Lock]
    children: Index
    parts_in: Index
    parts_of: Index
    faces_of: Index
    land_in: Index
    edges_of: Index
    figures: dict[int, Figures]

    @classmethod
    def of(cls, setting: Setting, rows: Rows, *, seq: int, ground: int) -> Board:
        """A board from all rows of a plan."""
        empty = cls(
            setting, seq, ground, {}, {}, {}, {}, frozenset(), {}, {}, {}, {}, {}, {}, {}
        )  # fmt: skip
        return empty.replaced(rows, seq=seq, ground=ground)

    def replaced(self, rows: Rows, *, seq: int | None = None, ground: int | None = None) -> Board:
        """The board with some rows as they are given, or without them."""
        cells, children = _swap(self.cells, rows.cells, self.children, _parent)
        parts, parts_in = _swap(self.parts, rows.parts, self.parts_in, _cell)
        _, parts_of = _swap(self.parts, rows.parts, self.parts_of, _building)
        faces, faces_of = _swap(self.faces, rows.faces, self.faces_of, _building)
        _, land_in = _swap(self.faces, rows.faces, self.land_in, _cell)
        edges, edges_of = _swap_edges(self.edges, rows.edges, self.edges_of)
        locks = self.locks
        if rows.locks:
            locks = (locks - rows.locks.keys()) | {lock for lock, held in rows.locks.items() if held}
        changed = [row for key, row in rows.cells.items() if row is not None and not _same_ground(self.cells, key, row)]
        figures = self.figures
        if changed or any(row is None for row in rows.cells.values()):
            figures = {**figures, **measured(self.setting, changed)}
            for key, row in rows.cells.items():
                if row is None:
                    figures.pop(key, None)
        return Board(
            self.setting, self.seq if seq is None else seq, self.ground if ground is None else ground, cells, parts,
            faces, edges, locks, children, parts_in, parts_of, faces_of, land_in, edges_of, figures,
        )  # fmt: skip

    # --- Where things are --------------------------------------------------------------------------------------------

    @cached_property
    def lowest_cells(self) -> dict[int, Cell]:
        """Cells that parts lie in."""
        return {key: cell for key, cell in self.cells.items() if cell.depth == self.setting.lowest}

    @cached_property
    def stacks(self) -> dict[int, tuple[int, ...]]:
        """For each stacked cell all cells over the same ground, sorted."""
        by: dict[tuple[int | None, bytes], list[int]] = {}
        for cell in self.cells.values():
            if cell.floor_from is not None:
                by.setdefault((cell.parent, cell.ground), []).append(cell.id)
        return {one: tuple(sorted(stack)) for stack in by.values() if len(stack) > 1 for one in stack}

    def stack(self, cell: int) -> tuple[int, ...]:
        """A lowest cell with those over the same ground."""
        return self.stacks.get(cell, (cell,))

    def plot(self, cell: int) -> int:
        """The cell that stands for a stack: the one with the lowest id."""
        return self.stack(cell)[0]

    def ancestors(self, cell: int) -> list[int]:
        """Parent, its parent, and so on."""
        found = []
        at = self.cells[cell].parent
        while at is not None:
            found.append(at)
            at = self.cells[at].parent
        return found

    def under(self, cell: int) -> list[int]:
        """The lowest cells of a cell (itself, if it is one), sorted."""
        if self.cells[cell].depth == self.setting.lowest:
            return [cell]
        return sorted(low for child in self.children.get(cell, _NONE) for low in self.under(child))

    def parts_on(self, face: Face) -> list[Part]:
        """The parts of buildings that stand on a face, sorted."""
        if face.building is None:
            return []
        parts = [self.parts[key] for key in self.parts_of.get(face.building, _NONE)]
        return sorted((part for part in parts if _overlap(face, part)), key=lambda part: part.id)

    def is_land(self, face: Face) -> bool:
        """Whether no part of a building stands on a face."""
        if face.building is None:
            return True
        return not any(_overlap(face, self.parts[key]) for key in self.parts_of.get(face.building, _NONE))

    def cell_of(self, face: Face) -> int | None:
        """The cell that a face lies in; of a stack the one with the lowest id."""
        parts = self.parts_on(face)
        at = min(part.cell for part in parts) if parts else face.cell
        return None if at is None or at not in self.cells else self.plot(at)

    def faces_in(self, cell: int) -> list[Face]:
        """The faces of a lowest cell or of its stack, in the order of their ids."""
        found: set[int] = set()
        for one in self.stack(cell):
            for key in self.land_in.get(one, _NONE):
                if self.is_land(self.faces[key]):
                    found.add(key)
            for part in self.parts_in.get(one, _NONE):
                row = self.parts[part]
                found |= {
                    key for key in self.faces_of.get(row.building, _NONE) if _overlap(self.faces[key], row)
                }  # fmt: skip
        return [self.faces[key] for key in sorted(found)]

    @cached_property
    def home(self) -> dict[int, int | None]:
        """`cell_of` every face."""
        return {key: self.cell_of(face) for key, face in self.faces.items()}

    def is_locked(self, cell: int) -> bool:
        """Whether a cell, or one above it, is locked."""
        return any(("cell", one) in self.locks for one in [cell, *self.ancestors(cell)])

    # --- Figures -----------------------------------------------------------------------------------------------------

    @cached_property
    def incidents_at(self) -> dict[int, int]:
        """Open incidents by lowest cell (of a stack the one with the lowest id)."""
        lowest = {self.plot(key): self.cells[key].ground for key in self.lowest_cells}
        if not self.setting.incidents or not lowest:
            return {}
        tree = shapely.STRtree(shapely.from_wkb(list(lowest.values())))
        place, cell = tree.query(shapely.points(np.array(self.setting.incidents)), predicate="intersects")
        keys = list(lowest)
        found: dict[int, int] = {}
        seen: set[int] = set()
        for one, at in zip(place.tolist(), cell.tolist(), strict=True):
            if one not in seen:
                seen.add(one)
                found[keys[at]] = found.get(keys[at], 0) + 1
        return found


def _parent(cell: Cell) -> int | None:
    return cell.parent


def _cell(row: Part | Face) -> int | None:
    return row.cell


def _building(row: Part | Face) -> int | None:
    return row.building


def _same_ground(cells: dict[int, Cell], key: int, row: Cell) -> bool:
    old = cells.get(key)
    return old is not None and old.ground == row.ground


def _overlap(face: Face, part: Part) -> bool:
    if face.unit_from is None or part.unit_from is None:
        return True
    return face.unit_from <= (part.unit_to or part.unit_from) and part.unit_from <= (face.unit_to or face.unit_from)


def _swap(known: dict[int, Any], rows: Mapping[int, Any], index: Index, of: Any) -> tuple[dict[int, Any], Index]:
    """Rows and an index of them, with some replaced; the same objects where nothing changes."""
    if not rows:
        return known, index
    moved: dict[int, set[int]] = {}
    fresh = dict(known)
    for key, row in rows.items():
        old = known.get(key)
        before, after = None if old is None else of(old), None if row is None else of(row)
        if row is None:
            fresh.pop(key, None)
        else:
            fresh[key] = row
        if before is not None and (before != after or row is None):
            moved.setdefault(before, set(index.get(before, _NONE))).discard(key)
        if after is not None and (before != after or old is None):
            moved.setdefault(after, set(index.get(after, _NONE))).add(key)
    return fresh, {**index, **{key: frozenset(members) for key, members in moved.items()}}


def _swap_edges(known: dict[int, Edge], rows: Mapping[int, Edge | None], index: Index) -> tuple[dict[int, Edge], Index]:
    if not rows:
        return known, index
    moved: dict[int, set[int]] = {}
    fresh = dict(known)
    for key, row in rows.items():
        old = fresh.pop(key, None)
        for face in () if old is None else (old.a, old.b):
            if face is not None:
                moved.setdefault(face, set(index.get(face, _NONE))).discard(key)
        if row is not None:
            fresh[key] = row
            for face in (row.a, row.b):
                if face is not None:
                    moved.setdefault(face, set(index.get(face, _NONE))).add(key)
    return fresh, {**index, **{key: frozenset(members) for key, members in moved.items()}}


def measured(setting: Setting, cells: Iterable[Cell]) -> dict[int, Figures]:
    """Perimeter, pieces and box of cells, by id."""
    cells = list(cells)
    if not cells:
        return {}
    degrees = shapely.from_wkb([cell.ground for cell in cells])
    metric = np.asarray(setting.metric(degrees), dtype=object)
    parts, of = shapely.get_parts(metric, return_index=True)
    pieces = np.bincount(of[shapely.area(parts) > PIECE_M2], minlength=len(cells))
    perimeter = shapely.length(metric)
    return {
        cell.id: Figures(float(around), max(int(count), 1), tuple(box))
        for cell, around, count, box in zip(cells, perimeter, pieces, shapely.bounds(degrees).tolist(), strict=True)
    }


def united(faces: Iterable[Face]) -> bytes:
    """The ground of faces of a coverage, given in the order of their ids: WKB of a MultiPolygon."""
    shapes: Geometries = np.asarray(shapely.from_wkb([face.shape for face in faces]), dtype=object)
    whole = shapes[0] if len(shapes) == 1 else shapely.coverage_union_all(shapes)
    multi = whole if whole.geom_type == "MultiPolygon" else shapely.multipolygons([whole])
    # One order of rings and of points in them, so that the bytes depend on the ground alone.
    return bytes(shapely.to_wkb(shapely.normalize(multi), byte_order=1))


def grounded(board: Board, cell: Cell) -> Cell:
    """A cell with ground, area and counts as its faces and parts say; of any tier."""
    lowest = board.under(cell.id)
    faces = {face.id: face for low in lowest for face in board.faces_in(low)}
    own = [faces[key] for key in sorted(faces)]
    parts = [board.parts[key] for low in lowest for key in board.parts_in.get(low, _NONE)]
    households = sum(part.households for part in parts)
    known = [part.residents for part in parts]
    residents = sum(n for n in known if n is not None) if all(n is not None for n in known) and known else None
    return replace(
        cell,
        households=households,
        residents=residents,
        buildings=len({part.building for part in parts}),
        area_m2=float(sum(face.area_m2 for face in own)),
        band_state=board.setting.tier(cell.depth).band_state(households),
        ground=united(own),
    )
