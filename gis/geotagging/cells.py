"""What rows are tagged with: the cells in force as an index, and the words of each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from gis.geotagging.words import OF_CELL
from gis.permissions import EVERYWHERE, is_within
from gis.responsibility.cell_index import CellIndex

Ints = NDArray[np.int64]


class Known(Protocol):
    """What is taken of `gis.responsibility.Responsibility`."""

    @property
    def version(self) -> str: ...
    @property
    def cells(self) -> CellIndex: ...
    @property
    def ground_starts(self) -> Any: ...
    @property
    def ground_leaves(self) -> Any: ...
    @property
    def leaves(self) -> pa.Table: ...
    @property
    def outlines(self) -> CellIndex: ...
    @property
    def communities(self) -> pa.Table: ...


@dataclass(frozen=True)
class Cells:
    """The cells that a caller may see, and what is said of each.

    Attributes
    ----------
    index : CellIndex
        Over the grounds of all cells; `shown` says which of them count.
    outlines : CellIndex
        Over the communities' outlines.
    words : Table
        Text columns `words.OF_CELL`: a row for each ground, then one for each lowest cell.
    is_stack : bool array, shape (grounds,)
        Several cells lie over one another there; their row tells what they have in common.
    shown, shown_outlines : bool array
    leaf_rows : mapping of int to int
        From the id of a lowest cell to its row in ``words``.
    """

    index: CellIndex
    outlines: CellIndex
    words: pa.Table
    is_stack: NDArray[np.bool_]
    shown: NDArray[np.bool_]
    shown_outlines: NDArray[np.bool_]
    leaf_rows: Mapping[int, int]
    version: str


def cells_of(
    known: Known,
    *,
    language: str,
    scopes: Sequence[str] = (EVERYWHERE,),
    contact_scopes: Sequence[str] = (),
) -> Cells:
    """The cells within the scopes of a caller, and their words.

    Parameters
    ----------
    scopes : sequence of str
        Paths of areas; cells elsewhere are as if they were not there.
    contact_scopes : sequence of str
        Where the phones of the people responsible may be told.
    """
    leaves = known.leaves.to_pylist()
    starts, members = np.asarray(known.ground_starts), np.asarray(known.ground_leaves)
    rows = [_words(leaf, language, contact_scopes) for leaf in leaves]
    of_ground = [
        _in_common([rows[at] for at in members[begin:end]])
        for begin, end in zip(starts[:-1].tolist(), starts[1:].tolist(), strict=True)
    ]
    paths = [leaf["path"] for leaf in leaves]
    first = members[starts[:-1]].tolist() if len(members) else []
    words = pa.table({name: pa.array([row[name] for row in (*of_ground, *rows)], pa.string()) for name in OF_CELL})
    return Cells(
        index=known.cells,
        outlines=known.outlines,
        words=words,
        is_stack=np.diff(starts) > 1,
        shown=_visible([paths[at] for at in first], scopes),
        shown_outlines=_visible(known.communities["path"].to_pylist(), scopes),
        leaf_rows={leaf["id"]: len(of_ground) + at for at, leaf in enumerate(leaves)},
        version=known.version,
    )


def _visible(paths: Iterable[str | None], scopes: Sequence[str]) -> NDArray[np.bool_]:
    everywhere = EVERYWHERE in scopes
    return np.array(
        [everywhere or (path is not None and any(is_within(path, scope) for scope in scopes)) for path in paths],
        dtype=bool,
    )


def _words(leaf: Mapping[str, Any], language: str, contact_scopes: Sequence[str]) -> dict[str, str | None]:
    told: dict[str, str | None] = {name: leaf.get(name) for name in OF_CELL[:8]}
    people = leaf.get("people") or ()
    post = "post_name_zh" if language == "zh" else "post_name_en"
    between, after = ("；", "（{}）") if language == "zh" else ("; ", " ({})")
    told["people"] = between.join(
        (one["name"] or "") + after.format(one.get(post) or one.get("post_name_zh")) for one in people
    ) or None  # fmt: skip
    path = leaf.get("path")
    may_call = path is not None and any(is_within(path, scope) for scope in contact_scopes)
    told["phones"] = between.join(one["phone"] or "–" for one in people) or None if may_call else None
    plan = leaf.get("plan_id")
    told["plan_version"] = None if plan is None else str(plan)
    return told


def _in_common(rows: Sequence[dict[str, str | None]]) -> dict[str, str | None]:
    """What the cells of one ground have in common; of one cell, all."""
    if not rows:
        return dict.fromkeys(OF_CELL)
    return {name: rows[0][name] if all(row[name] == rows[0][name] for row in rows) else None for name in OF_CELL}
