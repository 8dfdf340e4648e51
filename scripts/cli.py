"""The one command, ``wangge``. Each subcommand is a module that is imported when it is asked for.

Results go to standard output, everything for people to standard error. Exit codes:

=====  ==================================================================
0      done
1      a fault of Wangge itself; the details are in the log file it names
2      the input or the words of the command are wrong
3      something named does not exist
4      not allowed
5      the world has moved on: a state, a revision, an overlap
6      no partition satisfies the demands
7      the database or a program it needs is not there
130    interrupted
=====  ==================================================================
"""

from __future__ import annotations

import contextlib
import sys
import tempfile
import traceback
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click
from pydantic import ValidationError

from gis import errors, messages
from gis.settings import Settings
from scripts.program import Program, print_json

COMMANDS: Mapping[str, str] = {
    "demo": "scripts.demo_run:command",
    "demo-city": "scripts.demo_city:command",
    "embedded": "scripts.embedded:command",
    "db": "scripts.db:command",
    "import": "scripts.import_data:command",
    "export": "scripts.export_data:command",
    "diagnose": "scripts.diagnose:command",
    "partition": "scripts.partition:command",
    "merge": "scripts.merge:command",
    "geotag": "scripts.geotag:command",
    "plan": "scripts.plan:command",
    "print": "scripts.print_plan:command",
    "report": "scripts.report:command",
    "rules": "scripts.rules:command",
    "user": "scripts.user:command",
    "serve": "scripts.serve:command",
    "worker": "scripts.worker:command",
    "backup": "scripts.backup:backup",
    "bench": "scripts.bench:command",
    "tiles": "scripts.tiles:command",
    "restore": "scripts.backup:restore",
}
"""Subcommand → where its click command is."""

EXIT_CODES: Mapping[type[errors.GridError], int] = {
    errors.InvalidInput: 2,
    errors.NotFound: 3,
    errors.NotAllowed: 4,
    errors.NotSignedIn: 4,
    errors.Conflict: 5,
    errors.Infeasible: 6,
    errors.Unavailable: 7,
}
FAULT, INTERRUPTED = 1, 130


class _Lazy(click.Group):
    """A group that imports a subcommand only when it is used or described."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 (click's signature)
        return [name for name, where in COMMANDS.items() if find_spec(where.partition(":")[0])]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        module, _, name = COMMANDS.get(cmd_name, "").partition(":")
        if not module or not find_spec(module):
            return None
        command: click.Command = getattr(import_module(module), name)
        return command


@click.command(cls=_Lazy, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option("--language", type=click.Choice(messages.LANGUAGES), help="Language of the messages (WANGGE_LANGUAGE).")
@click.version_option(package_name="wangge", prog_name="wangge")
@click.pass_context
def wangge(context: click.Context, language: str | None) -> None:
    """Urban grid management on a map (网格): communities, grids and micro-grids, and who is responsible for them."""
    settings = Settings()
    context.obj = Program(settings, language or settings.language)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run ``wangge`` and leave with its exit code."""
    sys.exit(run(sys.argv[1:] if arguments is None else arguments))


def run(arguments: Sequence[str]) -> int:
    """Run ``wangge`` with arguments and give its exit code; no error passes untold.

    Parameters
    ----------
    arguments : sequence of str
        Without the name of the program.
    """
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError):  # a stream that a test put there
            stream.reconfigure(errors="replace")  # type: ignore[union-attr]
    try:
        outcome = wangge.main(args=list(arguments), prog_name="wangge", standalone_mode=False)
        return outcome if isinstance(outcome, int) else 0
    except click.exceptions.Exit as leaving:
        return leaving.exit_code
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return error.exit_code
    except click.UsageError as error:
        code, params = _usage(error)
        return _tell(code, params, arguments, exit_code=error.exit_code)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        return INTERRUPTED
    except errors.GridError as error:
        return _tell(error.code, error.params, arguments, exit_code=exit_code_of(error))
    except ValidationError as error:
        return _tell("cli.bad_settings", {"said": _said(error)}, arguments, exit_code=2)
    except Exception as error:  # the edge: nothing above would tell it to people
        params = {"kind": type(error).__name__, "log": str(_log(error))}
        return _tell("cli.fault", params, arguments, exit_code=FAULT)


def exit_code_of(error: errors.GridError) -> int:
    """The exit code of the nearest class that `EXIT_CODES` names."""
    return next((EXIT_CODES[kind] for kind in type(error).__mro__ if kind in EXIT_CODES), FAULT)


def _tell(code: str, params: Mapping[str, Any], arguments: Sequence[str], *, exit_code: int) -> int:
    language = _language(arguments)
    sentence = messages.text(code, params, language=language)
    click.echo(messages.text("cli.error", {"text": sentence}, language=language), err=True)
    if "--json" in arguments:
        print_json({"error": {"code": code, "params": dict(params), "detail": sentence}})
    return exit_code


def _usage(error: click.UsageError) -> tuple[str, dict[str, Any]]:
    """What click says in English only, as a code of ours."""
    path = error.ctx.command_path if error.ctx is not None else "wangge"
    params: dict[str, Any] = {"help": f"`{path} --help`", "said": error.format_message().rstrip(".")}
    if isinstance(error, click.exceptions.NoSuchCommand):
        return "cli.no_such_command", params | {"name": error.command_name}
    if isinstance(error, click.NoSuchOption):
        return "cli.no_such_option", params | {"name": error.option_name}
    if isinstance(error, click.BadParameter):
        name = error.param_hint or _shown(error.param)
        missing = isinstance(error, click.MissingParameter)
        said = params["said"] if missing else error.message.rstrip(".")
        return "cli.missing_parameter" if missing else "cli.bad_parameter", params | {"name": name, "said": said}
    return "cli.bad_usage", params


def _shown(parameter: click.Parameter | None) -> str:
    if isinstance(parameter, click.Option):
        return parameter.opts[0]
    return "?" if parameter is None else parameter.human_readable_name


def _language(arguments: Sequence[str]) -> str:
    """The language asked for; read here because the error may come from before click has read it."""
    for option, value in zip(arguments, [*arguments[1:], ""], strict=True):
        if option == "--language" or option.startswith("--language="):
            return option.partition("=")[2] or value
    with contextlib.suppress(ValidationError):
        return Settings().language
    return messages.LANGUAGES[0]


def _said(error: ValidationError) -> str:
    return "; ".join(f"WANGGE_{'_'.join(map(str, e['loc'])).upper()}: {e['msg']}" for e in error.errors())


def _log(error: BaseException) -> Path:
    """Write the stack trace where it can be found, out of the user's sight."""
    name = f"wangge-{datetime.now(UTC):%Y%m%d-%H%M%S}.log"
    for folder in (Settings().home / "log", Path(tempfile.gettempdir())):
        with contextlib.suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True)
            path = folder / name
            path.write_text("".join(traceback.format_exception(error)), encoding="utf-8")
            return path
    return Path("-")


if __name__ == "__main__":
    main()
