"""A chequered town and its divisions, small enough to count by hand.

Communities are squares of 0.01 degrees in a row from west to east; each holds side x side buildings on a lattice, all
with the same households. A division cuts each cell into equal strips, in turn from west to east and from south to
north::

    +---+---+---+---+      one community, 4 x 4 buildings, pieces=(2, 2):
    | o   o | o   o |      two grids side by side,
    | o   o | o   o |      each of two micro-grids one above the other
    +---+---+---+---+
    | o   o | o   o |
    | o   o | o   o |
    +---+---+---+---+
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta

import geopandas as gpd
import pandas as pd
import shapely
from sqlalchemy.orm import Session

from gis import buildings, plans, rules
from gis.division import Division
from gis.models import AdminArea, Building, IncidentCategory, Plan
from gis.permissions import SYSTEM
from gis.rule_set import RuleSet, Tier, load_preset

LON, LAT, SIZE = 124.15, 39.86, 0.01
NOW = datetime.now(UTC)
LONG_AGO = NOW - timedelta(days=120)


@dataclass(frozen=True)
class Place:
    """An area as plain values, which outlive their session."""

    id: int
    code: str
    path: str
    parent_id: int | None


@dataclass(frozen=True)
class SmallTown:
    """What `make_town` stored."""

    street: Place
    communities: tuple[Place, ...]
    side: int
    households: int

    @property
    def community_ids(self) -> list[int]:
        return [community.id for community in self.communities]

    def middle(self, community: int = 0, building: int = 0) -> tuple[float, float]:
        """The middle of a building, counted from the south-west corner, row by row."""
        step = SIZE / self.side
        return (
            LON + community * SIZE + (building % self.side + 0.5) * step,
            LAT + (building // self.side + 0.5) * step,
        )


def square(west: float, south: float, east: float, north: float) -> shapely.Polygon:
    return shapely.box(round(west, 7), round(south, 7), round(east, 7), round(north, 7))


def wkt(polygon: shapely.Polygon) -> str:
    return f"SRID=4326;{shapely.multipolygons([polygon]).wkt}"


def make_town(session: Session, *, communities: int = 1, side: int = 4, households: int = 20) -> SmallTown:
    """Store a town of one street."""
    county = AdminArea(level="county", code="210681", name="东港市")
    session.add(county)
    session.flush()
    session.refresh(county)
    street = AdminArea(level="street", code="210681001", name="大东街道", parent_id=county.id, parent_path=county.path)
    session.add(street)
    session.flush()
    session.refresh(street)
    made = []
    for n in range(communities):
        west = LON + n * SIZE
        community = AdminArea(
            level="community",
            code=f"210681001{n + 1:03d}",
            name=f"社区{n + 1}",
            parent_id=street.id,
            parent_path=street.path,
            geom=wkt(square(west, LAT, west + SIZE, LAT + SIZE)),
        )
        session.add(community)
        session.flush()
        session.refresh(community)
        made.append(community)
        session.add_all(_buildings(community, west, side, households))
    session.flush()
    buildings.sync_parts(session, now=LONG_AGO)
    return SmallTown(_place(street), tuple(_place(community) for community in made), side, households)


def _place(area: AdminArea) -> Place:
    return Place(area.id, area.code, area.path, area.parent_id)


def _buildings(community: AdminArea, west: float, side: int, households: int) -> list[Building]:
    step = SIZE / side
    return [
        Building(
            area_id=community.id,
            code=building_code(community.code, i),
            households=households,
            floors=10,
            units=2,
            geom=wkt(
                square(
                    west + (i % side + 0.3) * step,
                    LAT + (i // side + 0.3) * step,
                    west + (i % side + 0.7) * step,
                    LAT + (i // side + 0.7) * step,
                )
            ),
        )
        for i in range(side * side)
    ]


def building_code(community_code: str, number: int) -> str:
    return f"{community_code}{number + 1:05d}"


def six_tiers() -> RuleSet:
    """区 - 街道 - 社区 - 网格工作站 - 网格 - 微网格."""
    bishan = load_preset("bishan")
    grid, micro = bishan.tiers[2:]
    station = Tier(ordinal=4, kind="grid", name_zh="网格工作站", name_en="Grid station", code_digits=2)
    tiers = (
        Tier(ordinal=1, kind="area", name_zh="区", name_en="District"),
        Tier(ordinal=2, kind="area", name_zh="街道", name_en="Street"),
        Tier(ordinal=3, kind="area", name_zh="社区", name_en="Community", posts=bishan.tiers[1].posts),
        station,
        replace(grid, ordinal=5),
        replace(micro, ordinal=6),
    )
    return replace(bishan, code="six", tiers=tiers)


def divide(
    town: SmallTown,
    rule_set: RuleSet,
    *,
    pieces: Sequence[int],
    communities: Sequence[Place] | None = None,
    stack: int | None = None,
) -> Division:
    """Cut each community into strips, a number a depth.

    ``stack`` names a building that is shared by two cells of the lowest tier: floors 1-5 and 6-10, over one ground.
    """
    chosen = town.communities if communities is None else communities
    cells: list[list[dict[str, object]]] = [[] for _ in pieces]
    parts: list[dict[str, object]] = []
    for community in chosen:
        _divide_community(town, community, rule_set, pieces, cells, parts, stack)
    frames = [gpd.GeoDataFrame(rows, geometry=[row.pop("shape") for row in rows], crs="EPSG:4326") for rows in cells]
    table = pd.DataFrame(parts)
    held = table.groupby("cell")["households"].sum()
    for depth in range(len(pieces), 0, -1):
        frame = frames[depth - 1]
        frame["households"] = [int(held.get(code, 0)) for code in frame["code"]]
        if depth > 1:
            held = frame.groupby("parent")["households"].sum()
    return Division(rules=rule_set, cells=tuple(frames), parts=table, recipe={"seed": 1})


def _divide_community(town, community, rule_set, pieces, cells, parts, stack):  # type: ignore[no-untyped-def]
    west = LON + town.communities.index(community) * SIZE
    above = [(community.code, square(west, LAT, west + SIZE, LAT + SIZE))]
    for depth, count in enumerate(pieces, start=1):
        tier = rule_set.grid_tiers[depth - 1]
        below = []
        for parent, shape in above:
            for n, strip in enumerate(_strips(shape, count, across=depth % 2 == 0), start=1):
                code = f"{parent}{n:0{tier.code_digits}d}"
                below.append((code, strip))
                cells[depth - 1].append(
                    {
                        "code": code,
                        "community": community.code,
                        "parent": parent if depth > 1 else None,
                        "area_m2": 1000.0,
                        "floor_from": None,
                        "floor_to": None,
                        "shape": strip,
                    }
                )
        above = below
    for i in range(town.side**2):
        x, y = town.middle(town.communities.index(community), i)
        cell = next(code for code, shape in above if shape.covers(shapely.Point(x, y)))
        part = {
            "building": building_code(community.code, i),
            "unit_from": None,
            "unit_to": None,
            "floor_from": None,
            "floor_to": None,
            "households": town.households,
            "units_estimated": False,
            "cell": cell,
        }
        if stack != i:
            parts.append(part)
            continue
        low = next(row for row in cells[-1] if row["code"] == cell)
        high = {**low, "code": f"{low['parent']}{50:0{rule_set.grid_tiers[-1].code_digits}d}", "floor_from": 6}
        high["floor_to"] = 10
        low["floor_from"], low["floor_to"] = 1, 5
        cells[-1].append(high)
        half = town.households // 2
        parts.append({**part, "floor_from": 1, "floor_to": 5, "households": half})
        parts.append({**part, "floor_from": 6, "households": town.households - half, "cell": high["code"]})


def _strips(shape: shapely.Polygon, count: int, *, across: bool) -> list[shapely.Polygon]:
    west, south, east, north = shape.bounds
    if across:
        step = (north - south) / count
        return [square(west, south + i * step, east, south + (i + 1) * step) for i in range(count)]
    step = (east - west) / count
    return [square(west + i * step, south, west + (i + 1) * step, north) for i in range(count)]


def make_plan(
    session: Session,
    town: SmallTown,
    *,
    preset: str = "bishan",
    pieces: Sequence[int] = (2, 2),
    communities: Sequence[Place] | None = None,
    stack: int | None = None,
    title: str = "方案",
    valid_from: date = date(2020, 1, 1),
) -> Plan:
    """A stored draft by the rules of a preset, which the street lives under from then on."""
    rule_set = six_tiers() if preset == "six" else load_preset(preset)
    row = rules.store(session, rule_set, area_id=town.street.id, valid_from=valid_from, actor=SYSTEM, now=LONG_AGO)
    chosen = town.communities if communities is None else communities
    plan = plans.create_draft(
        session,
        area_id=town.street.id,
        rule_set_id=row.id,
        community_ids=[community.id for community in chosen],
        title=title,
        actor=SYSTEM,
        now=LONG_AGO,
    )
    division = divide(town, rule_set, pieces=pieces, communities=chosen, stack=stack)
    return plans.store_division(session, plan.id, division=division, actor=SYSTEM, now=LONG_AGO)


def make_category(session: Session, code: str = "0201") -> IncidentCategory:
    category = IncidentCategory(code=code, name_zh="暴露垃圾", name_en="Litter", due_amount=4, due_unit="working_hour")
    session.add(category)
    session.flush()
    return category
