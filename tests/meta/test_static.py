"""What can be said of the sources without running them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from gis.settings import ROOT

PROGRAMS = Path(sys.executable).parent


def _said(*command: str | Path, cwd: Path = ROOT) -> str:
    """What a checker complains of; empty if of nothing."""
    # Node.js may be the one that set-up put beside Python.
    environment = os.environ | {"PATH": f"{os.environ['PATH']}:{PROGRAMS}"}
    outcome = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    return "" if outcome.returncode == 0 else (outcome.stdout + outcome.stderr)[-6000:] or "failed"


def test_the_sources_are_in_good_style() -> None:
    assert _said(PROGRAMS / "ruff", "check", "--quiet", ".") == ""


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_types_fit() -> None:
    assert _said(PROGRAMS / "mypy", "--no-error-summary") == ""


@pytest.mark.slow
def test_the_web_sources_are_in_good_style_and_their_types_fit() -> None:
    web = ROOT / "api" / "web"
    npm = shutil.which("npm") or shutil.which("npm", path=str(PROGRAMS))
    if npm is None or not (web / "node_modules").is_dir():
        pytest.skip("the web packages are not installed; see scripts/setup")
    assert _said(npm, "run", "--silent", "check", cwd=web) == ""
