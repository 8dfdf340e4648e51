"""What is told of cells and people, put together as the bytes of an answer; whatever found the cells.

The rule is that of `gis.geotag`: covers, then the lowest id; a cell within 15 m makes a border; without a covering cell
the nearest within 200 m answers. Whoever asks is shown by a `View` what lies in their areas: the others' cells are as
if they were not there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from gis.permissions import EVERYWHERE, is_within
from gis.responsibility.build import NO_FLOOR, PEOPLE, People

MAX_CANDIDATES = 20
KEPT_PIECES = 50_000
"""Descriptions kept as they were put together, the rest are made again: some 100 MB at most."""

Near = tuple[bool, int, int, float]
"""A cell within reach: whether it leaves the point out, millimetres (by which ties are broken), leaf, metres."""

Pieces = tuple[bytes, bytes, bytes, bytes]
"""Of a leaf: what stands between the distance and the candidates, what ends the answer; and, of it as a candidate, what
stands before and after its metres."""

_OF_PLACES = ("id", "code", "name")
_OF_PEOPLE = ("post", "place", "name", "phone")


@dataclass(eq=False, slots=True)
class View:
    """What somebody may see of one version.

    Attributes
    ----------
    sees, phones : list of bool or None
        By community: whether its cells, and its people's phones, are shown. ``None``: all.
    is_brief : bool
        Of places only id, code and name are told, of people only post, place, name and phone.
    pieces : dict of int to Pieces
        By ground, as `gis.responsibility.responsibility` puts them together.
    grounds : array of bool or None
        Which grounds are shown, once that was asked.
    """

    sees: list[bool] | None
    phones: list[bool] | None
    is_brief: bool = False
    pieces: dict[int, Pieces | tuple[()]] = field(default_factory=dict)
    grounds: Any = None

    def shows(self, community: int) -> bool:
        """Whether the cells of a community (by its row) are shown."""
        return self.sees is None or self.sees[community]

    def shows_phones(self, community: int) -> bool:
        """Whether the phones of those who serve in a community are shown."""
        return self.phones is None or self.phones[community]


class Book:
    """Descriptions of cells and communities, by rows of their tables. A *leaf* is a cell of the lowest tier.

    Parameters
    ----------
    cells : Table
        By id, with all cells above them (`gis.responsibility.build`).
    people : People
        With the communities of all the cells.
    version : str
        Name of the version, carried by each answer.
    """

    def __init__(self, cells: pa.Table, people: People, *, version: str) -> None:
        self.version = version
        self.communities = people.communities
        self._cells = cells
        self._people = people
        self.leaf_rows = np.flatnonzero(cells["is_leaf"].to_numpy(zero_copy_only=False)).astype(np.int32)
        ids = cells["id"].to_numpy()
        rows = np.searchsorted(self.communities["id"].to_numpy(), cells["community_id"].to_numpy()).astype(np.int32)
        self.leaf_ids = ids[self.leaf_rows]
        self._row = quick(self.leaf_rows)
        self._id = quick(np.ascontiguousarray(self.leaf_ids))
        self._community = quick(rows[self.leaf_rows])
        self._parent = quick(np.ascontiguousarray(cells["parent"].to_numpy()))
        self._plan = quick(cells["plan_id"].to_numpy()[self.leaf_rows])
        self._floor_from = quick(cells["floor_from"].to_numpy()[self.leaf_rows])
        self._floor_to = quick(cells["floor_to"].to_numpy()[self.leaf_rows])
        self._tail = b',"version":"' + version.encode() + b'"}'
        self._heads: dict[tuple[int, bool, bool], bytes] = {}
        self._asides: dict[tuple[int, bool, bool], bytes] = {}

    @property
    def size(self) -> int:
        """Number of leaves."""
        return len(self._row)

    @cached_property
    def paths(self) -> list[str]:
        """Paths of the communities, by row."""
        found: list[str] = self.communities["path"].to_pylist()
        return found

    def view(self, scopes: Sequence[str], contact_scopes: Sequence[str], *, is_brief: bool = False) -> View:
        """What somebody sees whose leave to see the map and to see contacts is held in these subtrees."""
        return View(self._flags(scopes), self._flags(contact_scopes), is_brief)

    def _flags(self, scopes: Sequence[str]) -> list[bool] | None:
        if EVERYWHERE in scopes:
            return None
        return [any(is_within(path, scope) for scope in scopes) for path in self.paths]

    def near(self, found: Iterable[tuple[int, float]], view: View) -> list[Near]:
        """Leaves with their metres (0.0: it covers) in the order of the rule, as far as they are shown."""
        return sorted(
            (metres > 0.0, int(metres * 1000.0 + 0.5), leaf, metres)
            for leaf, metres in found
            if view.sees is None or view.sees[self._community[leaf]]
        )

    def pieces(self, leaf: int, view: View) -> Pieces:
        """What answers about a leaf are put together of."""
        community = self._community[leaf]
        before = b'{"id":%d,"distance_m":' % self._id[leaf]
        return self._head(leaf, view, b""), self._end(leaf, ()), before, b"," + self._aside(leaf, community, view)

    def answer(
        self,
        close: Sequence[Near],
        view: View,
        *,
        wide: Callable[[], Sequence[Near]],
        community: Callable[[], tuple[int | None, bool]],
        floor: int | None = None,
    ) -> bytes:
        """The answer for a point.

        Parameters
        ----------
        close : sequence of Near
            Leaves so near that they make a border.
        view : View
        wide : callable
            Gives the leaves so near that they answer for a point in none; asked if none covers.
        community : callable
            Gives the row of the community around the point, and whether the point with its axes swapped would lie in
            one; asked if no leaf covers the point.
        floor : int, optional
            Chooses in a stack.
        """
        if close and not close[0][0]:
            return self._covered(close, view, floor)
        found = wide()
        around, is_swapped = community()
        if found:
            return self._nearest(found, view, around)
        flags = ["no_plan_in_force" if around is not None else "outside", *(["axes_swapped"] if is_swapped else [])]
        told = _nowhere(view) if around is None else self._told(around, view)
        return b"".join(
            (
                b'{"how":"none","distance_m":null,"micro_grid":null,"grid":null,', told,
                b',"people":[],"candidates":[]', self._end(None, flags),
            )
        )  # fmt: skip

    def _covered(self, near: Sequence[Near], view: View, floor: int | None) -> bytes:
        owner = near[0][2]
        covering = [one[2] for one in near if not one[0]]
        stack = self._stack(owner, covering)
        flags: tuple[str, ...] = ()
        chosen: int | None = owner
        if len(stack) > 1:
            fitting = [leaf for leaf in stack if floor is not None and self._holds(leaf, floor)]
            chosen = fitting[0] if len(fitting) == 1 else None
            if chosen is None:
                flags = ("needs_floor",) if floor is None or fitting else ("needs_floor", "no_such_unit_or_floor")
        beside = [(leaf, metres) for _, _, leaf, metres in near if leaf != owner and leaf not in stack]
        how = b"border" if beside else b"inside"
        if chosen is not None:
            head = self._head(chosen, view, b'{"how":"%s","distance_m":0.0,' % how)
            return head + self._candidates(beside[:MAX_CANDIDATES], view) + self._end(chosen, flags)
        return self._undecided(how, [*((leaf, 0.0) for leaf in stack), *beside][:MAX_CANDIDATES], view, flags)

    def _stack(self, owner: int, covering: Sequence[int]) -> list[int]:
        """The leaves over one ground that are told apart by floors."""
        if self._floor_from[owner] == NO_FLOOR:
            return []
        parent = self._parent[self._row[owner]]
        return [
            leaf for leaf in covering if self._floor_from[leaf] != NO_FLOOR and self._parent[self._row[leaf]] == parent
        ]

    def _undecided(self, how: bytes, among: Sequence[tuple[int, float]], view: View, flags: Sequence[str]) -> bytes:
        """Several cells come into question: what they have in common, and each of them."""
        candidates = self._candidates(among, view)
        told = orjson.loads(candidates)
        grids = {one["grid"]["id"]: one["grid"] for one in told if one["grid"]}
        held = [one["people"] for one in told if one["distance_m"] == 0]
        common = [one for one in held[0] if all(one in others for others in held[1:])]
        grid = next(iter(grids.values())) if len(grids) == 1 and how == b"inside" else None
        return b"".join(
            (
                b'{"how":"%s","distance_m":0.0,"micro_grid":null,"grid":' % how, orjson.dumps(grid), b",",
                self._told(self._community[among[0][0]], view), b',"people":', orjson.dumps(common),
                b',"candidates":', candidates, self._end(None, flags),
            )
        )  # fmt: skip

    def _nearest(self, near: Sequence[Near], view: View, around: int | None) -> bytes:
        owner, metres = near[0][2], near[0][3]
        others = [(leaf, far) for _, _, leaf, far in near[1:] if far - metres < 15.0]
        head = self._head(owner, view, b'{"how":"nearest","distance_m":%s,' % decimetres(metres), around)
        return head + self._candidates(others[:MAX_CANDIDATES], view) + self._end(owner, ())

    def _holds(self, leaf: int, floor: int) -> bool:
        top = self._floor_to[leaf]
        return self._floor_from[leaf] <= floor and (top == NO_FLOOR or floor <= top)

    def _head(self, leaf: int, view: View, begin: bytes, around: int | None = None) -> bytes:
        """An answer up to its candidates."""
        community = self._community[leaf]
        if around is not None and around != community:
            return begin + self._middle(leaf, around, view)
        key = (leaf, view.shows_phones(community), view.is_brief)
        middle = self._heads.get(key)
        if middle is None:
            if len(self._heads) > KEPT_PIECES:
                self._heads.clear()
            middle = self._heads[key] = self._middle(leaf, community, view)
        return begin + middle

    def _middle(self, leaf: int, community: int, view: View) -> bytes:
        return b"".join(
            (
                self._pair(leaf, view), b",", self._told(community, view),
                b',"people":', self._people_of(leaf, view), b',"candidates":',
            )
        )  # fmt: skip

    def _candidates(self, among: Sequence[tuple[int, float]], view: View) -> bytes:
        return b"[" + b",".join([self._candidate(leaf, metres, view) for leaf, metres in among]) + b"]"

    def _candidate(self, leaf: int, metres: float, view: View) -> bytes:
        aside = self._aside(leaf, self._community[leaf], view)
        return b'{"id":%d,"distance_m":%s,' % (self._id[leaf], decimetres(metres)) + aside

    def _aside(self, leaf: int, community: int, view: View) -> bytes:
        """A candidate after its metres."""
        key = (leaf, view.shows_phones(community), view.is_brief)
        aside = self._asides.get(key)
        if aside is None:
            if len(self._asides) > KEPT_PIECES:
                self._asides.clear()
            aside = b"".join((self._pair(leaf, view), b',"people":', self._people_of(leaf, view), b"}"))
            self._asides[key] = aside
        return aside

    def _end(self, leaf: int | None, flags: Sequence[str]) -> bytes:
        plan = b"null" if leaf is None else b"%d" % self._plan[leaf]
        return b',"flags":' + (orjson.dumps(list(flags)) if flags else b"[]") + b',"plan_id":' + plan + self._tail

    def _up(self, leaf: int) -> list[int]:
        """Rows of a leaf and the cells above it."""
        rows = [self._row[leaf]]
        while (parent := self._parent[rows[-1]]) >= 0:
            rows.append(parent)
        return rows

    def _pair(self, leaf: int, view: View) -> bytes:
        """The lowest cell of kind micro_grid and the lowest of kind grid, from a leaf upwards."""
        pair = {"micro_grid": b"null", "grid": b"null"}
        for row in reversed(self._up(leaf)):
            told = self._cells["told"][row].as_py()
            pair[self._cells["kind"][row].as_py()] = _only(told, _OF_PLACES) if view.is_brief else told
        return b",".join(b'"%s":%s' % (kind.encode(), told) for kind, told in pair.items())

    def _told(self, community: int, view: View) -> bytes:
        told: bytes = self.communities["told"][community].as_py()
        return b'"community":' + _only(b"{%s}" % told, _OF_PLACES, "community") if view.is_brief else told

    def _people_of(self, leaf: int, view: View) -> bytes:
        """Everybody from the leaf up its cells, then up the areas."""
        community = self._community[leaf]
        column = "phones" if view.shows_phones(community) else "plain"
        own = [self._people.cells[column][row].as_py() for row in self._up(leaf)]
        around = self.communities[column][community].as_py()
        told = b"[" + b",".join([part for part in (*own, around) if part]) + b"]"
        return _only(told, _OF_PEOPLE) if view.is_brief else told

    @cached_property
    def leaves(self) -> pa.Table:
        """A row a leaf, by id: its micro-grid, grid and areas by code and name, its path, and its people."""
        rows = self.leaf_rows
        low, grid = self._rows_of_kind("micro_grid"), self._rows_of_kind("grid")
        communities = np.asarray(self._community)
        columns: dict[str, Any] = {"id": pa.array(self.leaf_ids), "plan_id": self._cells["plan_id"].take(rows)}
        for kind, of_kind in (("micro_grid", low), ("grid", grid)):
            for name in ("code", "name"):
                columns[f"{kind}_{name}"] = self._cells[name].take(pa.array(of_kind, mask=of_kind < 0))
        levels = [orjson.loads(one) for one in self.communities["levels"].to_pylist()]
        for level in ("community", "street", "county", "city"):
            for n, name in enumerate(("code", "name")):
                told = pa.array([of.get(level, (None, None))[n] for of in levels], pa.string())
                columns[f"{level}_{name}"] = told.take(pa.array(communities))
        columns["path"] = self.communities["path"].take(pa.array(communities))
        for name in ("floor_from", "floor_to"):
            floors = self._cells[name].to_numpy()[rows]
            columns[name] = pa.array(floors, mask=floors == NO_FLOOR)
        columns["people"] = self._people_column(communities)
        return pa.table(columns)

    def _rows_of_kind(self, kind: str) -> Any:
        """The row of the lowest cell of a kind at or above each leaf, -1 without."""
        is_kind = pc.equal(self._cells["kind"], kind).to_numpy(zero_copy_only=False)
        parent = np.asarray(self._parent)
        found = np.full(len(self.leaf_rows), -1, dtype=np.int32)
        at = self.leaf_rows.copy()
        while (at >= 0).any():
            hit = (at >= 0) & (found < 0) & is_kind[at]
            found[hit] = at[hit]
            at = np.where(at >= 0, parent[at], -1)
        return found

    def _people_column(self, communities: Any) -> pa.Array:
        """Lists of people, made of the ranges that each place has in the table of holders."""
        parent = np.asarray(self._parent)
        begins, ends = (self._people.cells[name].to_numpy() for name in ("begin", "end"))
        steps = []
        at = self.leaf_rows.copy()
        while (at >= 0).any():
            is_there = at >= 0
            steps.append((np.where(is_there, begins[at], 0), np.where(is_there, ends[at], 0)))
            at = np.where(is_there, parent[at], -1)
        around = tuple(self.communities[name].to_numpy()[communities] for name in ("begin", "end"))
        begin, end = (np.column_stack(side).reshape(-1) for side in zip(*steps, around, strict=True))
        counts = end - begin
        picked = np.repeat(begin - np.concatenate(([0], np.cumsum(counts)[:-1])), counts) + np.arange(counts.sum())
        offsets = np.concatenate(([0], np.cumsum(counts.reshape(len(self.leaf_rows), len(steps) + 1).sum(axis=1))))
        holders = self._people.holders.take(pa.array(picked, pa.int64())).combine_chunks()
        people = pa.StructArray.from_arrays([_flat(one) for one in holders.columns], fields=list(holders.schema))
        return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), people, type=PEOPLE)


def quick(array: Any) -> memoryview:
    """An array of one dimension whose single elements are read often: a view's cost a third of the array's own."""
    return memoryview(array)


def _flat(column: pa.ChunkedArray) -> pa.Array:
    return pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)


_DECIMETRES = [b"%d.%d" % divmod(n, 10) for n in range(2_001)]


def _nowhere(view: View) -> bytes:
    return b'"community":null' if view.is_brief else b'"community":null,"area":[]'


def _only(told: bytes, names: Sequence[str], inside: str | None = None) -> bytes:
    """Some members of an object, or of each object of a list, as JSON."""
    found: Any = orjson.loads(told)
    if inside is not None:
        found = found[inside]
    rows = found if isinstance(found, list) else [found]
    kept = [{name: row[name] for name in names if name in row} for row in rows]
    return orjson.dumps(kept if isinstance(found, list) else kept[0])


def decimetres(metres: float) -> bytes:
    """Metres to a decimetre, as JSON has them.

    Examples
    --------
    >>> decimetres(0.0), decimetres(3.14159), decimetres(1234.96)
    (b'0.0', b'3.1', b'1235.0')
    """
    n = int(metres * 10.0 + 0.5)
    return _DECIMETRES[n] if n <= 2_000 else b"%d.%d" % divmod(n, 10)
