"""``wangge db``, ``user`` and ``plan`` on a database of their own."""

from __future__ import annotations

import json

import pytest

from gis.db import make_engine, unit_of_work
from gis.messages import text
from scripts.cli import run
from usecases.builders import make_plan, make_town


@pytest.fixture
def wangge(database, monkeypatch, capsys):
    """Run a command against the database of this test; gives exit code, standard output and standard error."""
    monkeypatch.setenv("WANGGE_DATABASE_URL", database)

    def call(*arguments):
        code = run(["--language", "en", *arguments])
        said = capsys.readouterr()
        return code, said.out, said.err

    return call


def make_draft(database):
    engine = make_engine(database)
    with unit_of_work(engine) as session:
        plan = make_plan(session, make_town(session))
    engine.dispose()
    return str(plan.id)


def test_a_schema_that_is_up_to_date_says_so(wangge):
    assert wangge("db", "migrate")[0] == 0
    code, out, _ = wangge("db", "status", "--json")
    assert (code, json.loads(out)["is_behind"]) == (0, False)


def test_an_account_is_made_granted_listed_and_locked(wangge):
    code, out, _ = wangge("user", "add", "zhang", "--name", "张", "--role", "planner")
    assert code == 0
    assert "zhang" in out
    assert wangge("user", "grant", "zhang", "--role", "viewer")[0] == 0
    assert wangge("user", "revoke", "zhang", "--role", "viewer")[0] == 0
    assert wangge("user", "password", "zhang")[0] == 0
    assert wangge("user", "lock", "zhang")[0] == 0
    users = json.loads(wangge("user", "list", "--json")[1])["users"]
    assert [(u["username"], u["is_active"], u["grants"]) for u in users] == [
        ("zhang", False, [{"role": "planner", "area": None}])
    ]


def test_errors_are_sentences_with_an_exit_code(wangge):
    code, _, err = wangge("user", "lock", "nobody")
    assert (code, text("access.unknown_user", {"username": "nobody"}, language="en") in err) == (3, True)
    assert wangge("user", "add", "Bad Name")[0] == 2
    assert wangge("user", "add", "zhang", "--role", "viewer", "--area", "none")[0] == 3
    assert json.loads(wangge("user", "list", "--json")[1])["users"] == [], "nothing is half done"


def test_a_plan_is_shown_first_and_published_on_commit(wangge, database):
    plan = make_draft(database)
    assert wangge("plan", "publish", plan)[0] == 0
    assert json.loads(wangge("plan", "show", plan, "--json")[1])["state"] == "draft"
    shown = json.loads(wangge("plan", "publish", plan, "--commit", "--json")[1])
    assert (shown["is_committed"], shown["communities"]) == (True, 1)
    assert json.loads(wangge("plan", "show", plan, "--json")[1])["state"] == "in_force"
    assert wangge("plan", "publish", plan, "--commit")[0] == 5


def test_codes_are_listed_in_another_scheme(wangge, database):
    plan = make_draft(database)
    listed = json.loads(wangge("plan", "codes", plan, "--scheme", "cjt349", "--json")[1])["codes"]
    assert {len(row["other"]) for row in listed} == {20}
    code, out, _ = wangge("plan", "codes", plan)
    assert (code, len(out.splitlines()[0].split("\t"))) == (0, 3)
    assert wangge("plan", "codes", plan, "--scheme", "template", "--template", "{street}")[0] == 2


def test_a_plan_is_withdrawn_and_discarded_on_commit(wangge, database):
    plan = make_draft(database)
    assert wangge("plan", "publish", plan, "--from", "2099-01-01", "--commit")[0] == 0
    steps = (
        ("withdraw", "future", "approved", ()),
        ("return", "approved", "draft", ("--reason", "改")),
        ("discard", "draft", "discarded", ()),
    )
    for command, before, after, more in steps:
        assert wangge("plan", command, plan, *more)[0] == 0
        assert json.loads(wangge("plan", "list", "--json")[1])["plans"][0]["state"] == before
        assert wangge("plan", command, plan, *more, "--commit")[0] == 0
        assert json.loads(wangge("plan", "list", "--json")[1])["plans"][0]["state"] == after
