"""What every command is handed: the settings and the language, and the sentences of the catalogue."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Any, TypeVar

import click
from tqdm import tqdm

from gis.messages import text
from gis.settings import Settings

T = TypeVar("T")


def _language() -> str:
    return Settings().language


@dataclass(frozen=True)
class Program:
    """Settings and language of one run of ``wangge``; the ``obj`` of click's context."""

    settings: Settings = field(default_factory=Settings)
    language: str = field(default_factory=_language)

    def sentence(self, code: str, **params: Any) -> str:
        """The sentence of a code in the language of this run."""
        return text(code, params, language=self.language)

    def say(self, code: str, **params: Any) -> None:
        """Tell people something: on standard error, so that standard output stays for results."""
        click.echo(self.sentence(code, **params), err=True)

    def progress(self, items: Iterable[T], *, label: str, total: int | None = None) -> Iterator[T]:
        """Show a bar while items are worked on, if somebody watches."""
        yield from tqdm(items, desc=label, total=total, disable=not sys.stderr.isatty(), file=sys.stderr, leave=False)


pass_program = click.make_pass_decorator(Program, ensure=True)
"""Decorator that hands the `Program` to a command as its first argument."""


def print_json(value: Any) -> None:
    """Print one JSON object on standard output: the result of a command run with ``--json``."""
    click.echo(json.dumps(value, ensure_ascii=False, indent=2, default=_plain))


def _plain(value: Any) -> Any:
    if isinstance(value, date | datetime):
        return value.isoformat()
    if isinstance(value, Path):
        return str(value)
    if hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} has no JSON form")
