"""Take a town into the database: one transaction, the same town twice changes nothing.

A row is known by its code (barriers and ground by what they say), keeps its id, and is changed where the town says
something else. What the town leaves out stays: a missing value says nothing, a missing row removes nothing, and an
estimate never replaces a count. Every building gets one whole part; cutting it is the business of plans.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import pandas as pd
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from gis import search_index
from gis.buildings import sync_parts
from gis.db import audit, translate
from gis.findings import Finding, Severity
from gis.intake import complete, prepare
from gis.models import ImportRun
from gis.permissions import Action, Actor, require
from gis.roster import store_assignments
from gis.staging import staged
from gis.town import AREA_LEVELS, LAYERS, Town

__all__ = ["Counts", "IngestReport", "complete", "prepare", "store"]

_LOCK = 7_306_812  # imports wait for one another; any number of our own
_FINDINGS_KEPT = 10_000


_Touch = tuple[Action, str | None]


@dataclass(frozen=True, slots=True)
class Counts:
    """What became of the rows of one layer."""

    inserted: int = 0
    updated: int = 0
    unchanged: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(self.inserted + other.inserted, self.updated + other.updated, self.unchanged + other.unchanged)


@dataclass(frozen=True)
class IngestReport:
    """What an import did.

    Attributes
    ----------
    counts : mapping of layer to Counts
    findings : tuple of Finding
        Rows that the database could not place: kept out, each with its reason.
    import_run_id : int
    """

    counts: Mapping[str, Counts]
    findings: tuple[Finding, ...]
    import_run_id: int


@dataclass(frozen=True)
class _Target:
    """How a staged layer ``s`` goes into its table: the value of each column, from ``s``, ``old`` and the joins."""

    table: str
    columns: Mapping[str, str]
    joins: str = ""
    key: str = "code"


def _kept(*names: str) -> dict[str, str]:
    return {name: f"coalesce(s.{name}, old.{name})" for name in names}


_IN_COMMUNITY = "JOIN admin_area community ON community.code = s.community AND community.level = 'community'"

_TARGETS: Mapping[str, _Target] = {
    "compounds": _Target(
        "compound",
        {
            "area_id": "community.id",
            **_kept("name", "name_en", "is_walled", "geom"),
            "housing_class": "coalesce(s.housing_class, old.housing_class, 'unknown')",
        },
        _IN_COMMUNITY,
    ),
    "buildings": _Target(
        "building",
        {
            "area_id": "community.id",
            "compound_id": "coalesce(compound.id, old.compound_id)",
            **_kept("name", "address", "floors", "units", "height_m", "geom"),
            "use": "coalesce(s.use, old.use, CASE WHEN s.households > 0 THEN 'residential' ELSE 'other' END)",
            "households": "CASE WHEN s.keeps THEN old.households ELSE coalesce(s.households, old.households, 0) END",
            "households_estimated": "CASE WHEN s.keeps THEN old.households_estimated"
            " ELSE coalesce(s.households_estimated, old.households_estimated, false) END",
            "units_estimated": "coalesce(s.units_estimated, old.units_estimated, false)",
        },
        f"{_IN_COMMUNITY} LEFT JOIN compound ON compound.code = s.compound",
    ),
    "barriers": _Target(
        "barrier",
        {"kind": "s.kind", "name": "s.name", "is_bridge": "coalesce(s.is_bridge, false)", "geom": "s.geom"},
        key="fingerprint",
    ),
    "ground": _Target("ground", {"kind": "s.kind", "name": "s.name", "geom": "s.geom"}, key="fingerprint"),
    "pois": _Target(
        "poi",
        {"kind": "s.kind", **_kept("name", "geom"), "compound_id": "coalesce(compound.id, old.compound_id)"},
        "LEFT JOIN compound ON compound.code = s.compound",
    ),
    "departments": _Target(
        "department",
        {**_kept("name", "name_en"), "area_id": "coalesce(area.id, old.area_id)"},
        "LEFT JOIN admin_area area ON area.code = s.area",
    ),
    "staff": _Target(
        "staff",
        {**_kept("name", "phone"), "department_id": "coalesce(department.id, old.department_id)"},
        "LEFT JOIN department ON department.code = s.department",
    ),
}

_FINGERPRINT = "md5(s.kind || '|' || coalesce(s.name, '') || '|' || md5(ST_AsBinary(s.geom)))"

# An area's own columns; its parent's path comes along because both are one key.
_AREA = _Target(
    "admin_area",
    {
        "level": "s.level",
        "name": "coalesce(s.name, old.name, s.code)",
        **_kept("name_en", "geom"),
        "parent_id": "coalesce(parent.id, old.parent_id)",
        "parent_path": "coalesce(parent.path, old.parent_path)",
        "source": "coalesce(old.source, s.source)",
    },
    "LEFT JOIN admin_area parent ON parent.code = s.parent",
)


def store(
    session: Session,
    town: Town,
    *,
    actor: Actor,
    now: datetime,
    source: str | None = None,
    digest: str | None = None,
    findings: Sequence[Finding] = (),
) -> IngestReport:
    """The town's rows are in the database, and an import run and the audit log say so.

    Parameters
    ----------
    session : Session
        Its transaction takes all or nothing; the caller commits.
    town : Town
        Cleaned (`gis.cleaning.clean`); any layers may be absent.
    actor : Actor
        Needs `Action.IMPORT_DATA` in every area that the town touches, and `Action.EDIT_STAFF` for people.
    now : datetime
        Aware. From when new building parts and posts without a date hold.
    source, digest : str, optional
        Name and checksum of what was read, for the record.
    findings : sequence of Finding
        What reading and cleaning noticed, for the record.

    Raises
    ------
    NotAllowed
        ``access.not_allowed``.
    GridError
        What the database refuses, by its code.
    """
    try:
        return _store(session, town, actor, now, source or town.title or "?", digest, findings)
    except DBAPIError as error:
        raise translate(error) from error


def _store(
    session: Session,
    town: Town,
    actor: Actor,
    now: datetime,
    source: str,
    digest: str | None,
    findings: Sequence[Finding],
) -> IngestReport:
    session.execute(text("SET LOCAL statement_timeout = 0"))
    session.execute(text("SET LOCAL lock_timeout = 0"))
    session.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
    run = ImportRun(source=source, digest=digest, actor=actor.name, started_at=now)
    session.add(run)
    session.flush()
    counts: dict[str, Counts] = {}
    left_out: list[Finding] = []
    touched: set[_Touch] = set()
    _store_areas(session, town, counts, left_out, touched, source)
    for layer in ("compounds", "buildings", "barriers", "ground", "pois", "departments", "staff"):
        if len(town[layer]):
            _store_layer(session, layer, town[layer], counts, left_out, touched)
    if len(town["buildings"]):
        sync_parts(session, now=now)
    if len(town["assignments"]):
        made, more, paths = store_assignments(session, town["assignments"], now=now)
        counts["assignments"] = Counts(*made)
        left_out += more
        touched |= {(Action.EDIT_STAFF, path) for path in paths}
    for action, path in sorted(touched, key=str):
        require(actor, action, path)
    if not touched:
        require(actor, Action.IMPORT_DATA, None)
    search_index.work_off(session)
    _record(session, run, counts, (*findings, *left_out), actor, now)
    return IngestReport(counts, tuple(left_out), run.id)


def _record(
    session: Session,
    run: ImportRun,
    counts: Mapping[str, Counts],
    findings: Sequence[Finding],
    actor: Actor,
    now: datetime,
) -> None:
    run.state, run.finished_at = "done", now
    run.counts = {
        layer: {"inserted": count.inserted, "updated": count.updated, "unchanged": count.unchanged}
        for layer, count in counts.items()
    }
    run.findings = [
        {
            "code": found.code,
            "severity": str(found.severity),
            "layer": found.layer,
            "row": found.row,
            "key": found.key,
            "params": found.params,
        }
        for found in findings[:_FINDINGS_KEPT]
    ]
    audit(
        session,
        "import.store",
        subject=f"import_run:{run.id}",
        actor=actor,
        now=now,
        details={"source": run.source, "counts": run.counts, "findings": len(findings)},
    )
    session.flush()


# --- Areas -----------------------------------------------------------------------------------------------------------


def _store_areas(
    session: Session, town: Town, counts: dict[str, Counts], left_out: list[Finding], touched: set[_Touch], source: str
) -> None:
    """The tree from the top down, so that each row finds its parent's path."""
    for level in AREA_LEVELS:
        layer = "communities" if level == "community" else "areas"
        frame = town[layer] if level == "community" else town["areas"][town["areas"]["level"] == level]
        if not len(frame):
            continue
        with staged(session, layer, frame) as table:
            session.execute(text(f"ALTER TABLE {table} ADD COLUMN IF NOT EXISTS level text, ADD COLUMN source text"))
            session.execute(
                text(f"UPDATE {table} SET level = :level, source = :source"), {"level": level, "source": source}
            )
            session.execute(text(_FIND_PARENT.format(table=table)))
            if level == "community":
                left_out += _give_parent(session, table, town.title or source)
            left_out += _without(session, table, layer, _PARENTLESS.format(table=table), "import.unknown_parent")
            counts[layer] = counts.get(layer, Counts()) + _upsert(session, table, _AREA)
            paths = f"SELECT a.path::text FROM admin_area a JOIN {table} s USING (code)"
            touched |= {(Action.IMPORT_DATA, path) for path in session.scalars(text(paths))}


# The parent by its code; by its name where only one area is called so; by the front of the area's own code, which in
# the statistical codes is the code of the area above; or, if nothing is said, the only area above that came along.
_FIND_PARENT = """
UPDATE {table} s SET parent = coalesce(
    (SELECT a.code FROM admin_area a WHERE a.code = s.parent),
    (SELECT min(a.code) FROM admin_area a WHERE a.name = s.parent HAVING count(*) = 1),
    CASE WHEN s.parent IS NULL AND NOT EXISTS (SELECT FROM admin_area o WHERE o.code = s.code) THEN
        (SELECT max(a.code) FROM admin_area a
         WHERE s.code ~ '^[0-9]+$' AND length(s.code) IN (6, 9, 12)
           AND rtrim(a.code, '0') <> '' AND a.code IN (
               left(s.code, length(s.code) - 3), left(s.code, length(s.code) - 3) || '000',
               left(s.code, length(s.code) - 2), left(s.code, length(s.code) - 2) || '00')
           AND a.code <> s.code) END,
    s.parent)
"""
_PARENTLESS = """
SELECT s.row, s.code, jsonb_build_object('parent', s.parent) FROM {table} s
WHERE s.parent IS NOT NULL AND NOT EXISTS (SELECT FROM admin_area a WHERE a.code = s.parent
    AND a.level = CASE s.level WHEN 'community' THEN 'street' WHEN 'street' THEN 'county' WHEN 'county' THEN 'city' END)
"""


_ORPHANS = """
UPDATE {table} s SET parent = :code WHERE s.parent IS NULL
    AND NOT EXISTS (SELECT FROM admin_area o WHERE o.code = s.code AND o.parent_id IS NOT NULL)
"""


def _give_parent(session: Session, table: str, title: str) -> list[Finding]:
    """Put communities of which nobody says where they belong under one street: a plan lies under one area."""
    code = re.sub(r"\W+", "_", title, flags=re.ASCII).strip("_").lower() or "town"
    moved = session.execute(text(_ORPHANS.format(table=table)), {"code": code})
    if not int(getattr(moved, "rowcount", 0)):
        return []
    session.execute(
        text(
            "INSERT INTO admin_area (level, code, name, source) VALUES ('street', :code, :title, :title)"
            " ON CONFLICT (code) DO NOTHING"
        ),
        {"code": code, "title": title},
    )
    return [Finding("import.parent_made", Severity.NOTE, "communities", key=code, params={"parent": code})]


# --- Layers ----------------------------------------------------------------------------------------------------------


def _store_layer(
    session: Session,
    layer: str,
    frame: pd.DataFrame,
    counts: dict[str, Counts],
    left_out: list[Finding],
    touched: set[_Touch],
) -> None:
    with staged(session, layer, frame) as table:
        if layer in _TABLE_OF_FACTS:
            known = _TABLE_OF_FACTS[layer]
            left_out += _without(
                session, table, layer, _UNKNOWN.format(table=table, known=known), "import.unknown_code"
            )
            session.execute(text(_SAME_COMMUNITY.format(table=table, known=known)))
        if "community" in LAYERS[layer].columns:
            session.execute(text(_FIND_COMMUNITY.format(table=table)))
            query = _OUTSIDE.format(table=table)
            left_out += _without(session, table, layer, query, "import.outside_communities")
            paths = f"SELECT DISTINCT a.path::text FROM admin_area a JOIN {table} s ON s.community = a.code"
            touched |= {(Action.IMPORT_DATA, path) for path in session.scalars(text(paths))}
        if "compound" in LAYERS[layer].columns:
            session.execute(text(_FIND_COMPOUND.format(table=table)))
        if layer == "buildings":
            session.execute(text(_KEEP_COUNTED.format(table=table)))
        counts[layer] = _upsert(session, table, _TARGETS[layer])
        if layer in _PEOPLE_PATHS:
            paths = _PEOPLE_PATHS[layer].format(table=table)
            touched |= {(Action.EDIT_STAFF, path) for path in session.scalars(text(paths))}
        if layer == "departments":
            session.execute(text(_DEPARTMENT_PARENTS.format(table=table)))


# Whose right is asked: of people in no department, or a department of no area, only who may act everywhere.
_PEOPLE_PATHS = {
    "departments": "SELECT DISTINCT a.path::text FROM {table} s JOIN department d USING (code)"
    " LEFT JOIN admin_area a ON a.id = d.area_id",
    "staff": "SELECT DISTINCT a.path::text FROM {table} s JOIN staff f USING (code)"
    " LEFT JOIN department d ON d.id = f.department_id LEFT JOIN admin_area a ON a.id = d.area_id",
}
# Rows without geometry say something about rows that are there already.
_TABLE_OF_FACTS = {"compounds": "compound", "buildings": "building"}
_UNKNOWN = """
SELECT s.row, s.code, '{{}}'::jsonb FROM {table} s
WHERE s.geom IS NULL AND NOT EXISTS (SELECT FROM {known} k WHERE k.code = s.code)
"""
_SAME_COMMUNITY = """
UPDATE {table} s SET community = a.code FROM {known} k JOIN admin_area a ON a.id = k.area_id
WHERE k.code = s.code AND s.geom IS NULL
"""
_FIND_COMMUNITY = """
UPDATE {table} s SET community = coalesce(
    (SELECT a.code FROM admin_area a WHERE a.code = s.community AND a.level = 'community'),
    (SELECT min(a.code) FROM admin_area a WHERE a.name = s.community AND a.level = 'community' HAVING count(*) = 1),
    (SELECT a.code FROM admin_area a WHERE a.level = 'community' AND ST_Covers(a.geom, ST_PointOnSurface(s.geom))
     ORDER BY a.id LIMIT 1))
WHERE s.community IS NULL OR NOT EXISTS (
    SELECT FROM admin_area a WHERE a.code = s.community AND a.level = 'community')
"""
_OUTSIDE = "SELECT s.row, s.code, '{{}}'::jsonb FROM {table} s WHERE s.community IS NULL"
_FIND_COMPOUND = """
UPDATE {table} s SET compound = (
    SELECT min(k.code) FROM compound k WHERE k.name = s.compound HAVING count(*) = 1)
WHERE s.compound IS NOT NULL AND NOT EXISTS (SELECT FROM compound k WHERE k.code = s.compound)
"""
_KEEP_COUNTED = """
ALTER TABLE {table} ADD COLUMN keeps boolean NOT NULL DEFAULT false;
UPDATE {table} s SET keeps = true FROM building old
WHERE old.code = s.code AND s.households_estimated AND NOT old.households_estimated
"""
_DEPARTMENT_PARENTS = """
UPDATE department d SET parent_id = p.id FROM {table} s JOIN department p ON p.code = s.parent
WHERE d.code = s.code AND d.id <> p.id AND d.parent_id IS DISTINCT FROM p.id
"""


def _without(session: Session, table: str, layer: str, query: str, code: str) -> list[Finding]:
    """Take the rows of a query (row, code, params) out of the staged table; a finding for each."""
    rows = session.execute(text(query + " ORDER BY 1")).all()
    if rows:
        session.execute(text(f"DELETE FROM {table} WHERE row = ANY(:rows)"), {"rows": [row[0] for row in rows]})
    return [Finding(code, Severity.REJECTED, layer, row, key, params) for row, key, params in rows]


def _upsert(session: Session, table: str, target: _Target) -> Counts:
    """Insert what is new and change what differs; PostgreSQL tells them apart (``xmax`` is 0 on a new row)."""
    by_code = target.key == "code"
    identity = "s.code" if by_code else _FINGERPRINT
    columns = {**({"code": "s.code"} if by_code else {}), **target.columns}
    names = ", ".join(columns)
    changed = [name for name in columns if name != "code" and (by_code or name == "is_bridge")]
    action = "NOTHING"
    if changed:
        old = ", ".join(f"t.{name}" for name in changed)
        new = ", ".join(f"excluded.{name}" for name in changed)
        sets = ", ".join(f"{name} = excluded.{name}" for name in changed)
        action = f"UPDATE SET {sets} WHERE ({old}) IS DISTINCT FROM ({new})"
    statement = f"""
    WITH source AS (
        SELECT DISTINCT ON ({identity}) {", ".join(f"{value} AS {name}" for name, value in columns.items())}
        FROM {table} s {target.joins} LEFT JOIN {target.table} old ON old.{target.key} = {identity}
        ORDER BY {identity}, s.row),
    written AS (
        INSERT INTO {target.table} AS t ({names}) SELECT {names} FROM source
        ON CONFLICT ({target.key}) DO {action} RETURNING xmax = 0 AS is_new)
    SELECT count(*) FILTER (WHERE is_new), count(*) FILTER (WHERE NOT is_new),
           (SELECT count(*) FROM source) - count(*) FROM written
    """
    return Counts(*session.execute(text(statement)).one())
