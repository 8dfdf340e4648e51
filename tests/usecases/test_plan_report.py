"""The report that is kept with every plan: its rows, its JSON, its page."""

from __future__ import annotations

import json
import re
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from gis import plan_report, plan_review, plans
from gis.exchange import plan_file, plan_report_page, town_file
from gis.findings import Finding, Severity
from gis.permissions import SYSTEM
from gis.rule_set import load_preset
from scripts.cli import run
from tests.usecases.builders import LONG_AGO, divide, make_plan, make_town

WAY = {"code": "relax.allow", "params": {"count": 1, "households": "40"}, "cost": 4600.0}


@pytest.fixture
def town(session: Session) -> Any:
    return make_town(session)


def stored(session: Session, town: Any) -> int:
    """A draft whose first grid is told to be out of band for a reason."""
    plan = make_plan(session, town)
    division = divide(town, load_preset("bishan"), pieces=(2, 2))
    first = str(division.cells[0]["code"].iloc[0])
    params = {"households": 40, "low": 300, "high": 500, "remedy": WAY, "relaxations": [WAY]}
    findings = (
        Finding("partition.out_of_band.not_proven", Severity.NOTE, "网格", key=first, params=params),
        Finding("partition.no_households", Severity.NOTE, "网格", key="001"),
    )
    recipe = {"seed": 7, "effort": "full", "proofs": {}, "cost": {"网格": {"balance": 12.5}}}
    division = replace(division, findings=findings, recipe=recipe)
    plans.store_division(session, plan.id, division=division, actor=SYSTEM, now=LONG_AGO)
    return plan.id


def test_a_report_is_stored_with_the_cells(session: Session, town: Any) -> None:
    plan_id = stored(session, town)
    row = session.execute(text("SELECT * FROM plan_report WHERE plan_id = :id"), {"id": plan_id}).one()
    assert row.asked["seed"] == 7
    assert row.made_at == LONG_AGO
    assert row.proof["is_stated"] is False
    assert set(row.versions) >= {"wangge", "numpy", "shapely", "geos", "numba", "scipy"}
    assert {cell["code"] for cell in row.got["cells"]["rows"]} == set(
        session.scalars(text("SELECT code FROM grid WHERE plan_id = :id AND grid_depth = 1"), {"id": plan_id})
    )
    clear_before = session.scalar(text("SELECT count(*) FROM plan_report"))
    plans.store_division(session, plan_id, division=divide(town, load_preset("bishan"), pieces=(2, 2)),
                         actor=SYSTEM, now=LONG_AGO)  # fmt: skip
    assert session.scalar(text("SELECT count(*) FROM plan_report")) == clear_before


def test_a_report_says_what_was_asked_got_and_proven(session: Session, town: Any) -> None:
    told = plan_review.report_json(session, stored(session, town))
    assert (told["format"], told["version"]) == ("wangge plan report", 1)
    assert told["asked"]["rule_set"]["code"] == "bishan"
    assert [tier["households_max"] for tier in told["asked"]["tiers"]] == [500, 80]
    weights = {term["code"]: term for term in told["asked"]["weights"]}
    assert weights["boundary"]["formula"]
    assert weights["boundary"]["weight"] == {"grid": 1.0, "micro_grid": 1.0}
    assert told["got"]["households"] == sum(row["households"] for row in told["got"]["cells"]["rows"])
    first = told["got"]["out_of_band"][0]
    assert (first["reason"], first["is_proven"], first["remedy"]["code"]) == ("not_proven", False, "relax.allow")
    assert first["relaxations"][0]["text"] == {"zh": "允许1格为40户", "en": "allow 1 cell(s) of 40 households"}
    assert {row["reason"] for row in told["got"]["out_of_band"][1:]} == {"not_told"}
    top = told["got"]["tiers"][0]
    need = max(1 - row["households"] / 300 for row in told["got"]["out_of_band"] if row["depth"] == 1)
    assert top["tolerance_to_pass"][-1]["cells"] == top["under"]
    assert top["tolerance_to_pass"][-1]["ratio"] == pytest.approx(need, abs=1e-3)
    assert told["proof"]["counts"] == {"none": told["got"]["communities"]}
    assert told["findings"][0]["text"]["zh"].endswith("整个划为一格。")
    assert len(told["principles"]["plan"]) == 8
    json.dumps(told, allow_nan=False)


def test_cells_bear_their_present_codes(session: Session, town: Any) -> None:
    plan_id = stored(session, town)
    session.execute(text("UPDATE grid SET code = code || 'x' WHERE plan_id = :id AND grid_depth = 1"), {"id": plan_id})
    session.expire_all()
    got = plan_review.report_json(session, plan_id)["got"]
    assert all(row["code"].endswith("x") for row in got["cells"]["rows"])
    assert all(row["code"].endswith("x") for row in got["out_of_band"] if row["depth"] == 1)


def test_a_plan_without_a_stored_report_gets_one(session: Session, town: Any) -> None:
    plan_id = stored(session, town)
    session.execute(text("DELETE FROM plan_report"))
    assert plan_review.report_json(session, plan_id)["asked"]["seed"] == 7


def test_the_page_is_whole_and_asks_nobody(session: Session, town: Any) -> None:
    plan_id = stored(session, town)
    page = plan_review.report_html(session, plan_id, language="en")
    assert "<script" not in page
    assert not re.search(r"(src|href)=|url\((?!#)|@import|https?://", page)
    assert 'id="en" checked' in page
    assert "Cheapest way out" in page
    assert "最省的办法" in page
    assert page.count('class="under"') >= 1
    assert "?" not in re.sub(r"<[^>]+>", "", page.split("<footer>")[0].split("</style>")[1])


@pytest.mark.parametrize("language", ["zh", "both", "nonsense"])
def test_the_page_is_shown_in_a_known_language(session: Session, town: Any, language: str) -> None:
    page = plan_review.report_html(session, stored(session, town), language=language)
    assert f'id="{"zh" if language == "nonsense" else language}" checked' in page


def test_what_people_wrote_is_only_text(session: Session, town: Any) -> None:
    plan_id = stored(session, town)
    session.execute(text("UPDATE plan SET title = '<b>甲 & 乙' WHERE id = :id"), {"id": plan_id})
    session.expire_all()
    assert "&lt;b&gt;甲 &amp; 乙" in plan_review.report_html(session, plan_id, language="zh")


@pytest.fixture
def file(town: Any, tmp_path: Path) -> Path:
    """A plan file."""
    path = tmp_path / "plan.gpkg"
    plan_file.write(divide(town, load_preset("bishan"), pieces=(2, 2)), path)
    return path


def test_a_plan_file_is_reported_without_a_database(file: Path, tmp_path: Path) -> None:
    page, data = tmp_path / "r.html", tmp_path / "r.json"
    assert run(["report", str(file), "--out", str(page), "--lang", "both", "--title", "甲方案"]) == 0
    assert run(["report", str(file), "--out", str(data)]) == 0
    assert "甲方案" in page.read_text(encoding="utf-8")
    assert json.loads(data.read_text(encoding="utf-8"))["format"] == "wangge plan report"
    assert plan_report_page.is_one(page)
    assert plan_report_page.is_one(data)
    assert not plan_report_page.is_one(file)
    assert not plan_report_page.is_one(tmp_path)


def test_partition_writes_the_report_and_never_over_anything_else(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from gis.cleaning import clean
    from tests.partition.towns import estate, ground
    from tests.partition.towns import town as small

    source, plan, page = (tmp_path / name for name in ("town.gpkg", "plan.gpkg", "report.html"))
    town_file.write(
        clean(small({"001": ground(5, 4)}, estate(5, 4, 40), [("minor", [(150, -9), (150, 170)])]))[0], source
    )
    command = ["partition", str(source), "--out", str(plan), "--report", str(page), "--json"]
    assert run(command) == 0
    report = json.loads(capsys.readouterr().out)
    assert set(report["principles"]["plan"]) >= {"clear_borders", "adjacent"}
    assert "svg" in page.read_text(encoding="utf-8")
    assert run(command) == 0  # over its own
    capsys.readouterr()
    page.write_text("a letter")
    assert run(command) == 2
    assert page.read_text() == "a letter"


@pytest.mark.browser
def test_the_page_is_readable_on_a_phone_and_on_paper(session: Session, town: Any, tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    path.write_text(plan_review.report_html(session, stored(session, town), language="zh"), encoding="utf-8")
    with ThreadPoolExecutor(1) as pool:  # another test's browser may be open in this thread
        seen = pool.submit(_read, path).result()
    assert seen == {"zh": (True, False), "en": (False, True), "both": (True, True), "overflow": False, "asked": []}


def _read(path: Path) -> dict[str, Any]:
    from playwright.sync_api import sync_playwright

    asked: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 390, "height": 800})
        page.on("request", lambda request: asked.append(request.url))
        page.goto(path.as_uri())
        seen: dict[str, Any] = {}
        for language in ("zh", "en", "both"):
            page.locator(f'label[for="{language}"]').click()
            heading = page.locator("h2").first
            seen[language] = tuple(heading.locator(f".{name}").is_visible() for name in ("zh", "en"))
        seen["overflow"] = page.evaluate("document.documentElement.scrollWidth > innerWidth")
        seen["asked"] = [url for url in asked if url != path.as_uri()]
        browser.close()
    return seen


def test_collect_needs_no_town(town: Any) -> None:
    from gis.town import Town

    made = plan_report.collect(divide(town, load_preset("bishan"), pieces=(2, 2)), Town())
    assert made["got"]["ground"] == {}
    assert made["principles"]["plan"]["convenient_service"] is None
