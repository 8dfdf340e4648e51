"""``wangge bench search``: how fast and how well search finds, among many made-up Chinese addresses.

In one run on one database: our search; a plain ``ILIKE '%…%'`` and the trigram likeness of whole addresses by the GIN
index that buildings have anyway; and rapidfuzz over all addresses in memory, where it is installed. Recall is counted
over queries made from known buildings by mistakes as people make them.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import click
import numpy as np
from sqlalchemy import Engine, text
from sqlalchemy.orm import Session

from gis import search_index
from gis.db import unit_of_work
from gis.permissions import SYSTEM
from gis.search import candidates, search
from gis.spelling import syllables
from scripts.bench_database import bench_database
from scripts.program import Program, pass_program, print_json

BUILDINGS_OF_A_COMPOUND = 25
ADDRESSES_OF_A_GRID = 333
"""More than can stand apart: each building stands several times on its ground, which search does not mind."""
ROADS_OF_A_COMMUNITY = 25
_PEER_SECONDS = 20.0
"""A peer that answers slower is asked fewer of the questions."""

_LETTERS = (
    "阳光锦绣翡翠金碧江山书香枫林丹桂银杏海棠玫瑰明珠华府龙泉祥和福满盛世康乐春橡树云景世纪御名仕东西南北中新城湖滨河畔紫荆白玉兰亭苑馨怡泰安宁平长永兴隆昌文景德仁义信达通顺利凤凰鹤鸣翔天星月辰曦晨晖朝霞虹"
    "彩嘉裕丰禾穗麦稻竹松柏梅兰菊荷莲桃李梨杨柳榆槐梧桐"
)
_PLACES = ("小区", "花园", "家园", "佳园", "新村", "苑", "名邸", "华庭", "水岸", "国际", "公寓", "府")
_ROADS = ("路", "街", "大道", "东路", "西街", "南路", "一路", "巷")


@dataclass(frozen=True, slots=True)
class Known:
    """A building whose address questions are made from."""

    id: int
    road: str
    house: int
    compound: str
    number: int

    @property
    def address(self) -> str:
        return f"{self.road}{self.house}号{self.compound}{self.number}栋"


@dataclass(frozen=True, slots=True)
class Question:
    """What is typed, and which building is meant (0: none)."""

    kind: str
    words: str
    building: int = 0


Asked = Callable[[Session, str], Sequence[int]]
"""Words → ids of buildings, the likeliest first."""


@click.command("search")
@click.option("--addresses", default=1_000_000, show_default=True, help="Buildings, each with an address.")
@click.option("--questions", default=60, show_default=True, help="Of each kind.")
@click.option("--seed", default=1, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="One JSON object on standard output.")
@pass_program
def command(program: Program, addresses: int, questions: int, seed: int, *, as_json: bool) -> None:
    """Time search by kind of question, and count how often it finds what was meant, beside plain means."""
    grids = max(60, round(addresses / ADDRESSES_OF_A_GRID))
    with bench_database(program.settings, grids=grids, buildings_of_a_cell=10) as town:
        begun = time.perf_counter()
        known = fill_addresses(town.engine, addresses, seed=seed)
        filled_s = time.perf_counter() - begun
        with unit_of_work(town.engine) as session:
            entries = search_index.rebuild(session)
        with town.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("VACUUM (ANALYZE) building, search_entry, search_stale, grid_part, compound"))
        built_s = time.perf_counter() - begun - filled_s
        told = {
            "addresses": _count(town.engine),
            "entries": entries,
            "index_s": round(built_s, 1),
            **measured(town.engine, known, questions=questions, seed=seed),
        }
    if as_json:
        print_json(told)
    else:
        for line in _lines(program, told):
            click.echo(line)


def _count(engine: Engine) -> int:
    with engine.connect() as connection:
        return int(connection.scalar(text("SELECT count(*) FROM building")) or 0)


def fill_addresses(engine: Engine, addresses: int, *, seed: int, sample: int = 4000) -> list[Known]:
    """Give a bench database so many buildings with compounds, names and addresses; gives some of them to ask for.

    More buildings than can stand apart stand several times on the ground of those that are there, in the same cells.
    """
    rng = np.random.default_rng(seed)
    with unit_of_work(engine) as session:
        session.execute(text("SET LOCAL statement_timeout = 0"))
        there = int(session.scalar(text("SELECT count(*) FROM building")) or 0)
        session.execute(text(_TWINS), {"more": max(0, -(-addresses // there) - 1)})
        session.execute(text(_MADE))
        rows = session.execute(text("SELECT id, area_id FROM twin ORDER BY area_id, id")).all()
        known = list(_made_up([(row.id, row.area_id) for row in rows], rng))
        driver: Any = session.connection().connection.driver_connection
        with driver.cursor() as cursor, cursor.copy("COPY made FROM STDIN") as copy:
            for one in known:
                group = f"{one.road}{one.house}{one.compound}"
                copy.write_row((one.id, group, one.compound, f"{one.number}栋", one.address))
        for statement in _FILL:
            session.execute(text(statement))
    picked = rng.choice(len(known), min(sample, len(known)), replace=False)
    return [known[n] for n in picked]


def _made_up(buildings: Sequence[tuple[int, int]], rng: np.random.Generator) -> Iterator[Known]:
    letters = list(_LETTERS)
    areas = sorted({area for _, area in buildings})
    roads = ["".join(rng.choice(letters, 2)) + str(rng.choice(_ROADS)) for _ in range(len(areas) * 15)]
    of_area = {area: rng.choice(len(roads), ROADS_OF_A_COMMUNITY) for area in areas}
    road, house, compound, number, area_before = "", 0, "", 0, None
    for building, area in buildings:
        if number >= BUILDINGS_OF_A_COMPOUND or area != area_before:
            compound = "".join(rng.choice(letters, 2)) + str(rng.choice(_PLACES))
            road, house, number = roads[int(rng.choice(of_area[area]))], int(rng.integers(1, 400)), 0
            area_before = area
        number += 1
        yield Known(building, road, house, compound, number)


_TWINS = """
CREATE TEMPORARY TABLE twin AS
SELECT
    b.id AS of, b.area_id, n,
    CASE WHEN n = 0 THEN b.id ELSE nextval(pg_get_serial_sequence('building', 'id')) END AS id
FROM building AS b CROSS JOIN generate_series(0, :more) AS n
"""
_MADE = "CREATE TEMPORARY TABLE made (id bigint PRIMARY KEY, code text, compound text, name text, address text)"

# A published plan takes no more parts: its guard is asleep meanwhile.
_FILL = (
    "ANALYZE twin",
    "ANALYZE made",
    """
    INSERT INTO compound (area_id, code, name, geom)
    SELECT
        twin.area_id, 'X' || md5(made.code || twin.area_id), min(made.compound),
        ST_Multi(ST_Expand(ST_SetSRID(ST_Extent(b.geom)::geometry, 4326), 0.00001))
    FROM made INNER JOIN twin ON twin.id = made.id INNER JOIN building AS b ON b.id = twin.of
    GROUP BY made.code, twin.area_id
    """,
    """
    UPDATE building AS b SET name = made.name, address = made.address, compound_id = c.id
    FROM made, compound AS c
    WHERE b.id = made.id AND c.code = 'X' || md5(made.code || b.area_id)
    """,
    """
    INSERT INTO building (id, area_id, compound_id, code, name, address, floors, units, households, geom)
    SELECT
        twin.id, b.area_id, c.id, b.code || '-' || twin.n, made.name, made.address, b.floors, b.units, b.households,
        b.geom
    FROM twin INNER JOIN made ON made.id = twin.id INNER JOIN building AS b ON b.id = twin.of
    INNER JOIN compound AS c ON c.code = 'X' || md5(made.code || twin.area_id)
    WHERE twin.n > 0
    """,
    """
    INSERT INTO building_part (building_id, households, valid_during)
    SELECT twin.id, p.households, p.valid_during
    FROM twin INNER JOIN building_part AS p ON p.building_id = twin.of
    WHERE twin.n > 0
    """,
    "ALTER TABLE grid_part DISABLE TRIGGER USER",
    """
    INSERT INTO grid_part
        (plan_id, building_part_id, grid_id, grid_depth, building_id, unit_span, floor_span, households)
    SELECT gp.plan_id, p.id, gp.grid_id, gp.grid_depth, twin.id, gp.unit_span, gp.floor_span, gp.households
    FROM twin INNER JOIN grid_part AS gp ON gp.building_id = twin.of
    INNER JOIN building_part AS p ON p.building_id = twin.id
    WHERE twin.n > 0
    """,
    "ALTER TABLE grid_part ENABLE TRIGGER USER",
)


# --- questions --------------------------------------------------------------------------------------------------------


def questions_of(known: Sequence[Known], count: int, rng: np.random.Generator) -> list[Question]:
    """Questions of every kind."""
    letters = list(_LETTERS)

    def some() -> Known:
        return known[int(rng.integers(len(known)))]

    made: list[Question] = []
    for _ in range(count):
        one = some()
        made += [Question(kind, words, one.id) for kind, words in written(one, rng).items()]
        made += [
            Question("prefix", one.compound[:2]),
            Question("prefix_pinyin", "".join(syllables(one.compound))[:6]),
            Question("initials", "".join(sound[0] for sound in syllables(one.compound))),
            Question("mistyped_name", _swapped(one.compound, rng)),
            Question("one_character", str(rng.choice(letters))),
            Question("one_letter", str(rng.choice(list("ybjxhs")))),
            Question("number_alone", f"{one.number}栋"),
            Question("nonsense", "".join(chr(c) for c in rng.integers(0x4E00, 0x9FA5, 6))),
            Question("nonsense_latin", "".join(rng.choice(list("qwxzvkjfbp"), 9))),
            Question("300_characters", "".join(str(rng.choice(letters)) for _ in range(300))),
        ]
    return made


def written(one: Known, rng: np.random.Generator) -> dict[str, str]:
    """An address as it is stored, and in ways that people write it, right and wrong."""
    number, compound = one.number, one.compound
    return {
        "exact": one.address,
        "room": f"{one.address}1单元302室",
        "compound_number": f"{compound}{number}栋",
        "other_marker": f"{one.road}{one.house}号{compound}{number}号楼",
        "dashes": f"{one.road}{compound}{number}-1-302",
        "order": f"{compound}{one.road}{one.house}号{number}栋",
        "pinyin_number": "".join(syllables(compound)) + str(number),
        "homophone": f"{one.road}{_homophone(compound, rng)}{number}栋",
        "wrong_character": f"{one.road}{one.house}号{_wrong(compound, rng)}{number}栋",
        "missing_character": f"{one.road}{one.house}号{_without(compound, rng)}{number}栋",
        "swapped": f"{one.road}{_swapped(compound, rng)}{number}栋",
        "pinyin_typo": _swapped("".join(syllables(compound)), rng) + str(number),
    }


OURS = ("wangge", "wangge_ids")

_SAME: dict[str, list[str]] = defaultdict(list)


def _homophone(name: str, rng: np.random.Generator) -> str:
    if not _SAME:
        for code in range(0x4E00, 0x9FA5):
            _SAME[syllables(chr(code))[0]].append(chr(code))
    at = int(rng.integers(min(2, len(name))))
    others = [letter for letter in _SAME[syllables(name)[at]] if letter != name[at]] or [name[at]]
    return name[:at] + others[int(rng.integers(len(others)))] + name[at + 1 :]


def _wrong(name: str, rng: np.random.Generator) -> str:
    at = int(rng.integers(len(name)))
    return name[:at] + chr(int(rng.integers(0x4E00, 0x9FA5))) + name[at + 1 :]


def _without(name: str, rng: np.random.Generator) -> str:
    at = int(rng.integers(len(name)))
    return name[:at] + name[at + 1 :]


def _swapped(name: str, rng: np.random.Generator) -> str:
    at = int(rng.integers(1, len(name) - 1)) if len(name) > 2 else 0
    return name[:at] + name[at + 1] + name[at] + name[at + 2 :]


# --- ways of finding --------------------------------------------------------------------------------------------------


def _ours(session: Session, words: str) -> Sequence[int]:
    found = search(session, words, actor=SYSTEM, at=datetime.now(UTC), limit=10)
    return [row["id"] for row in found if row["kind"] == "building"]


def _ids_alone(session: Session, words: str) -> Sequence[int]:
    """The same without telling of places, cells and people: what the others give."""
    found = candidates(session, words, actor=SYSTEM, at=datetime.now(UTC))
    return [one.ref_id for one in found[:10] if one.kind == "building"]


_TEXT = "(coalesce(name, '') || ' ' || coalesce(address, '') || ' ' || code)"


def _contains(session: Session, words: str) -> Sequence[int]:
    pattern = f"%{words}%"
    statement = text(f"SELECT id FROM building WHERE {_TEXT} ILIKE :pattern LIMIT 10")
    return list(session.scalars(statement, {"pattern": pattern}))


def _alike(session: Session, words: str) -> Sequence[int]:
    statement = text(f"SELECT id FROM building WHERE {_TEXT} %> :words ORDER BY {_TEXT} <->> :words LIMIT 10")
    return list(session.scalars(statement, {"words": words}))


def _in_memory(engine: Engine) -> Asked | None:
    try:
        from rapidfuzz import fuzz, process
    except ImportError:
        return None
    with engine.connect() as connection:
        rows = connection.execute(text("SELECT id, address FROM building ORDER BY id")).all()
    ids, addresses = [row.id for row in rows], [row.address or "" for row in rows]

    def asked(_: Session, words: str) -> Sequence[int]:
        found = process.extract(words, addresses, scorer=fuzz.partial_ratio, limit=10)
        return [ids[at] for _, _, at in found]

    return asked


def measured(engine: Engine, known: Sequence[Known], *, questions: int, seed: int) -> dict[str, Any]:
    """Times (ms at p50 and p95) and recall of every way of finding, by kind of question."""
    rng = np.random.default_rng(seed + 1)
    asked = questions_of(known, questions, rng)
    ways: dict[str, Asked] = {"wangge": _ours, "wangge_ids": _ids_alone, "ilike": _contains, "trigrams": _alike}
    if (in_memory := _in_memory(engine)) is not None:
        ways["rapidfuzz"] = in_memory
    same = _namesakes(engine, known)
    rows: dict[str, dict[str, Any]] = {}
    for name, way in ways.items():
        rows[name] = _timed(engine, way, asked, same, limit_s=None if name in OURS else _PEER_SECONDS)
    return {"questions": questions, "ways": rows, "ratios": _ratios(rows)}


def _namesakes(engine: Engine, known: Sequence[Known]) -> dict[int, set[int]]:
    """Buildings that bear the same compound's name and number, which words without a road cannot tell apart."""
    with engine.connect() as connection:
        rows = connection.execute(
            text(
                "SELECT b.id, array_agg(o.id) AS others FROM building b JOIN compound c ON c.id = b.compound_id"
                " JOIN compound d ON d.name = c.name JOIN building o ON o.compound_id = d.id AND o.name = b.name"
                " WHERE b.id = ANY(:ids) GROUP BY b.id"
            ),
            {"ids": [one.id for one in known]},
        )
        return {row.id: set(row.others) for row in rows}


def _timed(
    engine: Engine, way: Asked, asked: Sequence[Question], same: Mapping[int, set[int]], *, limit_s: float | None
) -> dict[str, Any]:
    times: dict[str, list[float]] = defaultdict(list)
    first: dict[str, list[bool]] = defaultdict(list)
    among: dict[str, list[bool]] = defaultdict(list)
    spent: dict[str, float] = defaultdict(float)
    with unit_of_work(engine) as session:
        session.execute(text("SET LOCAL statement_timeout = 0"))
        for one in asked[:: max(1, len(asked) // 20)]:
            way(session, one.words)  # warm
        for one in asked:
            if limit_s is not None and spent[one.kind] > limit_s / 8 and len(times[one.kind]) >= 3:
                continue
            begun = time.perf_counter()
            found = way(session, one.words)
            took = time.perf_counter() - begun
            spent[one.kind] += took
            times[one.kind].append(took * 1000)
            if one.building:
                named = same.get(one.building, set()) if one.kind in _WITHOUT_ROAD else set()
                meant = named | {one.building}
                first[one.kind].append(bool(found) and found[0] in meant)
                among[one.kind].append(bool(meant & set(found[:5])))
    return {
        kind: {
            "p50_ms": round(float(np.percentile(some, 50)), 2),
            "p95_ms": round(float(np.percentile(some, 95)), 2),
            "asked": len(some),
            "first": round(float(np.mean(first[kind])), 4) if kind in first else None,
            "among_5": round(float(np.mean(among[kind])), 4) if kind in among else None,
        }
        for kind, some in times.items()
    }


_WITHOUT_ROAD = frozenset({"compound_number", "pinyin_number", "pinyin_typo"})


def _ratios(rows: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, float]]:
    """How many times faster ours is at the same (ids alone), at p95, by kind of question."""
    ours = rows["wangge_ids"]
    return {
        name: {kind: round(one["p95_ms"] / ours[kind]["p95_ms"], 1) for kind, one in kinds.items()}
        for name, kinds in rows.items()
        if name not in OURS
    }


def _lines(program: Program, told: Mapping[str, Any]) -> Iterator[str]:
    yield program.sentence("bench.search.title", **{key: told[key] for key in ("addresses", "entries", "index_s")})
    ways = list(told["ways"])
    yield f"{'':<20}" + "".join(f"{name:>36}" for name in ways)
    columns = f"{'p50':>8}{'p95 ms':>9}{'@1':>9}{'@5':>9} "
    yield f"{'':<20}" + columns * len(ways)
    for kind in told["ways"]["wangge"]:
        yield f"{kind:<20}" + "".join(_cell(told["ways"][name].get(kind)) for name in ways)
    for name, ratios in told["ratios"].items():
        values = sorted(ratios.values())
        yield program.sentence("bench.search.ratio", peer=name, least=values[0], middle=values[len(values) // 2])


def _cell(one: Mapping[str, Any] | None) -> str:
    if one is None:
        return " " * 36
    shares = "".join(f"{one[key]:>9.1%}" if one[key] is not None else f"{'-':>9}" for key in ("first", "among_5"))
    return f"{one['p50_ms']:>8.1f}{one['p95_ms']:>9.1f}{shares} "
