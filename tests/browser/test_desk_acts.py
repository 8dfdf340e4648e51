"""What a planner's hand does on the desk: acts by button and key, by finger, a new compound, a link to a colleague.

On a chequered town of its own (two communities of four by four buildings), where every place is known and nothing that
other tests do stands in the way. Each test begins with a draft as it was divided; only the second community gets new
buildings. Grids are halves, micro-grids rows of two buildings::

    3  o o|o o      38 households each, so that all is within the bands
    2  o o|o o
    1  o o|o o
    0  o o|o o
       0 1 2 3
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import geopandas as gpd
import pytest
import shapely
from playwright.sync_api import Locator, Page, expect

from gis import accounts, plans
from gis.db import make_engine, unit_of_work
from gis.ingest import store
from gis.permissions import SYSTEM, Role
from gis.town import Town, conform
from tests.browser.conftest import PASSWORD, PHONE, Opener, Site, on_desk, serving
from tests.browser.on_map import Place, pixel
from tests.conftest import clone_of
from tests.usecases.builders import LAT, LON, NOW, SIZE, make_plan, make_town

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("desk_acts")]

TABLET = {"width": 1024, "height": 768}
ZOOM = 15.0
STEP = SIZE / 4
HOUSEHOLDS = 38
FINGER_PX = 44


@dataclass(frozen=True)
class Chequered(Site):
    """The service on the chequered town; ``plan_id`` is the plan of the first community, in force."""

    url: str
    growing_id: int
    """The draft of the second community, where a new compound is built."""
    community: str


@pytest.fixture(scope="module")
def site(home: Path, template: str) -> Iterator[Chequered]:
    """Instead of the town that the other pages share."""
    with clone_of(home, template) as url:
        engine = make_engine(url)
        with unit_of_work(engine) as session:
            town = make_town(session, communities=2, households=HOUSEHOLDS)
            ids = [
                make_plan(session, town, pieces=(2, 4), communities=[one], title=title).id
                for one, title in zip(town.communities, ("现行方案", "新区草案"), strict=True)
            ]
            plans.publish(session, ids[0], actor=SYSTEM, now=NOW)
            for name, role in (("planner", Role.PLANNER), ("admin", Role.ADMINISTRATOR), ("viewer", Role.VIEWER)):
                accounts.create_user(
                    session, username=name, name=name, password=PASSWORD, must_change_password=False, actor=SYSTEM,
                    now=NOW,
                )  # fmt: skip
                area = None if role is Role.ADMINISTRATOR else town.street.id
                accounts.grant(session, username=name, role=role, area_id=area, actor=SYSTEM, now=NOW)
        engine.dispose()
        with serving(url) as base:
            yield Chequered(base, ids[0], url, ids[1], town.communities[1].code)


Ask = Callable[..., Any]


@pytest.fixture
def ask(as_user: Callable[[str], Ask]) -> Ask:
    """The API as the planner has it."""
    return as_user("planner")


def at(x: float, y: float, community: int = 0) -> Place:
    """A place by buildings, counted from the south-west corner: (0.5, 0.5) is the middle of the first."""
    return LON + community * SIZE + x * STEP, LAT + y * STEP


class Desk:
    """The page over the middle of a community, with a draft of its own."""

    def __init__(
        self,
        ask: Callable[..., Any],
        visit: Opener,
        plan_id: int,
        *,
        community: int = 0,
        depth: int = 1,
        **options: Any,
    ) -> None:
        self.ask = ask
        self.plan_id = int(ask("POST", f"/api/v1/plans/{plan_id}/drafts", {"title": "试改"})["id"])
        on_desk(ask, self.plan_id)
        self.middle = at(2, 2, community)
        lon, lat = self.middle
        path = f"/desk?plan={self.plan_id}&at={lon:.6f},{lat:.6f},{ZOOM}&depth={depth}"
        self.page = visit("planner", path, **options).page
        self.page.wait_for_selector('[data-hand="ready"]')
        self.seq = 0

    @property
    def whole(self) -> Locator:
        return self.page.locator(".desk-page")

    def pixel(self, x: float, y: float) -> Place:
        return pixel(self.page, (self.middle[0] + (x - 2) * STEP, self.middle[1] + (y - 2) * STEP),
                     middle=self.middle, zoom=ZOOM)  # fmt: skip

    def done(self, steps: int = 1) -> None:
        """Wait until the server has acknowledged."""
        self.seq += steps
        expect(self.whole).to_have_attribute("data-seq", str(self.seq))
        expect(self.whole).to_have_attribute("data-desk", "saved")

    def view(self) -> dict[str, Any]:
        """The draft as the server has it."""
        return dict(self.ask("GET", f"/api/v1/plans/{self.plan_id}/desk"))

    def households(self, depth: int = 1) -> list[int]:
        """Of all cells of a tier, rising."""
        return sorted(cell["households"] for cell in self.view()["cells"] if cell["depth"] == depth)

    def pick(self, x: float, y: float) -> None:
        """Choose a building on the map."""
        self.page.keyboard.press("p")
        self.page.mouse.click(*self.pixel(x, y))
        expect(self.figure("buildings")).to_have_text("1")

    def figure(self, name: str) -> Locator:
        return self.page.locator(f'[data-figure="{name}"]')

    def button(self, name: str) -> Locator:
        return self.page.get_by_role("button", name=name)

    @property
    def legend(self) -> Locator:
        return self.page.locator(".legend")


def draw(page: Page, path: Sequence[Place]) -> None:
    """Draw with the mouse, and keep it down."""
    page.mouse.move(*path[0])
    page.mouse.down()
    for place in path[1:]:
        page.mouse.move(*place, steps=4)


def test_towers_are_broken_and_joined_and_every_step_taken_back_and_done_again(
    ask: Ask, visit: Opener, site: Chequered
) -> None:
    desk = Desk(ask, visit, site.plan_id, depth=2)
    page, before = desk.page, desk.view()
    desk.pick(1.5, 1.5)
    page.keyboard.press("t")
    dialog = page.get_by_role("dialog", name=re.compile("拆开楼栋"))
    dialog.get_by_label("1 | 2").check()
    dialog.get_by_role("button", name="拆开").click()
    desk.done()
    assert len([part for part in desk.view()["parts"] if part["unit_from"] is not None]) == 2
    desk.page.mouse.click(*desk.pixel(1.4, 1.5))
    expect(desk.figure("households")).to_have_text(str(HOUSEHOLDS // 2))  # one staircase
    page.keyboard.press("u")
    desk.done()
    assert desk.households(2) == [2 * HOUSEHOLDS] * 8

    desk.pick(1.5, 1.5)
    desk.button("拆楼").click()
    dialog.get_by_role("button", name="按楼层").click()
    dialog.get_by_label("5 | 6").check()
    dialog.get_by_role("button", name="拆开").click()
    desk.done()
    assert desk.households(2) == sorted([HOUSEHOLDS // 2] * 2 + [HOUSEHOLDS] + [2 * HOUSEHOLDS] * 7)
    desk.pick(1.5, 1.5)
    expect(desk.figure("households")).to_have_text(str(HOUSEHOLDS))  # both of the stack
    desk.button("合楼").click()
    desk.done()
    after = desk.view()

    desk.button("撤销").click()
    desk.done()
    page.keyboard.press("Control+z")
    page.keyboard.press("Control+z")
    page.keyboard.press("Control+z")
    desk.done(3)
    assert desk.view()["cells"] == before["cells"]
    expect(desk.button("撤销")).to_be_disabled()
    desk.button("重做").click()
    desk.done()
    page.keyboard.press("Control+y")
    page.keyboard.press("Control+Shift+z")
    page.keyboard.press("Control+y")
    desk.done(3)
    assert desk.view()["cells"] == after["cells"]
    expect(desk.button("重做")).to_be_disabled()


def test_grids_are_dedicated_and_named_and_anything_is_locked(ask: Ask, visit: Opener, site: Chequered) -> None:
    desk = Desk(ask, visit, site.plan_id)
    page = desk.page
    page.mouse.click(*desk.pixel(0.9, 0.9))
    row = page.locator('.desk-cells tr[aria-selected="true"]')
    expect(row).to_have_count(1)
    page.keyboard.press("d")
    desk.done()
    expect(row).to_contain_text("专属")
    expect(desk.legend).to_contain_text("专属网格")
    desk.button("专属网格").click()
    desk.done()
    expect(row).not_to_contain_text("专属")
    page.keyboard.press("F2")
    page.get_by_role("dialog").get_by_label("名称").fill("河西网格")
    page.keyboard.press("Enter")
    desk.done()
    expect(row).to_contain_text("河西网格")

    page.keyboard.press("k")
    desk.done()
    expect(row).to_contain_text("已锁定")
    desk.button("锁定/解锁").click()
    desk.done()
    expect(desk.legend).to_have_count(0)
    desk.pick(2.5, 2.5)
    page.keyboard.press("k")
    desk.done()
    assert [one["locked"] for one in desk.view()["buildings"]].count(True) == 1
    expect(desk.legend).to_contain_text("已锁定")
    page.keyboard.press("Shift+K")
    desk.done()
    expect(page.locator(".desk-head")).to_contain_text("全部锁定")
    desk.button("全部解锁").click()
    desk.done()
    view = desk.view()
    assert not view["locked_all"]
    assert not any(one["locked"] for one in [*view["cells"], *view["buildings"]])


def test_the_border_shows_who_comes_and_goes_before_the_pen_is_lifted(ask: Ask, visit: Opener, site: Chequered) -> None:
    desk = Desk(ask, visit, site.plan_id)
    page = desk.page
    page.mouse.click(*desk.pixel(0.9, 0.9))
    page.keyboard.press("r")
    draw(page, [desk.pixel(x, y) for x, y in BULGE])
    ahead = page.locator(".ahead li")
    expect(ahead.filter(has_text="304 → 342")).to_be_visible()
    expect(ahead.filter(has_text="304 → 266")).to_contain_text("偏少")
    expect(ahead.filter(has_text="1 栋")).to_be_visible()
    page.mouse.up()
    desk.done()
    assert desk.households() == [266, 342]
    page.keyboard.press("Control+z")
    desk.done()


BULGE = ((1.9, 1.1), (2.95, 1.1), (2.95, 0.1), (1.9, 0.05))
"""A border of the western grid that takes in the first building of the eastern one."""


class Fingers:
    """Touches as Chromium's input gets them."""

    def __init__(self, page: Page) -> None:
        self._input = page.context.new_cdp_session(page)

    def _send(self, kind: str, places: Sequence[Place]) -> None:
        points = [{"x": x, "y": y, "id": finger} for finger, (x, y) in enumerate(places)]
        self._input.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    def move(self, *paths: Sequence[Place], steps: int = 5) -> None:
        """Fingers down, along their paths together, and up."""
        self._send("touchStart", [path[0] for path in paths])
        for leg in range(1, len(paths[0])):
            for step in range(1, steps + 1):
                share = step / steps
                self._send("touchMove", [_between(path[leg - 1], path[leg], share) for path in paths])
        self._send("touchEnd", [])


def _between(one: Place, other: Place, share: float) -> Place:
    return one[0] + (other[0] - one[0]) * share, one[1] + (other[1] - one[1]) * share


def test_a_tablet_is_drawn_on_with_one_finger_and_moved_with_two(ask: Ask, visit: Opener, site: Chequered) -> None:
    desk = Desk(ask, visit, site.plan_id, size=TABLET, has_touch=True)
    page, fingers = desk.page, Fingers(desk.page)

    def place(x: float, y: float) -> Place:
        return desk.pixel(x, y)

    page.touchscreen.tap(*place(0.9, 0.9))
    expect(desk.figure("households")).to_have_text("304")
    tools = page.get_by_role("toolbar", name="工具")
    _take_up(tools.get_by_role("button", name="改边界"))
    fingers.move([place(x, y) for x, y in BULGE])
    desk.done()
    assert desk.households() == [266, 342]
    tools.get_by_role("button", name="撤销").tap()
    desk.done()

    _take_up(tools.get_by_role("button", name="画笔"))
    _take_up(desk.button("单栋"))
    fingers.move([place(2.5, 1.5), place(2.6, 1.5)])
    desk.done()
    assert desk.households() == [266, 342]
    tools.get_by_role("button", name="撤销").tap()
    desk.done()

    _take_up(tools.get_by_role("button", name="切割"))
    fingers.move([place(-0.1, 2), place(2.1, 2)])
    desk.done()
    assert desk.households() == [152, 152, 304]

    _take_up(tools.get_by_role("button", name="套索"))
    fingers.move([place(2.1, 0.1), place(3.9, 0.1), place(3.9, 0.9), place(2.1, 0.9), place(2.1, 0.2)])
    expect(desk.figure("households")).to_have_text(str(2 * HOUSEHOLDS))
    before = page.url
    fingers.move([place(1, 2), place(1.5, 2.5)], [place(2, 2), place(2.5, 2.5)])
    expect(page).not_to_have_url(before)
    expect(desk.figure("households")).to_have_text(str(2 * HOUSEHOLDS))
    assert _too_small(page) == []


def _take_up(tool: Locator) -> None:
    """Tap on a tool, and wait for it: a tap becomes a click later than the next touch can come."""
    tool.tap()
    expect(tool).to_have_attribute("aria-pressed", "true")


def _too_small(page: Page) -> list[str | None]:
    """Controls over the map that a finger cannot be sure of."""
    found = page.locator(".map-place button:visible, .map-place select:visible, .map-place label:visible").all()
    sizes = [(one, one.bounding_box()) for one in found]
    return [one.inner_text() or one.get_attribute("aria-label") for one, box in sizes
            if box is None or box["height"] < FINGER_PX or box["width"] < FINGER_PX]  # fmt: skip


def test_a_phone_reads(ask: Ask, visit: Opener, site: Chequered) -> None:
    desk = Desk(ask, visit, site.plan_id, size=PHONE, has_touch=True, is_mobile=True)
    desk.page.touchscreen.tap(*desk.pixel(1.9, 1.1))
    expect(desk.figure("households")).to_have_text("304")
    expect(desk.page.get_by_role("toolbar", name="工具")).to_be_hidden()
    assert _too_small(desk.page) == []


def arrive(site: Chequered) -> None:
    """Import a compound of four buildings where the two grids of the second community and their rows meet."""
    lon, lat = at(2, 2, 1)
    corners = [(lon + x, lat + y) for y in (-0.0006, 0.0001) for x in (-0.0006, 0.0001)]
    grounds = [shapely.box(x, y, x + 0.0005, y + 0.0005) for x, y in corners]
    known = {"community": site.community, "crs": "EPSG:4326"}
    code = f"{site.community}-K9"
    layers = {
        "compounds": gpd.GeoDataFrame(
            {"code": [code], "community": known["community"], "name": ["新家园"]},
            geometry=[shapely.union_all(grounds).envelope], crs=known["crs"],
        ),
        "buildings": gpd.GeoDataFrame(
            {"code": [f"{site.community}9{n:04d}" for n in range(4)], "community": known["community"],
             "compound": code, "name": [f"{n + 1}号楼" for n in range(4)], "households": 76, "floors": 18, "units": 2},
            geometry=grounds, crs=known["crs"],
        ),
    }  # fmt: skip
    engine = make_engine(site.url)
    with unit_of_work(engine) as session:
        town = Town(layers={name: conform(name, frame) for name, frame in layers.items()})
        store(session, town, actor=SYSTEM, now=NOW, source="test")
    engine.dispose()


def test_a_new_compound_comes_by_an_import_and_becomes_a_grid(ask: Ask, visit: Opener, site: Chequered) -> None:
    desk = Desk(ask, visit, site.growing_id, community=1)
    page = desk.page
    checks = page.locator(".desk-checks")
    page.get_by_role("tab", name="问题").click()
    expect(checks).to_contain_text("没有")
    arrive(site)
    bar = page.locator(".arrivals")
    expect(bar).to_contain_text("4 栋新楼、304 户", timeout=180_000)  # heard with the next poll
    unplaced = page.locator('[data-check="check.unassigned"]')
    expect(unplaced).to_have_count(4)
    bar.get_by_role("button", name="纳入草案").click()
    desk.done()
    expect(bar).to_have_count(0)
    expect(desk.figure("households")).to_have_text("304")

    # One by one into the cell where it stands …
    unplaced.first.get_by_role("button", name="定位").click()
    expect(desk.figure("households")).to_have_text("76")
    page.keyboard.press("g")
    dialog = page.get_by_role("dialog", name="划入另一网格")
    expect(dialog.get_by_role("status")).to_contain_text("380")
    dialog.get_by_role("button", name="划入").click()
    desk.done()
    expect(unplaced).to_have_count(3)
    page.keyboard.press("Control+z")
    desk.done()

    # … or all of them as a grid of their own, in micro-grids.
    lon, lat = desk.middle
    page.goto(f"/desk?plan={desk.plan_id}&at={lon:.6f},{lat:.6f},{ZOOM}&tab=cells")
    page.wait_for_selector('[data-hand="ready"]')
    page.keyboard.press("p")
    page.get_by_label("整小区").check()
    page.mouse.click(*desk.pixel(2.15, 2.15))
    expect(desk.figure("households")).to_have_text("304")
    page.keyboard.press("n")
    desk.done()
    assert desk.households() == [304, 304, 304]
    page.keyboard.press("2")
    page.locator(".desk-cells tbody tr", has_text="304").click()
    page.keyboard.press("s")
    page.get_by_role("dialog").get_by_label("拆成几个").fill("4")
    page.keyboard.press("Enter")
    desk.done()
    page.get_by_role("tab", name="问题").click()
    expect(checks).to_have_attribute("data-checked", str(desk.seq))
    expect(page.locator("[data-check]")).to_have_count(0)


def test_a_link_shows_a_colleague_the_same_view(ask: Ask, visit: Opener, site: Chequered) -> None:
    desk = Desk(ask, visit, site.plan_id)
    page = desk.page
    page.keyboard.press("2")
    page.get_by_label("着色方式").select_option("households")
    page.mouse.click(*desk.pixel(0.9, 0.5))
    page.keyboard.press("p")
    page.mouse.click(*desk.pixel(2.5, 2.5))
    page.get_by_role("tab", name="记录").click()
    page.get_by_role("button", name="放大").click()
    expect(page).to_have_url(re.compile(r",16(\.0+)?&"))
    for word in ("depth=2", "colour=households", "tab=history", "cells=", "faces="):
        expect(page).to_have_url(re.compile(re.escape(word)))
    link, chosen = page.url, page.locator(".figures-chosen").inner_text()

    other = visit("admin", link).page
    other.wait_for_selector('[data-hand="ready"]')
    expect(other.locator(".figures-chosen")).to_have_text(chosen, use_inner_text=True)
    expect(other.get_by_label("着色方式")).to_have_value("households")
    expect(other.get_by_role("button", name="微网格")).to_have_attribute("aria-pressed", "true")
    expect(other.get_by_role("tab", name="记录")).to_have_attribute("aria-selected", "true")
    expect(other.locator('[data-map="idle"]')).to_be_attached()
    expect(other).to_have_url(link)


def test_everything_is_reached_by_keyboard_and_told_by_the_help(ask: Ask, visit: Opener, site: Chequered) -> None:
    desk = Desk(ask, visit, site.plan_id, depth=2)
    page = desk.page
    page.locator(".desk-cells tbody tr").first.focus()
    page.keyboard.press("Enter")
    expect(desk.figure("households")).to_have_text("76")
    page.keyboard.press("i")
    picker = page.get_by_role("dialog", name="挑选楼栋")
    expect(picker).to_be_visible()
    picker.get_by_role("checkbox").first.focus()
    page.keyboard.press("Space")
    page.keyboard.press("Enter")
    expect(picker).to_be_hidden()
    expect(desk.figure("households")).to_have_text("38")
    page.keyboard.press("t")
    breaker = page.get_by_role("dialog", name=re.compile("拆开楼栋"))
    expect(breaker).to_be_visible()
    breaker.get_by_label("1 | 2").focus()
    page.keyboard.press("Space")
    breaker.get_by_role("button", name="拆开").focus()
    page.keyboard.press("Enter")
    desk.done()

    page.keyboard.press("?")
    keys_told = page.get_by_role("dialog", name="工具与快捷键")
    expect(keys_told).to_be_visible()
    told = keys_told.locator("kbd").all_inner_texts()
    page.keyboard.press("Escape")
    expect(keys_told).to_be_hidden()
    page.keyboard.press("a")
    expect(page.get_by_role("toolbar", name="操作")).to_be_visible()
    shown = page.locator(".toolbar [aria-keyshortcuts], .act[aria-keyshortcuts]").all()
    keys = {(one.get_attribute("aria-keyshortcuts") or "").upper() for one in shown}
    assert {"V", "P", "B", "L", "C", "R", "G", "K", "CONTROL+Z"} <= keys
    assert {key.replace("CONTROL", "CTRL") for key in keys} <= {key.upper() for key in told}
    assert len(told) == len(set(told))


def test_the_desk_without_a_plan_leads_to_drafts(visit: Opener) -> None:
    page = visit("planner", "/desk").page
    drafts = page.get_by_role("region", name="草案")
    expect(drafts.get_by_role("link", name="新区草案").first).to_be_visible()
    page.get_by_role("region", name="现行与待施行").get_by_role("button", name="由此新建草案").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("方案名称").fill("秋季微调")
    dialog.get_by_role("button", name="另建草案来修改").click()
    page.wait_for_selector('[data-hand="ready"]')
    expect(page.get_by_role("heading", name="秋季微调")).to_be_visible()
    page.goto("/desk")
    expect(drafts.get_by_role("link", name="秋季微调")).to_be_visible()

    seen = visit("viewer", "/desk").page
    expect(seen.get_by_role("link", name="现行方案")).to_be_visible()
    expect(seen.get_by_role("button", name="由此新建草案")).to_have_count(0)
    gone = visit("planner", "/desk?plan=987654", lenient=True).page
    expect(gone.get_by_role("alert")).to_be_visible()
    gone.get_by_role("link", name="全部方案").click()
    expect(gone.get_by_role("region", name="草案")).to_be_visible()
