"""The addresses of the demo town, written in many ways: how many find their building, and that doubt is flagged."""

from __future__ import annotations

import re
from collections import defaultdict

import numpy as np
import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from gis import ingest
from gis.cleaning import clean
from gis.demo import make_town
from gis.permissions import EVERYWHERE, SYSTEM
from gis.search_matching import find_addresses
from gis.spelling import syllables
from gis.town import Town
from tests.usecases.builders import NOW

SAMPLE = 220
NUMERALS = "零一二三四五六七八九"


@pytest.fixture
def addresses(engine):
    """Buildings of the demo town that are stored for this test alone: id, road, house, compound, number, areas."""
    whole, _ = clean(make_town(seed=1))
    layers = ("areas", "communities", "compounds", "buildings")
    with engine.connect() as connection, connection.begin() as transaction:
        with Session(bind=connection, join_transaction_mode="create_savepoint") as session:
            ingest.store(session, Town({name: whole[name] for name in layers}, "demo"), actor=SYSTEM, now=NOW)
            rows = session.execute(
                text(
                    "SELECT b.id, b.address, b.name, c.name AS compound, s.name AS street, a.name AS community"
                    " FROM building b LEFT JOIN compound c ON c.id = b.compound_id"
                    " JOIN admin_area a ON a.id = b.area_id JOIN admin_area s ON s.id = a.parent_id ORDER BY b.id"
                )
            ).all()
            yield session, rows
        transaction.rollback()


def written(row, rng):
    """Ways of writing one address: the plain ones, and those with a mistake, by name."""
    road, house = re.match(r"(.*?)(\d+)号", row.address).groups()
    plain = {
        "stored": row.address,
        "areas": f"东澜市{row.street}{row.community}{row.address}",
        "spaces": row.address.replace("号", " 号 "),
        "full width": row.address.translate(str.maketrans("0123456789", "０１２３４５６７８９")),
    }
    numbered = re.fullmatch(r"(\d+)(栋|号)", row.name)
    if not (row.compound and numbered):
        return plain, {}
    name, n = row.compound, int(numbered[1])
    at = int(rng.integers(len(name) - 1))
    plain |= {
        "room": f"{row.address}1单元302室",
        "marker": f"{road}{house}号{name}{n}号楼",
        "compound": f"{name}{n}幢",
        "numeral": f"{name}{NUMERALS[n] if n < 10 else n}栋",
        "dashes": f"{name}{n}-1-302",
        "order": f"{name}{road}{house}号{n}栋",
        "no compound": f"{road}{house}号{n}栋",
        "traditional": f"{name}{n}號樓",
    }
    wrong = name[:at] + chr(int(rng.integers(0x4E00, 0x9000))) + name[at + 1 :]
    return plain, {
        "pinyin": f"{road}{house}号" + "".join(syllables(name)) + f"{n}栋",
        "wrong character": f"{road}{house}号{wrong}{n}栋",
        "missing character": f"{road}{house}号{name[:at]}{name[at + 1 :]}{n}栋",
        "swapped characters": f"{road}{house}号{name[:at]}{name[at + 1]}{name[at]}{name[at + 2 :]}{n}栋",
        "wrong road": f"{road[0]}{wrong[0]}{road[1:]}{house}号{name}{n}栋",
    }


def test_plain_ways_find_their_building_and_mistakes_nearly_always(addresses):
    session, rows = addresses
    rng = np.random.default_rng(7)
    asked, meant = {}, {}
    for row in (rows[n] for n in rng.choice(len(rows), SAMPLE, replace=False)):
        for is_plain, ways in zip((True, False), written(row, rng), strict=True):
            for words in ways.values():
                asked[len(asked)] = words
                meant[len(meant)] = (is_plain, row.id)
    found = find_addresses(session, asked, scopes=[EVERYWHERE])
    right, surely_wrong = defaultdict(list), []
    for n, (is_plain, building) in meant.items():
        hit = found.get(n)
        right[is_plain].append(hit is not None and hit.ids[0] == building)
        if hit is not None and hit.ids[0] != building and not hit.is_approximate:
            surely_wrong.append(asked[n])
    assert surely_wrong == []
    assert np.mean(right[True]) >= 0.99
    assert np.mean(right[False]) >= 0.95
