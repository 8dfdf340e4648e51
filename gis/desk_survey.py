"""The ground of a plan surveyed from what the database knows, and stored as rows.

Imported only when a plan is opened that has no ground yet: it brings the whole partitioner along.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
import shapely
from sqlalchemy import text
from sqlalchemy.orm import Session

from gis import plans, rules
from gis.coverage import stitched_wgs84
from gis.desk.board import Cell, Part
from gis.desk.faces import Faces, Home, Place, survey_place
from gis.desk_log import UNWATCHED, Watch
from gis.desk_rows import CELLS, COMMUNITIES, MINE, PARTS, cell_of, part_of
from gis.geometry import Geometries
from gis.partition.division_of import jobs_of
from gis.partition.ground import BARRIER_CLASS, Plot
from gis.partition.site import Job
from gis.plan_storing import copy_rows, next_ids
from gis.spreading import spread
from gis.town_rows import town_of

LITTLE_WORK = 500
"""Cells, and a tenth of the buildings: three seconds, less than starting processes is worth."""

HOMES_A_CELL = 10
"""Buildings that take as long as a cell."""
BEFORE_STORING = 0.96
"""Of the work, measured on the demo town."""

Made = list[tuple[int, Faces, list[int], list[int]]]
"""A community, its faces, the cell over each of its grounds, and its buildings by number."""


def surveyed(
    session: Session,
    plan_id: int,
    *,
    communities: Collection[int] | None = None,
    processes: int | None = 1,
    watch: Watch = UNWATCHED,
) -> Made:
    """Survey the communities of a plan, or some of them, along its cells; writes nothing.

    Notes
    -----
    The demo town (240 grids, 1,480 micro-grids, 2,756 buildings): 9-12 s of one core.
    """
    watch.tell("reading")
    plan = plans.get(session, plan_id)
    rule_set = rules.value(rules.get(session, plan.rule_set_id))
    known = {"plan": plan_id}
    codes = {
        row.code: row.id
        for row in session.execute(text(COMMUNITIES), known)
        if communities is None or row.id in communities
    }
    town = town_of(session, community_ids=list(codes.values()))
    building_ids = {
        row.code: row.id for row in session.execute(text("SELECT id, code FROM building WHERE area_id IN "
                                                          f"({MINE})"), known)
    }  # fmt: skip
    cells = [cell_of(row) for row in session.execute(text(CELLS), known) if row.grid_depth == plan.grid_depths]
    parts = [part_of(row) for row in session.execute(text(PARTS), known)]
    places, rest = [], []
    for job in jobs_of(town, rule_set, seed=0, effort="draft"):
        community = codes[job.code]
        numbers = {building_ids[str(code)]: number for number, code in enumerate(job.buildings["code"])}
        place, plots = _place(job, [cell for cell in cells if cell.community == community], parts, numbers)
        if len(plots):
            places.append(place)
            rest.append((community, plots, list(numbers)))
    meter = _Meter(watch, [len(place.cells) + len(place.homes) / HOMES_A_CELL for place in places])
    order = sorted(range(len(places)), key=lambda i: -meter.weights[i])
    few = sum(meter.weights) <= LITTLE_WORK
    made = spread(survey_place, places, order=order, processes=1 if few else processes, progress=meter.within)
    faces = {}
    for number, answer in made:
        faces[number] = answer
        meter.done(number)
    watch.tell("storing", BEFORE_STORING, len(places), len(places))
    return [(community, faces[i], plots, numbers) for i, (community, plots, numbers) in enumerate(rest)]


class _Meter:
    """How far a survey is: communities count by what they take, cells most of it."""

    def __init__(self, watch: Watch, weights: Sequence[float]) -> None:
        self.weights = weights
        self._watch = watch
        self._shares = [0.0] * len(weights)
        self._done = 0
        self._tell()

    def within(self, number: int, share: float, _best: float = 0.0) -> None:
        """Hear how far a community is."""
        self._shares[number] = max(self._shares[number], share)
        self._tell()

    def done(self, number: int) -> None:
        """Hear that a community is there."""
        self._done += 1
        self.within(number, 1.0)

    def _tell(self) -> None:
        parts = sum(weight * share for weight, share in zip(self.weights, self._shares, strict=True))
        share = BEFORE_STORING * parts / max(sum(self.weights), 1e-9)
        self._watch.tell("surveying", share, self._done, len(self.weights))


def _place(
    job: Job, cells: Sequence[Cell], parts: Sequence[Part], numbers: Mapping[int, int]
) -> tuple[Place, list[int]]:
    """A community as the survey takes it, and the lowest id of the cells over each of its grounds."""
    positions: dict[tuple[Any, ...], int] = {}
    at: dict[int, int] = {}
    plots: list[int] = []
    for cell in cells:
        key = (cell.parent, cell.ground) if cell.floor_from is not None else (cell.id,)
        if key not in positions:
            positions[key] = len(plots)
            plots.append(cell.id)
        at[cell.id] = positions[key]
    homes: list[list[Home]] = [[] for _ in numbers]
    for part in parts:
        if part.building in numbers and part.cell in at:
            homes[numbers[part.building]].append(Home(part.unit_from, part.unit_to, at[part.cell]))
    grounds = {cell.id: cell.ground for cell in cells}
    shapes = np.asarray(shapely.from_wkb([grounds[key] for key in plots]), dtype=object)
    units = np.asarray(job.buildings["units"].fillna(0), dtype=np.int64)
    return Place(_plot_of(job), job.zone, units, shapes, homes), plots


def _plot_of(job: Job) -> Plot:
    """The ground of a community as the survey takes it, without any cut of buildings or cells."""
    kind = np.array([BARRIER_CLASS[name] for name in job.barrier_kinds], dtype=np.int64)
    is_wall = np.array([name == "wall" for name in job.barrier_kinds], dtype=bool)
    units = np.ones(len(job.footprints), dtype=np.int64)
    return Plot(job.outline, job.footprints, units, job.barriers, kind, is_wall, job.compounds)


def store(session: Session, plan_id: int, made: Made) -> None:
    """Write faces and borders."""
    if not made:
        return
    # Neighbouring communities get each other's corners, as their cells have them.
    numbers = np.repeat(np.arange(len(made)), [len(faces.polygon) for _, faces, _, _ in made])
    polygons = stitched_wgs84([np.concatenate([faces.polygon for _, faces, _, _ in made])], [numbers])[0]
    ids = np.array(next_ids(session, "plan_face", len(polygons)), dtype=np.int64)
    start = 0
    faces_rows: list[tuple[Any, ...]] = []
    edge_rows: list[tuple[Any, ...]] = []
    for community, faces, plots, buildings in made:
        own = ids[start : start + len(faces.polygon)]
        shapes = _hex(polygons[start : start + len(faces.polygon)])
        start += len(own)
        for i, key in enumerate(own.tolist()):
            whose = buildings[faces.building[i]] if faces.building[i] >= 0 else None
            span = (int(faces.unit_from[i]) or None, int(faces.unit_to[i]) or None)
            faces_rows.append(
                (key, plan_id, community, whose, *span, plots[faces.cell[i]], float(faces.area_m2[i]), shapes[i])
            )
        lines, borders = _hex(faces.borders.line), faces.borders
        edge_rows += [
            (
                plan_id, int(own[borders.a[i]]), int(own[borders.b[i]]) if borders.b[i] >= 0 else None,
                float(borders.length_m[i]), int(borders.barrier[i]), bool(borders.is_crossable[i]), lines[i],
            )
            for i in range(len(lines))
        ]  # fmt: skip
    columns = "id, plan_id, community_id, building_id, unit_from, unit_to, cell_id, area_m2, geom"
    copy_rows(session, "plan_face", columns, faces_rows)
    copy_rows(session, "plan_edge", "plan_id, face_a, face_b, length_m, barrier, is_crossable, geom", edge_rows)


def _hex(shapes: Geometries) -> list[str]:
    found: list[str] = shapely.to_wkb(shapely.set_srid(shapes, 4326), hex=True, include_srid=True).tolist()
    return found
