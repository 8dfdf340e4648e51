"""Any plan as a file, draft or not: its cells for maps, or a workbook with its parts and where its cells come from.

What is in force is exported as a thing (`gis.export`); here it is one plan, of whatever state. Two grants are asked
where its cells lie: to see them, and `Action.EXPORT_DATA`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from sqlalchemy import text
from sqlalchemy.orm import Session

from gis import plan_review, plans
from gis.crs import WGS84, Crs
from gis.db import audit
from gis.errors import InvalidInput, NotFound
from gis.exchange import export_file, plan_file
from gis.exchange.export_file import Header, Sheet
from gis.export import Exported
from gis.listing import things
from gis.listing.things import Thing, Wanted
from gis.permissions import Action, Actor, common_scopes, require_somewhere
from gis.plan_lineage import edges_of
from gis.worktime import CHINA

LAYERS = ("grids", "micro_grids", "plan")
ROWS_AT_ONCE = 2000


@dataclass(frozen=True, slots=True)
class PlanOrder:
    """What is asked for: a layer (or ``plan``, the whole of it as .gpkg or .xlsx), a format, a system, the headers."""

    layer: str
    format: str
    crs: Crs = WGS84
    in_chinese: bool = False
    encoding: Literal["utf-8", "gbk"] = "utf-8"


def export_plan(
    session: Session, plan_id: int, order: PlanOrder, path: Path, *, actor: Actor, now: datetime
) -> Exported:  # fmt: skip
    """Write a plan into a file.

    Raises
    ------
    NotFound
        ``plan.unknown``, ``things.unknown``.
    NotAllowed
        The whole of a plan by who may not see all of it.
    InvalidInput
        ``export.unknown_format``, ``export.only_wgs84``, ``export.plan_format``, ``export.bad_encoding``,
        ``export.too_many_rows``.
    """
    if order.layer not in LAYERS:
        raise NotFound("things.unknown", thing=order.layer[:60], known=list(LAYERS))
    plan_review.seen_scopes(session, plan_id, actor=actor)
    plan = plans.get(session, plan_id)
    seeing = Action.VIEW_MAP if plan.status == "published" else Action.VIEW_DRAFTS
    require_somewhere(actor, Action.EXPORT_DATA)
    scopes = common_scopes(actor, seeing, Action.EXPORT_DATA)
    if order.encoding != "utf-8" and order.format != "shp.zip":
        raise InvalidInput("export.bad_encoding")
    session.execute(text("SET LOCAL statement_timeout = '30min'"))
    if order.layer == "plan":
        if order.format not in ("gpkg", "xlsx") or not order.crs.is_wgs84:
            raise InvalidInput("export.plan_format", format=order.format)
        plan_review.require_whole(session, plan_id, actor=actor)
        rows = _whole(session, plan_id, order, path, scopes, now)
    else:
        export_file.check(order.format, has_place=True, crs=order.crs)
        wanted = Wanted(scopes=scopes, at=now, equal={"plan_id": plan_id})
        rows = export_file.write(path, order.format, *_cells(session, order, wanted, order.layer))
    audit(session, "data.export", subject=f"plan:{plan_id}", actor=actor, now=now,
          details={"layer": order.layer, "format": order.format, "crs": order.crs.name, "rows": rows})  # fmt: skip
    name = f"plan{plan_id}_{order.layer}_{now.astimezone(CHINA):%Y%m%d}.{order.format}"
    return Exported(rows, name, export_file.FORMATS[order.format].media_type, order.crs.name)


def _whole(session: Session, plan_id: int, order: PlanOrder, path: Path, scopes: tuple[str, ...], now: datetime) -> int:
    if order.format == "gpkg":
        division = plan_review.division_of(session, plan_id)
        plan_file.write(division, path)
        return sum(len(cells) for cells in division.cells)
    zh = order.in_chinese
    wanted = Wanted(scopes=scopes, at=now, equal={"plan_id": plan_id})
    sheets = [_cells(session, order, wanted, layer) for layer in LAYERS[:2]]
    sheets.append((_sheet("parts", "楼栋归属", _PART_HEADERS, zh), _fetched(session, _PARTS, {"plan": plan_id})))
    lineage = _lineage(session, plan_id)
    lineage = _worded(lineage, "kind", _KINDS_ZH) if zh else lineage
    sheets.append((_sheet("lineage", "沿革", _LINEAGE_HEADERS, zh), lineage))
    return export_file.write_book(path, sheets, sheets[0][0].about)


def _thing(layer: str) -> Thing:
    """The cells of a plan of any state: as those in force, without the times."""
    found = things.find(layer)
    kind = layer.removesuffix("s")
    fields = tuple(one for one in found.fields if one.kind != "time")
    return replace(found, fields=fields, always=(f"tier.kind = '{kind}'",), in_force=None)


def _cells(session: Session, order: PlanOrder, wanted: Wanted, layer: str) -> tuple[Sheet, Any]:
    thing, zh = _thing(layer), order.in_chinese
    headers = tuple(Header(one.name, one.zh if zh else one.name, one.kind) for one in thing.fields)
    about = (
        ("内容 content", f"{thing.zh} {thing.en}"), ("导出 exported", wanted.at.isoformat(timespec="seconds")),
        ("坐标系 coordinate system", order.crs.name),
    )  # fmt: skip
    name = thing.zh if zh and order.format == "xlsx" else thing.name
    sheet = Sheet(name, headers, "polygon", order.crs, about, order.encoding, zh)
    rows = things.stream(session, thing, wanted, fields=list(thing.fields), shape=thing.shape)
    return sheet, _worded(rows, "state", _STATES_ZH) if zh else rows


def _sheet(name: str, zh_name: str, headers: tuple[tuple[str, str, Any], ...], in_chinese: bool) -> Sheet:
    named = tuple(Header(key, zh if in_chinese else key, kind) for key, zh, kind in headers)
    return Sheet(zh_name if in_chinese else name, named, None, WGS84, (), "utf-8", in_chinese)


def _worded(
    found: Iterable[list[dict[str, Any]]], column: str, words: Mapping[str, str]
) -> Iterator[list[dict[str, Any]]]:
    """Rows with the words of a column, for those who read the file rather than a program."""
    for some in found:
        yield [{**row, column: words.get(row[column], row[column])} for row in some]


_STATES_ZH = {"in_band": "达标", "under": "偏少", "over": "偏多", "empty": "无住户", "unbounded": "无标准"}
_KINDS_ZH = {
    "keep": "不变", "redraw": "延续", "split": "拆出", "merge": "并入", "transfer": "划转", "rename": "改名",
    "re_digitise": "重新描绘",
}  # fmt: skip


def _fetched(session: Session, statement: Any, params: dict[str, Any]) -> Iterator[list[dict[str, Any]]]:
    for some in session.execute(statement, params).mappings().partitions(ROWS_AT_ONCE):
        yield [dict(row) for row in some]


def _lineage(session: Session, plan_id: int) -> Iterator[list[dict[str, Any]]]:
    """Where the cells come from: as it was published, or for a draft from what is in force now."""
    if plans.get(session, plan_id).status == "published":
        yield from _fetched(session, _LINEAGE, {"plan": plan_id})
        return
    rows = [
        {
            "from_code": edge.old.code, "to_code": edge.new.code, "kind": edge.kind(edge.new.code),
            "households_percent": round(100 * min(edge.old_ratio, 1.0), 2),
            "area_percent": round(100 * min(edge.old_area_ratio, 1.0), 2), "document_no": None,
        }
        for edge in edges_of(session, plan_id)
    ]  # fmt: skip
    yield sorted(rows, key=lambda row: (row["from_code"], row["to_code"]))


_PART_HEADERS = (
    ("building", "楼栋编码", "text"), ("name", "楼栋名称", "text"), ("address", "地址", "text"),
    ("unit_from", "起始单元", "integer"), ("unit_to", "终止单元", "integer"), ("floor_from", "起始楼层", "integer"),
    ("floor_to", "终止楼层", "integer"), ("households", "户数", "integer"), ("grid", "网格编码", "text"),
    ("micro_grid", "微网格编码", "text"),
)  # fmt: skip
_LINEAGE_HEADERS = (
    ("from_code", "原编码", "text"), ("to_code", "现编码", "text"), ("kind", "沿革", "text"),
    ("households_percent", "占原户数百分比", "number"), ("area_percent", "占原面积百分比", "number"),
    ("document_no", "文号", "text"),
)  # fmt: skip

_PARTS = text(
    """
    SELECT b.code AS building, b.name, b.address,
           lower(p.unit_span) AS unit_from, upper(p.unit_span) - 1 AS unit_to,
           lower(p.floor_span) AS floor_from, upper(p.floor_span) - 1 AS floor_to, p.households,
           CASE WHEN tier.kind = 'micro_grid' THEN above.code ELSE cell.code END AS grid,
           CASE WHEN tier.kind = 'micro_grid' THEN cell.code END AS micro_grid
    FROM grid_part p JOIN building b ON b.id = p.building_id JOIN grid cell ON cell.id = p.grid_id
    JOIN tier ON tier.rule_set_id = cell.rule_set_id AND tier.grid_depth = cell.grid_depth
    LEFT JOIN grid above ON above.id = cell.parent_id
    WHERE p.plan_id = :plan ORDER BY b.code, lower(p.unit_span), lower(p.floor_span)
    """
)

_LINEAGE = text(
    """
    SELECT o.code AS from_code, n.code AS to_code, l.kind, round((100 * l.households_ratio)::numeric, 2)::float8
           AS households_percent, round((100 * l.area_ratio)::numeric, 2)::float8 AS area_percent, l.document_no
    FROM grid_lineage l JOIN grid o ON o.id = l.from_id JOIN grid n ON n.id = l.to_id
    WHERE n.plan_id = :plan ORDER BY o.code, n.code
    """
)
