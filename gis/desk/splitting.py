"""Faces split along lines, the coverage kept: neighbours get the corners that come about on their borders."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np
import shapely

from gis.coverage import stitched
from gis.desk.apply import Work
from gis.desk.board import Edge, Face, Rows
from gis.geometry import FloatArray, Geometries, IntArray, Lattice, Weave, dissolve, segments_of, sums

NARROW = 48.0  # lattice steps, half a metre: how near to the border of a face a line is followed
LEAST_M2 = 1.0
"""A piece that is smaller is not worth a face: the line is not followed there."""
_NEAR = 2.5  # lattice steps: a piece of border on a border that was there before


def split(work: Work, faces: Iterable[int], lines: Sequence[shapely.Geometry]) -> dict[int, list[int]]:
    """Split faces along lines (EPSG:4326), each wherever one crosses it.

    Returns
    -------
    dict
        By each face that was split the faces that came of it, which lie in the same cell.
    """
    made: dict[int, list[int]] = {}
    for key in sorted(set(faces)):
        pieces = _split_one(work, work.board.faces[key], lines)
        if pieces:
            made[key] = pieces
    return made


def _split_one(work: Work, face: Face, lines: Sequence[shapely.Geometry]) -> list[int]:
    shape = shapely.from_wkb(face.shape)
    crossing = [line for line in lines if shapely.crosses(line, shape) or shapely.within(line, shape)]
    if not crossing:
        return []
    lattice = Lattice.at(shape, work.board.setting.zone)
    outline = lattice.from_wgs84(np.array([shape], dtype=object))[0]
    pieces = Weave(outline, margin=NARROW).faces(lattice.from_wgs84(np.array(crossing, dtype=object)))
    pieces = _worth(pieces, lattice)
    if len(pieces) < 2:
        return []
    return _put(work, face, pieces, lattice)


def _worth(pieces: Geometries, lattice: Lattice) -> Geometries:
    """Pieces without slivers: these go to the neighbour that they have most border with."""
    if len(pieces) < 2:
        return pieces
    area = shapely.area(lattice.to_metric(pieces))
    label = np.arange(len(pieces))
    sides = segments_of(pieces)
    inner = (sides.face >= 0).all(axis=1)
    length = np.hypot(*(sides.end - sides.start)[inner].T)
    left, right = sides.face[inner].T
    for small in np.argsort(area, kind="stable").tolist():
        if area[small] >= LEAST_M2:
            break
        beside = np.concatenate([right[left == small], left[right == small]])
        metres = np.concatenate([length[left == small], length[right == small]])
        if len(beside):
            label[label == label[small]] = label[int(np.argmax(sums(beside, metres)))]
    numbers, label = np.unique(label, return_inverse=True)
    return dissolve(pieces, label, len(numbers))


def _put(work: Work, face: Face, pieces: Geometries, lattice: Lattice) -> list[int]:
    board = work.board
    beside = sorted({other for other in _neighbours(work, face.id) if other is not None})
    old = lattice.from_wgs84(_shapes([board.faces[key] for key in beside]))
    area = np.concatenate([np.ones(len(pieces)), np.zeros(len(beside))]).astype(np.int64)
    shapes = stitched([np.concatenate([pieces, old])], [area])[0]
    ids = work.fresh.ids("plan_face", len(pieces))
    metres = shapely.area(lattice.to_metric(shapes))
    wkb = shapely.to_wkb(lattice.to_wgs84(shapes), byte_order=1)
    rows = Rows(faces={face.id: None})
    for number, key in enumerate(ids):
        rows.faces[key] = replace(face, id=key, area_m2=float(metres[number]), shape=bytes(wkb[number]))
    changed = [n for n, key in enumerate(beside, start=len(pieces)) if shapes[n] is not old[n - len(pieces)]]
    for number in changed:
        key = beside[number - len(pieces)]
        # Its area stays: the corner is a few millimetres off the side at most.
        rows.faces[key] = replace(board.faces[key], shape=bytes(wkb[number]))
    names = [*ids, *beside]
    moved = {*ids, *(beside[number - len(pieces)] for number in changed)}
    _put_edges(work, rows, face.id, names, shapes, moved, lattice)
    return ids


def _neighbours(work: Work, face: int) -> set[int | None]:
    edges = (work.board.edges[key] for key in work.board.edges_of.get(face, ()))
    return {edge.b if edge.a == face else edge.a for edge in edges}


def _shapes(faces: Sequence[Face]) -> Geometries:
    return np.asarray(shapely.from_wkb([face.shape for face in faces]), dtype=object)


def _put_edges(
    work: Work, rows: Rows, gone: int, names: list[int], shapes: Geometries, moved: set[int], lattice: Lattice
) -> None:
    """Borders of faces that changed, with what lies on them taken from the borders before."""
    board = work.board
    touched = [key for key in moved if key in board.faces] + [gone]
    old = sorted({edge for face in touched for edge in board.edges_of.get(face, ())})
    around = {other for face in touched for other in _neighbours(work, face) if other is not None}
    more = sorted(around - set(names) - {gone})
    everyone = np.concatenate([shapes, lattice.from_wgs84(_shapes([board.faces[key] for key in more]))])
    known = np.array([*names, *more], dtype=np.int64)
    sides = segments_of(everyone)
    near = np.isin(known, list(moved))
    kept = np.where(sides.face >= 0, near[sides.face], False).any(axis=1)
    start, end, face = sides.start[kept], sides.end[kept], sides.face[kept]
    lines = lattice.from_wgs84(np.asarray(shapely.from_wkb([board.edges[key].line for key in old]), dtype=object))
    kind = _kinds([board.edges[key] for key in old], lines, (start + end) / 2)
    ends = lattice.points_to_metric(start), lattice.points_to_metric(end)
    length = np.hypot(*(ends[1] - ends[0]).T)
    pair = np.where(face >= 0, known[face], -1)
    pair = np.column_stack([pair.max(axis=1), pair.min(axis=1)])
    key = np.column_stack([pair, kind])
    groups, which = np.unique(key, axis=0, return_inverse=True)
    which = which.ravel()
    order = np.argsort(which, kind="stable")
    joined = shapely.line_merge(
        shapely.multilinestrings(
            shapely.linestrings(np.stack([start[order], end[order]], axis=1)), indices=which[order]
        )
    )
    chains, of = shapely.get_parts(joined, return_index=True)
    steps = shapely.length(chains)
    metres = sums(which, length, len(groups))[of] * steps / np.maximum(sums(of, steps, len(groups))[of], 1e-12)
    wkb = shapely.to_wkb(lattice.to_wgs84(chains), byte_order=1)
    rows.edges.update(dict.fromkeys(old))
    for number, edge in enumerate(work.fresh.ids("plan_edge", len(chains))):
        a, b, barrier, crossable = (int(value) for value in groups[of[number]])
        low, high = (a, None) if b < 0 else (min(a, b), max(a, b))
        rows.edges[edge] = Edge(edge, low, high, float(metres[number]), barrier, bool(crossable), bytes(wkb[number]))
    work.put(rows)


def _kinds(edges: Sequence[Edge], lines: Geometries, middles: FloatArray) -> IntArray:
    """Barrier class and whether one can cross, of each piece of border: as before, or nothing on new ground."""
    kind = np.zeros((len(middles), 2), dtype=np.int64)
    kind[:, 1] = 1
    if not len(edges):
        return kind
    was = np.array([(edge.barrier, edge.is_crossable) for edge in edges], dtype=np.int64)
    (place, line), away = shapely.STRtree(lines).query_nearest(
        shapely.points(middles), max_distance=_NEAR, return_distance=True, all_matches=False
    )
    del away
    kind[place] = was[line]
    return kind
