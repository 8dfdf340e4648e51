"""Dependencies point one way."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from gis.settings import ROOT
from tests.meta.sources import imports, trees


def _importers(of: str) -> set[str]:
    return {
        path.as_posix()
        for path, tree in trees().items()
        if any(name == of or name.startswith(f"{of}.") for name in imports(tree))
    }


def test_the_import_contracts_hold() -> None:
    program = Path(sys.executable).parent / "lint-imports"
    outcome = subprocess.run([program, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert outcome.returncode == 0, outcome.stdout[-3000:]


def test_only_the_app_mounts_the_tiles() -> None:
    assert {path for path in _importers("tiles") if path.startswith("api/")} <= {"api/app.py"}


def test_only_one_file_knows_the_queue() -> None:
    # The dependencies of the routes name the type of what they hand on.
    assert _importers("procrastinate") <= {"gis/jobs.py", "api/deps.py"}


def test_only_the_report_knows_folium() -> None:
    assert _importers("folium") == {"gis/exchange/folium_map.py"}


def test_no_file_is_a_drawer_for_everything() -> None:
    assert not {path for path in trees() if path.stem in ("utils", "util", "common", "manager", "helpers", "misc")}
