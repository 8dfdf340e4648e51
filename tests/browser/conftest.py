"""The real pages in Chromium, on the real server and a database of its own with a small town.

The town is four communities of the demo town: divided, published, surveyed, peopled, with some days of incidents. It is
built once a run, and each process has a copy of its own. Tests run in any order on it, so each looks only for what it
made itself or what cannot change.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.parse import urlsplit
from urllib.request import urlopen

import pytest
from playwright.sync_api import Browser, BrowserContext, Error, Page, Playwright, expect, sync_playwright

from tests.browser.watchdog import limited
from tests.conftest import clone_of, made_once

ROOT = Path(__file__).resolve().parents[2]
PASSWORD = "browser-tests-2026"
COMMUNITIES = ("210699001002", "210699001004", "210699002001", "210699002004")
DESKTOP = {"width": 1366, "height": 768}
PHONE = {"width": 390, "height": 844}
START_S = 240.0
PATIENCE_MS = 60_000
"""Software rendering on two busy cores; a test that passes waits for far less."""


@dataclass(frozen=True)
class Site:
    """A running service.

    Attributes
    ----------
    base : str
        ``http://127.0.0.1:PORT``.
    plan_id : int
        The plan that was published when the town was built.
    url : str
        ``postgresql://…`` of its database.
    """

    base: str
    plan_id: int
    url: str


@dataclass
class Visit:
    """A page somebody has open, and what it did that no page should do."""

    page: Page
    context: BrowserContext
    base: str
    asked: list[str] = field(default_factory=list)
    strangers: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def api(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """Ask the API as the same person, outside the page."""
        answer = self.context.request.fetch(
            f"{self.base}{path}",
            method=method,
            data=None if body is None else dict(body),
            headers={"origin": self.base},
        )
        assert answer.ok, f"{method} {path}: {answer.status} {answer.text()}"
        return answer.json() if answer.body() else None

    def wait_for_map(self) -> None:
        """Until everything that the map asked for is drawn."""
        self.page.wait_for_selector('[data-map="idle"]', state="attached")


@pytest.fixture(scope="session")
def site(home: Path, template: str) -> Iterator[Site]:
    """The service with its town; stopped and dropped at the end."""
    if not (ROOT / "api/web/dist/planner/index.html").is_file():
        pytest.fail("the pages are not built: run scripts/setup, or `npm run build` in api/web")
    plan_id = made_once(home, template, "four_communities", _build)
    with clone_of(home, "four_communities") as url, serving(url) as base:
        yield Site(base, plan_id, url)


def _build(url: str) -> int:
    from gis import showcase, survey_runs
    from gis.cleaning import clean
    from gis.db import make_engine, unit_of_work
    from gis.demo import incident_stream, make_town
    from gis.partition import divide
    from gis.partition.quality import statistics
    from gis.rule_set import load_preset

    now = datetime.now(UTC)
    since = showcase.beginning(now)
    whole = make_town(seed=1)
    few = {
        name: whole[name][whole[name][column].isin(COMMUNITIES)]
        for name, column in (("communities", "code"), ("compounds", "community"), ("buildings", "community"))
    }
    town, findings = clean(showcase.with_departments(whole.with_layers(**few)))
    rules = load_preset("bishan")
    division = divide(town, rules, seed=1, processes=1)
    engine = make_engine(url)
    with unit_of_work(engine) as session:
        root = showcase.root_code(town)
        showcase.store_town(session, town, findings, source="wangge demo-city", since=since)
        plan_id = showcase.publish_division(
            session,
            division,
            root=root,
            rule_set_id=showcase.store_rules(session, rules, root=root, since=since),
            title="四个社区网格划分",
            quality=statistics(division, town),
            since=since,
        )
        showcase.store_staff(session, town, plan_id, seed=1, since=since)
        stream = incident_stream(town, seed=1, start=now - timedelta(days=5), end=now, per_day=12)
        showcase.store_incidents(session, stream, now=now)
        showcase.sample_accounts(session, password=PASSWORD, now=now)
    survey_runs.do_now(engine, plan_id, clock=survey_runs.utc_now)
    engine.dispose()
    return plan_id


@contextmanager
def serving(url: str) -> Iterator[str]:
    """The service on a database, until the block ends; gives its address."""
    process, base = _begun(url)
    try:
        yield base
    finally:
        process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()


def _begun(url: str) -> tuple[subprocess.Popen[bytes], str]:
    """The service's process and address. Somebody may take the port before it does: then it tries another."""
    for _ in range(3):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            base = f"http://127.0.0.1:{free.getsockname()[1]}"
        process = subprocess.Popen(
            [sys.executable, "-m", "scripts.cli", "serve", "--port", base.rpartition(":")[2]],
            cwd=ROOT,
            env={**os.environ, "WANGGE_DATABASE_URL": url},
            stdout=subprocess.DEVNULL,
        )
        if _comes_to_answer(f"{base}/healthz", process):
            return process, base
    pytest.fail(f"the service ended with {process.returncode} before it answered")


def _comes_to_answer(address: str, process: subprocess.Popen[bytes]) -> bool:
    """Whether it does before it ends."""
    end = time.monotonic() + START_S
    while time.monotonic() < end:
        if process.poll() is not None:
            return False
        try:
            with urlopen(address, timeout=30):
                return True
        except (URLError, OSError):
            time.sleep(0.1)
    process.kill()
    pytest.fail(f"the service did not answer within {START_S:.0f} s")


FIRST_OPENING_S = 240.0


def on_desk(ask: Callable[..., Any], plan_id: int) -> dict[str, Any]:
    """A plan as the desk has it, by whoever asks; waits for its ground, which is surveyed the first time."""
    end = time.monotonic() + FIRST_OPENING_S
    while time.monotonic() < end:
        view: dict[str, Any] = ask("GET", f"/api/v1/plans/{plan_id}/desk?wait=20")
        if "survey" not in view:
            return view
        assert view["survey"]["error"] is None, view
    pytest.fail(f"the ground of plan {plan_id} was not surveyed within {FIRST_OPENING_S:.0f} s")


BEYOND_S = 30.0
"""What a test may take beyond its limit, if the alarm got lost, until its browser is killed."""
CLOSING_S = 60.0


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Bound a test with its setup and teardown, even where the alarm of its limit is lost in Playwright's loop."""
    marked = item.get_closest_marker("timeout")
    limit = marked.args[0] if marked is not None else item.config.getoption("timeout") or item.config.getini("timeout")
    with limited(float(limit) + BEYOND_S):
        return (yield)


@pytest.fixture(scope="session")
def playwright() -> Iterator[Playwright]:
    """The driver, patient in what it expects too."""
    expect.set_options(timeout=PATIENCE_MS)
    manager = sync_playwright()
    yield manager.start()
    with limited(CLOSING_S), suppress(Error):
        manager.__exit__()


@pytest.fixture(scope="session")
def running(playwright: Playwright) -> Iterator[Callable[[], Browser]]:
    """Gives the browser of this process; a new one if there is none yet or the last has died."""
    started: list[Browser] = []

    def newest() -> Browser:
        if not started or not started[-1].is_connected():
            started.append(_launch(playwright))
        return started[-1]

    yield newest
    with limited(CLOSING_S), suppress(Error):
        for browser in started:
            browser.close()


@pytest.fixture
def chromium(running: Callable[[], Browser]) -> Browser:
    """A browser that lives."""
    return running()


def _launch(playwright: Playwright) -> Browser:
    """Start Debian's Chromium, drawing in software, with every name but the loopback's unknown to it."""
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    if found is None:
        pytest.fail("Chromium is missing: apt-get install chromium")
    return playwright.chromium.launch(
        executable_path=found,
        args=[
            "--no-sandbox",
            "--use-angle=swiftshader",
            "--enable-unsafe-swiftshader",
            "--ignore-gpu-blocklist",
            "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
        ],
    )


Opener = Callable[..., Visit]


@pytest.fixture
def visit(site: Site, chromium: Browser) -> Iterator[Opener]:
    """Open a page as somebody; at the end no page may have asked another host, or complained in its console."""
    visits: list[Visit] = []

    def opened(
        user: str | None,
        path: str = "/",
        *,
        language: str = "zh",
        size: Mapping[str, int] = DESKTOP,
        lenient: bool = False,
        **options: Any,
    ) -> Visit:
        context = chromium.new_context(
            viewport=dict(size), locale="zh-CN", timezone_id="Asia/Shanghai", base_url=site.base, **options
        )
        context.set_default_timeout(PATIENCE_MS)
        context.add_cookies([{"name": "wangge_lang", "value": language, "url": site.base}])
        made = Visit(context.new_page(), context, site.base)
        _watch(made, lenient=lenient)
        visits.append(made)
        if user is not None:
            made.api("POST", "/api/v1/session", {"username": user, "password": PASSWORD})
        made.page.goto(path)
        return made

    yield opened
    with limited(CLOSING_S) as killed:
        try:
            for one in visits:
                one.context.close()
        except Error:
            # A browser that cannot close is killed, and the next test gets another; that is no fault of the page.
            if not killed.is_set():
                raise
    assert [stranger for one in visits for stranger in one.strangers] == []
    assert [complaint for one in visits for complaint in one.complaints] == []


def _watch(made: Visit, *, lenient: bool) -> None:
    own = urlsplit(made.base).netloc

    def asked(request: Any) -> None:
        parts = urlsplit(request.url)
        made.asked.append(parts.path)
        if parts.scheme not in ("data", "blob") and parts.netloc != own:
            made.strangers.append(request.url)

    made.context.on("request", asked)
    made.context.on("weberror", lambda error: made.complaints.append(str(error.error)))
    if not lenient:
        made.context.on(
            "console", lambda message: made.complaints.append(message.text) if message.type == "error" else None
        )


@pytest.fixture
def as_user(site: Site, playwright: Playwright) -> Iterator[Callable[[str], Callable[..., Any]]]:
    """Ask the API as somebody, without a page: ``as_user("dispatcher")("GET", "/api/v1/…")``."""
    sessions = []

    def signed_in(user: str) -> Callable[..., Any]:
        http = playwright.request.new_context(base_url=site.base, extra_http_headers={"origin": site.base})
        sessions.append(http)

        def ask(method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
            data = None if body is None else json.dumps(body)
            answer = http.fetch(path, method=method, data=data, headers={"content-type": "application/json"})
            assert answer.ok, f"{method} {path}: {answer.status} {answer.text()}"
            return answer.json() if answer.body() else None

        ask("POST", "/api/v1/session", {"username": user, "password": PASSWORD})
        return ask

    yield signed_in
    for http in sessions:
        http.dispose()
