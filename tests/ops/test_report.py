"""The folium report: one file, everything in it, nothing of it from outside."""

from __future__ import annotations

import re
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
from shapely.geometry import box

from gis.division import PART_COLUMNS, Division
from gis.errors import Unavailable
from gis.exchange.folium_map import PALETTE, coloring, leaflet_folder, report_html, tier_figures
from gis.findings import Finding, Severity
from gis.rule_set import load_preset
from gis.settings import ROOT
from gis.town import WGS84, Town, conform

SIDE = 0.002


def _square(x: int, y: int, *, size: int = 1) -> object:
    return box(124 + x * SIDE, 39.9 + y * SIDE, 124 + (x + size) * SIDE, 39.9 + (y + size) * SIDE)


def _cells(rows: list[dict[str, object]]) -> gpd.GeoDataFrame:
    columns = ["code", "community", "parent", "households", "area_m2", "floor_from", "floor_to", "geometry"]
    frame = gpd.GeoDataFrame(pd.DataFrame(rows).reindex(columns=columns), geometry="geometry", crs=WGS84)
    return frame.astype({"households": "Int64", "floor_from": "Int64", "floor_to": "Int64"})


@pytest.fixture
def division() -> Division:
    """Two grids of two micro-grid places each; one place is a stack of two by floors, one cell is too small."""
    grids = [
        {
            "code": f"g{x}",
            "community": "c1",
            "households": 400 - 200 * x,
            "area_m2": 1.0,
            "geometry": _square(2 * x, 0, size=2),
        }
        for x in range(2)
    ]
    micros = [
        {"code": "m1", "parent": "g0", "households": 60, "geometry": _square(0, 0, size=2)},
        {"code": "m2", "parent": "g1", "households": 70, "floor_to": 9, "geometry": _square(2, 0, size=2)},
        {"code": "m3", "parent": "g1", "households": 90, "floor_from": 10, "geometry": _square(2, 0, size=2)},
    ]
    finding = Finding("test.</script><b>bold", Severity.NOTE, "grid", key="g1")
    parts = pd.DataFrame(columns=list(PART_COLUMNS))
    cells = (_cells(grids), _cells([{"community": "c1", **row} for row in micros]))
    return Division(load_preset("bishan"), cells, parts, (finding,), {"seed": 1})


@pytest.fixture
def town() -> Town:
    communities = gpd.GeoDataFrame({"code": ["c1"], "name": ["甲社区"]}, geometry=[_square(0, 0, size=4)], crs=WGS84)
    roads = gpd.GeoDataFrame({"kind": ["arterial"]}, geometry=[_square(0, 0, size=4).boundary], crs=WGS84)
    return Town({"communities": conform("communities", communities), "barriers": conform("barriers", roads)})


@pytest.fixture
def leaflet() -> Path:
    try:
        return leaflet_folder(ROOT / "api" / "web" / "dist")
    except Unavailable:
        pytest.skip("the web pages are not built")


def _page(division: Division, town: Town, leaflet: Path) -> str:
    measures = {"gap_m2": 0.0, "overlap_m2": 0.0, "pieces_not_contiguous": 0}
    return report_html(division, town, title="甲 & 乙 <社区>", leaflet=leaflet, measures=measures, sources=["© A & B"])


def test_the_report_names_no_address_outside_of_itself(division: Division, town: Town, leaflet: Path) -> None:
    page = _page(division, town, leaflet)
    addresses = set(re.findall(r"(?:https?:)?//[a-z0-9.-]+\.[a-z]{2,}", page, flags=re.IGNORECASE))
    assert addresses <= {"http://www.w3.org"}  # names of XML vocabularies


def test_words_of_the_data_are_shown_and_never_run(division: Division, town: Town, leaflet: Path) -> None:
    page = _page(division, town, leaflet)
    assert "<b>bold" not in page
    assert "甲 &amp; 乙 &lt;社区&gt;" in page
    assert page.count("</script>") == page.count("<script")


def test_the_report_speaks_both_languages(division: Division, town: Town, leaflet: Path) -> None:
    page = _page(division, town, leaflet)
    assert "微网格" in page
    assert "Household band" in page


def test_the_report_credits_its_sources(division: Division, town: Town, leaflet: Path) -> None:
    assert "© A &amp; B" in _page(division, town, leaflet)


def test_figures_of_a_tier_count_what_lies_in_its_band(division: Division) -> None:
    grid, micro = division.rules.grid_tiers
    figures = tier_figures(division.cells[0], grid)
    assert (figures.cells, figures.in_band_ratio, figures.households_min, figures.households_max) == (2, 0.5, 200, 400)
    assert sum(count for *_, count in tier_figures(division.cells[1], micro).histogram) == 3


def test_neighbours_have_different_colors() -> None:
    shapes = np.array([_square(x, y) for x in range(6) for y in range(6)])
    colors = coloring(shapes)
    touching = ((a, b) for a in range(36) for b in range(a) if shapes[a].intersects(shapes[b]))
    assert all(colors[a] != colors[b] for a, b in touching)
    assert max(colors) < len(PALETTE)


def test_a_missing_map_component_is_named_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(Unavailable) as caught:
        leaflet_folder(tmp_path / "dist")
    assert caught.value.code == "report.no_leaflet"


@pytest.mark.browser
def test_the_report_opens_with_every_request_refused(
    division: Division, town: Town, leaflet: Path, tmp_path: Path
) -> None:
    path = tmp_path / "report.html"
    path.write_text(_page(division, town, leaflet), encoding="utf-8")
    # In a thread of its own: another test's browser may be open in this one, and there can be only one.
    with ThreadPoolExecutor(1) as pool:
        asked, faults = pool.submit(_open, path, division).result()
    assert faults == []
    assert [url for url in asked if not url.startswith(("file:", "data:", "blob:"))] == []


def _open(path: Path, division: Division) -> tuple[list[str], list[str]]:
    """Use the page a little; gives what it asked for and what went wrong."""
    from playwright.sync_api import sync_playwright

    asked: list[str] = []
    faults: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1200, "height": 800})
        page.on("request", lambda request: asked.append(request.url))
        page.on("pageerror", lambda fault: faults.append(str(fault)))
        page.route("http*://**", lambda route: route.abort())
        page.goto(path.as_uri())
        page.click("li[data-cell=g1]")
        page.wait_for_selector(".leaflet-popup-content >> text=g1")
        assert page.locator("h1").inner_text() == "甲 & 乙 <社区>"
        page.click("#language")
        assert page.locator("#panel h2").first.inner_text() == division.rules.grid_tiers[0].name_en
        browser.close()
    return asked, faults
