"""What is given out: the things that other programs and files may have, with their columns, times and rows.

One table, `THINGS`, for OGC API Features (`api/ogc`) and exports (`gis.export`): a thing is a query put together from
fixed fragments, filtered by scope in SQL. A column is a `Field`; a new one is given out by both doors at once. Where a
field is a column of a town's layer it has its name there, so that what went out can come in again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import text
from sqlalchemy.exc import DataError, InternalError, ProgrammingError
from sqlalchemy.orm import Session

from gis.errors import InvalidInput, NotFound
from gis.listing.window import Box, Filters, Row, fetch
from gis.permissions import Action

Kind = Literal["text", "integer", "number", "flag", "time"]
Geometry = Literal["polygon", "point"]
Interval = tuple[datetime | None, datetime | None]

ROWS_AT_ONCE = 2000


@dataclass(frozen=True, slots=True)
class Field:
    """A column that is given out.

    Attributes
    ----------
    name : str
        Of the property, the header, the queryable.
    sql : str
        Its value, out of the thing's source.
    kind : str
    zh, en : str
        What people call it. ``zh`` is a header that imports know where the column is a town's.
    choices : tuple of str
    is_beside : bool
        Comes from ``Thing.beside``.
    is_personal : bool
        Given out only where contacts may be seen, and asked for.
    """

    name: str
    sql: str
    kind: Kind
    zh: str
    en: str
    choices: tuple[str, ...] = ()
    is_beside: bool = False
    is_personal: bool = False


@dataclass(frozen=True, slots=True)
class Thing:
    """A kind of row that is given out.

    Attributes
    ----------
    name : str
    zh, en : str
        Titles.
    action : Action
        What a caller must be allowed to do where a row lies.
    source : str
        The tables.
    key : str
        The column that tells rows apart, and sorts them.
    seen : str
        The condition under which a caller sees a row, of the parameter ``scopes``.
    shape, geometry
        The geometry column and its kind; ``None`` for a plain table.
    fields : tuple of Field
    always : tuple of str
        Conditions that hold for every row.
    beside : str
        Joins that only some fields need, a row each.
    in_force : str or None
        A range of time in which a row holds: asked for an instant or an interval, without either for the present.
    happened : str or None
        An instant; asked for an interval, without one for all.
    layer : str or None
        The layer of tiles that shows it.
    """

    name: str
    zh: str
    en: str
    action: Action
    source: str
    key: str
    seen: str
    shape: str | None
    geometry: Geometry | None
    fields: tuple[Field, ...]
    always: tuple[str, ...] = ()
    beside: str = ""
    in_force: str | None = None
    happened: str | None = None
    layer: str | None = None

    def field(self, name: str) -> Field | None:
        """A field by name."""
        return next((one for one in self.fields if one.name == name), None)


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which rows of a thing.

    Attributes
    ----------
    scopes : tuple of str
        Tree paths under which the caller may see them.
    at : datetime
        The present, or the instant asked for.
    during : tuple of datetime or None
        Both ends included; ``None`` at an end is open. Without an interval ``at`` counts where a row holds for a time.
    boxes : tuple of Box
        Degrees; what touches any of them. Two where a box crosses the 180th meridian.
    equal : mapping of str to value
        Field → what it equals.
    condition, params : str and mapping
        A condition made by `gis.listing.cql2`, and its parameters; ``uses_beside`` if it names such a field.
    """

    scopes: tuple[str, ...]
    at: datetime
    during: Interval | None = None
    boxes: tuple[Box, ...] = ()
    equal: Mapping[str, Any] = field(default_factory=dict)
    condition: str = ""
    params: Mapping[str, Any] = field(default_factory=dict)
    uses_beside: bool = False


def _under(path: str) -> str:
    return f"{path} <@ ANY(CAST(:scopes AS ltree []))"


_IN_COMMUNITY = _under("community.path")
# A point of interest has no community of its own: it is of the one that it stands in.
_IN_ONE_SEEN = f"""
    ('' = ANY(:scopes) OR EXISTS (
        SELECT FROM admin_area AS around
        WHERE around.level = 'community' AND {_under("around.path")} AND ST_Covers(around.geom, poi.geom)
    ))
"""


def _text(name: str, sql: str, zh: str, en: str, *choices: str) -> Field:
    return Field(name, sql, "text", zh, en, choices)


def _integer(name: str, sql: str, zh: str, en: str) -> Field:
    return Field(name, sql, "integer", zh, en)


# Which cells a building lies in at that time: one micro-grid mostly, several if it is cut by staircases or floors.
_PLACED = """
    LEFT JOIN LATERAL (
        SELECT
            min(CASE WHEN tier.kind = 'micro_grid' THEN above.code ELSE leaf.code END) AS grid_code,
            string_agg(DISTINCT leaf.code, ', ') FILTER (WHERE tier.kind = 'micro_grid') AS micro_grid_code
        FROM grid_part AS gp
        INNER JOIN plan_community AS link ON gp.plan_id = link.plan_id AND link.community_id = building.area_id
        INNER JOIN grid AS leaf ON gp.grid_id = leaf.id
        INNER JOIN tier ON leaf.rule_set_id = tier.rule_set_id AND leaf.grid_depth = tier.grid_depth
        LEFT JOIN grid AS above ON leaf.parent_id = above.id
        WHERE gp.building_id = building.id AND link.in_force_during @> CAST(:at AS timestamptz)
    ) AS placed ON true
"""

_CELL_SOURCE = """
    grid AS cell
    INNER JOIN plan_community AS link ON cell.plan_id = link.plan_id AND cell.community_id = link.community_id
    INNER JOIN admin_area AS community ON cell.community_id = community.id
    INNER JOIN tier ON cell.rule_set_id = tier.rule_set_id AND cell.grid_depth = tier.grid_depth
    INNER JOIN plan ON cell.plan_id = plan.id
    LEFT JOIN grid AS above ON cell.parent_id = above.id
"""

_CELL_FIELDS = (
    _text("code", "cell.code", "编码", "Code"),
    _text("name", "cell.name", "名称", "Name"),
    _text("tier", "tier.name_zh", "层级", "Tier"),
    _text("parent", "above.code", "上级编码", "Code of the cell above"),
    _text("community", "community.code", "社区编码", "Code of the community"),
    _text("community_name", "community.name", "社区名称", "Community"),
    _integer("households", "cell.households", "户数", "Households, as of the plan's making"),
    _integer("residents", "cell.residents", "人口", "Residents, as of the plan's making"),
    _integer("buildings", "cell.buildings", "楼栋数", "Buildings"),
    Field("area_m2", "round(cell.area_m2::numeric, 1)::float8", "number", "面积平方米", "Square metres"),
    _text("state", "cell.band_state", "是否达标", "In the band, under or over"),
    _integer("floor_from", "cell.floor_from", "起始楼层", "Lowest floor, of one of a stack"),
    _integer("floor_to", "cell.floor_to", "终止楼层", "Highest floor, of one of a stack"),
    Field("is_dedicated", "cell.is_dedicated", "flag", "专属网格", "Dedicated grid"),
    _integer("plan_id", "cell.plan_id", "方案编号", "Number of the plan"),
    _text("plan_title", "plan.title", "方案名称", "Title of the plan"),
)

_CELL_TIMES = (
    Field("in_force_from", "lower(link.in_force_during)", "time", "生效时间", "In force from"),
    Field("in_force_to", "upper(link.in_force_during)", "time", "失效时间", "In force until; empty goes on"),
)


def _cells(kind: str, zh: str, en: str) -> Thing:
    return Thing(
        f"{kind}s", zh, en, Action.VIEW_MAP, _CELL_SOURCE, "cell.id", _IN_COMMUNITY, "cell.geom", "polygon",
        (*_CELL_FIELDS, *_CELL_TIMES), always=(f"tier.kind = '{kind}'", "link.plan_status = 'published'"),
        in_force="link.in_force_during", layer=f"{kind}s",
    )  # fmt: skip


def _drafts(kind: str, zh: str, en: str) -> Thing:
    return Thing(
        f"draft_{kind}s", zh, en, Action.VIEW_DRAFTS, _CELL_SOURCE, "cell.id", _IN_COMMUNITY, "cell.geom", "polygon",
        _CELL_FIELDS, always=(f"tier.kind = '{kind}'", "link.plan_status = 'draft'"),
    )  # fmt: skip


_STAFF_AT = """
    CROSS JOIN LATERAL (
        SELECT coalesce(array_agg(place.path) FILTER (WHERE place.path IS NOT NULL), CAST('{}' AS ltree [])) AS paths
        FROM assignment AS held
        LEFT JOIN grid AS cell ON held.grid_id = cell.id
        LEFT JOIN plan_community AS link ON cell.plan_id = link.plan_id AND cell.community_id = link.community_id
        LEFT JOIN admin_area AS place ON place.id = coalesce(held.area_id, cell.community_id)
        WHERE
            held.staff_id = person.id
            AND held.valid_during @> CAST(:at AS timestamptz)
            AND (held.grid_id IS NULL OR link.in_force_during @> CAST(:at AS timestamptz))
    ) AS serving
"""

THINGS: Mapping[str, Thing] = {
    thing.name: thing
    for thing in (
        Thing(
            "communities", "社区", "Communities", Action.VIEW_MAP,
            "admin_area AS area LEFT JOIN admin_area AS above ON area.parent_id = above.id",
            "area.id", _under("area.path"), "area.geom", "polygon",
            (
                _text("code", "area.code", "编码", "Code"),
                _text("name", "area.name", "名称", "Name"),
                _text("name_en", "area.name_en", "英文名称", "English name"),
                _text("parent", "above.code", "上级编码", "Code of the street"),
                Field("households", "counted.households", "integer", "户数", "Households", is_beside=True),
                Field("buildings", "counted.buildings", "integer", "楼栋数", "Buildings", is_beside=True),
            ),
            always=("area.level = 'community'", "area.geom IS NOT NULL"),
            beside="""
                CROSS JOIN LATERAL (
                    SELECT count(*) AS buildings, coalesce(sum(b.households), 0)::bigint AS households
                    FROM building AS b
                    WHERE b.area_id = area.id
                ) AS counted
            """,
            layer="areas",
        ),
        Thing(
            "compounds", "小区", "Compounds", Action.VIEW_MAP,
            "compound INNER JOIN admin_area AS community ON compound.area_id = community.id",
            "compound.id", _IN_COMMUNITY, "compound.geom", "polygon",
            (
                _text("code", "compound.code", "编码", "Code"),
                _text("name", "compound.name", "名称", "Name"),
                _text("name_en", "compound.name_en", "英文名称", "English name"),
                _text("community", "community.code", "社区编码", "Code of the community"),
                _text("community_name", "community.name", "所在社区名", "Community"),
                _text("housing_class", "compound.housing_class", "住房类型", "Class of housing"),
                Field("is_walled", "compound.is_walled", "flag", "是否封闭", "Behind a wall"),
            ),
            layer="compounds",
        ),
        Thing(
            "buildings", "楼栋", "Buildings", Action.VIEW_MAP,
            "building INNER JOIN admin_area AS community ON building.area_id = community.id"
            " LEFT JOIN compound ON building.compound_id = compound.id",
            "building.id", _IN_COMMUNITY, "building.geom", "polygon",
            (
                _text("code", "building.code", "编码", "Code"),
                _text("name", "building.name", "名称", "Name"),
                _text("address", "building.address", "地址", "Address"),
                _text("use", "building.use", "用途", "Use"),
                _integer("floors", "building.floors", "层数", "Floors"),
                _integer("units", "building.units", "单元数", "Staircases"),
                Field("height_m", "building.height_m", "number", "高度", "Height in metres"),
                _integer("households", "building.households", "户数", "Households"),
                Field("households_estimated", "building.households_estimated", "flag", "户数为估算", "Estimated"),
                Field("units_estimated", "building.units_estimated", "flag", "单元数为估算", "Staircases estimated"),
                _text("compound", "compound.code", "小区编码", "Code of the compound"),
                _text("community", "community.code", "社区编码", "Code of the community"),
                Field("grid_code", "placed.grid_code", "text", "所在网格", "Grid", is_beside=True),
                Field("micro_grid_code", "placed.micro_grid_code", "text", "所在微网格", "Micro-grids", is_beside=True),
            ),
            beside=_PLACED,
            layer="buildings",
        ),
        _cells("grid", "网格", "Grids"),
        _cells("micro_grid", "微网格", "Micro-grids"),
        _drafts("grid", "网格草案", "Grids of drafts"),
        _drafts("micro_grid", "微网格草案", "Micro-grids of drafts"),
        Thing(
            "incidents", "事件", "Incidents", Action.VIEW_INCIDENTS,
            "incident INNER JOIN incident_category AS category ON incident.category = category.code"
            " LEFT JOIN admin_area AS area ON incident.area_id = area.id"
            " LEFT JOIN grid AS cell ON incident.grid_id = cell.id"
            " LEFT JOIN department AS lead ON incident.lead_department_id = lead.id",
            "incident.id", _under("coalesce(area.path, ''::ltree)"), "incident.geom", "point",
            (
                _text("code", "incident.code", "编码", "Code"),
                _text("status", "incident.status", "状态", "Status"),
                _integer("severity", "incident.severity", "严重程度", "Severity, 1 to 4"),
                _text("category", "incident.category", "类别编码", "Code of the category"),
                _text("category_name", "category.name_zh", "类别", "Category"),
                _text("title", "incident.title", "标题", "Title"),
                Field("description", "incident.description", "text", "描述", "Description", is_personal=True),
                _text("grid_code", "cell.code", "所在网格", "Cell"),
                _text("community", "area.code", "社区编码", "Code of the community"),
                _text("department", "lead.code", "主办部门编码", "Code of the lead department"),
                Field("reported_at", "incident.reported_at", "time", "上报时间", "Reported"),
                Field("due_at", "incident.due_at", "time", "办理时限", "Due"),
                Field("closed_at", "incident.closed_at", "time", "办结时间", "Ended"),
            ),
            happened="incident.reported_at",
            layer="incidents",
        ),
        Thing(
            "pois", "兴趣点", "Points of interest", Action.VIEW_MAP,
            "poi LEFT JOIN compound ON poi.compound_id = compound.id",
            "poi.id", _IN_ONE_SEEN, "poi.geom", "point",
            (
                _text("code", "poi.code", "编码", "Code"),
                _text("kind", "poi.kind", "类型", "Kind"),
                _text("name", "poi.name", "名称", "Name"),
                _text("compound", "compound.code", "小区编码", "Code of the compound"),
            ),
            layer="pois",
        ),
        Thing(
            "people", "人员", "People", Action.VIEW_MAP,
            "staff AS person LEFT JOIN department ON person.department_id = department.id"
            f" LEFT JOIN admin_area AS office ON department.area_id = office.id {_STAFF_AT}",
            "person.id",
            f"({_under('office.path')} OR '' = ANY(:scopes)"
            f" OR EXISTS (SELECT 1 FROM unnest(serving.paths) AS p WHERE {_under('p')}))",
            None, None,
            (
                _text("code", "person.code", "工号", "Code"),
                _text("name", "person.name", "姓名", "Name"),
                Field("phone", "person.phone", "text", "电话", "Phone", is_personal=True),
                # Under a header that imports do not know: a masked number must never replace the number.
                _text("phone_masked", "left(person.phone, 3) || repeat('*', greatest(length(person.phone) - 7, 0))"
                      " || right(person.phone, least(4, greatest(length(person.phone) - 7, 0)))",
                      "隐去号码", "Phone, hidden in the middle"),
                _text("department", "department.code", "部门编码", "Code of the department"),
            ),
        ),
        Thing(
            "posts", "任职", "Posts held", Action.VIEW_MAP,
            "assignment AS held INNER JOIN staff AS person ON held.staff_id = person.id"
            " INNER JOIN post ON held.post_id = post.id"
            " LEFT JOIN grid AS cell ON held.grid_id = cell.id"
            " LEFT JOIN plan_community AS link ON cell.plan_id = link.plan_id AND cell.community_id = link.community_id"
            " LEFT JOIN admin_area AS place ON place.id = coalesce(held.area_id, cell.community_id)",
            "held.id", _under("place.path"), None, None,
            (
                _text("staff", "person.code", "工号", "Code of the person"),
                _text("staff_name", "person.name", "人员姓名", "Name of the person"),
                _text("post", "post.code", "岗位编码", "Code of the post"),
                _text("post_name", "post.name_zh", "岗位名称", "Post"),
                _text("place", "coalesce(cell.code, place.code)", "网格编码", "Code of the cell or area"),
                # Days in China, as rosters state them.
                _text("valid_from", "(lower(held.valid_during) AT TIME ZONE 'Asia/Shanghai')::date::text",
                      "任职日期", "From"),
                _text("valid_to", "(upper(held.valid_during) AT TIME ZONE 'Asia/Shanghai')::date::text",
                      "离岗日期", "Until"),
            ),
            always=("(held.grid_id IS NULL OR link.in_force_during @> CAST(:at AS timestamptz))",),
            in_force="held.valid_during",
        ),
    )
}  # fmt: skip

COLLECTIONS = tuple(name for name, thing in THINGS.items() if thing.shape is not None)
"""Those with a place on the map."""


def find(name: str) -> Thing:
    """A thing by name.

    Raises
    ------
    NotFound
        ``things.unknown``.
    """
    if name not in THINGS:
        raise NotFound("things.unknown", thing=name[:60], known=list(THINGS))
    return THINGS[name]


def page(
    session: Session,
    thing: Thing,
    wanted: Wanted,
    *,
    geometry: str,
    limit: int,
    after: int | None = None,
) -> tuple[list[Row], int | None]:
    """A page of rows by key: ``id``, ``geometry`` and the fields; and the key that the next page begins after.

    Parameters
    ----------
    geometry : str
        SQL for the geometry as text, with ``{shape}`` for the column; a constant of the caller.
    """
    filters = _filters(thing, wanted)
    filters.add_given(f"{thing.key} > :after", after=after)
    columns = ", ".join(f'{one.sql} AS "{one.name}"' for one in thing.fields if not one.is_personal)
    with _filter_told(wanted):
        rows = fetch(
            session,
            f"SELECT {thing.key} AS id, {geometry.format(shape=thing.shape)} AS geometry, {columns}"
            f" FROM {thing.source} {thing.beside} {filters.sql()} ORDER BY {thing.key} LIMIT :limit",
            {**filters.params, "at": wanted.at, "limit": limit + 1},
        )
    return rows[:limit], rows[limit - 1]["id"] if len(rows) > limit else None


@contextmanager
def _filter_told(wanted: Wanted) -> Iterator[None]:
    """Tell what PostgreSQL or PostGIS will not do of a caller's filter (a relation of collections) as its fault."""
    try:
        yield
    except (DataError, ProgrammingError, InternalError) as error:
        if not wanted.condition:
            raise
        raise InvalidInput("things.bad_filter", why="the database cannot do it") from error


def one(session: Session, thing: Thing, key: int, wanted: Wanted, *, geometry: str) -> Row:
    """One row, of any time.

    Raises
    ------
    NotFound
        ``things.no_row``, also if it lies outside the scopes.
    """
    filters = _seen(thing, wanted)
    filters.add(f"{thing.key} = :key", key=key)
    columns = ", ".join(f'{one.sql} AS "{one.name}"' for one in thing.fields if not one.is_personal)
    rows = fetch(
        session,
        f"SELECT {thing.key} AS id, {geometry.format(shape=thing.shape)} AS geometry, {columns}"
        f" FROM {thing.source} {thing.beside} {filters.sql()}",
        {**filters.params, "at": wanted.at},
    )
    if not rows:
        raise NotFound("things.no_row", thing=thing.name, key=key)
    return rows[0]


def count(session: Session, thing: Thing, wanted: Wanted) -> int:
    """How many rows there are on all pages."""
    filters = _filters(thing, wanted)
    beside = thing.beside if wanted.uses_beside else ""
    statement = text(f"SELECT count(*) FROM {thing.source} {beside} {filters.sql()}")
    with _filter_told(wanted):
        return int(session.execute(statement, {**filters.params, "at": wanted.at}).scalar_one())


def stream(
    session: Session, thing: Thing, wanted: Wanted, *, fields: Sequence[Field], shape: str | None
) -> Iterator[list[Row]]:
    """All rows by key, some at a time: the server keeps the rest, so that memory stays bounded.

    Parameters
    ----------
    shape : str or None
        SQL for the geometry, which comes as ``geometry`` in WKB.
    """
    filters = _filters(thing, wanted)
    columns = [f'{one.sql} AS "{one.name}"' for one in fields]
    if shape is not None:
        columns.append(f"ST_AsBinary({shape}) AS geometry")
    statement = text(
        f"SELECT {', '.join(columns)} FROM {thing.source} {thing.beside} {filters.sql()} ORDER BY {thing.key}"
    ).execution_options(stream_results=True, max_row_buffer=ROWS_AT_ONCE)
    found = session.execute(statement, {**filters.params, "at": wanted.at})
    for some in found.mappings().partitions(ROWS_AT_ONCE):
        yield [dict(row) for row in some]


def _seen(thing: Thing, wanted: Wanted) -> Filters:
    """What holds for every row that the caller may see."""
    filters = Filters()
    filters.add(thing.seen, scopes=list(wanted.scopes))
    for condition in thing.always:
        filters.add(condition)
    return filters


def _filters(thing: Thing, wanted: Wanted) -> Filters:
    filters = _seen(thing, wanted)
    _in_time(filters, thing, wanted)
    if wanted.boxes and thing.shape is not None:
        _in_boxes(filters, thing.shape, wanted.boxes)
    for number, (name, value) in enumerate(wanted.equal.items()):
        known = thing.field(name)
        assert known is not None, name
        filters.add(f"{known.sql} = :equal_{number}", **{f"equal_{number}": value})
    if wanted.condition:
        filters.add(f"({wanted.condition})", **wanted.params)
    return filters


def _in_time(filters: Filters, thing: Thing, wanted: Wanted) -> None:
    if thing.in_force is not None and wanted.during is None:
        filters.add(f"{thing.in_force} @> CAST(:at AS timestamptz)")
    elif wanted.during is not None and (thing.in_force or thing.happened):
        since, until = wanted.during
        within = "tstzrange(CAST(:since AS timestamptz), CAST(:until AS timestamptz), '[]')"
        filters.add(
            f"{thing.in_force} && {within}" if thing.in_force else f"{within} @> {thing.happened}",
            since=since,
            until=until,
        )


def _in_boxes(filters: Filters, shape: str, boxes: Sequence[Box]) -> None:
    touches = []
    for number, box in enumerate(boxes):
        names = [f"{side}_{number}" for side in "wsen"]
        envelope = f"ST_MakeEnvelope({', '.join(f':{name}' for name in names)}, 4326)"
        touches.append(f"ST_Intersects({shape}, {envelope})")
        filters.params |= dict(zip(names, box, strict=True))
    filters.add(f"({' OR '.join(touches)})")
