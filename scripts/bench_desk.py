"""``wangge bench desk``: how soon the planner's desk answers the hand, in Chromium on the real service.

A throw-away town, a draft of its plan, and a hand that paints: from the end of a stroke to the new figures in the page,
and to the server's acknowledgement; how long a plan takes to open; how even the frames are while the map is moved.

*Usable*: table, figures and tools answer, and the outlines of the cells are seen. *Drawn*: the map has nothing left to
fetch or to draw. Without a graphics card all of it is drawn by the processor; how much of it that is, a bare map tells
that is given nothing but the grids, as polygons in a file, with the same colours and lines (*floor*).

Playwright and Chromium are those of the browser tests.
"""

from __future__ import annotations

import json
import math
import secrets
import shutil
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.util import find_spec
from typing import Any
from urllib.request import Request, urlopen

import click
import numpy as np

from gis import accounts
from gis.db import unit_of_work
from gis.errors import Unavailable
from gis.permissions import SYSTEM, Role
from scripts import bench_servers
from scripts.bench_database import BenchDatabase, bench_database
from scripts.bench_desk_floor import floor_ms
from scripts.program import Program, pass_program, print_json

ZOOM = 16.4
TILE_PX = 512
SIZE = {"width": 1366, "height": 768}
OPENINGS = 3
PAN_S = 3.0
PATIENCE_S = 1800.0
STROKE_MS = 8_000
CHROMIUM = (
    "--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--ignore-gpu-blocklist",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)  # fmt: skip

WATCH = """
window.bench = { figures: null, acknowledged: null, up: null, ready: null, seen: null, idle: null, frames: [] };
addEventListener("pointerup", () => {
  Object.assign(bench, { up: performance.now(), figures: null, acknowledged: null });
  delete document.documentElement.dataset.benchDone;
}, true);
new MutationObserver((changes) => {
  for (const { target, attributeName } of changes) {
    const element = target.nodeType === Node.TEXT_NODE ? target.parentElement : target;
    if (attributeName === "data-seq") bench.acknowledged ??= performance.now() - bench.up;
    else if (!attributeName && element?.closest?.('[data-figure="households"]'))
      bench.figures ??= performance.now() - bench.up;
  }
  if (bench.figures !== null && bench.acknowledged !== null) document.documentElement.dataset.benchDone = "yes";
}).observe(document, { subtree: true, childList: true, characterData: true, attributeFilter: ["data-seq"] });
let last = 0;
const frame = (now) => {
  if (last) bench.frames.push(now - last);
  last = now;
  if (bench.ready === null && document.querySelector('[data-hand="ready"]')) bench.ready = now;
  if (bench.seen === null && document.querySelector('[data-cells="seen"]')) bench.seen = now;
  const isUsable = bench.ready !== null && bench.seen !== null;
  if (isUsable && bench.idle === null && document.querySelector('[data-map="idle"]')) {
    bench.idle = now;
    document.documentElement.dataset.benchIdle = "yes";
  }
  requestAnimationFrame(frame);
};
requestAnimationFrame(frame);
"""


TIMES = "({ready: bench.ready, seen: bench.seen, idle: bench.idle})"


@click.command("desk")
@click.option("--grids", type=click.IntRange(4), multiple=True, default=(60, 600), show_default=True,
              help="Towns to measure; 34 buildings a grid.")  # fmt: skip
@click.option("--strokes", type=click.IntRange(2, 500), default=40, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="One JSON object on standard output.")
@pass_program
def command(program: Program, grids: tuple[int, ...], strokes: int, as_json: bool) -> None:
    """Paint on the desk in Chromium: figures, acknowledgements, opening, frames."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None or find_spec("playwright") is None:
        raise Unavailable("bench.no_chromium")
    told = [_measured(program, number, strokes, chromium) for number in grids]
    if as_json:
        print_json({"towns": told})
        return
    for figures in told:
        click.echo(program.sentence("bench.desk", **{**figures, "floor_ms": figures["floor_ms"] or "–"}))


def _measured(program: Program, grids: int, strokes: int, chromium: str) -> dict[str, Any]:
    with (
        bench_database(program.settings, grids=grids) as town,
        bench_servers.running("ours", town.url, program.settings.home) as base,
    ):
        token = _planner(town)
        began = time.monotonic()
        plan_id = _ask(base, token, "POST", f"/api/v1/plans/{town.plan_id}/drafts", {"title": "bench"})["id"]
        view = _on_desk(base, token, plan_id)
        surveyed_s = time.monotonic() - began
        ground = _ask(base, token, "GET", f"/api/v1/plans/{plan_id}/desk/ground")
        with _page(chromium, base, token) as page:
            told = {**_in_page(page, plan_id, view, ground, strokes), "floor_ms": floor_ms(page, base, town, plan_id)}
    return {"grids": grids, "buildings": len(view["buildings"]), "surveyed_s": round(surveyed_s, 1), **told}


def _planner(town: BenchDatabase) -> str:
    """The session of somebody who may draw."""
    password, now = secrets.token_urlsafe(12), datetime.now(UTC)
    with unit_of_work(town.engine) as session:
        accounts.create_user(
            session, username="bench-planner", name="planner", password=password, actor=SYSTEM, now=now,
            must_change_password=False,
        )  # fmt: skip
        accounts.grant(session, username="bench-planner", role=Role.PLANNER, area_id=None, actor=SYSTEM, now=now)
        return accounts.sign_in(session, username="bench-planner", password=password, now=now)[0]


def _on_desk(base: str, token: str, plan_id: int) -> Any:
    """A plan as the desk has it, once its ground is surveyed."""
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        view = _ask(base, token, "GET", f"/api/v1/plans/{plan_id}/desk?wait=50")
        if "survey" not in view:
            return view
        if view["survey"]["error"] is not None:
            raise Unavailable(view["survey"]["error"]["code"], **view["survey"]["error"]["params"])
    raise Unavailable("desk.surveying", plan=plan_id)


def _ask(base: str, token: str, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
    request = Request(
        base + path, method=method, data=None if body is None else json.dumps(body).encode(),
        headers={"Cookie": f"wangge_session={token}", "Origin": base, "Content-Type": "application/json"},
    )  # fmt: skip
    with urlopen(request, timeout=PATIENCE_S) as answer:
        return json.loads(answer.read())


@contextmanager
def _page(chromium: str, base: str, token: str) -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=list(CHROMIUM))
        context = browser.new_context(viewport=SIZE, locale="zh-CN", base_url=base)  # type: ignore[arg-type]
        context.set_default_timeout(120_000)
        context.add_cookies([{"name": "wangge_session", "value": token, "url": base}])
        page = context.new_page()
        page.add_init_script(WATCH)
        yield page
        browser.close()


def _in_page(page: Any, plan_id: int, view: Any, ground: Any, strokes: int) -> dict[str, Any]:
    west, south, east, north = np.array([one["bbox"] for one in view["communities"]]).T
    middle = round(float((west.min() + east.max()) / 2), 6), round(float((south.min() + north.max()) / 2), 6)
    whole = f"/desk?plan={plan_id}"
    openings = [_opened(page, whole) for _ in range(OPENINGS)]
    heap_mb = float(page.evaluate("performance.memory.usedJSHeapSize")) / 1e6
    _opened(page, f"{whole}&at={middle[0]},{middle[1]},{ZOOM}")
    frames = _panned(page)
    _opened(page, f"{whole}&at={middle[0]},{middle[1]},{ZOOM}")
    figures, acknowledged = _painted(page, _pairs(page, view, ground, middle), strokes)
    return {
        "usable_ms": round(float(np.median([max(one["ready"], one["seen"]) for one in openings]))),
        "ready_ms": round(float(np.median([one["ready"] for one in openings]))),
        "idle_ms": round(float(np.median([one["idle"] for one in openings]))),
        "heap_mb": round(heap_mb),
        "strokes": len(figures),
        "figures_p50_ms": _share(figures, 50), "figures_p95_ms": _share(figures, 95),
        "acknowledged_p50_ms": _share(acknowledged, 50), "acknowledged_p95_ms": _share(acknowledged, 95),
        "frame_p50_ms": _share(frames, 50), "frame_p95_ms": _share(frames, 95),
    }  # fmt: skip


def _share(values: list[float], percent: int) -> float:
    return round(float(np.percentile(values, percent)), 1)


def _opened(page: Any, path: str) -> dict[str, float]:
    page.goto(path)
    page.wait_for_selector("html[data-bench-idle]", state="attached")  # the page's policy lets nothing be evaluated
    return {name: float(value) for name, value in page.evaluate(TIMES).items()}


def _panned(page: Any) -> list[float]:
    """Move the map by hand to and fro; the milliseconds between its frames."""
    box = page.locator(".map canvas").bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.keyboard.press("v")
    page.mouse.move(x, y)
    page.mouse.down()
    page.evaluate("bench.frames.length = 0")
    began = time.monotonic()
    while (spent := time.monotonic() - began) < PAN_S:
        page.mouse.move(x + 250 * math.sin(3 * spent), y + 120 * math.sin(2 * spent))
    frames = page.evaluate("bench.frames.slice()")
    page.mouse.up()
    return [float(one) for one in frames]


Pixel = tuple[float, float]


def _pairs(page: Any, view: Any, ground: Any, middle: tuple[float, float]) -> list[tuple[int, Pixel, int, Pixel]]:
    """Neighbouring buildings of two grids that are on the screen: faces and pixels of both."""
    parents = {cell["id"]: cell["parent"] for cell in view["cells"]}
    places = {one["id"]: (one["lon"], one["lat"]) for one in view["buildings"]}
    community = {cell["id"]: cell["community"] for cell in view["cells"]}
    faces = {face["id"]: face["properties"] for face in ground["faces"]["features"]}
    counts = Counter(face["building"] for face in faces.values())
    box = page.locator(".map canvas").bounding_box()

    def pixel(face: dict[str, Any]) -> Pixel:
        lon, lat = places[face["building"]]
        world = TILE_PX * 2**ZOOM
        x = (lon - middle[0]) / 360 * world
        y = (_mercator(middle[1]) - _mercator(lat)) / (2 * math.pi) * world
        return box["x"] + box["width"] / 2 + x, box["y"] + box["height"] / 2 + y

    def is_free(at: Pixel) -> bool:
        return bool(box["x"] + 70 < at[0] < box["x"] + box["width"] - 70 and box["y"] + 230 < at[1] < box["y"] + 480)

    found = []
    for edge in (feature["properties"] for feature in ground["edges"]["features"]):
        a, b = faces[edge["a"]], faces.get(edge["b"])
        if b is None or counts[a["building"]] != 1 or counts[b["building"]] != 1:
            continue
        if None in (a["building"], b["building"]) or parents[a["cell"]] == parents[b["cell"]]:
            continue
        if community[a["cell"]] == community[b["cell"]] and is_free(pixel(a)) and is_free(pixel(b)):
            found.append((edge["a"], pixel(a), edge["b"], pixel(b)))
    return found


def _mercator(lat: float) -> float:
    return math.log(math.tan(math.pi / 4 + math.radians(lat) / 2))


def _arrived(page: Any) -> bool:
    """Whether figures and acknowledgement came; a stroke that was refused, or changed nothing, is not counted."""
    from playwright.sync_api import TimeoutError as TooLate

    try:
        page.wait_for_selector("html[data-bench-done]", state="attached", timeout=STROKE_MS)
    except TooLate:
        page.keyboard.press("Escape")
        return False
    return True


def _painted(page: Any, pairs: list[tuple[int, Pixel, int, Pixel]], strokes: int) -> tuple[list[float], list[float]]:
    """Paint one building after the other into the grid beside it; each face takes part once."""
    used: set[int] = set()
    figures, acknowledged = [], []
    page.keyboard.press("b")
    page.locator(".brush-bar .segments button").first.click()
    for start, from_pixel, end, to_pixel in pairs:
        if start in used or end in used:
            continue
        used |= {start, end}
        page.mouse.click(*from_pixel, button="right")
        page.wait_for_selector('[data-figure="households"]')
        page.mouse.move(*from_pixel)
        page.mouse.down()
        page.mouse.move(*to_pixel, steps=5)
        page.mouse.up()
        if not _arrived(page):
            continue
        page.wait_for_selector('[data-desk="saved"]')
        told = page.evaluate("[bench.figures, bench.acknowledged]")
        figures.append(float(told[0]))
        acknowledged.append(float(told[1]))
        if len(figures) == strokes:
            break
    return figures, acknowledged
