"""Bring a division that others have drawn: a file becomes a draft whose cells tile its communities exactly.

Nothing of the file is believed without a look: every row that cannot be used, every gap, overlap, building cut, unknown
or named twice, every total that does not agree is told, with its row, its place and what to do. All of it is one
transaction: there is the draft with all that was noticed, or nothing.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

import geopandas as gpd
import numpy as np
import shapely
from sqlalchemy import text
from sqlalchemy.orm import Session

from gis import areas, crs, listing, messages, plans, rules
from gis.division import Division
from gis.errors import InvalidInput, WrongState
from gis.exchange import division_file
from gis.exchange.division_file import DivisionFile, Polygons
from gis.exchange.reading import LIMIT_MB, check_file
from gis.findings import Finding, Severity
from gis.geometry import Geometries, IntArray, sums
from gis.models import RuleSetRow
from gis.permissions import Action, Actor, require
from gis.rule_set import RuleSet, Tier
from gis.town import WGS84, Town
from gis.worktime import CHINA

OWN_SHARE = 0.05  # of a cell in a second community: with people there it becomes a cell of its own
MAIN_SHARE = 0.2  # the same where nobody lives
OUTSIDE_SHARE = 0.05
TOLD_M2 = 500.0
DIFFERENT_RATIO = 0.05
DIFFERENT_LEAST = 5
MISMATCH_SHARE = 0.02
NOTHING_M2 = 1.0
# Shares of the work done when a step begins, measured on the demo town (235 grids, micro-grids made).
CHECKING, PLACING, DIVIDING, STORING = 0.02, 0.17, 0.58, 0.89
CODES_AS_GIVEN = "codes_as_given"
"""In the recipe of a plan: codes of its file that were never given are kept."""


@dataclass(frozen=True)
class Wish:
    """What is to be brought, and as what.

    Attributes
    ----------
    path, name : Path and str
        The file, and what its sender calls it.
    area_id : int
        The area whose communities may be divided.
    title : str
    rule_set_id : int or None
        The rules in force for the area if none are named.
    crs : str or None
        What coordinates are in, where the file does not say it or is wrong.
    layers, mapping
        As `gis.exchange.division_file.read`.
    trust_crs : bool
        Go on although buildings and cells look shifted against each other.
    limit_mb : int
    """

    path: Path
    name: str
    area_id: int
    title: str
    rule_set_id: int | None = None
    crs: str | None = None
    layers: Mapping[str, str] = field(default_factory=dict)
    mapping: Mapping[str, str] = field(default_factory=dict)
    trust_crs: bool = False
    limit_mb: int = LIMIT_MB


class Watch(Protocol):
    """What whoever waits is told, and asked."""

    def tell(self, step: str, share: float = 0.0, done: int = 0, total: int = 0) -> None:
        """The step begun (`gis.models.file_run.TAKING_STEPS`), the share of all work done, communities done of it."""

    def cancelled(self) -> bool:
        """Whether it is wanted no more."""


class _Unwatched:
    def tell(self, step: str, share: float = 0.0, done: int = 0, total: int = 0) -> None:
        pass

    def cancelled(self) -> bool:
        return False


UNWATCHED = _Unwatched()


def _go_on(watch: Watch, step: str, share: float, done: int = 0, total: int = 0) -> None:
    """Tell how far it is, and stop if it is wanted no more."""
    watch.tell(step, share, done, total)
    if watch.cancelled():
        raise InvalidInput("take.cancelled")


@dataclass(frozen=True)
class Taken:
    """What a file has become."""

    plan_id: int
    communities: int
    cells: tuple[int, ...]
    """A tier, top first."""
    buildings: int
    households: int
    findings: tuple[dict[str, Any], ...]
    counts: Mapping[str, int]
    """Findings by code."""


def check(session: Session, wish: Wish, *, actor: Actor, now: datetime) -> RuleSetRow:
    """The rules of what is wished, as far as it can be refused before the file is read.

    Raises
    ------
    NotAllowed, NotFound
    UnknownCrs
        ``crs.unknown``.
    InvalidInput
        ``import.unknown_format``, ``import.too_large`` …
    """
    require(actor, Action.DRAW_PLAN, areas.get(session, wish.area_id).path)
    if wish.crs is not None:
        crs.parse(wish.crs)
    check_file(wish.path, wish.limit_mb)
    if wish.rule_set_id is not None:
        return rules.get(session, wish.rule_set_id)
    return rules.in_force(session, area_id=wish.area_id, on=now.astimezone(CHINA).date())


def take(session: Session, wish: Wish, *, actor: Actor, now: datetime, watch: Watch = UNWATCHED) -> Taken:
    """A file becomes a draft.

    Raises
    ------
    NotAllowed
    NotFound, UnknownCrs
        As `gis.exchange.division_file.read`.
    InvalidInput
        The same, and ``take.looks_shifted``, ``take.no_community``, ``take.no_parents``, ``take.tiers_above``;
        ``take.cancelled``.
    """
    rule_set = check(session, wish, actor=actor, now=now)
    ruled = rules.value(rule_set)
    upper = _given_depth(ruled)
    _go_on(watch, "reading", 0.0)
    given = division_file.read(
        wish.path, crs=wish.crs, layers=wish.layers, mapping=wish.mapping, limit_mb=wish.limit_mb, name=wish.name
    )
    _go_on(watch, "checking", CHECKING)
    # The ground is surveyed while the transaction waits, for a whole town some tens of seconds.
    session.execute(text("SET LOCAL idle_in_transaction_session_timeout = '30min'"))
    communities = {community.code: community.id for community in areas.communities_under(session, wish.area_id)}
    town = plans.town_of(session, community_ids=list(communities.values()))
    if not wish.trust_crs:
        _refuse_shifted(given, town)
    made = _Made.of(given, town, ruled, upper, watch)
    _go_on(watch, "storing", STORING)
    draft = plans.create_draft(
        session, area_id=wish.area_id, rule_set_id=rule_set.id, title=wish.title, actor=actor, now=now,
        community_ids=[communities[code] for code in made.communities],
        recipe={"taken_from": wish.name, "crs": given.crs, CODES_AS_GIVEN: True},
    )  # fmt: skip
    plans.store_division(session, draft.id, division=made.division, actor=actor, now=now)
    _name(session, draft.id, made)
    items = items_of(session, draft.id)
    return Taken(
        draft.id, len(made.communities), tuple(len(cells) for cells in made.division.cells),
        int(made.division.parts["building"].nunique()), int(made.division.parts["households"].sum()), tuple(items),
        dict(Counter(item["code"] for item in items)),
    )  # fmt: skip


def items_of(session: Session, plan_id: int) -> list[dict[str, Any]]:
    """What was noticed when a plan was brought, each with its row in the file, its cell and its place."""
    items = []
    for row in listing.findings(session, plan_id, limit=100_000):
        params = dict(row["params"])
        place = params.pop("place", None) or row["bbox"]
        items.append(
            {
                "code": row["code"], "severity": row["severity"], "layer": row["layer"], "key": row["key"],
                "row": params.pop("row", None), "params": params, "cell_id": row["cell_id"],
                "building_id": row["building_id"], "bbox": place,
            }
        )  # fmt: skip
    return items


def told(items: Iterable[Mapping[str, Any]], *, language: str) -> list[dict[str, Any]]:
    """The same with their sentences."""
    return [
        {**item, "text": messages.text(item["code"], {"key": item["key"], "layer": item["layer"], "row": item["row"],
                                                      **item["params"]}, language=language)}
        for item in items
    ]  # fmt: skip


# --- What the rules ask ----------------------------------------------------------------------------------------------


def _given_depth(ruled: RuleSet) -> int:
    """The position of the tier that a file's grids are: the first that is not the whole of what is above it."""
    for depth, tier in enumerate(ruled.grid_tiers):
        if tier.cell_of != "parent":
            return depth
    return len(ruled.grid_tiers) - 1


def _down_to(ruled: RuleSet, depth: int) -> RuleSet:
    """The rules without the tiers below one; padded with tiers of areas, since a rule set has three at least."""
    grids = ruled.grid_tiers[: depth + 1]
    above = [tier for tier in ruled.tiers if tier.kind == "area"]
    while len(above) + len(grids) < 3:
        above.insert(0, Tier(1, "area", "上级", "above"))
    tiers = [replace(tier, ordinal=number) for number, tier in enumerate((*above, *grids), start=1)]
    return replace(ruled, tiers=tuple(tiers))


def _refuse_shifted(given: DivisionFile, town: Town) -> None:
    """Compare the borders with the buildings: those of a right file cut few, those of a shifted one many."""
    cells = given.grids or given.micro_grids
    houses = town["buildings"]
    if cells is None or not len(houses):
        return
    test = crs.looks_shifted(town.geo("buildings").geometry, gpd.GeoSeries(cells.ground, crs=WGS84), gain_ratio=0.05)
    if test.is_suspicious:
        raise InvalidInput(
            "take.looks_shifted", crs=given.crs, reading=test.reference_crs, percent=round(100 * test.misfit_ratio),
            best_percent=round(100 * test.best_misfit_ratio), compared=test.compared,
        )  # fmt: skip


# --- Cells of the file by communities --------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Cell:
    """A cell as the file has it."""

    label: str
    row: int | None
    code: str | None
    name: str | None
    households: int | None = None
    floors: tuple[int, int] | None = None


@dataclass(frozen=True)
class _Place:
    """Ground of one cell, or of several over one another; the grid it belongs to, by its position."""

    cells: tuple[_Cell, ...]
    grid: int
    ground: shapely.Geometry | None = None


@dataclass
class _Community:
    """What the file says of one community."""

    grids: list[_Cell] = field(default_factory=list)
    places: list[_Place] = field(default_factory=list)
    home: dict[str, int] = field(default_factory=dict)
    """Building → place, of a table."""


@dataclass(frozen=True)
class _Sorted:
    """The file by communities, whether it has micro-grids, and what was noticed."""

    communities: dict[str, _Community]
    is_micro: bool
    findings: list[Finding]


def _by_community(given: DivisionFile, town: Town, ruled: RuleSet, upper: int) -> _Sorted:
    has_micro = given.micro_grids is not None or any(line.micro for line in given.lines)
    is_micro = has_micro and len(ruled.grid_tiers) > upper + 1
    findings = list(given.findings)
    if has_micro and not is_micro:
        findings.append(Finding("take.no_micro_tier", Severity.NOTE, "micro_grids", params={"rules": ruled.name_zh}))
    if given.lines:
        made = _of_lines(given, town, findings, is_micro=is_micro)
    else:
        made = _Placing.of(given, town, findings, is_micro=is_micro).sort()
    if not made:
        raise InvalidInput("take.no_community", communities=len(town["communities"]))
    known = town["communities"]
    for code, name in zip(known["code"].astype(str), known["name"].astype(str), strict=True):
        if code not in made:
            findings.append(Finding("take.community_not_covered", Severity.NOTE, "communities", key=code,
                                    params={"name": name}))  # fmt: skip
    return _Sorted({code: made[code] for code in sorted(made)}, is_micro, findings)


def _of_lines(given: DivisionFile, town: Town, findings: list[Finding], *, is_micro: bool) -> dict[str, _Community]:
    houses = town["buildings"]
    home = dict(zip(houses["code"].astype(str), houses["community"].astype(str), strict=True))
    seen: dict[str, division_file.Line] = {}
    made: dict[str, _Community] = defaultdict(_Community)
    grids: dict[tuple[str, str], int] = {}
    places: dict[tuple[str, str, str | None], int] = {}
    across: dict[str, Counter[str]] = defaultdict(Counter)
    for line in given.lines:
        community = home.get(line.building)
        params: dict[str, Any] = {"row": line.row, "grid": line.grid}
        if community is None:
            findings.append(
                Finding("take.building_unknown", Severity.REJECTED, "buildings", line.row, line.building, params)
            )
            continue
        first = seen.setdefault(line.building, line)
        if first is not line:
            if (first.grid, first.micro) != (line.grid, line.micro):
                params |= {"first": first.row, "first_grid": first.grid}
                findings.append(
                    Finding("take.building_twice", Severity.REJECTED, "buildings", line.row, line.building, params)
                )
            continue
        of = made[community]
        across[line.grid][community] += 1
        if (community, line.grid) not in grids:
            grids[community, line.grid] = len(of.grids)
            of.grids.append(_Cell(line.grid, line.row, line.grid, line.grid_name))
        grid = grids[community, line.grid]
        micro = line.micro if is_micro else None
        if (community, line.grid, micro) not in places:
            places[community, line.grid, micro] = len(of.places)
            cell = of.grids[grid] if micro is None else _Cell(micro, line.row, micro, line.micro_name)
            of.places.append(_Place((cell,), grid))
        of.home[line.building] = places[community, line.grid, micro]
    for label, where in sorted(across.items()):
        if len(where) > 1:
            findings.append(_across(label, None, [code for code, _ in where.most_common()]))
    return made


def _across(label: str, row: int | None, codes: Sequence[str]) -> Finding:
    params = {"cell": label, "communities": list(codes), "row": row}
    return Finding("take.across", Severity.REPAIRED, "grids", row, label, params)


@dataclass(frozen=True)
class _Placing:
    """Polygons of a file over the communities, in metres."""

    given: DivisionFile
    codes: list[str]
    ground_m: Geometries
    points_m: Geometries
    lived: IntArray
    zone: int
    is_micro: bool
    findings: list[Finding]

    @classmethod
    def of(cls, given: DivisionFile, town: Town, findings: list[Finding], *, is_micro: bool) -> _Placing:
        outlines = town.geo("communities")
        zone = crs.zone_of(outlines)
        houses = town["buildings"]
        shapes = np.asarray(town.geo("buildings").geometry.to_numpy(), dtype=object) if len(houses) else _none()
        return cls(
            given, outlines["code"].astype(str).tolist(), _metric(outlines.geometry.to_numpy(), zone),
            _metric(shapely.point_on_surface(shapes), zone),
            houses["households"].fillna(0).to_numpy(dtype=np.int64), zone, is_micro, findings,
        )  # fmt: skip

    def sort(self) -> dict[str, _Community]:
        """The cells of each community."""
        made: dict[str, _Community] = defaultdict(_Community)
        grids, micro = self.given.grids, self.given.micro_grids
        position: dict[tuple[str, int], int] = {}
        if grids is None:
            if micro is None or all(parent is None for parent in micro.parent):
                raise InvalidInput("take.no_parents")
            lower = self._where(micro, "micro_grids")
            self._by_parents(micro, lower, made)
            return made
        found = self._where(grids, "grids")
        cells = _cells_of(grids)
        for number, code in found:
            position[code, number] = len(made[code].grids)
            made[code].grids.append(cells[number])
        if micro is None or not self.is_micro:
            for (code, number), grid in position.items():
                made[code].places.append(_Place((cells[number],), grid, grids.ground[number]))
            return made
        self._under_grids(grids, micro, position, made)
        return made

    def _by_parents(self, micro: Polygons, where: list[tuple[int, str]], made: dict[str, _Community]) -> None:
        """Micro-grids alone: their grids are those that they name."""
        grids: dict[tuple[str, str], int] = {}
        chosen: list[tuple[int, str, int]] = []
        for number, code in where:
            parent = micro.parent[number] or _label(micro, number)
            if (code, parent) not in grids:
                grids[code, parent] = len(made[code].grids)
                made[code].grids.append(_Cell(parent, int(micro.row[number]), parent, None))
            chosen.append((number, code, grids[code, parent]))
        self._stack(micro, chosen, made)

    def _under_grids(
        self, grids: Polygons, micro: Polygons, position: dict[tuple[str, int], int], made: dict[str, _Community]
    ) -> None:
        """Micro-grids with the grid that they name, or that holds most of them; a grid without any is one itself."""
        ground, small = _metric(grids.ground, self.zone), _metric(micro.ground, self.zone)
        names = {name: i for i in range(len(grids.row)) for name in (grids.name[i], grids.code[i]) if name}
        cell, grid = shapely.STRtree(ground).query(small, predicate="intersects")
        common = shapely.area(shapely.intersection(small[cell], ground[grid]))
        chosen: list[tuple[int, str, int]] = []
        for number, code in self._where(micro, "micro_grids"):
            here = [i for i in np.flatnonzero(cell == number) if (code, int(grid[i])) in position]
            most = max(here, key=lambda i: float(common[i]), default=None)
            said = names.get(micro.parent[number] or "")
            own = said if said is not None and (code, said) in position else None
            if own is None and most is None:
                if not _position_of(position, code):
                    continue
                own = _position_of(position, code)[0]
            at = own if own is not None else int(grid[most])
            share = sum(float(common[i]) for i in here if int(grid[i]) == at) / max(
                float(shapely.area(small[number])), 1.0
            )
            if share < 1 - MISMATCH_SHARE and float(shapely.area(small[number])) * (1 - share) > TOLD_M2:
                params = {"cell": _label(micro, number), "grid": _label(grids, at), "percent": round(100 * share),
                          "row": int(micro.row[number]), "place": _box(micro.ground[number])}  # fmt: skip
                self.findings.append(Finding("take.tiers_mismatch", Severity.REPAIRED, "micro_grids",
                                             int(micro.row[number]), _label(micro, number), params))  # fmt: skip
            chosen.append((number, code, position[code, at]))
        self._stack(micro, chosen, made)
        for (code, number), at in position.items():
            if not any(place.grid == at for place in made[code].places):
                made[code].places.append(_Place((_cells_of(grids)[number],), at, grids.ground[number]))

    def _stack(self, micro: Polygons, chosen: list[tuple[int, str, int]], made: dict[str, _Community]) -> None:
        """Put cells over one another where they have the same ground and say their floors."""
        cells = _cells_of(micro)
        stacks: dict[tuple[str, int, bytes], list[int]] = defaultdict(list)
        for number, code, grid in chosen:
            alone = b"" if micro.floors[number] else str(number).encode()
            ground = shapely.to_wkb(shapely.normalize(shapely.set_precision(micro.ground[number], 1e-6)))
            stacks[code, grid, ground + alone].append(number)
        for (code, grid, _), numbers in stacks.items():
            bands = sorted(numbers, key=lambda i: micro.floors[i] or (0, 0))
            made[code].places.append(_Place(tuple(cells[i] for i in bands), grid, micro.ground[bands[0]]))

    def _where(self, cells: Polygons, tier: str) -> list[tuple[int, str]]:
        """Which communities each cell lies in: its own, and any other of which it holds a part with people."""
        shapes = _metric(cells.ground, self.zone)
        cell, community = shapely.STRtree(self.ground_m).query(shapes, predicate="intersects")
        common = np.asarray(shapely.intersection(shapes[cell], self.ground_m[community]), dtype=object)
        area = shapely.area(common)
        houses = shapely.STRtree(self.points_m)
        piece, house = houses.query(common, predicate="intersects")
        lived = sums(piece, self.lived[house], len(common)) if len(house) else np.zeros(len(common))
        result: list[tuple[int, str]] = []
        for number in range(len(cells.row)):
            mine = np.flatnonzero((cell == number) & (area > NOTHING_M2))
            whole = max(float(shapely.area(shapes[number])), NOTHING_M2)
            if not len(mine):
                self._tell(cells, number, tier, "take.outside", Severity.REJECTED)
                continue
            mine = mine[np.argsort(-area[mine], kind="stable")]
            own = [mine[0], *(i for i in mine[1:] if area[i] > (OWN_SHARE if lived[i] else MAIN_SHARE) * whole)]
            result += [(number, self.codes[community[i]]) for i in own]
            if len(own) > 1:
                found = _across(_label(cells, number), int(cells.row[number]), [self.codes[community[i]] for i in own])
                params = {**found.params, "place": _box(cells.ground[number])}
                self.findings.append(replace(found, layer=tier, params=params))
            outside = 1 - float(area[mine].sum()) / whole
            if outside > OUTSIDE_SHARE and outside * whole > TOLD_M2:
                self._tell(cells, number, tier, "take.partly_outside", Severity.REPAIRED, percent=round(100 * outside))
        return result

    def _tell(self, cells: Polygons, number: int, tier: str, code: str, severity: Severity, **params: Any) -> None:
        label, row = _label(cells, number), int(cells.row[number])
        params |= {"cell": label, "row": row, "place": _box(cells.ground[number])}
        self.findings.append(Finding(code, severity, tier, row, label, params))


def _position_of(position: Mapping[tuple[str, int], int], code: str) -> list[int]:
    """The grids of a community, by their numbers in the file."""
    return [number for (community, number) in position if community == code]


def _none() -> Geometries:
    return np.empty(0, dtype=object)


def _metric(shapes: Any, zone: int) -> Geometries:
    placed = np.asarray(shapes, dtype=object)
    return np.asarray(shapely.transform(placed, lambda xy: crs.points_to_metric(xy, zone)), dtype=object)


def _box(shape: shapely.Geometry) -> list[float]:
    return [round(float(value), 7) for value in shapely.bounds(shape)]


def _label(cells: Polygons, number: int) -> str:
    return cells.code[number] or cells.name[number] or f"#{int(cells.row[number])}"


def _cells_of(cells: Polygons) -> list[_Cell]:
    return [
        _Cell(_label(cells, i), int(cells.row[i]), cells.code[i], cells.name[i], cells.households[i], cells.floors[i])
        for i in range(len(cells.row))
    ]


# --- The division ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Made:
    """The division that a file has become, and what each of its cells was called there, by its drawn code."""

    division: Division
    communities: list[str]
    source: Mapping[str, _Cell]

    @classmethod
    def of(cls, given: DivisionFile, town: Town, ruled: RuleSet, upper: int, watch: Watch) -> _Made:
        # Imported when a file is taken: numba is slow to load.
        from gis.partition.division_of import jobs_of, put_together, recipe_of

        sorted_ = _by_community(given, town, ruled, upper)
        depth = upper + sorted_.is_micro
        lowest = _down_to(ruled, depth)
        codes = list(sorted_.communities)
        jobs = jobs_of(town, ruled, seed=0, effort="draft", communities=codes)
        source: dict[str, _Cell] = {}
        findings, answers = list(sorted_.findings), []
        for number, job in enumerate(jobs):
            _go_on(watch, "placing", PLACING + (DIVIDING - PLACING) * number / len(jobs), number, len(jobs))
            answer, cells = _answer(job, sorted_.communities[job.code], lowest, upper)
            answers.append(answer)
            findings += answer.findings
            source |= cells
        recipe = {**recipe_of(jobs, 0, "draft"), "seed": None, "effort": "taken"}
        division = put_together([replace(one, findings=()) for one in answers], lowest, recipe)
        division = _with_lower_tiers(division, town, ruled, findings, watch)
        findings += _out_of_band(division) + _stated(division, source) + [_totals(given, sorted_, division)]
        findings += [found for found in division.findings if not found.code.startswith("partition.out_of_band.locked")]
        # A stored finding has no row of its own.
        kept = [found if found.row is None else replace(found, params={**found.params, "row": found.row})
                for found in findings]  # fmt: skip
        return cls(replace(division, rules=ruled, findings=tuple(kept)), codes, source)


def _answer(job: Any, of: _Community, lowest: RuleSet, upper: int) -> tuple[Any, dict[str, _Cell]]:
    """One community: its ground given to the cells of the file, which get codes of ours."""
    from gis.partition.cells import frame_of, parts_table, polygons_of
    from gis.partition.given import Drawn, settle_given
    from gis.partition.run import Answer

    ground = None if of.places[0].ground is None else np.array([place.ground for place in of.places], dtype=object)
    houses = job.buildings["code"].astype(str).tolist()
    home = np.array([of.home.get(code, -1) for code in houses], dtype=np.int64) if ground is None else None
    settled = settle_given(job, Drawn(ground, home, len(of.places)))
    tiers, source = _tiers(settled, of, lowest, upper)
    code_of = {cell: code for code, cell in source.items()}
    frames = tuple(frame_of(settled.site, cells) for cells in tiers)
    geometry = tuple(polygons_of(settled.site, cells) for cells in tiers)
    findings = [_told_of(found, job, of, code_of) for found in settled.noticed]
    kept = set(settled.cell.tolist())
    for number, place in enumerate(of.places):
        if number not in kept:
            cell = place.cells[0]
            box = [] if place.ground is None else _box(place.ground)
            findings.append(Finding("take.cell_empty", Severity.REJECTED, "grids", cell.row, cell.label,
                                    {"cell": cell.label, "row": cell.row, "place": box}))  # fmt: skip
    costs: tuple[Mapping[str, float], ...] = tuple({} for _ in tiers)
    parts = parts_table(settled.site, tiers[-1])
    return Answer(frames, geometry, parts, tuple(findings), costs), source


def _tiers(settled: Any, of: _Community, lowest: RuleSet, upper: int) -> tuple[list[list[Any]], dict[str, _Cell]]:
    """The cells of all given tiers, top first, and what each given one was in the file."""
    from gis.partition.cells import living
    from gis.partition.site import Cell

    site, tiers = settled.site, lowest.grid_tiers
    everything = np.arange(site.atoms)
    code, made = site.job.code, []
    for depth in range(upper):
        above = None if depth == 0 else code
        code = f"{code}{1:0{tiers[depth].code_digits}d}"
        made.append([Cell(code, above, everything, int(site.households.sum()))])
    grid_of = np.array([of.places[number].grid for number in settled.cell.tolist()], dtype=np.int64)
    numbers = np.unique(grid_of)
    middles = [_middle(site, np.flatnonzero(grid_of == number)) for number in numbers]
    codes = _coded(code, middles, [of.grids[number].code for number in numbers], tiers[upper])
    source: dict[str, _Cell] = {}
    grids, micro = [], []
    for number, own in zip(numbers.tolist(), codes, strict=True):
        atoms = np.flatnonzero(grid_of == number)
        source[own] = of.grids[number]
        grids.append(Cell(own, code if upper else None, atoms, living(site, atoms, None)))
        if len(tiers) == upper + 1:
            continue
        cells = [(atom, cell) for atom in atoms.tolist() for cell in of.places[settled.cell[atom]].cells]
        spots = [_middle(site, np.array([atom])) for atom, _ in cells]
        for below, (atom, cell) in zip(
            _coded(own, spots, [cell.code for _, cell in cells], tiers[upper + 1]), cells, strict=True
        ):
            source[below] = cell
            stacked = len(of.places[settled.cell[atom]].cells) > 1
            floors = cell.floors if stacked else None
            here = np.array([atom])
            micro.append(Cell(below, own, here, living(site, here, floors), floors))
    made.append(grids)
    return ([*made, micro] if len(tiers) > upper + 1 else made), source


def _middle(site: Any, atoms: IntArray) -> np.ndarray[Any, Any]:
    return np.average(site.ground.middle_m[atoms], axis=0, weights=site.ground.area_m2[atoms])


def _coded(parent: str, middles: Sequence[Any], wishes: Sequence[str | None], tier: Tier) -> list[str]:
    """Codes under a parent: of the file where they are of our form, the others in reading order."""
    from gis.partition.cells import reading_order

    digits = max(tier.code_digits, len(str(len(wishes))))
    codes: list[str | None] = [None] * len(wishes)
    taken: set[str] = set()
    for i, wish in enumerate(wishes):
        number = (wish or "").removeprefix(parent)
        fits = wish is not None and wish == parent + number and len(number) == digits and number.isdecimal()
        if wish is not None and fits and int(number) > 0 and wish not in taken:
            codes[i] = wish
            taken.add(wish)
    free = (f"{parent}{n:0{digits}d}" for n in range(1, 10**digits))
    for i in reading_order(np.array(middles)):
        if codes[i] is None:
            codes[i] = next(code for code in free if code not in taken)
    return [str(code) for code in codes]


def _told_of(found: Any, job: Any, of: _Community, code_of: Mapping[_Cell, str]) -> Finding:
    """What was noticed of a community's ground, with codes, rows and the place in degrees."""
    params: dict[str, Any] = dict(found.params)
    key = None
    for name, number in (("cell", found.cell), ("other", found.other)):
        if number is not None:
            cell = of.places[number].cells[0]
            params[name] = cell.label
            if name == "cell":
                params["row"] = cell.row
                key = code_of.get(cell, cell.label)
    if found.building is not None:
        params["building"] = key = str(job.buildings["code"].iloc[found.building])
    if found.place is not None:
        params["place"] = _box(crs.geometries_to_wgs84(np.array([found.place], dtype=object), f"EPSG:{job.zone}")[0])
    layer = "buildings" if found.building is not None else "grids"
    return Finding(found.code, found.severity, layer, params.get("row"), key, params)


def _with_lower_tiers(
    division: Division, town: Town, ruled: RuleSet, findings: list[Finding], watch: Watch
) -> Division:
    """The tiers that the file has not, made by the partitioner inside each cell, which stays as it is."""
    from gis.partition import divide
    from gis.partition.redraw import Locks

    if len(division.cells) == len(ruled.grid_tiers):
        return division
    codes = tuple(division.cells[-1]["code"].astype(str))
    lowest = division.rules.grid_tiers[-1]
    locks = Locks(grids=codes) if lowest.kind == "grid" else Locks(micro_grids=codes)
    communities = sorted(set(division.cells[0]["community"].astype(str)))
    _go_on(watch, "dividing", DIVIDING, 0, len(communities))
    whole = divide(
        town, ruled, communities=communities, previous=division, stability=1.0, locks=locks, processes=1,
        progress=lambda done, total, _: watch.tell("dividing", DIVIDING + (STORING - DIVIDING) * done / total, done,
                                                   total),
        cancelled=watch.cancelled,
    )  # fmt: skip
    below = ruled.grid_tiers[len(division.cells) :]
    findings.append(
        Finding("take.tiers_made", Severity.NOTE, "micro_grids",
                params={"tiers": [tier.name_zh for tier in below], "cells": len(whole.cells[-1])})
    )  # fmt: skip
    return whole


def _out_of_band(division: Division) -> list[Finding]:
    """Cells of the file's tiers that are out of their band."""
    from gis.partition.objectives import Limits

    found = []
    known = {finding.key for finding in division.findings if finding.code.startswith("partition.out_of_band.")
             and not finding.code.endswith(".locked")}  # fmt: skip
    for tier, cells in zip(division.rules.grid_tiers, division.cells, strict=True):
        limits = Limits.of(tier) if tier.cell_of == "band" else None
        for code, households in zip(cells["code"].astype(str), cells["households"].astype(int), strict=True):
            if limits is not None and not limits.holds(households) and code not in known:
                params = {"households": households, "low": tier.households_min, "high": tier.households_max}
                found.append(Finding("partition.out_of_band.as_given", Severity.NOTE, tier.name_zh, None, code, params))
    return found


def _stated(division: Division, source: Mapping[str, _Cell]) -> list[Finding]:
    """Cells whose households in the file differ from those of their buildings."""
    found = []
    for cells in division.cells:
        for code, households in zip(cells["code"].astype(str), cells["households"].astype(int), strict=True):
            cell = source.get(code)
            if cell is None or cell.households is None:
                continue
            if abs(cell.households - households) > max(DIFFERENT_LEAST, DIFFERENT_RATIO * households):
                params = {"cell": cell.label, "row": cell.row, "stated": cell.households, "households": households}
                found.append(Finding("take.households_differ", Severity.NOTE, "grids", cell.row, code, params))
    return found


def _totals(given: DivisionFile, sorted_: _Sorted, division: Division) -> Finding:
    """Rows and households of the file beside those of the draft."""
    cells = given.grids or given.micro_grids
    stated = [n for n in (cells.households if cells else [line.households for line in given.lines]) if n is not None]
    rows = len(given.lines) or sum(len(one.row) for one in (given.grids, given.micro_grids) if one is not None)
    params = {
        "rows": rows, "communities": len(sorted_.communities),
        "cells": [len(frame) for frame in division.cells], "buildings": int(division.parts["building"].nunique()),
        "households": int(division.parts["households"].sum()), "stated": sum(stated) if stated else "–",
    }  # fmt: skip
    return Finding("take.totals", Severity.NOTE, "plan", params=params)


# --- Names -----------------------------------------------------------------------------------------------------------


def _name(session: Session, plan_id: int, made: _Made) -> None:
    """Give stored cells the names of the file, and tell where a code of the file could not be kept."""
    # In the order in which they were inserted, tier by tier, which renaming has not changed.
    rows = session.execute(_CELLS, {"plan": plan_id}).all()
    drawn = [str(code) for cells in made.division.cells for code in cells["code"]]
    if len(rows) != len(drawn):
        raise WrongState("plan.not_draft", plan=plan_id, status="changed")
    names, changed = [], []
    for row, code in zip(rows, drawn, strict=True):
        cell = made.source.get(code)
        if cell is None:
            continue
        kept = cell.code is None or row.code == cell.code
        name = cell.name or (None if kept else cell.code)
        if name is not None:
            names.append({"id": row.id, "name": name[:200]})
        if not kept:
            changed.append({"plan": plan_id, "key": row.code, "cell": cell.code, "row": cell.row})
    if names:
        session.execute(text("UPDATE grid SET name = :name WHERE id = :id"), names)
    if changed:
        session.execute(_CODE_CHANGED, changed)
    session.expire_all()


_CELLS = text("SELECT id, code FROM grid WHERE plan_id = :plan ORDER BY grid_depth, id")
_CODE_CHANGED = text(
    """
    INSERT INTO plan_finding (plan_id, code, severity, layer, key, params)
    VALUES (:plan, 'take.code_changed', 'repaired', 'grids', :key,
            jsonb_build_object('cell', CAST(:cell AS text), 'row', CAST(:row AS int)))
    """
)


def as_dict(taken: Taken, *, language: str) -> dict[str, Any]:
    """The outcome as plain values, its findings with their sentences."""
    return {**asdict(taken), "findings": told(taken.findings, language=language)}
