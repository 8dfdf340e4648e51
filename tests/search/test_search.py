"""Search: what is found by what is typed, in which order, with whom, and within whose areas."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import text

from gis import plans
from gis.errors import InvalidInput
from gis.permissions import SYSTEM, Role
from gis.search import KINDS
from tests.search.conftest import changed, somebody
from tests.usecases.builders import LAT, LON, NOW, SIZE, make_plan


@pytest.mark.parametrize(
    "words",
    [
        "阳光水岸3栋",
        "阳光水岸三栋",
        "阳光水岸3号楼",
        "阳光水岸3幢2单元502",
        "阳光水岸3-2-502",
        "陽光水岸３號樓",
        "锦江路12号阳光水岸3栋",
        "锦江路12号3栋",
        "阳光水岸锦江路12号3栋",
        "阳光水案3栋",
        "羊光水岸3栋",
        "阳光木岸3栋",
        "阳水光岸3栋",
        "阳光岸3栋",
        "阳光的水岸3栋",
        "yangguangshuian3",
        "yangguangshuian3dong2danyuan502",
        "ygsa3",
        "yanguangshuian3",
        "yangguangshuina3",
        "21068100100100003",
    ],
)
def test_a_building_is_found_first_by_whatever_is_typed(find, words):
    first = find(words)[0]
    assert (first["kind"], first["label"]) == ("building", "阳光水岸3栋")


@pytest.mark.parametrize(
    "words",
    [
        "阳光水岸",
        "阳光",
        "水岸",
        "阳光水案",
        "yangguang",
        "yangguangshuian",
        "ygsa",
        "yg",
        "yanguang",
        "yangugang",
        "锦江路12号",
        "X1",
        "Sunshine Bank",
        "sunshine",
    ],
)
def test_a_compound_is_found_first_by_whatever_is_typed(find, words):
    first = find(words)[0]
    assert (first["kind"], first["code"]) == ("compound", "X1")


@pytest.mark.parametrize("words", ["重庆", "重庆家园", "chongqing", "cqjy", "zhongqingjiayuan", "从庆家园"])
def test_names_of_several_readings_are_found_by_each(find, words):
    assert find(words)[0]["label"] == "重庆家园"


@pytest.mark.parametrize(
    ("words", "kind", "label"),
    [
        ("望海小学", "poi", "望海小学"),
        ("whxx", "poi", "望海小学"),
        ("锦江路", "road", "锦江路"),
        ("石建超", "staff", "石建超"),
        ("sjc", "staff", "石建超"),
        ("石健超", "staff", "石建超"),
        ("S000", "staff", "石建超"),
        ("zhaochangle", "staff", "赵长乐"),
        ("210681001001001", "grid", "210681001001001"),
        ("21068100100100102", "micro_grid", "21068100100100102"),
        ("210681001001", "community", None),
    ],
)
def test_other_things_are_found(find, words, kind, label):
    first = find(words)[0]
    assert first["kind"] == kind
    assert label is None or first["label"] == label


def test_a_grid_is_found_by_its_community_and_number(find, session, town):
    changed(session, "UPDATE admin_area SET name = '文庙社区' WHERE id = :id", id=town.communities[0].id)
    first = find("文庙社区1网格")[0]
    assert (first["kind"], first["code"]) == ("grid", "210681001001001")
    assert find("文庙1号网格")[0]["code"] == "210681001001001"


def test_the_exact_comes_before_the_beginning_before_the_alike(session, find):
    for number, name in enumerate(("阳光", "阳光水岸二期", "阳关水园"), 10):
        changed(
            session,
            "INSERT INTO compound (area_id, code, name, geom)"
            " SELECT area_id, :code, :name, geom FROM compound WHERE code = 'X1'",
            code=f"X{number}", name=name,
        )  # fmt: skip
    found = [row["label"] for row in find("阳光水岸", kinds=["compound"])]
    assert found[:2] == ["阳光水岸", "阳光水岸二期"]
    assert "阳光" not in found[:2]
    scores = [row["score"] for row in find("阳光", kinds=["compound"])]
    assert scores == sorted(scores, reverse=True)
    assert find("阳光")[0]["label"] == "阳光"


def test_of_equals_the_nearer_comes_first(session, find):
    changed(session, "UPDATE compound SET name = '阳光水岸' WHERE code = 'X2'")
    west, east = (LON + SIZE * 0.5, LAT), (LON + SIZE * 1.5, LAT)
    assert find("阳光水岸", near=west)[0]["code"] == "X1"
    assert find("阳光水岸", near=east)[0]["code"] == "X2"
    assert find("阳光水岸", near=east)[0]["distance_m"] < find("阳光水岸", near=east)[1]["distance_m"]


def test_a_number_alone_is_looked_for_nearby(find):
    assert [row["label"] for row in find("5栋", near=(LON + SIZE * 1.5, LAT))] == ["重庆家园5栋", "阳光水岸5栋"]
    assert len(find("5栋")) == 2
    assert find("99栋") == []


def test_what_matched_is_marked(find):
    def marks(words):
        first = find(words)[0]
        return "".join(first["label"][a:b] for a, b in first["marks"])

    assert marks("阳光水岸3栋") == "阳光水岸3栋"
    assert marks("阳光水案3栋") == "阳光水岸3栋"
    assert marks("ygs") == "阳光水"
    assert marks("yangguangsh") == "阳光水"
    assert marks("水岸") == "水岸"


def test_the_unit_and_room_choose_the_micro_grid_as_a_geotag_does(find):
    stack = find("阳光水岸1栋")[0]
    assert (stack["flags"], stack["micro_grid"]) == (["needs_floor"], None)
    assert len(stack["candidates"]) == 2
    low, high = find("阳光水岸1栋1单元202")[0], find("阳光水岸1栋1单元802")[0]
    assert (low["unit"], low["floor"], low["room"]) == (1, 2, "202")
    assert low["micro_grid"]["code"].endswith("01")
    assert high["micro_grid"]["code"].endswith("50")
    assert low["people"][0]["place"] == low["micro_grid"]["code"]
    assert low["people"] != high["people"]


def test_a_compound_in_several_grids_names_them_and_the_people_it_has_in_common(find):
    found = find("阳光水岸")[0]
    assert (found["grid"], found["flags"]) == (None, ["several_grids"])
    assert len(found["candidates"]) == 2
    assert found["people"] == []


def test_each_item_has_its_place_and_its_people(find):
    for words in ("阳光水岸2栋", "望海小学", "210681001001001", "石建超"):
        first = find(words)[0]
        assert LON <= first["lon"] <= LON + 2 * SIZE
        assert LAT <= first["lat"] <= LAT + SIZE
        assert first["people"], words


def test_nobody_finds_what_lies_beyond_the_own_areas(find, town):
    there = somebody(town, community=1)
    names = "阳光水岸 阳光水岸3栋 ygsa 锦江路 锦江路12号 望海小学 石建超 阳光水案 yanguang 锦江路12号3栋"
    codes = "X1 21068100100100003 210681001001001 S000"
    for words in (names + " " + codes).split():
        assert find(words, actor=there) == [], words
    assert find("重庆家园3栋", actor=there)[0]["label"] == "重庆家园3栋"
    assert find("5栋", actor=there)[0]["label"] == "重庆家园5栋"
    assert {row["kind"] for row in find("210681001002", actor=there)} >= {"community", "grid"}


def test_people_are_found_where_they_serve_with_phones_for_those_who_may_see_them(find, town):
    assert find("员7", actor=somebody(town, community=1)) or find("S007", actor=somebody(town, community=1))
    viewer = find("石建超", actor=somebody(town, Role.VIEWER))[0]
    assert viewer["people"][0]["phone"] == "138****0000"
    dispatcher = find("石建超", actor=somebody(town, Role.DISPATCHER))[0]
    assert dispatcher["people"][0]["phone"] == "13800000000"
    masked = find("阳光水岸2栋", actor=somebody(town, Role.VIEWER))[0]["people"]
    assert masked
    assert all("*" in person["phone"] for person in masked)


def test_only_some_kinds(find):
    assert {row["kind"] for row in find("阳光水岸3栋", kinds=["compound"])} == {"compound"}
    assert {row["kind"] for row in find("210681001001", kinds=["grid"])} == {"grid"}
    assert {row["kind"] for row in find("210681001001", kinds=["micro_grid", "community"])} <= {
        "micro_grid",
        "community",
    }
    with pytest.raises(InvalidInput, match=r"search\.unknown_kind"):
        find("阳光", kinds=["planet"])
    assert len(KINDS) == len(set(KINDS))


def test_no_more_than_asked_for(find):
    assert len(find("阳光水岸", limit=1)) == 1
    assert len(find("21068", limit=50)) <= 50


@pytest.mark.parametrize("words", ["", "   ", "%", "_", "%%%", "🙂🙂", "……，。", "\x00\x01", "'; --", "()[]{}*+?\\"])
def test_where_there_is_nothing_to_look_for_it_says_so(find, words):
    with pytest.raises(InvalidInput, match=r"search\.nothing_asked"):
        find(words)


def test_ten_thousand_characters_are_refused(find):
    with pytest.raises(InvalidInput, match=r"search\.too_long"):
        find("阳" * 10_000)


ODD = (
    "阳光%水岸|阳光_水岸|O'Brien 3|阳光\x00水岸|🙂阳光水岸🙂|\u202e岸水|﷽|𠮷野家|-1|0栋|阳光水岸99999999栋|ﬁ|"
    "٣栋|①栋|Ⅲ栋|{x}|a~|路|号|栋栋栋|3栋2栋1栋"
)


@pytest.mark.parametrize("words", ["阳" * 300, "a" * 300, "1" * 300, "3栋" * 60, "9" * 20, *ODD.split("|")])
def test_odd_words_are_answered(find, words):
    try:
        found = find(words)
    except InvalidInput as refused:
        found = [] if refused.code == "search.nothing_asked" else None
    assert isinstance(found, list)


def test_wildcards_mean_themselves(labels):
    assert labels("阳光%水岸")[0] == labels("阳光水岸")[0]
    assert labels("%水%") == labels("水")


# --- never stale ------------------------------------------------------------------------------------------------------


def test_a_changed_name_is_found_at_once(session, find):
    changed(session, "UPDATE compound SET name = '望江华庭' WHERE code = 'X1'")
    assert find("望江华庭")[0]["code"] == "X1"
    assert find("wjht3")[0]["label"] == "望江华庭3栋"
    assert all(row["label"] != "阳光水岸" for row in find("阳光水岸"))


def test_a_new_building_is_found_and_a_lost_one_is_not(session, find):
    changed(
        session,
        "INSERT INTO building (area_id, compound_id, code, name, address, geom)"
        " SELECT area_id, compound_id, 'NEW1', '88栋', '锦江路12号阳光水岸88栋', geom FROM building"
        " WHERE code = '21068100100100002'",
    )
    assert find("阳光水岸88栋")[0]["code"] == "NEW1"
    changed(session, "DELETE FROM building WHERE code = 'NEW1'")
    assert all(row["code"] != "NEW1" for row in find("阳光水岸88栋"))


def test_a_road_goes_with_its_last_building(session, find):
    changed(
        session, "UPDATE building SET address = replace(address, '锦江路12', '滨河道7') WHERE address LIKE '锦江路%'"
    )
    assert find("滨河道")[0]["kind"] == "road"
    assert all(row["kind"] != "road" for row in find("锦江路"))


def test_people_who_come_and_go(session, find):
    changed(
        session,
        "INSERT INTO staff (code, name, phone, department_id)"
        " SELECT 'S900', '欧阳锋', '13900000000', id FROM department WHERE code = 'D1'",
    )
    assert find("欧阳锋")[0]["code"] == "S900"
    assert find("oyf")[0]["code"] == "S900"
    changed(session, "DELETE FROM staff WHERE code = 'S900'")
    assert find("欧阳锋") == []


def test_after_a_publication_the_cells_of_the_new_plan_are_found(session, find, town):
    before = find("21068100100100102")[0]
    plan = make_plan(session, town, pieces=(4, 1))
    assert find("21068100100100102")[0]["id"] == before["id"], "a draft is not in force"
    plans.publish(session, plan.id, actor=SYSTEM, now=NOW - timedelta(minutes=1))
    ids = {row["id"] for row in find("2106810010010", kinds=["grid", "micro_grid"], limit=50)}
    of_plan = set(session.scalars(text("SELECT id FROM grid WHERE plan_id = :plan"), {"plan": plan.id}))
    assert ids
    assert ids <= of_plan


def test_named_cells_are_found_while_their_plan_is_in_force(session, find, town):
    plan = make_plan(session, town, pieces=(2, 2))
    changed(
        session, "UPDATE grid SET name = '紫荆网格' WHERE id = (SELECT min(id) FROM grid WHERE plan_id = :p)", p=plan.id
    )
    assert find("紫荆网格") == []
    plans.publish(session, plan.id, actor=SYSTEM, now=NOW - timedelta(minutes=1))
    assert find("紫荆网格")[0]["label"] == "紫荆网格"
    assert find("zjwg")[0]["label"] == "紫荆网格"


def test_what_was_moved_to_another_area_is_seen_by_its_people(session, find, town):
    there = somebody(town, community=1)
    assert find("阳光水岸", actor=there) == []
    changed(session, "UPDATE compound SET area_id = :id WHERE code = 'X1'", id=town.communities[1].id)
    assert find("阳光水岸", actor=there)[0]["code"] == "X1"
