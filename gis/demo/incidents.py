"""A seeded stream of incidents of the demo town, each with how it was handled until the end of the time asked for."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray

from gis.demo.mix import MATTERS, RHYTHMS, WEEKDAY, Matter
from gis.demo.warp import stream
from gis.errors import InvalidInput
from gis.settings import ROOT
from gis.town import Town

CATEGORIES = ROOT / "data" / "presets" / "categories.toml"
CHINA = ZoneInfo("Asia/Shanghai")
UNIT_HOURS = {"hour": 1.0, "working_hour": 2.4, "day": 24.0, "working_day": 24.0 * 7 / 5}
"""About how many hours by the clock a unit of a deadline takes."""
METRE = 1 / 111_320.0
"""A metre of latitude in degrees."""


@dataclass(frozen=True, slots=True)
class DemoStep:
    """One act on an incident: an action of the workflow, when, by which department (of ``dispatch`` only), a remark."""

    action: str
    at: datetime
    department: str | None = None
    note: str | None = None


@dataclass(frozen=True, slots=True)
class DemoIncident:
    """An incident as it was reported, and the acts that followed.

    Attributes
    ----------
    number : int
        1-based, by time; ``request_id`` is made of it and the seed.
    category : str
        Code of data/presets/categories.toml.
    severity : int
        1 (ordinary) to 4.
    lon, lat : float
        EPSG:4326, inside a community.
    building : str or None
        Code of the building that it is about, if it is about one.
    steps : tuple of DemoStep
        In order of time, all before the end of the stream; ``report`` is not among them.
    """

    number: int
    request_id: str
    category: str
    severity: int
    title: str
    description: str
    lon: float
    lat: float
    accuracy_m: float
    reported_at: datetime
    building: str | None
    steps: tuple[DemoStep, ...]


def categories() -> list[dict[str, Any]]:
    """The dictionary of incidents that ships with Wangge, in its order."""
    rows: list[dict[str, Any]] = tomllib.loads(CATEGORIES.read_text(encoding="utf-8"))["categories"]
    return rows


def incident_stream(town: Town, *, seed: int, start: datetime, end: datetime, per_day: float) -> list[DemoIncident]:
    """Incidents of a time, as many a day as said on average.

    Parameters
    ----------
    town : Town
        With buildings, communities and barriers; any town will do.
    seed : int
    start, end : datetime
        Aware. The acts that would follow after ``end`` are left out: recent incidents are still open.
    per_day : float
        Mean number a day; weekdays, seasons, and chance change it.

    Returns
    -------
    list of DemoIncident
        By time of the report.

    Raises
    ------
    InvalidInput
        ``demo.bad_period`` if a time lacks its zone or the end is not after the start; ``demo.nobody_lives_here``.
    """
    if start.tzinfo is None or end.tzinfo is None or end <= start:
        raise InvalidInput("demo.bad_period", start=start.isoformat(), end=end.isoformat())
    rng = stream(seed, 30)
    places = _Places.of(town, stream(seed, 31))
    rows = {row["code"]: row for row in categories()}
    moments = sorted(_moments(rng, start, end, per_day))
    found = []
    for number, (moment, code) in enumerate(moments, start=1):
        found.append(_incident(rng, places, rows[code], moment, end, number=number, seed=seed))
    return found


def _moments(rng: np.random.Generator, start: datetime, end: datetime, per_day: float) -> list[tuple[datetime, str]]:
    """Times and categories of all reports."""
    codes = list(MATTERS)
    weights = np.array([MATTERS[code].weight for code in codes])
    found: list[tuple[datetime, str]] = []
    day = start.astimezone(CHINA).replace(hour=0, minute=0, second=0, microsecond=0)
    while day < end:
        season = np.array([MATTERS[code].months.get(day.month, 1.0) for code in codes])
        weekend = np.array([MATTERS[code].weekend if day.weekday() >= 5 else 1.0 for code in codes])
        today = weights * season * weekend
        mean = per_day * WEEKDAY[day.weekday()] * (today.sum() / weights.sum()) ** 0.5 * rng.gamma(40, 1 / 40)
        for index in rng.choice(len(codes), size=int(rng.poisson(mean)), p=today / today.sum()):
            hours = np.array(RHYTHMS[MATTERS[codes[index]].rhythm], dtype=float)
            hour = int(rng.choice(24, p=hours / hours.sum()))
            moment = day + timedelta(hours=hour, seconds=int(rng.integers(3600)))
            if start <= moment < end:
                found.append((moment, codes[index]))
        day += timedelta(days=1)
    return found


@dataclass(frozen=True)
class _Places:
    """Where things happen: inhabited buildings by weight, streets, river, and the ground that counts."""

    points: NDArray[np.float64]
    weights: NDArray[np.float64]
    buildings: list[dict[str, Any]]
    streets: NDArray[np.object_]
    street_names: list[str]
    street_tree: shapely.STRtree
    river: NDArray[np.object_]
    communities: shapely.STRtree
    offices: Mapping[str, str]

    @classmethod
    def of(cls, town: Town, rng: np.random.Generator) -> _Places:
        buildings = town["buildings"]
        lived = buildings[buildings["households"].fillna(0) > 0].reset_index(drop=True)
        if not len(lived):
            raise InvalidInput("demo.nobody_lives_here")
        # Some compounds are always in the news; within them every household counts alike.
        owners = lived["compound"].fillna(lived["code"]).astype(str)
        moods = {name: float(rng.lognormal(0, 0.75)) for name in sorted(set(owners))}
        weights = lived["households"].to_numpy(dtype=float) * np.array([moods[name] for name in owners])
        compounds = dict(zip(town["compounds"]["code"], town["compounds"]["name"], strict=True))
        rows = [
            {"code": str(row.code), "name": _word(row.name), "address": _word(row.address),
             "compound": _word(compounds.get(row.compound)), "community": _word(row.community)}
            for row in lived[["code", "name", "address", "compound", "community"]].itertuples(index=False, name="Row")
        ]  # fmt: skip
        barriers = town["barriers"]
        roads, street_names = _lines(barriers[barriers["kind"].isin(["arterial", "secondary", "minor"])])
        river, _ = _lines(barriers[barriers["kind"] == "river"])
        departments = town["departments"]
        return cls(
            shapely.get_coordinates(shapely.point_on_surface(np.asarray(lived.geometry, dtype=object))),
            weights / weights.sum(),
            rows,
            roads,
            street_names,
            shapely.STRtree(roads),
            river,
            shapely.STRtree(np.asarray(town["communities"].geometry, dtype=object)),
            {str(area): str(code) for area, code in zip(departments["area"], departments["code"], strict=True)
             if _word(area) and len(str(area)) == 9},
        )  # fmt: skip

    def contains(self, lon: float, lat: float) -> bool:
        return len(self.communities.query(shapely.Point(lon, lat), predicate="within")) > 0


def _lines(barriers: pd.DataFrame) -> tuple[NDArray[np.object_], list[str]]:
    """Simple lines of barriers, and their names; lines of several parts are taken apart."""
    if not len(barriers):
        return np.array([], dtype=object), []
    parts, rows = shapely.get_parts(np.asarray(barriers.geometry, dtype=object), return_index=True)
    given = barriers["name"].tolist()
    return parts, [_word(given[row]) for row in rows.tolist()]


def _word(value: Any) -> str:
    return "" if pd.isna(value) else str(value)


def _incident(
    rng: np.random.Generator,
    places: _Places,
    row: Mapping[str, Any],
    moment: datetime,
    end: datetime,
    *,
    number: int,
    seed: int,
) -> DemoIncident:
    matter = MATTERS[row["code"]]
    home = int(rng.choice(len(places.buildings), p=places.weights))
    lon, lat, where = _spot(rng, places, matter, home)
    severity = 1 + int(rng.choice(4, p=np.array(matter.severities) / sum(matter.severities)))
    words = matter.words[int(rng.integers(len(matter.words)))]
    building = places.buildings[home]
    return DemoIncident(
        number,
        f"demo-{seed}-{number}",
        row["code"],
        severity,
        f"{where}{row['name_zh']}"[:60],
        words.format(place=where, n=int(rng.integers(2, 9))),
        lon,
        lat,
        round(float(rng.lognormal(2.2, 0.6)), 1),
        moment,
        building["code"] if matter.spot == "home" else None,
        _history(rng, row, severity, moment, end, office=places.offices.get(building["community"][:9])),
    )


def _spot(rng: np.random.Generator, places: _Places, matter: Matter, home: int) -> tuple[float, float, str]:
    """Longitude, latitude and the words for a place about a building."""
    x, y = places.points[home]
    building = places.buildings[home]
    named = building["compound"] + building["name"] or building["address"] or building["code"]
    wide = METRE / np.cos(np.deg2rad(y))
    if matter.spot == "street" and len(places.streets):
        index = int(places.street_tree.nearest(shapely.Point(x, y)))
        line = places.streets[index]
        shift = rng.normal(0, 60) * METRE
        point = line.interpolate(min(max(line.project(shapely.Point(x, y)) + shift, 0.0), line.length))
        lon, lat = point.x + rng.normal(0, 2) * wide, point.y + rng.normal(0, 2) * METRE
        street = places.street_names[index]
        named = f"{street}{building['compound']}附近" if street or building["compound"] else named
    elif matter.spot == "water" and len(places.river):
        line = places.river[int(rng.integers(len(places.river)))]
        point = line.interpolate(line.project(shapely.Point(x, y)) + rng.normal(0, 150) * METRE)
        lon, lat, named = point.x, point.y, f"{building['compound']}附近河段"
    else:
        reach = 4.0 if matter.spot == "home" else 16.0
        lon, lat = x + rng.normal(0, reach) * wide, y + rng.normal(0, reach) * METRE
        if matter.spot == "yard":
            named = f"{named}旁"
    lon, lat = round(float(lon), 7), round(float(lat), 7)
    if not places.contains(lon, lat):
        lon, lat = round(float(x), 7), round(float(y), 7)
    return lon, lat, named


class _Clock:
    """Steps of one incident as they are being found. Only `_history` uses it."""

    def __init__(self, rng: np.random.Generator, moment: datetime, end: datetime, severity: int) -> None:
        self.rng, self.now, self.end, self.severity = rng, moment, end, severity
        self.steps: list[DemoStep] = []

    def after(self, hours: float, action: str, department: str | None = None, note: str | None = None) -> None:
        """The next act, about so many hours later; ordinary matters wait for the morning."""
        self.now += timedelta(seconds=int(3600 * hours * self.rng.lognormal(0, 0.6)) + 20)
        local = self.now.astimezone(CHINA)
        if self.severity <= 2 and not 7 <= local.hour < 21:
            morning = local.replace(hour=7, minute=int(self.rng.integers(15, 59)), second=int(self.rng.integers(60)))
            self.now = morning + timedelta(days=1 if local.hour >= 21 else 0)
        if self.now <= self.end and (not self.steps or self.now > self.steps[-1].at):
            self.steps.append(DemoStep(action, self.now, department, note))


def _history(
    rng: np.random.Generator,
    row: Mapping[str, Any],
    severity: int,
    moment: datetime,
    end: datetime,
    *,
    office: str | None,
) -> tuple[DemoStep, ...]:
    """What became of a report: most are settled within their time, some late, a few come back or are refused."""
    clock = _Clock(rng, moment, end, severity)
    haste = (1.0, 0.7, 0.35, 0.15)[severity - 1]
    due = row["due_amount"] * UNIT_HOURS[row["due_unit"]]
    if rng.random() < 0.035:
        clock.after(1.5 * haste, "reject", note=str(rng.choice(["重复上报", "情况不属实", "不属于受理范围"])))
        return tuple(clock.steps)
    clock.after(0.4 * haste, "accept")
    lead = office if office is not None and severity == 1 and rng.random() < 0.3 else row["department"]
    clock.after(0.3 * haste, "dispatch", lead)
    if rng.random() < 0.05:
        clock.after(2.0 * haste, "return", note="不属于本部门职责，申请退单")
        clock.after(1.0 * haste, "dispatch", row["department"] if lead == office else office or row["department"])
    clock.after(1.2 * haste, "start")
    if rng.random() < 0.12:
        clock.after(0.15 * due, "comment", note=str(rng.choice(["已联系当事人", "等待配件到货", "已安排人员到场"])))
    clock.after(due * float(rng.choice([0.18, 0.4, 1.3], p=[0.5, 0.4, 0.1])), "resolve", note="已处置完毕")
    if rng.random() < 0.05:
        clock.after(6.0 * haste, "rework", note="现场核查未达标，请继续处置")
        clock.after(0.3 * due, "resolve", note="已再次处置")
    clock.after(5.0 * haste, "verify", note="网格员现场核查属实")
    clock.after(3.0 * haste, "close")
    return tuple(clock.steps)
