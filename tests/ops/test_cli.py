"""The command `wangge`: exit codes, languages, and no stack trace to anybody."""

from __future__ import annotations

import json
from pathlib import Path

import click
import pytest

from gis import errors
from gis.errors import GridError, Infeasible, InvalidInput, StaleRevision, Unavailable
from scripts import cli
from scripts.memory import PeakMemory


def _raising(error: BaseException) -> click.Command:
    @click.command()
    @click.option("--json", "as_json", is_flag=True)
    def command(as_json: bool) -> None:  # noqa: ARG001 (an option like any other)
        raise error

    return command


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> object:
    """Make the command ``wangge serve`` raise an error."""

    def install(error: BaseException) -> None:
        monkeypatch.setattr(cli._Lazy, "get_command", lambda *_: _raising(error))

    return install


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (InvalidInput("town.unknown_layer", layer="x", known=[]), 2),
        (StaleRevision("plan.stale"), 5),
        (Infeasible("x"), 6),
        (Unavailable("database.away", said="x"), 7),
        (KeyboardInterrupt(), 130),
    ],
)
def test_an_error_gives_the_exit_code_of_its_class(failing: object, error: BaseException, code: int) -> None:
    failing(error)  # type: ignore[operator]
    assert cli.run(["serve"]) == code


def test_every_class_of_error_has_an_exit_code() -> None:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, GridError)]
    assert [kind for kind in kinds if kind is not GridError and cli.exit_code_of(kind("x")) == cli.FAULT] == []


def test_the_message_is_in_the_language_asked_for(failing: object, capsys: pytest.CaptureFixture[str]) -> None:
    failing(InvalidInput("embedded.bad_database_name", name="X"))  # type: ignore[operator]
    cli.run(["--language", "en", "serve"])
    assert "cannot be used" in capsys.readouterr().err
    cli.run(["--language=zh", "serve"])
    assert "不可用" in capsys.readouterr().err


def test_a_fault_goes_into_a_file_and_not_to_the_user(failing: object, capsys: pytest.CaptureFixture[str]) -> None:
    failing(ZeroDivisionError("inner workings"))  # type: ignore[operator]
    assert cli.run(["--language", "en", "serve"]) == cli.FAULT
    told = capsys.readouterr().err
    assert "Traceback" not in told
    assert "inner workings" not in told
    log = Path(told.rpartition("with ")[2].strip().rstrip("."))
    assert "inner workings" in log.read_text()


def test_with_json_an_error_is_one_object_on_standard_output(
    failing: object, capsys: pytest.CaptureFixture[str]
) -> None:
    failing(Unavailable("database.away", said="gone"))  # type: ignore[operator]
    cli.run(["--language", "en", "serve", "--json"])
    told = json.loads(capsys.readouterr().out)["error"]
    assert told["code"] == "database.away"
    assert "gone" in told["detail"]


def test_a_wrong_word_is_a_wrong_word(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["no-such-thing"]) == 2
    assert "no-such-thing" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["report"], "PLAN"),
        (["demo", "--city", "atlantis"], "--city"),
        (["demo", "--nonsense"], "--nonsense"),
    ],
)
def test_wrong_words_are_told_in_both_languages(
    words: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for language, sign in (("zh", "错误"), ("en", "Error")):
        assert cli.run(["--language", language, *words]) == 2
        sentence = capsys.readouterr().err
        assert sign in sentence
        assert told in sentence


def test_a_group_without_a_word_shows_its_help(capsys: pytest.CaptureFixture[str]) -> None:
    cli.run(["embedded"])
    assert "status" in capsys.readouterr().err


def test_a_taken_port_is_named_before_anything_starts() -> None:
    import socket

    from scripts.serve import require_free

    with socket.create_server(("127.0.0.1", 0)) as server:
        with pytest.raises(Unavailable) as caught:
            require_free("127.0.0.1", server.getsockname()[1])
        assert caught.value.code == "serve.port_taken"


def test_a_bad_setting_is_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("WANGGE_PORT", "many")
    assert cli.run(["embedded", "status"]) == 2
    assert "WANGGE_PORT" in capsys.readouterr().err


def test_help_imports_nothing_that_is_slow() -> None:
    import subprocess
    import sys

    program = "import sys; from scripts import cli; cli.run(['--version']); print(sorted(sys.modules))"
    outcome = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "'geopandas'" not in outcome.stdout
    assert "'numba'" not in outcome.stdout


def test_the_status_of_the_cluster_can_be_read_by_machines(
    home: Path, template: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert template
    assert cli.run(["embedded", "status", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["state"] == "running"
    assert told["data"].startswith(str(home))


def test_peak_memory_counts_what_was_started_too() -> None:
    import subprocess
    import sys
    import time

    with PeakMemory() as memory:
        hungry = (
            "import sys; block = bytearray(120_000_000); block[::4096] = b'x' * len(block[::4096]); sys.stdin.read()"
        )
        child = subprocess.Popen([sys.executable, "-c", hungry], stdin=subprocess.PIPE)
        deadline = time.monotonic() + 120
        while memory.peak_mb < 120 and time.monotonic() < deadline:
            time.sleep(0.1)
        child.communicate(b"")
    assert memory.peak_mb > 120
