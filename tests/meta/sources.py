"""The sources as the meta tests read them."""

from __future__ import annotations

import ast
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from gis.settings import ROOT

PACKAGES = ("gis", "api", "tiles", "scripts")


@cache
def trees() -> dict[Path, ast.Module]:
    """Syntax tree of every Python file of the four packages, by path from the root."""
    files = (
        path for package in PACKAGES for path in (ROOT / package).rglob("*.py") if "node_modules" not in path.parts
    )
    return {path.relative_to(ROOT): ast.parse(path.read_text(encoding="utf-8")) for path in sorted(files)}


@cache
def tracked() -> tuple[Path, ...]:
    """Every file of the repository, from the root; without git, what lies there and is not made by tools."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False)
    if listed.returncode == 0 and listed.stdout:
        names = listed.stdout.decode().split("\0")
        return tuple(Path(name) for name in names if name and (ROOT / name).is_file())
    made = {".git", ".venv", "node_modules", "dist", "__pycache__"}
    found = (path.relative_to(ROOT) for path in ROOT.rglob("*") if path.is_file())
    return tuple(path for path in found if not made & set(path.parts))


def imports(tree: ast.Module) -> Iterator[str]:
    """Full names of the modules that a file imports, wherever in it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            yield node.module
