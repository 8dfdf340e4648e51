"""Versions: what governs when, made once a machine, told when it changes, kept while the database is away."""

from __future__ import annotations

import multiprocessing
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, select, text

from gis import artifacts, making, plan_copy, plans, staff
from gis.artifacts import ArtifactStore
from gis.db import make_engine, unit_of_work
from gis.errors import Conflict, Unavailable
from gis.in_force import InForce, Keeper, in_force
from gis.models import Assignment, ChangeNote, Grid, Staff
from gis.notices import Notices
from gis.permissions import EVERYWHERE, SYSTEM
from gis.responsibility.present import Present
from gis.responsibility.responsibility import load
from tests.conftest import clone_of
from tests.usecases.builders import LAT, LON, NOW
from tests.usecases.test_responsibility import START, build_town


def until(is_so: Callable[[], Any], *, seconds: float = 120.0) -> Any:
    """Wait for a state."""
    ends = time.monotonic() + seconds
    while not (found := is_so()):
        assert time.monotonic() < ends, "it did not come about"
        time.sleep(0.01)
    return found


@pytest.fixture(scope="module")
def built(home: Path, template: str) -> Iterator[tuple[str, int]]:
    """Name of a database with a town, and its plan."""
    with clone_of(home, template) as url:
        _, plan_id = build_town(url)
        yield url.partition("?")[0].rpartition("/")[2], plan_id


@pytest.fixture
def engine(home: Path, built: tuple[str, int]) -> Iterator[Engine]:
    """A town of the test's own."""
    with clone_of(home, built[0]) as url:
        engine = make_engine(url)
        yield engine
        engine.dispose()


def ask(engine: Engine, at: datetime = NOW) -> InForce:
    with unit_of_work(engine) as session:
        return in_force(session, at)


def publish_again(engine: Engine, plan_id: int, *, at: datetime, now: datetime) -> int:
    with unit_of_work(engine) as session:
        again = plan_copy.copy(session, plan_id, title="again", actor=SYSTEM, now=now).id
        plans.publish(session, again, effective_from=at, actor=SYSTEM, now=now)
        return again


# --- which version ----------------------------------------------------------------------------------------------------


def test_keys_change_with_plans_and_with_people_and_with_nothing_else(engine: Engine, built: tuple[str, int]) -> None:
    first = ask(engine)
    assert ask(engine) == first
    assert {plan for _, plan in first.links} == {built[1]}
    with unit_of_work(engine) as session:
        session.scalars(select(Staff).order_by(Staff.id)).first().phone = "13900000000"  # type: ignore[union-attr]
    renumbered = ask(engine)
    assert renumbered.cells_key == first.cells_key
    assert renumbered.people_key != first.people_key
    again = publish_again(engine, built[1], at=NOW, now=NOW)
    later = ask(engine)
    assert {plan for _, plan in later.links} == {again}
    assert later.cells_key not in {first.cells_key}
    before = ask(engine, NOW - timedelta(days=1))
    assert before.cells_key == first.cells_key
    assert before.next_change == NOW


def test_dates_of_plans_and_posts_are_known_beforehand(engine: Engine, built: tuple[str, int]) -> None:
    ends, begins = NOW + timedelta(days=2), NOW + timedelta(days=4)
    with unit_of_work(engine) as session:
        held = session.scalars(select(Assignment).order_by(Assignment.id)).first()
        assert held is not None
        staff.end(session, held.id, at=ends, actor=SYSTEM, now=NOW)
    publish_again(engine, built[1], at=begins, now=NOW)
    now = ask(engine)
    assert (now.since, now.next_change) == (START, ends)
    assert now.holds(NOW)
    assert now.holds(ends - timedelta(seconds=1))
    assert not now.holds(ends)
    assert not now.holds(START - timedelta(seconds=1))
    then = ask(engine, ends)
    assert (then.since, then.next_change) == (ends, begins)
    assert then.people_key != now.people_key
    assert then.cells_key == now.cells_key


def test_a_transaction_leaves_one_note_and_old_ones_go(engine: Engine) -> None:
    with unit_of_work(engine) as session:
        session.execute(text("INSERT INTO change_note (at) VALUES (now() - interval '9 days')"))
        before = session.scalar(text("SELECT max(id) FROM change_note"))
        for n in range(5):
            session.add(Staff(code=f"N{n}", name="新"))
            session.flush()
    with unit_of_work(engine) as session:
        notes = session.scalars(select(ChangeNote).order_by(ChangeNote.id)).all()
        assert [note.id > before for note in notes].count(True) == 1
        assert all(note.at > datetime.now(UTC) - timedelta(days=3) for note in notes)


# --- made once a machine ----------------------------------------------------------------------------------------------


def _get(folder: str, entered: Any, made: Any) -> None:
    def build(part: Path) -> None:
        with made.get_lock():
            made.value += 1
        entered.wait(120)
        (part / "content").write_text("whole")

    assert (ArtifactStore(Path(folder)).get("cells", "k1", build) / "content").read_text() == "whole"


def test_two_processes_that_want_the_same_make_it_once(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    entered, made = context.Event(), context.Value("i", 0)
    processes = [context.Process(target=_get, args=(str(tmp_path), entered, made)) for _ in range(3)]
    for process in processes:
        process.start()
    until(lambda: made.value)
    entered.set()
    for process in processes:
        process.join(120)
    assert [process.exitcode for process in processes] == [0, 0, 0]
    assert made.value == 1
    assert [path.name for path in (tmp_path / "cells").iterdir()] == ["k1"]


def test_what_fails_leaves_nothing(tmp_path: Path) -> None:
    store = ArtifactStore(tmp_path)

    def fail(part: Path) -> None:
        (part / "half").touch()
        raise Conflict("responsibility.moved")

    def full(_: Path) -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(Conflict):
        store.get("cells", "k", fail)
    with pytest.raises(Unavailable, match="no_room"):
        store.get("cells", "k", full)
    assert not store.has("cells", "k")
    assert not [path for path in (tmp_path / "cells").iterdir() if path.is_dir()]
    with pytest.raises(ValueError, match="not the name"):
        store.get("cells", "../k", fail)


def test_old_versions_go_and_open_ones_stay_readable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(artifacts, "YOUNG_S", -1.0)
    store = ArtifactStore(tmp_path, kept=2)
    first = store.get("cells", "k0", lambda part: (part / "x").write_text("first") and None)
    with (first / "x").open() as still_open:
        for n in range(1, 4):
            store.get("cells", f"k{n}", lambda part: (part / "x").touch())
        assert sorted(path.name for path in (tmp_path / "cells").iterdir()) == ["k2", "k3"]
        assert still_open.read() == "first"


def test_files_that_cannot_be_read_are_made_again(engine: Engine, tmp_path: Path) -> None:
    store = ArtifactStore(tmp_path)
    found = ask(engine)
    whole = load(store, engine, found).size
    for path in tmp_path.rglob("*.arrow"):
        path.write_bytes(b"half a file")
    assert load(store, engine, found).size == whole > 0


def test_nothing_is_kept_under_the_key_of_something_else(
    engine: Engine, built: tuple[str, int], tmp_path: Path
) -> None:
    found = ask(engine)
    publish_again(engine, built[1], at=NOW, now=NOW)
    with pytest.raises(Conflict, match="moved"):
        load(ArtifactStore(tmp_path), engine, found)
    assert not list(tmp_path.rglob("*.npy"))


def test_a_city_is_made_in_a_process_of_its_own_and_is_the_same(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = ask(engine)
    load(ArtifactStore(tmp_path / "here"), engine, found)
    monkeypatch.setattr(making, "LARGE_FROM", 1)
    monkeypatch.setattr(making, "_make", None)  # nothing is made here any more
    load(ArtifactStore(tmp_path / "apart"), engine, found)
    made = {path.relative_to(tmp_path / "here"): path for path in (tmp_path / "here").rglob("*.*") if path.is_file()}
    assert len(made) > 20
    for path, here in made.items():
        assert (tmp_path / "apart" / path).read_bytes() == here.read_bytes(), path
    publish_again(engine, found.links[0][1], at=NOW, now=NOW)
    with pytest.raises(Conflict, match="moved"):
        load(ArtifactStore(tmp_path / "late"), engine, found)


# --- kept up to date --------------------------------------------------------------------------------------------------


def test_a_publication_is_told_at_once(engine: Engine, built: tuple[str, int]) -> None:
    notices = Notices(engine.url.render_as_string(hide_password=False))
    keeper = Keeper(engine, notices, poll_s=3600.0)
    told: list[InForce] = []
    keeper.on_change(told.append)
    with notices.running(), keeper.running():
        until(lambda: told and notices.is_listening.is_set())
        now = datetime.now(UTC)
        again = publish_again(engine, built[1], at=now, now=now)
        until(lambda: {plan for _, plan in told[-1].links} == {again})
    assert len({one.cells_key for one in told}) == 2


def test_a_notice_that_was_lost_is_made_good_by_looking(engine: Engine, built: tuple[str, int]) -> None:
    keeper = Keeper(engine, Notices("postgresql:///nowhere"), poll_s=0.05)  # which never listens
    told: list[InForce] = []
    keeper.on_change(told.append)
    with keeper.running():
        until(lambda: told)
        now = datetime.now(UTC)
        again = publish_again(engine, built[1], at=now, now=now)
        until(lambda: {plan for _, plan in told[-1].links} == {again})


def test_a_plan_comes_into_force_on_its_day_without_any_notice(engine: Engine, built: tuple[str, int]) -> None:
    clock = [NOW]
    day = NOW + timedelta(days=3)
    again = publish_again(engine, built[1], at=day, now=NOW)
    keeper = Keeper(engine, Notices("postgresql:///nowhere"), clock=lambda: clock[0], poll_s=0.02)
    told: list[InForce] = []
    keeper.on_change(told.append)
    with keeper.running():
        until(lambda: told)
        assert told[-1].next_change == day
        clock[0] = day
        until(lambda: {plan for _, plan in told[-1].links} == {again})


def test_the_last_version_stays_while_the_database_is_away(engine: Engine, tmp_path: Path) -> None:
    url = engine.url
    keeper = Keeper(engine, Notices("postgresql:///nowhere"))
    present = Present(engine, ArtifactStore(tmp_path), keeper)
    keeper.look_now()
    loaded = present.newest
    assert loaded is not None
    away = make_engine(url.set(database="gone").render_as_string(hide_password=False))
    keeper._engine = away
    keeper.look_now()
    away.dispose()
    assert present.newest is loaded
    assert present.at(datetime.now(UTC)) is loaded
    keeper._engine = engine
    with unit_of_work(engine) as session:
        session.add(Staff(code="N", name="新"))
    keeper.look_now()
    assert present.newest is not loaded


def test_a_listener_that_fails_is_asked_again_and_keeps_none_from_hearing(engine: Engine) -> None:
    keeper = Keeper(engine, Notices("postgresql:///nowhere"))
    heard: list[str] = []
    failures = [RuntimeError("once")]

    def faulty(_: InForce) -> None:
        heard.append("faulty")
        if failures:
            raise failures.pop()

    keeper.on_change(faulty)
    keeper.on_change(lambda _: heard.append("other"))
    keeper.look_now()
    keeper.look_now()
    keeper.look_now()
    assert sorted(heard) == ["faulty", "faulty", "other"]


def test_those_who_are_told_last_hear_when_the_others_are_through(engine: Engine) -> None:
    keeper = Keeper(engine, Notices("postgresql:///nowhere"))
    heard: list[str] = []
    both = threading.Barrier(2, timeout=60)

    def listen(name: str) -> None:
        both.wait()  # beside each other
        heard.append(name)

    keeper.on_change(lambda _: heard.append("last"), is_last=True)
    keeper.on_change(lambda _: listen("one"))
    keeper.on_change(lambda _: listen("two"))
    keeper.look_now()
    assert sorted(heard[:2]) == ["one", "two"]
    assert heard[2:] == ["last"]


def test_the_last_version_answers_until_what_moved_meanwhile_is_loaded(
    engine: Engine, built: tuple[str, int], tmp_path: Path
) -> None:
    keeper = Keeper(engine, Notices("postgresql:///nowhere"))
    present = Present(engine, ArtifactStore(tmp_path), keeper)
    keeper.look_now()
    before, found = present.newest, ask(engine)
    with unit_of_work(engine) as session:
        session.add(Staff(code="N", name="新"))
    stale = ask(engine)
    again = publish_again(engine, built[1], at=NOW, now=NOW)
    with pytest.raises(Conflict, match="moved"):
        present._change(stale)
    assert present.newest is before
    assert stale.people_key != found.people_key
    keeper.look_now()
    assert present.newest is not before
    assert present.newest is not None
    assert {plan for _, plan in present.newest.governs.links} == {again}  # type: ignore[union-attr]


def test_readers_see_one_version_or_the_other_while_it_is_swapped(
    engine: Engine, built: tuple[str, int], tmp_path: Path
) -> None:
    keeper = Keeper(engine, Notices("postgresql:///nowhere"))
    present = Present(engine, ArtifactStore(tmp_path), keeper)
    keeper.look_now()
    stop = threading.Event()
    seen: set[tuple[int, str]] = set()
    faults: list[BaseException] = []

    def read() -> None:
        try:
            while not stop.wait(0.001):
                index = present.newest
                assert index is not None
                body = index.locate(LON + 0.0063, LAT + 0.0081, index.view_of((EVERYWHERE,), ()))
                plan = int(body.split(b'"plan_id":')[1].split(b",")[0])
                seen.add((plan, body.split(b'"version":"')[1].decode().rstrip('"}')))
        except BaseException as fault:
            faults.append(fault)

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    now = datetime.now(UTC)
    again = publish_again(engine, built[1], at=now, now=now)
    keeper.look_now()
    until(lambda: len(seen) == 2)
    stop.set()
    for reader in readers:
        reader.join(120)
    assert not faults
    assert {plan for plan, _ in seen} == {built[1], again}
    assert len({version for _, version in seen}) == 2
    with unit_of_work(engine) as session:
        assert session.scalar(select(Grid.plan_id).where(Grid.plan_id == again).limit(1)) == again


def test_what_comes_into_force_soon_is_made_ahead(engine: Engine, built: tuple[str, int]) -> None:
    day = NOW + timedelta(days=3)
    again = publish_again(engine, built[1], at=day, now=NOW)
    clock = [day - timedelta(hours=1)]
    keeper = Keeper(engine, Notices("postgresql:///nowhere"), clock=lambda: clock[0])
    made: list[InForce] = []
    keeper.ahead(made.append)
    keeper.look_now()
    assert made == []
    clock[0] = day - timedelta(minutes=10)
    keeper.look_now()
    keeper.look_now()
    assert [{plan for _, plan in one.links} for one in made] == [{again}]
    told: list[InForce] = []
    keeper.on_change(told.append)
    clock[0] = day
    keeper.look_now()
    assert (told[0].cells_key, told[0].people_key) == (made[0].cells_key, made[0].people_key)


def test_what_fails_is_tried_again_after_a_pause_and_something_else_at_once(
    engine: Engine, built: tuple[str, int]
) -> None:
    keeper = Keeper(engine, Notices("postgresql:///nowhere"), clock=lambda: NOW, poll_s=3600.0)
    tried: list[str] = []

    def fail(found: InForce) -> None:
        tried.append(found.cells_key)
        raise Conflict("test")

    keeper.on_change(fail)
    for _ in range(4):
        keeper.look_now()
    assert len(tried) == 2
    publish_again(engine, built[1], at=NOW, now=NOW)
    keeper.look_now()
    assert len(tried) == 3
    assert tried[2] != tried[1] == tried[0]
