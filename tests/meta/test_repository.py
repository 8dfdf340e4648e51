"""The shape of the repository, and words that have no place in it."""

from __future__ import annotations

import ast
import doctest
import importlib
import re
from pathlib import Path

import click
import pytest

from gis.settings import ROOT, Settings
from scripts import cli
from tests.meta.sources import tracked, trees

ROOMS = {"gis", "api", "tiles", "scripts", "data", "tests"}
TEXT = {".py", ".md", ".toml", ".json", ".ts", ".tsx", ".html", ".css", ".js", ".sql", ".lock", ".txt", ""}

# Put together here, so that this file does not hold them.
OUTSIDE = [
    "unp" + "kg.com",
    "jsdel" + "ivr",
    "cdn" + "js.",
    "googleap" + "is.com",
    "pypi" + ".org",
    "registry.npm" + "js",
]
OUTSIDE += ["tile.openstreet" + "map", "npmmir" + "ror", "tuna.tsing" + "hua"]
MACHINE = ["/wo" + "rk/", "/tmp/wan" + "gge/", "/ro" + "ot/"]
STRAY = ["clau" + "de", "anthro" + "pic", "sub" + "agent", "open" + "ai"]


def _documents() -> str:
    return "\n".join((ROOT / path).read_text(encoding="utf-8") for path in tracked() if path.name.startswith("README"))


def test_the_top_folders_are_exactly_six() -> None:
    assert {path.parts[0] for path in tracked() if len(path.parts) > 1 and not path.parts[0].startswith(".")} == ROOMS


def test_every_room_has_a_readme() -> None:
    assert {room for room in ROOMS if Path(room, "README.md") not in tracked()} == set()


def test_nothing_names_a_server_or_a_machine_or_a_maker() -> None:
    pattern = re.compile("|".join(re.escape(word) for word in OUTSIDE + MACHINE + STRAY), re.IGNORECASE)
    found = [
        f"{path}: {match[0]}"
        for path in tracked()
        if path.suffix in TEXT
        for match in pattern.finditer((ROOT / path).read_text(encoding="utf-8", errors="replace"))
    ]
    assert found == []


def test_every_command_is_there_and_says_what_it_does() -> None:
    context = click.Context(cli.wangge)
    for name in cli.COMMANDS:
        command = cli.wangge.get_command(context, name)
        assert command is not None, name
        assert command.get_short_help_str(200), name


def test_every_command_stands_in_the_readme_of_its_room() -> None:
    text = (ROOT / "scripts" / "README.md").read_text(encoding="utf-8")
    assert [name for name in cli.COMMANDS if f"wangge {name}" not in text] == []


def test_every_setting_stands_in_a_readme() -> None:
    documents = _documents()
    assert [name for name in Settings.model_fields if f"WANGGE_{name.upper()}" not in documents] == []


def test_the_built_pages_load_nothing_from_outside() -> None:
    dist = ROOT / "api" / "web" / "dist"
    if not dist.is_dir():
        pytest.skip("the web pages are not built")
    loads = re.compile(
        r"""(?:src|href)\s*=\s*["'](?:https?:)?//|url\(\s*["']?(?:https?:)?//|@import\s+["'](?:https?:)?//"""
    )
    pages = [path for path in dist.rglob("*") if path.suffix in (".html", ".css")]
    assert pages
    assert [str(path) for path in pages if loads.search(path.read_text(encoding="utf-8"))] == []


def _with_examples() -> list[str]:
    return [
        ".".join(path.with_suffix("").parts).removesuffix(".__init__")
        for path, tree in trees().items()
        if any(">>>" in (ast.get_docstring(node) or "") for node in ast.walk(tree) if isinstance(node, _DOCUMENTED))
    ]


_DOCUMENTED = (ast.Module, ast.FunctionDef, ast.ClassDef)


@pytest.mark.parametrize("module", _with_examples())
def test_examples_in_docstrings_are_true(module: str) -> None:
    assert doctest.testmod(importlib.import_module(module)).failed == 0
