"""A throw-away database with a made-up town as a published plan: what online, tile, live and search benches run on.

Communities of some thirty grids under one street, a rule set, buildings that lie wholly in their micro-grids, one
person for each post of a cell, and an account for each of two kinds of callers: one who sees all, one who sees half.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import psycopg
import shapely
from numpy.typing import NDArray
from psycopg import sql
from scipy.spatial import cKDTree
from sqlalchemy import Engine, text
from sqlalchemy.orm import Session

from gis import accounts, buildings, embedded, plans, rules
from gis.db import make_engine, migrate, unit_of_work
from gis.models import AdminArea, PostRow, TierRow
from gis.permissions import SYSTEM, Role
from gis.plan_storing import copy_rows, next_ids
from gis.rule_set import load_preset
from gis.settings import Settings
from scripts.bench_coverage import Coverage, coverage

GRIDS_OF_A_COMMUNITY = 30
BUILDING_M = 12.0
HOUSEHOLDS = 10
METRES_PER_DEGREE = 111_320.0
_BEFORE = timedelta(days=100)

Geometries = NDArray[np.object_]


@dataclass(frozen=True)
class BenchDatabase:
    """A filled database and who may ask.

    Attributes
    ----------
    url : str
    engine : Engine
    coverage : Coverage
    micro_ids : array of int, shape (micro_grids,)
        Ids in the plan in force, by the numbers of the coverage.
    plan_id : int
    tokens : dict of str to str
        Session tokens of ``all`` and ``half``, who sees every second community.
    paths : list of str
        Of the communities.
    """

    url: str
    engine: Engine
    coverage: Coverage
    micro_ids: NDArray[np.int64]
    plan_id: int
    tokens: dict[str, str]
    paths: list[str]


@dataclass(frozen=True)
class _Ground:
    """What the coverage becomes: communities and grids whose micro-grids hang together."""

    micro: Geometries
    communities: Geometries
    community_of: NDArray[np.int64]


@contextmanager
def bench_database(
    settings: Settings, *, grids: int = 600, buildings_of_a_cell: int = 7, seed: int = 1
) -> Iterator[BenchDatabase]:
    """Make the database in the embedded cluster, yield it, drop it."""
    name = f"bench_{secrets.token_hex(6)}"
    url = embedded.ensure(settings.home, database=name)
    engine = make_engine(url, statement_timeout_s=3600)
    try:
        migrate(engine)
        yield fill(engine, url, coverage(grids, seed=seed), buildings_of_a_cell=buildings_of_a_cell)
    finally:
        engine.dispose()
        server = embedded.ensure(settings.home, database="wangge")
        with psycopg.connect(server, autocommit=True) as connection:
            ended = "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = %s AND usename = user"
            connection.execute(ended, [name])
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {}").format(sql.Identifier(name)))


def fill(engine: Engine, url: str, town: Coverage, *, buildings_of_a_cell: int = 7) -> BenchDatabase:
    """Put a coverage into an empty, migrated database as the plan in force."""
    now = datetime.now(UTC)
    ground = _ground(town)
    with unit_of_work(engine) as session:
        session.execute(text("SET LOCAL statement_timeout = 0"))
        street, ids, paths = _store_areas(session, ground.communities)
        rule_set = load_preset("bishan")
        rules_id = rules.store(
            session, rule_set, area_id=street, valid_from=date(2020, 1, 1), actor=SYSTEM, now=now - _BEFORE
        ).id
        _store_buildings(session, ground, ids, buildings_of_a_cell)
        buildings.sync_parts(session, now=now - _BEFORE)
    with unit_of_work(engine) as session:
        session.execute(text("SET LOCAL statement_timeout = 0"))
        plan_id, micro_ids = _draft(session, town, ground, street, rules_id, ids, now=now, seed=1)
        _publish_at_once(session, plan_id, at=now - _BEFORE)
        _store_people(session, plan_id, rules_id, ids, at=now - _BEFORE)
        tokens = _accounts(session, ids, now=now)
    _analyze(engine)
    return BenchDatabase(url, engine, town, micro_ids, plan_id, tokens, paths)


def _analyze(engine: Engine) -> None:
    """What the server does by itself within a minute."""
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("ANALYZE"))


def draft_again(of: BenchDatabase, *, seed: int = 2) -> int:
    """Draft another plan for the same ground: other grids of the same micro-grids. Gives its id."""
    now = datetime.now(UTC)
    with unit_of_work(of.engine) as session:
        session.execute(text("SET LOCAL statement_timeout = 0"))
        row = session.execute(text("SELECT area_id, rule_set_id FROM plan WHERE id = :id"), {"id": of.plan_id}).one()
        found = session.execute(text("SELECT id FROM admin_area WHERE level = 'community' ORDER BY id"))
        ids = np.array(found.scalars().all(), dtype=np.int64)
        ground = _ground(of.coverage)
        plan_id = _draft(session, of.coverage, ground, row.area_id, row.rule_set_id, ids, now=now, seed=seed)[0]
    _analyze(of.engine)
    return plan_id


def publish(of: BenchDatabase, plan_id: int, *, is_checked: bool = True) -> datetime:
    """Publish a draft as planners do; unchecked, as a whole city's where the check of the ground takes minutes."""
    now = datetime.now(UTC)
    with unit_of_work(of.engine) as session:
        session.execute(text("SET LOCAL statement_timeout = 0"))
        if is_checked:
            plans.publish(session, plan_id, actor=SYSTEM, now=now)
        else:
            _publish_at_once(session, plan_id, at=now)
            session.execute(text("SELECT pg_notify('wangge_plan', :id)"), {"id": str(plan_id)})
    return datetime.now(UTC)


def _ground(town: Coverage) -> _Ground:
    """Communities: micro-grids by the nearest of fewer seeds, each in one piece."""
    count = max(1, round(len(town.grids) / GRIDS_OF_A_COMMUNITY))
    of = _grouped(town.micro_grids, np.zeros(len(town.micro_grids), dtype=np.int64), count, seed=11)
    return _Ground(town.micro_grids, _unions(town.micro_grids, of), of)


def _grouped(micro: Geometries, within: NDArray[np.int64], count: int, *, seed: int) -> NDArray[np.int64]:
    """Number micro-grids by the nearest of ``count`` random ones; what is not in one piece becomes several groups."""
    middles = shapely.get_coordinates(shapely.centroid(micro))
    random = np.random.default_rng(seed)
    _, nearest = cKDTree(middles[random.choice(len(micro), min(count, len(micro)), replace=False)]).query(middles)
    _, first = np.unique(np.column_stack((within, nearest)), axis=0, return_inverse=True)
    pieces = _pieces(micro, first.reshape(-1))
    _, groups = np.unique(np.column_stack((first.reshape(-1), pieces)), axis=0, return_inverse=True)
    return np.asarray(groups.reshape(-1), dtype=np.int64)


def _pieces(micro: Geometries, group: NDArray[np.int64]) -> NDArray[np.int64]:
    """Which micro-grids of a group hang together by borders, not by corners alone."""
    pieces = np.zeros(len(micro), dtype=np.int64)
    order = np.argsort(group, kind="stable")
    for members in np.split(order, np.flatnonzero(np.diff(group[order])) + 1):
        whole = shapely.coverage_union_all(micro[members])
        parts = shapely.get_parts(whole)
        if len(parts) > 1:
            inner = shapely.point_on_surface(micro[members])
            for number, part in enumerate(parts):
                shapely.prepare(part)
                pieces[members[shapely.intersects(part, inner)]] = number
    return pieces


def _unions(micro: Geometries, group: NDArray[np.int64]) -> Geometries:
    order = np.argsort(group, kind="stable")
    starts = np.flatnonzero(np.diff(group[order])) + 1
    return np.array([shapely.coverage_union_all(members) for members in np.split(micro[order], starts)], dtype=object)


def _store_areas(session: Session, communities: Geometries) -> tuple[int, NDArray[np.int64], list[str]]:
    county = AdminArea(level="county", code="320299", name="压测区")
    session.add(county)
    session.flush()
    session.refresh(county)
    street = AdminArea(level="street", code="320299001", name="压测街道", parent_id=county.id, parent_path=county.path)
    session.add(street)
    session.flush()
    session.refresh(street)
    ids = next_ids(session, "admin_area", len(communities))
    codes = [f"320299001{n + 1:04d}" for n in range(len(communities))]
    rows = zip(
        ids, ["community"] * len(ids), codes, [f"社区{n + 1}" for n in range(len(ids))], [street.id] * len(ids),
        [street.path] * len(ids), _ewkb(communities), strict=True,
    )  # fmt: skip
    copy_rows(session, "admin_area", "id, level, code, name, parent_id, parent_path, geom", rows)
    return street.id, np.array(ids, dtype=np.int64), [f"{street.path}.{code}" for code in codes]


def _store_buildings(session: Session, ground: _Ground, communities: NDArray[np.int64], each: int) -> None:
    """Squares at random places of the micro-grids, wholly inside."""
    random = np.random.default_rng(5)
    half = BUILDING_M / 2 / METRES_PER_DEGREE
    inner = shapely.buffer(ground.micro, -1.6 * half)
    inner = np.where(shapely.is_empty(inner), None, inner)
    owner = np.flatnonzero(~shapely.is_missing(inner))
    west, south, east, north = shapely.bounds(inner[owner]).T
    at: list[Any] = []
    of: list[Any] = []
    left = np.full(len(owner), each)
    for _ in range(12):
        wanted = np.flatnonzero(left > 0)
        share = random.random((len(wanted), 2))
        points = np.column_stack((west, south))[wanted] + share * np.column_stack((east - west, north - south))[wanted]
        hit = shapely.intersects_xy(inner[owner[wanted]], points[:, 0], points[:, 1])
        at.append(points[hit])
        of.append(owner[wanted[hit]])
        left[wanted[hit]] -= 1
    middles, micro = np.concatenate(at), np.concatenate(of)
    shapes = shapely.box(*(middles - half).round(7).T, *(middles + half).round(7).T)
    ids = next_ids(session, "building", len(micro))
    number = np.arange(len(micro))
    rows = zip(
        ids, communities[ground.community_of[micro]].tolist(), [f"B{n:08d}" for n in number],
        [f"压测路{n // 100 + 1}号{n % 100 + 1}栋" for n in number], [6] * len(ids), [2] * len(ids),
        [HOUSEHOLDS] * len(ids), _ewkb(shapes), strict=True,
    )  # fmt: skip
    copy_rows(session, "building", "id, area_id, code, address, floors, units, households, geom", rows)


def _draft(
    session: Session,
    town: Coverage,
    ground: _Ground,
    street: int,
    rules_id: int,
    communities: NDArray[np.int64],
    *,
    now: datetime,
    seed: int,
) -> tuple[int, NDArray[np.int64]]:
    plan = plans.create_draft(
        session, area_id=street, rule_set_id=rules_id, community_ids=communities.tolist(), title=f"压测方案{seed}",
        actor=SYSTEM, now=now,
    )  # fmt: skip
    grid_of = _grouped(ground.micro, ground.community_of, len(town.grids), seed=20 + seed)
    grids = _unions(ground.micro, grid_of)
    _, first = np.unique(grid_of, return_index=True)
    grid_community = ground.community_of[first]
    grid_number = _counted(grid_community)
    grid_codes = [
        f"320299001{c + 1:04d}{n + 1:03d}"
        for c, n in zip(grid_community.tolist(), grid_number.tolist(), strict=True)
    ]  # fmt: skip
    micro_codes = [
        f"{grid_codes[g]}{n + 1:03d}" for g, n in zip(grid_of.tolist(), _counted(grid_of).tolist(), strict=True)
    ]
    held = _held(session, ground.micro)
    grid_ids = _store_cells(
        session, plan.id, rules_id, 1, None, communities[grid_community], grid_codes, grids,
        np.bincount(grid_of, weights=held[0], minlength=len(grids)).astype(int),
        np.bincount(grid_of, weights=held[1], minlength=len(grids)).astype(int),
    )  # fmt: skip
    micro_ids = _store_cells(
        session, plan.id, rules_id, 2, grid_ids[grid_of], communities[ground.community_of], micro_codes, ground.micro,
        *held,
    )  # fmt: skip
    session.execute(_PLACE_PARTS, {"plan": plan.id})
    return plan.id, micro_ids


def _held(session: Session, micro: Geometries) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Households and buildings of each micro-grid."""
    rows = session.execute(text("SELECT ST_X(p) AS x, ST_Y(p) AS y FROM building, ST_Centroid(geom) AS p")).all()
    points = shapely.points(np.array([(row.x, row.y) for row in rows]).reshape(-1, 2))
    cells, _ = shapely.STRtree(points).query(micro, predicate="covers")
    counts = np.bincount(cells, minlength=len(micro)).astype(np.int64)
    return counts * HOUSEHOLDS, counts


def _counted(group: NDArray[np.int64]) -> NDArray[np.int64]:
    """A number from 0 for each member of its group."""
    order = np.argsort(group, kind="stable")
    begins = np.searchsorted(group[order], group[order])
    numbers = np.empty(len(group), dtype=np.int64)
    numbers[order] = np.arange(len(group)) - begins
    return numbers


def _store_cells(
    session: Session,
    plan_id: int,
    rules_id: int,
    depth: int,
    parents: NDArray[np.int64] | None,
    communities: NDArray[np.int64],
    codes: list[str],
    shapes: Geometries,
    households: NDArray[np.int64],
    count: NDArray[np.int64],
) -> NDArray[np.int64]:
    ids = next_ids(session, "grid", len(codes))
    n = len(ids)
    area_m2 = shapely.area(shapes) * METRES_PER_DEGREE**2 * np.cos(np.radians(31.5))
    rows = zip(
        ids, [plan_id] * n, communities.tolist(), [rules_id] * n, [depth] * n,
        [None] * n if parents is None else parents.tolist(), codes, households.tolist(), count.tolist(),
        area_m2.tolist(), (np.arange(n) % 8).tolist(), _ewkb(shapes), strict=True,
    )  # fmt: skip
    columns = (
        "id, plan_id, community_id, rule_set_id, grid_depth, parent_id, code, households, buildings, area_m2,"
        " color_index, geom"
    )
    copy_rows(session, "grid", columns, rows)
    return np.array(ids, dtype=np.int64)


def _publish_at_once(session: Session, plan_id: int, *, at: datetime) -> None:
    """What publication writes, without its checks and without what it carries over from the plan before."""
    session.execute(_REGISTER, {"plan": plan_id, "at": at})
    session.execute(_CLOSE, {"plan": plan_id, "at": at})
    session.execute(
        text(
            "UPDATE plan SET status = 'published', effective_from = :at, published_at = :at, published_by = 'bench'"
            " WHERE id = :plan"
        ),
        {"plan": plan_id, "at": at},
    )
    session.execute(_OPEN, {"plan": plan_id, "at": at})


def _store_people(
    session: Session, plan_id: int, rules_id: int, communities: NDArray[np.int64], *, at: datetime
) -> None:
    posts = {
        post.code: post.id
        for post in session.query(PostRow).join(TierRow, TierRow.id == PostRow.tier_id).filter_by(rule_set_id=rules_id)
    }
    cells = session.execute(
        text("SELECT id, grid_depth FROM grid WHERE plan_id = :plan ORDER BY id"), {"plan": plan_id}
    )
    held = [
        (posts["grid_officer" if row.grid_depth == 1 else "micro_grid_leader"], row.id, None) for row in cells.all()
    ]
    held += [(posts["community_secretary"], None, area) for area in communities.tolist()]
    ids = next_ids(session, "staff", len(held))
    people = ((one, f"S{n:07d}", f"员{n}", f"138{n:08d}") for n, one in enumerate(ids))
    copy_rows(session, "staff", "id, code, name, phone", people)
    single = {row.id: row.is_single for row in session.execute(text("SELECT id, is_single FROM post"))}
    span = f"[{at.isoformat()},)"
    rows = ((one, post, single[post], cell, area, span) for one, (post, cell, area) in zip(ids, held, strict=True))
    copy_rows(session, "assignment", "staff_id, post_id, is_single, grid_id, area_id, valid_during", rows)


def _accounts(session: Session, communities: NDArray[np.int64], *, now: datetime) -> dict[str, str]:
    tokens = {}
    for name, areas in (("all", [None]), ("half", communities[::2].tolist())):
        password = secrets.token_urlsafe(12)
        accounts.create_user(
            session, username=f"bench-{name}", name=name, password=password, actor=SYSTEM, now=now - _BEFORE,
            must_change_password=False,
        )  # fmt: skip
        for area in areas:
            accounts.grant(
                session, username=f"bench-{name}", role=Role.DISPATCHER, area_id=area, actor=SYSTEM, now=now - _BEFORE
            )
        tokens[name] = accounts.sign_in(session, username=f"bench-{name}", password=password, now=now)[0]
    return tokens


def _ewkb(shapes: Geometries) -> list[str]:
    multi = shapes.copy()
    single = shapely.get_type_id(shapes) == shapely.GeometryType.POLYGON
    multi[single] = shapely.multipolygons(shapes[single].reshape(-1, 1))
    hexes: list[str] = shapely.to_wkb(shapely.set_srid(multi, 4326), hex=True, include_srid=True).tolist()
    return hexes


# Each building lies in one micro-grid: its one part goes there.
_PLACE_PARTS = text(
    """
    INSERT INTO grid_part (
        plan_id, building_part_id, grid_id, grid_depth, building_id, unit_span, floor_span, households
    )
    SELECT :plan, p.id, g.id, g.grid_depth, b.id, p.unit_span, p.floor_span, p.households
    FROM grid AS g
    INNER JOIN building AS b ON ST_Intersects(g.geom, ST_Centroid(b.geom)) AND g.geom && b.geom
    INNER JOIN building_part AS p ON p.building_id = b.id
    WHERE g.plan_id = :plan AND g.grid_depth = 2
    """
)

_REGISTER = text(
    """
    INSERT INTO grid_code (scheme, value, community_id, given_at, given_by_plan_id)
    SELECT 'wangge', code, community_id, :at, :plan FROM grid WHERE plan_id = :plan
    ON CONFLICT DO NOTHING
    """
)
_CLOSE = text(
    """
    UPDATE plan_community SET in_force_during = tstzrange(lower(in_force_during), :at)
    WHERE upper_inf(in_force_during) AND NOT isempty(in_force_during) AND plan_id <> :plan
    """
)
_OPEN = text("UPDATE plan_community SET in_force_during = tstzrange(:at, NULL) WHERE plan_id = :plan")
