"""Addresses taken apart: the ways in which people write one, and what is none."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gis.addresses import LIMIT, Address, clean, parse

WHOLE = Address(
    areas=("东澜市", "江南街道"), road="锦江路", house="12", place="明珠小区", building="7", unit=2, floor=5, room="502"
)
PLACE = replace(WHOLE, areas=(), road=None, house=None)
BUILDING = replace(PLACE, unit=None, floor=None, room=None)


def said(words: str) -> Address:
    """What an address says, without how it was read."""
    return replace(parse(words), names=(), words="")


@pytest.mark.parametrize(
    "words",
    [
        "东澜市江南街道锦江路12号明珠小区7栋2单元502",
        "东澜市江南街道锦江路12号明珠小区7栋2单元502室",
        "东澜市 江南街道 锦江路 12号 明珠小区 7栋 2单元 502",
        "东澜市，江南街道，锦江路12号，明珠小区，7栋，2单元，502室。",
        "东澜市江南街道锦江路１２号明珠小区７栋２单元５０２室",
        "东澜市江南街道锦江路十二号明珠小区七栋二单元五〇二室",
        "东澜市江南街道锦江路12号明珠小区第7栋第2单元502",
        "東瀾市江南街道錦江路12號明珠小區7棟2單元502室",
        "东澜市江南街道锦江路12号明珠小区7-2-502",
        "东澜市江南街道锦江路12号明珠小区7—2—502",
        "东澜市江南街道锦江路12号明珠小区7#2-502",
        "东澜市江南街道锦江路12号明珠小区7＃楼2单元502",
        "东澜市江南街道锦江路12号明珠小区7号楼2门502",
        "东澜市江南街道锦江路12号明珠小区07幢02单元502号",
        "东澜市江南街道明珠小区锦江路12号7栋2单元502",
        "东澜市江南街道办事处锦江路12号明珠小区7座2单元502房",
    ],
)
def test_one_address_is_written_in_many_ways(words: str) -> None:
    assert said(words) == WHOLE


@pytest.mark.parametrize(
    "words",
    [
        "明珠小区7栋2单元502",
        "明珠小区 7栋 2单元 502",
        "明珠小区七栋二单元五零二",
        "明珠小区7楼2单元502",
        "明珠小区7/2/502",
        "明珠小区7_2_502",
        "明珠小区7 2 502",
        "7栋2单元502明珠小区",
        "明珠小区7dong2danyuan502shi",
        "明珠小区7栋2单元502户",
        "明珠小区 Building 7, Unit 2, Room 502",
    ],
)
def test_unit_and_room_in_many_ways(words: str) -> None:
    assert said(words) == PLACE


@pytest.mark.parametrize(
    "words",
    [
        "明珠小区7栋",
        "明珠小区七栋",
        "明珠小区第七栋",
        "明珠小区7幢",
        "明珠小区7座",
        "明珠小区7号楼",
        "明珠小区7#",
        "明珠小区07栋",
        "明珠小区7号",
        "明珠小区7",
        "7栋明珠小区",
        "明珠小区7楼",
        "明珠小區７號樓",
        " 明珠小区\t7 栋 ",
    ],
)
def test_a_building_in_many_ways(words: str) -> None:
    assert said(words) == BUILDING


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        ("人民路18号", Address(road="人民路", house="18")),
        ("人民路18", Address(road="人民路", house="18")),
        ("五一路三号", Address(road="五一路", house="3")),
        ("月牙一路4号华府新村13栋", Address(road="月牙一路", house="4", place="华府新村", building="13")),
        ("中山路88弄5号502室", Address(road="中山路", house="88", building="5", floor=5, room="502")),
        ("锦江路12-3号", Address(road="锦江路", house="12-3")),
        ("锦江路12号7栋", Address(road="锦江路", house="12", building="7")),
        ("北环西街8号城隍庙胡同2号", Address(road="北环西街", house="8", place="城隍庙胡同", building="2")),
        ("书院巷18号", Address(road="书院巷", house="18")),
        ("友谊大道48号望海小学实验楼", Address(road="友谊大道", house="48", place="望海小学实验楼")),
        ("观澜街60号1号综合楼", Address(road="观澜街", house="60", place="综合楼", building="1")),
        ("振兴路24号东澜农机厂5号仓库", Address(road="振兴路", house="24", place="仓库", building="5")),
        ("迎宾大街12号御景新村商铺2", Address(road="迎宾大街", house="12", place="御景新村商铺", building="2")),
        ("人民路小区3栋", Address(place="人民路小区", building="3")),
        ("铁路家属院3栋", Address(place="铁路家属院", building="3")),
        ("和平里5区3栋", Address(place="和平里5区", building="3")),
        ("云景孝区3栋", Address(place="云景孝区", building="3")),
        ("东澜市云景孝区3栋", Address(areas=("东澜市",), place="云景孝区", building="3")),
        ("阳光水岸A区3栋", Address(place="阳光水岸a区", building="3")),
        ("万达广场A座1203室", Address(place="万达广场", building="a", floor=12, room="1203")),
        ("阳光水岸3栋5楼", Address(place="阳光水岸", building="3", floor=5)),
        ("阳光水岸3栋2单元5层", Address(place="阳光水岸", building="3", unit=2, floor=5)),
        ("阳光水岸3栋502", Address(place="阳光水岸", building="3", floor=5, room="502")),
        ("阳光水岸3-502", Address(place="阳光水岸", building="3", floor=5, room="502")),
        ("阳光水岸一百零三号", Address(place="阳光水岸", building="103")),
        ("明珠小区十二号楼", Address(place="明珠小区", building="12")),
        ("重庆市璧山区璧泉街道双星大道8号",
         Address(areas=("重庆市", "璧山区", "璧泉街道"), road="双星大道", house="8")),
        ("新华街道新华社区新华路5号", Address(areas=("新华街道", "新华社区"), road="新华路", house="5")),
        ("江南街道", Address(areas=("江南街道",))),
        ("ygsa3-2-502", Address(place="ygsa", building="3", unit=2, floor=5, room="502")),
        ("Kirkkokatu 7", Address(place="kirkkokatu", building="7")),
        ("3栋", Address(building="3")),
        ("3号楼2单元", Address(building="3", unit=2)),
        ("阳光水岸", Address(place="阳光水岸")),
        ("", Address()),
        ("%_%", Address()),
        ("🙂🙂🙂", Address()),
        ("\x00\x07\n", Address()),
        ("……，。、", Address()),
    ],
)  # fmt: skip
def test_what_an_address_says(words: str, parts: Address) -> None:
    assert said(words) == parts


def test_names_keep_their_order_and_their_numbers() -> None:
    assert parse("北环西街8号城隍庙胡同2号").names == (("北环西街", "8"), ("城隍庙胡同", "2"))
    assert parse("明珠小区锦江路12号7栋").names == (("明珠小区", None), ("锦江路", "12"))


def test_only_so_much_is_read() -> None:
    assert len(clean("阳" * 10_000)) == LIMIT
    assert parse("阳" * 10_000).names == (("阳" * LIMIT, None),)
    assert parse("1" * 10_000).words


def test_the_order_of_the_words_is_the_only_thing_that_is_lost() -> None:
    """Whatever is written, parsing what was cleaned says the same again."""
    for words in ("东澜市江南街道锦江路十二号明珠小区7-2-502", "陽光水岸 第三棟", "A座1203"):
        assert parse(clean(words)) == parse(words)
