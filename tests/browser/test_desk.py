"""A planner redraws grids on the desk: by hand, by keyboard, beside somebody else, across a reload, in English."""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pytest
from playwright.sync_api import Page, Playwright, expect

from tests.browser.conftest import DESKTOP, PASSWORD, Opener, Site, Visit, on_desk
from tests.browser.on_map import pixel

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]

FIRST_OPENING_MS = 240_000
"""A draft's ground is surveyed when it is opened for the first time."""
ZOOM = 17.0

Row = dict[str, Any]


@dataclass(frozen=True)
class Draft:
    """A draft on the desk as the API told it, and where its faces lie. Each test works in a community of its own."""

    plan_id: int
    view: Row
    ground: Row

    @cached_property
    def cells(self) -> dict[int, Row]:
        return {cell["id"]: cell for cell in self.view["cells"]}

    @cached_property
    def faces(self) -> dict[int, Row]:
        return {face["id"]: face["properties"] | {"id": face["id"]} for face in self.ground["faces"]["features"]}

    @cached_property
    def neighbours(self) -> dict[int, set[int]]:
        found: dict[int, set[int]] = defaultdict(set)
        for edge in (feature["properties"] for feature in self.ground["edges"]["features"]):
            if edge["b"] >= 0 and edge["length_m"] > 4:
                found[edge["a"]].add(edge["b"])
                found[edge["b"]].add(edge["a"])
        return found

    @cached_property
    def single(self) -> dict[int, Row]:
        """Faces of buildings that are one face and one part, by building."""
        faces = Counter(face["building"] for face in self.faces.values())
        return {
            face["building"]: face
            for face in self.faces.values()
            if face["building"] is not None and faces[face["building"]] == 1 and len(face["parts"]) == 1
        }

    def grid_of(self, face: Row) -> int:
        return int(self.cells[face["cell"]]["parent"])

    def community(self, number: int) -> int:
        return int(sorted(one["id"] for one in self.view["communities"])[number])

    def called(self, grid: int) -> str:
        """What the page calls a grid without a name of its own: its community and the end of its code."""
        cell = self.cells[grid]
        community = next(one["name"] for one in self.view["communities"] if one["id"] == cell["community"])
        return f"{re.sub('(社区|居委会|村)$', '', community)} {cell['code'][-3:]}"

    def building(self, key: int) -> Row:
        return next(one for one in self.view["buildings"] if one["id"] == key)

    def at_a_border(self, number: int) -> tuple[Row, Row]:
        """A building of a community, and one beside it in another grid."""
        community = self.community(number)
        for face in self.single.values():
            if self.cells[face["cell"]]["community"] != community:
                continue
            for key in sorted(self.neighbours[face["id"]]):
                other = self.faces[key]
                if other["building"] in self.single and self.grid_of(other) != self.grid_of(face):
                    return face, other
        raise AssertionError("no building at a border")

    def third(self, face: Row, other: Row) -> Row:
        """A grid of the community that is neither of two buildings'."""
        taken, community = {self.grid_of(face), self.grid_of(other)}, self.cells[face["cell"]]["community"]
        same = (cell for cell in self.cells.values() if cell["community"] == community and cell["depth"] == 1)
        return next(cell for cell in same if cell["id"] not in taken)

    def place(self, face: Row) -> tuple[float, float]:
        """A point on the ground of a face: where its building stands."""
        building = self.building(face["building"])
        return building["lon"], building["lat"]


@pytest.fixture(scope="session")
def draft(site: Site, playwright: Playwright) -> Iterator[Draft]:
    """A draft made from the plan in force, its ground surveyed."""
    http = playwright.request.new_context(base_url=site.base, extra_http_headers={"origin": site.base})

    def ask(method: str, path: str, body: Row | None = None) -> Any:
        answer = http.fetch(
            path,
            method=method,
            data=None if body is None else json.dumps(body),
            headers={"content-type": "application/json"},
        )
        assert answer.ok, f"{method} {path}: {answer.status} {answer.text()}"
        return answer.json()

    ask("POST", "/api/v1/session", {"username": "planner", "password": PASSWORD})
    plan_id = ask("POST", f"/api/v1/plans/{site.plan_id}/drafts", {"title": "手工调整"})["id"]
    view = on_desk(ask, plan_id)
    ground = ask("GET", f"/api/v1/plans/{plan_id}/desk/ground")
    yield Draft(plan_id, view, ground)
    http.dispose()


class Desk:
    """The page, opened over a place."""

    def __init__(self, seen: Visit, draft: Draft, over: Row, *, depth: int = 1) -> None:
        self.seen, self.page, self.draft = seen, seen.page, draft
        self.middle = draft.place(over)
        lon, lat = self.middle
        self.page.goto(f"/desk?plan={draft.plan_id}&at={lon:.6f},{lat:.6f},{ZOOM}&depth={depth}")
        self.wait()

    def wait(self) -> None:
        """Until the hand is there; what it does rests on the board, not on what is drawn already."""
        self.page.wait_for_selector('[data-hand="ready"]')

    @property
    def whole(self) -> Any:
        return self.page.locator(".desk-page")

    @property
    def seq(self) -> int:
        return int(self.whole.get_attribute("data-seq") or -1)

    def pixel(self, face: Row) -> tuple[float, float]:
        """Where a face's building is on the screen."""
        return pixel(self.page, self.draft.place(face), middle=round_place(self.middle), zoom=ZOOM)

    def edited(self, before: int, steps: int = 1) -> None:
        """Wait until the server has acknowledged."""
        expect(self.whole).to_have_attribute("data-seq", str(before + steps))
        expect(self.whole).to_have_attribute("data-desk", "saved")

    def figures(self) -> Any:
        return self.page.get_by_role("region", name="数字")

    def now(self) -> dict[int, Row]:
        """The cells as the server has them."""
        view = self.seen.api("GET", f"/api/v1/plans/{self.draft.plan_id}/desk")
        return {cell["id"]: cell for cell in view["cells"]}


def round_place(place: tuple[float, float]) -> tuple[float, float]:
    return round(place[0], 6), round(place[1], 6)


def move_into(page: Page, code: str) -> None:
    """Answer the dialog "into another grid"."""
    form = page.get_by_role("dialog", name="划入另一网格")
    form.get_by_label("查找网格").fill(code)
    form.get_by_role("button", name="划入").click()


def test_a_new_compound_becomes_a_grid_of_its_own(visit: Opener, draft: Draft) -> None:
    face = next(
        face
        for face in draft.single.values()
        if draft.cells[face["cell"]]["community"] == draft.community(0) and draft.building(face["building"])["compound"]
    )
    compound = draft.building(face["building"])["compound"]
    [known] = [one for one in draft.view["compounds"] if one["id"] == compound]
    desk = Desk(visit("planner", "/planner"), draft, face)
    page, seq = desk.page, desk.seq
    page.keyboard.press("p")
    page.get_by_label("整小区").check()
    page.mouse.click(*desk.pixel(face))
    expect(desk.figures().locator('[data-figure="households"]')).to_have_text(f"{known['households']:,}")
    page.keyboard.press("n")
    desk.edited(seq)
    page.keyboard.press("F2")
    dialog = page.get_by_role("dialog", name=re.compile("命名"))
    dialog.get_by_label("名称").fill("新小区网格")
    dialog.get_by_role("button", name="保存").click()
    expect(page.locator(".desk-cells tbody tr", has_text="新小区网格")).to_have_attribute("aria-selected", "true")
    desk.edited(seq, 2)
    [made] = [cell for cell in desk.now().values() if cell["name"] == "新小区网格"]
    assert made["households"] == known["households"]
    assert made["depth"] == 1


def test_a_damaged_plan_is_repaired_by_hand(visit: Opener, draft: Draft) -> None:
    stray, _, stranger = _inside(draft, draft.community(1))
    near = draft.neighbours[stray["id"]]
    beside = next(draft.faces[key] for key in sorted(near) if draft.faces[key]["building"] in draft.single)
    home, away = draft.grid_of(stray), draft.grid_of(stranger)
    seen = visit("planner", "/planner")
    damage = {"request_id": f"damage-{stray['id']}", "base": 0, "kind": "move", "parts": stray["parts"]}
    seen.api("POST", f"/api/v1/plans/{draft.plan_id}/edits", damage | {"to": stranger["cell"]})
    desk = Desk(seen, draft, stray)
    page, seq = desk.page, desk.seq
    page.get_by_role("tab", name="问题").click()
    torn = page.locator('[data-check="check.pieces"]', has_text=draft.called(away))
    expect(torn.first).to_be_visible()
    torn.first.get_by_role("button", name="定位").click()
    expect(page).to_have_url(re.compile(rf"cells={away}\b|cells={stranger['cell']}\b"))

    desk = Desk(seen, draft, stray)
    page.keyboard.press("b")
    page.get_by_role("button", name="单栋").click()
    page.mouse.click(*desk.pixel(beside), button="right")
    expect(page).to_have_url(re.compile(rf"cells={home}\b"))
    page.mouse.move(*desk.pixel(beside))
    page.mouse.down()
    page.mouse.move(*desk.pixel(stray), steps=6)
    expect(page.locator(".ahead li").first).to_be_visible()
    page.mouse.up()
    desk.edited(seq)
    page.get_by_role("tab", name="问题").click()
    expect(page.locator(".desk-checks")).to_have_attribute("data-checked", str(desk.seq))
    expect(torn).to_have_count(0)
    assert desk.now()[home]["households"] == draft.cells[home]["households"]


def _inside(draft: Draft, community: int) -> tuple[Row, set[int], Row]:
    """A building whose neighbours are all of its grid, and one far away in another grid of its community."""
    for face in draft.single.values():
        if draft.cells[face["cell"]]["community"] != community:
            continue
        near = draft.neighbours[face["id"]]
        grids = {draft.grid_of(draft.faces[key]) for key in near}
        known = [key for key in near if draft.faces[key]["building"] in draft.single]
        if grids != {draft.grid_of(face)} or not known or not draft.building(face["building"])["households"]:
            continue
        for other in draft.single.values():
            same = draft.cells[other["cell"]]["community"] == community
            if same and draft.grid_of(other) != draft.grid_of(face) and other["id"] not in near:
                return face, near, other
    raise AssertionError("no building inside a grid")


def test_undo_and_what_was_not_sent_survive_a_reload(visit: Opener, draft: Draft) -> None:
    face, other = draft.at_a_border(2)
    seen = visit("planner", "/planner", lenient=True)
    desk = Desk(seen, draft, face)
    page, seq = desk.page, desk.seq
    before = desk.now()
    page.route("**/edits", lambda route: route.abort())
    page.mouse.click(*desk.pixel(other))
    page.keyboard.press("b")
    page.get_by_role("button", name="单栋").click()
    page.mouse.move(*desk.pixel(other))
    page.mouse.down()
    page.mouse.move(*desk.pixel(face), steps=4)
    page.mouse.up()
    expect(desk.whole).to_have_attribute("data-desk", "saving")
    expect(page.get_by_text("1 步待发送")).to_be_visible()
    page.unroute("**/edits")
    page.reload()
    desk.wait()
    desk.edited(seq)
    grid = draft.grid_of(other)
    assert desk.now()[grid]["area_m2"] > before[grid]["area_m2"]

    page.reload()
    desk.wait()
    page.keyboard.press("Control+z")
    desk.edited(seq, 2)
    assert desk.now() == before
    expect(page.get_by_role("button", name="重做")).to_be_enabled()


def test_two_planners_see_each_other_and_nothing_is_lost(visit: Opener, draft: Draft) -> None:
    face, other = draft.at_a_border(3)
    mine = Desk(visit("planner", "/planner"), draft, face)
    theirs = Desk(visit("admin", "/planner", lenient=True), draft, face)
    seq = mine.seq
    paint(mine, other, face)
    mine.edited(seq)
    line = theirs.page.locator(".news-line")
    expect(line).to_contain_text("移动 1 栋")
    expect(theirs.whole).to_have_attribute("data-seq", str(mine.seq))

    # Deaf for a while, the other one changes what was changed meanwhile.
    theirs.page.route("**/edits?*", lambda route: route.abort())
    theirs.page.reload()
    theirs.wait()
    expect(theirs.page.locator(".banner")).to_be_visible()  # which moves the map down
    seq = mine.seq
    mine.page.keyboard.press("Control+z")
    mine.edited(seq)
    theirs.page.keyboard.press("p")
    theirs.page.mouse.click(*theirs.pixel(face))
    theirs.page.keyboard.press("g")
    move_into(theirs.page, draft.third(face, other)["code"])
    asked = theirs.page.get_by_role("dialog", name="别人先改动了这里")
    expect(asked).to_be_visible()
    theirs.page.unroute("**/edits?*")
    asked.get_by_role("button", name="不做了").click()
    expect(theirs.whole).to_have_attribute("data-seq", str(mine.seq))
    assert mine.now() == theirs.now()


def paint(desk: Desk, start: Row, end: Row) -> None:
    """Bring the building of `end` into the grid of `start`, with a stroke that begins there."""
    desk.page.keyboard.press("b")
    desk.page.get_by_role("button", name="单栋").click()
    desk.page.mouse.move(*desk.pixel(start))
    desk.page.mouse.down()
    desk.page.mouse.move(*desk.pixel(end), steps=4)
    desk.page.mouse.up()


def test_the_desk_speaks_english(visit: Opener, draft: Draft) -> None:
    face = next(iter(draft.single.values()))
    page = Desk(visit("planner", "/planner", language="en"), draft, face).page
    expect(page.get_by_role("tab", name="Faults")).to_be_visible()
    expect(page.get_by_role("toolbar", name="Tools").get_by_role("button", name="Paint")).to_be_visible()
    page.keyboard.press("?")
    keys = page.get_by_role("dialog", name="Tools and keys")
    expect(keys).to_contain_text("Redraw border")
    assert not re.search(r"[\u4e00-\u9fff]", keys.inner_text())
    page.keyboard.press("Escape")
    page.get_by_role("button", name="中文").click()
    expect(page.get_by_role("tab", name="问题")).to_be_visible()


def test_a_building_moves_by_keyboard_alone(visit: Opener, draft: Draft) -> None:
    face, other = draft.at_a_border(2)
    desk = Desk(visit("planner", "/planner"), draft, face)
    page, seq = desk.page, desk.seq
    home, target = draft.cells[draft.grid_of(face)], draft.cells[draft.grid_of(other)]
    page.get_by_role("searchbox", name="查找编码、名称或社区").focus()
    page.keyboard.type(home["code"])
    expect(page.locator(".desk-cells tbody tr")).to_have_count(1)
    for _ in range(9):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.tagName") == "TR":
            break
    page.keyboard.press("Enter")
    expect(page.locator("[data-spoken]")).to_contain_text(f"{home['households']:,} 户")
    page.keyboard.press("g")
    form = page.get_by_role("dialog", name="划入另一网格")
    expect(form).to_be_visible()
    wanted = form.get_by_role("checkbox", name=re.compile(rf"\b{draft.building(face['building'])['name']} ·")).first
    wanted.focus()
    page.keyboard.press("Space")
    form.get_by_label("查找网格").focus()
    page.keyboard.type(target["code"])
    page.keyboard.press("Enter")
    expect(form).to_be_hidden()
    desk.edited(seq)
    assert desk.now()[target["id"]]["buildings"] == target["buildings"] + 1
    page.keyboard.press("Control+z")
    desk.edited(seq, 2)


@pytest.mark.parametrize("size", [{"width": 390, "height": 844}, DESKTOP])
def test_a_viewer_reads_and_changes_nothing(visit: Opener, site: Site, size: dict[str, int]) -> None:
    page = visit("viewer", f"/desk?plan={site.plan_id}", size=size).page
    page.wait_for_selector('[data-hand="ready"]', timeout=FIRST_OPENING_MS)
    expect(page.locator(".desk-cells tbody tr").first).to_be_visible()
    expect(page.get_by_text("只读")).to_be_visible()
    for act in ("画笔", "撤销", "另建草案来修改"):
        expect(page.get_by_role("button", name=act)).to_have_count(0)
