"""Existing divisions brought as files: what the draft is, and what is told."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from gis import crs, plan_review, plans, taking
from gis.errors import InvalidInput, NotAllowed, UnknownCrs
from gis.models import Grid, Plan
from gis.permissions import SYSTEM, Actor, Grant, Role
from tests.usecases.builders import LAT, LON, NOW, SIZE, SmallTown, building_code, make_town

# A community of 8 x 8 buildings of 20 households; a grid of 4 x 4 has 320, a micro-grid of one column 80.
HALF, QUARTER = SIZE / 2, SIZE / 8


@pytest.fixture
def town(session: Session) -> SmallTown:
    from gis import rules
    from gis.rule_set import load_preset

    made = make_town(session, communities=2, side=8)
    rules.store(
        session, load_preset("bishan"), area_id=made.street.id, valid_from=date(2020, 1, 1), actor=SYSTEM, now=NOW
    )
    return made


def box(west: float, south: float, east: float, north: float) -> shapely.Polygon:
    return shapely.box(LON + west, LAT + south, LON + east, LAT + north)


def quarters(community: int = 0) -> list[dict[str, Any]]:
    """Four grids of 320 households."""
    west = community * SIZE
    return [
        {"编号": f"{community}-{n + 1}", "名称": f"{n + 1}号网格", "户数": 320,
         "geometry": box(west + (n % 2) * HALF, (n // 2) * HALF, west + (n % 2 + 1) * HALF, (n // 2 + 1) * HALF)}
        for n in range(4)
    ]  # fmt: skip


def written(rows: list[dict[str, Any]], path: Path, *, system: Any = 4326, **how: Any) -> Path:
    gpd.GeoDataFrame(rows, geometry="geometry", crs=system).to_file(path, **how)
    return path


def take(session: Session, town: SmallTown, path: Path, *, actor: Actor = SYSTEM, **more: Any) -> taking.Taken:
    wish = taking.Wish(path, path.name, town.street.id, "旧划分", **more)
    return taking.take(session, wish, actor=actor, now=NOW)


def test_rules_are_those_of_the_day_here(session: Session, town: SmallTown, tmp_path: Path) -> None:
    wish = taking.Wish(written(quarters(), tmp_path / "a.gpkg"), "a.gpkg", town.street.id, "旧划分")
    first_hour = datetime(2019, 12, 31, 16, 30, tzinfo=UTC)  # of their first day; it is still the day before in UTC
    assert taking.check(session, wish, actor=SYSTEM, now=first_hour).code == "bishan"


def told(taken: taking.Taken, code: str) -> list[dict[str, Any]]:
    return [item for item in taken.findings if item["code"] == code]


def grids(session: Session, taken: taking.Taken, depth: int = 1) -> dict[str, Grid]:
    rows = session.scalars(select(Grid).where(Grid.plan_id == taken.plan_id, Grid.grid_depth == depth))
    return {row.code: row for row in rows}


def grid_of(session: Session, taken: taking.Taken, building: str) -> str:
    found = session.execute(
        text("SELECT g.code FROM grid_part p JOIN building b ON b.id = p.building_id JOIN grid m ON m.id = p.grid_id"
             " JOIN grid g ON g.id = m.parent_id WHERE p.plan_id = :plan AND b.code = :code"),
        {"plan": taken.plan_id, "code": building},
    )  # fmt: skip
    return str(found.scalars().one())


def assert_whole(session: Session, taken: taking.Taken) -> None:
    assert plans.cover_faults(session, taken.plan_id) == []
    assert session.scalar(text("SELECT sum(households) FROM grid_part WHERE plan_id = :p"), {"p": taken.plan_id}) == (
        taken.households
    )


FORMATS = [
    ("old.gpkg", {}), ("old.geojson", {"driver": "GeoJSON"}), ("旧.shp", {"encoding": "gbk"}),
    ("old.shp", {"encoding": "utf-8"}), ("old.kml", {"driver": "KML"}),
]  # fmt: skip


@pytest.mark.parametrize(("name", "how"), FORMATS)
def test_polygons_of_any_format_become_a_draft_that_tiles(
    session: Session, town: SmallTown, tmp_path: Path, name: str, how: dict[str, Any]
) -> None:
    rows = quarters()
    if name.endswith(".kml"):
        rows = [{"Name": row["编号"], "geometry": row["geometry"]} for row in rows]
    taken = take(session, town, written(rows, tmp_path / name, **how), crs="wgs84")
    assert taken.communities == 1
    assert taken.cells[0] == 4
    assert {cell.households for cell in grids(session, taken).values()} == {320}
    assert {cell.name for cell in grids(session, taken).values()} == (
        {"0-1", "0-2", "0-3", "0-4"} if name.endswith(".kml") else {f"{n}号网格" for n in (1, 2, 3, 4)}
    )
    assert told(taken, "take.tiers_made"), "micro-grids were made inside the grids"
    assert {cell.band_state for cell in grids(session, taken, 2).values()} == {"in_band"}
    assert [item["key"] for item in told(taken, "take.community_not_covered")] == [town.communities[1].code]
    assert_whole(session, taken)


def test_labels_of_our_own_files_are_no_names(session: Session, town: SmallTown, tmp_path: Path) -> None:
    numbered = [(f"{town.communities[0].code}00{n}", row["geometry"]) for n, row in enumerate(quarters(), start=1)]
    rows = [{"Name": f"社区1 {code[12:]}", "code": code, "geometry": shape} for code, shape in numbered]
    rows[3]["Name"] = "老街 7号"
    taken = take(session, town, written(rows, tmp_path / "own.kml", driver="KML"))
    assert {cell.code: cell.name for cell in grids(session, taken).values()} == {
        **dict.fromkeys((code for code, _ in numbered[:3]), None),
        numbered[3][0]: "老街 7号",
    }


def test_gaps_overlaps_and_cut_buildings_are_settled_and_told(
    session: Session, town: SmallTown, tmp_path: Path
) -> None:
    rows = quarters()
    rows[0]["geometry"] = box(0, 0, HALF + 0.45 * QUARTER, HALF)  # cuts the houses of its neighbour's first column
    rows[3]["geometry"] = box(HALF + QUARTER, HALF, SIZE, SIZE)  # leaves a column of four houses to nobody
    taken = take(session, town, written(rows, tmp_path / "a.gpkg"))
    assert_whole(session, taken)
    overlap = told(taken, "take.overlap")[0]
    assert {overlap["params"]["cell"], overlap["params"]["other"]} == {"0-1", "0-2"}
    assert overlap["bbox"]
    gap = told(taken, "take.gap")[0]
    assert gap["params"]["households"] == 80
    assert gap["params"]["buildings"] == 4
    differ = told(taken, "take.households_differ")
    assert {item["params"]["cell"] for item in differ} <= {"0-1", "0-2", "0-3", "0-4"}
    assert told(taken, "take.totals")[0]["params"]["households"] == 64 * 20


def test_a_building_is_wholly_where_most_of_it_lies(session: Session, town: SmallTown, tmp_path: Path) -> None:
    line = HALF + 0.42 * QUARTER  # houses stand from 0.3 to 0.7 of their square: 30 % of the fifth column is west
    rows = [
        {"code": "w", "geometry": box(0, 0, line, SIZE)},
        {"code": "e", "geometry": box(line, 0, SIZE, SIZE)},
    ]
    taken = take(session, town, written(rows, tmp_path / "a.gpkg"))
    assert_whole(session, taken)
    cut = told(taken, "take.building_cut")
    assert len(cut) == 8
    assert all(item["params"]["cell"] == "e" and item["params"]["percent"] == 30 for item in cut)
    codes = {cell.name: code for code, cell in grids(session, taken).items()}
    fifth = building_code(town.communities[0].code, 4)
    assert grid_of(session, taken, fifth) == codes["e"]
    assert {cell.households for cell in grids(session, taken).values()} == {640}
    assert {item["key"] for item in told(taken, "partition.out_of_band.as_given")} == set(codes.values())


def test_what_lies_outside_twice_or_across_is_told_with_its_row(
    session: Session, town: SmallTown, tmp_path: Path
) -> None:
    rows = quarters()
    rows.append({**rows[0], "编号": "again"})
    rows.append({"编号": "far", "geometry": box(0.1, 0.1, 0.11, 0.11)})
    rows[1]["geometry"] = box(HALF, 0, SIZE + HALF, HALF)
    taken = take(session, town, written(rows, tmp_path / "a.gpkg"))
    assert [item["row"] for item in told(taken, "take.outside")] == [6]
    assert [item["row"] for item in told(taken, "take.cell_empty")] == [5]
    across = told(taken, "take.across")[0]
    assert across["row"] == 2
    assert sorted(across["params"]["communities"]) == [place.code for place in town.communities]
    assert taken.communities == 2
    assert_whole(session, taken)


def test_a_grid_in_pieces_with_people_is_told_as_torn(session: Session, town: SmallTown, tmp_path: Path) -> None:
    rows = quarters()
    rows[0]["geometry"] = shapely.union(rows[0]["geometry"], box(SIZE - QUARTER, SIZE - QUARTER, SIZE, SIZE))
    rows[3]["geometry"] = shapely.difference(rows[3]["geometry"], rows[0]["geometry"])
    taken = take(session, town, written(rows, tmp_path / "a.gpkg"))
    torn = told(taken, "take.torn")
    assert [item["params"]["cell"] for item in torn] == ["0-1"]
    assert torn[0]["params"]["households"] == 20
    assert torn[0]["severity"] == "note"


def test_micro_grids_of_the_file_are_kept_and_stacks_of_floors_are_one_ground(
    session: Session, town: SmallTown, tmp_path: Path
) -> None:
    path = tmp_path / "two.gpkg"
    written([{"code": row["编号"], "geometry": row["geometry"]} for row in quarters()], path, layer="grids")
    micro = []
    for n in range(4):
        west, south = (n % 2) * HALF, (n // 2) * HALF
        for column in range(4):
            ground = box(west + column * QUARTER, south, west + (column + 1) * QUARTER, south + HALF)
            micro.append({"code": f"m{n}{column}", "grid": f"0-{n + 1}", "geometry": ground})
    low = {**micro[0], "code": "m00a", "floor_from": 1, "floor_to": 5}
    micro[0] |= {"code": "m00b", "floor_from": 6, "floor_to": 10}
    written([*micro, low], path, layer="micro_grids")
    taken = take(session, town, path)
    assert taken.cells == (4, 17)
    assert not told(taken, "take.tiers_made")
    assert not told(taken, "take.overlap")
    stack = [cell for cell in grids(session, taken, 2).values() if cell.floor_from is not None]
    assert sorted((cell.floor_from, cell.floor_to, cell.households) for cell in stack) == [(1, 5, 40), (6, 10, 40)]
    assert_whole(session, taken)


def test_a_micro_grid_over_two_grids_is_told_and_keeps_its_ground(
    session: Session, town: SmallTown, tmp_path: Path
) -> None:
    path = tmp_path / "two.gpkg"
    written([{"code": row["编号"], "geometry": row["geometry"]} for row in quarters()], path, layer="grids")
    rows = [{"code": f"m{n}", "geometry": row["geometry"]} for n, row in enumerate(quarters())]
    rows[0]["geometry"] = box(0, 0, HALF + QUARTER, HALF)
    rows[1]["geometry"] = box(HALF + QUARTER, 0, SIZE, HALF)
    written(rows, path, layer="micro_grids")
    taken = take(session, town, path)
    mismatch = told(taken, "take.tiers_mismatch")
    assert [(item["params"]["cell"], item["params"]["grid"]) for item in mismatch] == [("m0", "0-1")]
    assert sorted(cell.households for cell in grids(session, taken).values()) == [240, 320, 320, 400]
    assert_whole(session, taken)


@pytest.mark.parametrize("name", ["表.csv", "表.xlsx"])
def test_a_table_of_buildings_becomes_a_draft(session: Session, town: SmallTown, tmp_path: Path, name: str) -> None:
    home = town.communities[0].code
    rows = [(building_code(home, i), f"{'东' if i % 8 >= 4 else '西'}{'北' if i >= 32 else '南'}") for i in range(64)]
    rows[9] = (rows[9][0], "")
    del rows[10]
    rows += [("没有的楼", "东北"), (rows[0][0], "东北")]
    frame = pd.DataFrame(rows, columns=["楼栋编码", "网格编码"])
    path = tmp_path / name
    if name.endswith("csv"):
        frame.to_csv(path, index=False, encoding="gbk")
    else:
        frame.to_excel(path, index=False)
    taken = take(session, town, path)
    assert_whole(session, taken)
    assert {cell.name for cell in grids(session, taken).values()} == {"东北", "东南", "西北", "西南"}
    assert {cell.households for cell in grids(session, taken).values()} == {320}
    assert [item["row"] for item in told(taken, "take.row_without_grid")] == [10]
    assert [(item["key"], item["row"]) for item in told(taken, "take.building_unknown")] == [("没有的楼", 64)]
    twice = told(taken, "take.building_twice")[0]
    assert (twice["row"], twice["params"]["first"], twice["params"]["first_grid"]) == (65, 1, "西南")
    assert len(told(taken, "take.building_not_said")) == 2


def test_shifted_coordinates_are_noticed_and_taken_with_the_right_system(
    session: Session, town: SmallTown, tmp_path: Path
) -> None:
    rows = [*quarters(0), *quarters(1)]
    for row, shifted in zip(
        rows, crs.geometries_from_wgs84(np.array([row["geometry"] for row in rows]), crs.parse("gcj02")), strict=True
    ):
        row["geometry"] = shifted
    path = written(rows, tmp_path / "a.gpkg")
    with pytest.raises(InvalidInput) as refused:
        take(session, town, path)
    assert refused.value.code == "take.looks_shifted"
    assert refused.value.params["reading"] == "gcj02"
    assert session.scalar(select(Plan.id)) is None, "nothing is left of what was refused"
    taken = take(session, town, path, crs="gcj02")
    assert {cell.households for cell in grids(session, taken).values()} == {320}
    assert not told(taken, "take.building_cut")


def test_metric_systems_are_taken_and_a_silent_file_is_refused(
    session: Session, town: SmallTown, tmp_path: Path
) -> None:
    frame = gpd.GeoDataFrame(quarters(), geometry="geometry", crs=4326).to_crs(4526 + 24)
    frame.to_file(tmp_path / "m.gpkg")
    assert take(session, town, tmp_path / "m.gpkg").cells[0] == 4
    # RFC 7946 leaves the system out; GCJ-02 is written into such files every day.
    silent = tmp_path / "s.geojson"
    silent.write_text(gpd.GeoDataFrame(quarters(), geometry="geometry").to_json(), encoding="utf-8")
    with pytest.raises(UnknownCrs) as refused:
        take(session, town, silent)
    assert refused.value.code == "import.crs_missing"


def test_codes_of_the_file_are_kept_where_they_fit_and_were_never_given(
    session: Session, town: SmallTown, tmp_path: Path
) -> None:
    home = town.communities[0].code
    rows = quarters()
    for row, code in zip(rows, (f"{home}007", f"{home}012", "own-3", f"{home}12"), strict=True):
        row["编号"] = code
    first = take(session, town, written(rows, tmp_path / "a.gpkg"))
    assert {f"{home}007", f"{home}012"} < set(grids(session, first))
    changed = {item["params"]["cell"]: item["key"] for item in told(first, "take.code_changed")}
    assert set(changed) == {"own-3", f"{home}12"}
    assert set(changed.values()) <= set(grids(session, first))
    plans.publish(session, first.plan_id, actor=SYSTEM, now=NOW)
    # Another division of the same ground: a code given to other ground is not given again, a new one is kept.
    halves = [
        {"code": f"{home}007", "geometry": box(0, 0, SIZE, 0.7 * SIZE)},
        {"code": f"{home}099", "geometry": box(0, 0.7 * SIZE, SIZE, SIZE)},
    ]
    second = take(session, town, written(halves, tmp_path / "b.gpkg"))
    plan = plan_review.division_of(session, second.plan_id)
    assert f"{home}099" in set(plan.cells[0]["code"])
    assert f"{home}007" not in set(plan.cells[0]["code"])


WRONG = [
    ("nothing.csv", "a,b\n1,2\n", "take.nothing_known"),
    ("empty.csv", "楼栋编码,网格编码\n没有,甲\n", "take.no_community"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "content", "code"), WRONG)
def test_files_that_say_nothing_are_refused(
    session: Session, town: SmallTown, tmp_path: Path, name: str, content: str, code: str
) -> None:
    (tmp_path / name).write_text(content, encoding="utf-8")
    with pytest.raises(InvalidInput) as refused:
        take(session, town, tmp_path / name)
    assert refused.value.code == code


def test_refusals_of_polygons(session: Session, town: SmallTown, tmp_path: Path) -> None:
    path = written(quarters(), tmp_path / "微网格.gpkg", layer="微网格")
    for code, more in (
        ("take.no_parents", {}),
        ("take.no_such_layer", {"layers": {"grids": "没有"}}),
        ("take.bad_mapping", {"mapping": {"编号": "没有"}}),
    ):
        with pytest.raises(InvalidInput) as refused:
            take(session, town, path, **more)
        assert refused.value.code == code
    lines = written([{"code": "1", "geometry": shapely.LineString([(LON, LAT), (LON + 1, LAT)])}], tmp_path / "l.gpkg")
    with pytest.raises(InvalidInput) as refused:
        take(session, town, lines, layers={"grids": "l"})
    assert refused.value.code == "take.no_rows"


def test_micro_grids_that_name_their_grids_are_enough(session: Session, town: SmallTown, tmp_path: Path) -> None:
    rows = [{**row, "所属网格": f"G{n // 2}"} for n, row in enumerate(quarters())]
    taken = take(session, town, written(rows, tmp_path / "微网格.gpkg"))
    assert taken.cells == (2, 4)
    assert sorted(cell.households for cell in grids(session, taken).values()) == [640, 640]


def test_only_who_may_draw_there_may_bring(session: Session, town: SmallTown, tmp_path: Path) -> None:
    path = written(quarters(), tmp_path / "a.gpkg")
    elsewhere = Actor(None, "p", (Grant(Role.PLANNER, town.communities[1].path),))
    with pytest.raises(NotAllowed):
        take(session, town, path, actor=elsewhere)
