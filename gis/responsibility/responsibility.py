"""One version of who answers for which place, whole in memory: the index, and what is told of what it finds."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cached_property, partial
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
from numpy.typing import NDArray
from sqlalchemy import Engine

from gis.artifacts import ArtifactStore
from gis.db import unit_of_work
from gis.in_force import InForce, in_force
from gis.listing.window import Row
from gis.making import maker
from gis.responsibility import build
from gis.responsibility.book import KEPT_PIECES, MAX_CANDIDATES, Book, Pieces, View, decimetres, quick
from gis.responsibility.cell_index import FAR_M, NEAR_M, CellIndex
from gis.responsibility.kernel import ask
from gis.settings import Settings

log = logging.getLogger("wangge.responsibility")

FORMAT = "1"
"""Of the files; a new one leaves those of older programs alone."""
_CELLS, _PEOPLE = f"cells-{FORMAT}", f"people-{FORMAT}"
KEPT_VIEWS = 1_000

_INSIDE, _BORDER = (b'{"how":"%s","distance_m":0.0,' % how for how in (b"inside", b"border"))


class Responsibility(Book):
    """Which cell answers for a point, and who: without the database, the same in every process.

    Attributes
    ----------
    version : str
    cells : CellIndex
        Over the *grounds*: distinct outlines of the lowest cells.
    ground_starts, ground_leaves : array of int, shape (grounds + 1,), (leaves,)
        The leaves of each ground, by id: several where cells are stacked over it. They are rows of ``leaves``.
    outlines : CellIndex
        Over the communities' outlines, by the rows of ``communities``.
    """

    def __init__(
        self,
        cells: pa.Table,
        people: build.People,
        index: CellIndex,
        outlines: CellIndex,
        grounds: tuple[NDArray[np.int64], NDArray[np.int32]],
        *,
        version: str,
        governs: InForce | None = None,
    ) -> None:
        super().__init__(cells, people, version=version)
        self.governs = governs
        self.cells = index
        self.outlines = outlines
        self.ground_starts, self.ground_leaves = grounds
        self._starts, self._leaves = quick(self.ground_starts), quick(self.ground_leaves)
        self._views: dict[tuple[Sequence[str], Sequence[str], bool], View] = {}
        self._entries: dict[bool, dict[int, bytes]] = {False: {}, True: {}}  # by whether they are brief
        self.dictionaries: dict[bool, Any] = {}  # by whether they are brief; kept by `gis.responsibility.many`

    def holds(self, at: datetime) -> bool:
        """Whether this version answers for an instant."""
        return self.governs is not None and self.governs.holds(at)

    def view_of(self, scopes: tuple[str, ...], contact_scopes: tuple[str, ...], *, is_brief: bool = False) -> View:
        """`view`, kept for the next time."""
        key = (scopes, contact_scopes, is_brief)
        view = self._views.get(key)
        if view is None:
            if len(self._views) >= KEPT_VIEWS:
                self._views.clear()
            view = self._views[key] = self.view(scopes, contact_scopes, is_brief=is_brief)
        return view

    def locate(self, lon: float, lat: float, view: View) -> bytes:
        """The answer for a point in degrees (WGS-84), as JSON; the same as `locate_within`, from prepared pieces."""
        book = self.cells.book()
        found = ask(book.address, lon, lat, NEAR_M)
        if found < -1:
            own = self._pieces_of(-2 - found, view)
            if own:
                return b"".join((_INSIDE, own[0], b"[]", own[1]))
        elif found == -1:
            return self.answer((), view, wide=tuple, community=lambda: self._community_around(lon, lat, view))
        elif 0 < found <= MAX_CANDIDATES and book.metres[0] == 0.0:
            body = self._at_border(book.grounds[:found].tolist(), book.metres[:found].tolist(), view)
            if body is not None:
                return body
        return self.locate_within(lon, lat, view)

    def _at_border(self, grounds: list[int], far_m: list[float], view: View) -> bytes | None:
        """The answer where each ground near holds one leaf or is not shown; ``None`` if more has to be thought of."""
        known = view.pieces
        parts: list[bytes] = []
        end = b""
        before = -1.0
        for ground, metres in zip(grounds, far_m, strict=True):
            own = known.get(ground)
            if own is None:
                own = self._pieces_of(ground, view)
                if own is None:
                    return None
            if not own:
                continue
            if not parts:
                if metres > 0.0:
                    return None
                parts, end = [own[0]], own[1]
                continue
            if metres - before < 0.002 and before > 0.0:
                return None  # as far as the one before: the rule decides
            before = metres
            parts += (b"," if len(parts) > 1 else b"[", own[2], decimetres(metres), own[3])
        if not parts:
            return None
        return b"".join((_INSIDE, *parts, b"[]", end) if len(parts) == 1 else (_BORDER, *parts, b"]", end))

    def _pieces_of(self, ground: int, view: View) -> Pieces | tuple[()] | None:
        """What answers about a ground are put together of: empty if it is not shown, ``None`` if not that simple."""
        own = view.pieces.get(ground)
        if own is not None:
            return own
        first, last = self._starts[ground], self._starts[ground + 1]
        shown = [leaf for leaf in self._leaves[first:last] if view.shows(self._community[leaf])]
        if len(shown) > 1:
            return None
        if len(view.pieces) >= KEPT_PIECES:
            view.pieces.clear()
        own = view.pieces[ground] = self.pieces(shown[0], view) if shown else ()
        return own

    def locate_within(
        self,
        lon: float,
        lat: float,
        view: View,
        *,
        border_m: float = NEAR_M,
        nearest_m: float = FAR_M,
        floor: int | None = None,
    ) -> bytes:
        """The same with reaches and floor of one's own, however near a border the point is."""
        return self.answer(
            self.near(self._around(lon, lat, border_m), view),
            view,
            wide=lambda: self.near(self._around(lon, lat, nearest_m), view),
            community=lambda: self._community_around(lon, lat, view),
            floor=floor,
        )

    def shown(self, view: View) -> NDArray[np.bool_]:
        """Which grounds hold a leaf that is shown."""
        if view.grounds is None:
            sees = np.ones(len(self.paths), dtype=bool) if view.sees is None else np.array(view.sees, dtype=bool)
            leaves = sees[np.asarray(self._community)[self.ground_leaves]] if self.size else np.zeros(0, dtype=bool)
            view.grounds = np.add.reduceat(leaves, self.ground_starts[:-1]) > 0 if self.size else leaves
        return np.asarray(view.grounds, dtype=bool)

    def entries(self, grounds: Sequence[int], view: View) -> list[bytes]:
        """What a table of cells tells of grounds: id and codes, or what stacked cells have in common, as JSON.

        In brief the id alone; null where cells are stacked.
        """
        if view.sees is not None and not view.is_brief:
            return [self._entry(ground, view) for ground in grounds]
        known = self._entries[view.is_brief]
        for ground in grounds:
            if ground not in known:
                known[ground] = self._entry(ground, view)
        return [known[ground] for ground in grounds]

    def _entry(self, ground: int, view: View) -> bytes:
        if view.is_brief:
            return orjson.dumps({"cell": self.ground_table.column("cell")[ground].as_py()})
        leaves = self._leaves[self._starts[ground] : self._starts[ground + 1]]
        shown = [self._id[leaf] for leaf in leaves if view.shows(self._community[leaf])]
        row = {name: self.ground_table.column(name)[ground].as_py() for name in self.ground_table.schema.names}
        return orjson.dumps({**row, "stack": shown if len(shown) > 1 else []})

    @cached_property
    def ground_table(self) -> pa.RecordBatch:
        """A row a ground: id and codes of its one leaf; where several are stacked, of what is above them."""
        first = self.ground_leaves[self.ground_starts[:-1]]
        is_stack = np.diff(self.ground_starts) > 1
        leaves = self.leaves
        columns = {
            "cell": pa.array(self.leaf_ids[first], mask=is_stack),
            "micro_grid": _one(leaves["micro_grid_code"].take(pa.array(first, mask=is_stack))),
            "grid": _one(leaves["grid_code"].take(pa.array(first))),
            "community": _one(leaves["community_code"].take(pa.array(first))),
        }
        return pa.RecordBatch.from_arrays(list(columns.values()), list(columns))

    def rows_near(self, lon: float, lat: float, reach_m: float, view: View) -> list[Row]:
        """Leaves near a point as `gis.responsibility.near.cells_near` gives them."""
        cells, rows = self._cells, self._row
        return [
            {
                "id": self._id[leaf],
                "is_inside": not is_outside,
                "distance_m": metres,
                "parent_id": cells["parent_id"][rows[leaf]].as_py() or None,
                "floor_from": _floor(self._floor_from[leaf]),
                "floor_to": _floor(self._floor_to[leaf]),
                "community_id": cells["community_id"][rows[leaf]].as_py(),
            }
            for is_outside, _, leaf, metres in self.near(self._around(lon, lat, reach_m), view)
        ]

    def warm(self) -> None:
        """Do once what the first to ask would wait for."""
        self.cells.warm()
        self.outlines.warm()
        view = self.view(("",), ("",))
        ask(self.cells.book().address, 0.0, 0.0, NEAR_M)
        for ground in range(min(len(self._starts) - 1, 1)):
            self._pieces_of(ground, view)

    def _around(self, lon: float, lat: float, reach_m: float) -> list[tuple[int, float]]:
        starts, leaves = self._starts, self._leaves
        return [
            (leaves[n], metres)
            for ground, metres in self.cells.around(lon, lat, reach_m)
            for n in range(starts[ground], starts[ground + 1])
        ]

    def _community_around(self, lon: float, lat: float, view: View) -> tuple[int | None, bool]:
        here = self._community_at(lon, lat, view)
        if here is not None or abs(lon) > 90:
            return here, False
        return None, self._community_at(lat, lon, view) is not None

    def _community_at(self, lon: float, lat: float, view: View) -> int | None:
        if view.sees is None:
            found = self.outlines.locate(lon, lat)
            return found if found >= 0 else None
        return next((n for n, metres in self.outlines.around(lon, lat, 0.0) if metres == 0.0 and view.sees[n]), None)


def load(store: ArtifactStore, engine: Engine, found: InForce) -> Responsibility:
    """The version that is in force: mapped where it is made already, made where it is not.

    Files that cannot be read, as of a disk that was full, are made once more.

    Raises
    ------
    Conflict
        ``responsibility.moved`` if something else is in force by now.
    Unavailable
        ``artifacts.no_room``.
    """
    try:
        return _load(store, engine, found)
    except (OSError, ValueError, KeyError, pa.ArrowException) as error:
        log.warning("the files of version %s cannot be read (%s); they are made again", found.version, error)
        store.discard(_CELLS, found.cells_key)
        store.discard(_PEOPLE, found.people_key)
        return _load(store, engine, found)


def _load(store: ArtifactStore, engine: Engine, found: InForce) -> Responsibility:
    cells_folder = store.get(
        _CELLS,
        found.cells_key,
        maker(engine, found, build.write_cells),
    )
    people_folder = store.get(
        _PEOPLE,
        found.people_key,
        maker(engine, found, partial(build.write_people, cells_folder=cells_folder)),
    )
    tables = (build.read_table(people_folder / f"{name}.arrow") for name in ("people", "communities", "holders"))
    made = Responsibility(
        build.read_table(cells_folder / build.CELLS),
        build.People(*tables),
        CellIndex.load(cells_folder / "index"),
        CellIndex.load(people_folder / "outlines"),
        (np.load(cells_folder / "ground_starts.npy"), np.load(cells_folder / "ground_leaves.npy")),
        version=found.version,
        governs=found,
    )
    made.warm()
    return made


def make(store: ArtifactStore, engine: Engine, found: InForce) -> None:
    """Make the files of a version that comes into force later, for `load`.

    Raises
    ------
    Conflict, Unavailable
        As `load`.
    """
    _load(store, engine, found)


def current(engine: Engine, settings: Settings) -> Responsibility:
    """What is in force now."""
    return as_of(engine, settings, datetime.now(UTC))


def as_of(engine: Engine, settings: Settings, at: datetime) -> Responsibility:
    """What was in force at an instant."""
    with unit_of_work(engine) as session:
        found = in_force(session, at)
    return load(store_of(settings), engine, found)


def store_of(settings: Settings) -> ArtifactStore:
    """Where this machine keeps its versions."""
    return ArtifactStore(settings.home / "artifacts")


def _one(column: pa.ChunkedArray) -> pa.Array:
    return pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)


def _floor(value: int) -> int | None:
    return None if value == build.NO_FLOOR else value
