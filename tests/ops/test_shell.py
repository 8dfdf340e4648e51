"""The shell scripts: whole, strict, and one truth between a contributor and continuous integration."""

from __future__ import annotations

import os
import subprocess

import pytest

from gis.settings import ROOT

SCRIPTS = ("scripts/setup", "scripts/demo", "scripts/test", ".ci/run")


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_is_whole_strict_and_executable(name: str) -> None:
    path = ROOT / name
    assert subprocess.run(["bash", "-n", path], check=False).returncode == 0
    assert "set -euo pipefail" in path.read_text()
    assert os.access(path, os.X_OK)


def test_continuous_integration_runs_exactly_the_tests() -> None:
    lines = (ROOT / ".ci" / "run").read_text().splitlines()
    commands = [line for line in lines if line and not line.startswith(("#", "set "))]
    assert commands == ['exec "$(dirname "${BASH_SOURCE[0]}")/../scripts/test" "$@"']


def test_a_failed_line_of_a_step_is_a_failed_step() -> None:
    """Within `if` bash would go on; the step runs in a shell of its own."""
    program = f'source "{ROOT}/scripts/setup"; step "Something" false; echo "went on"'
    outcome = subprocess.run(["bash", "-c", program], capture_output=True, text=True, check=False)
    assert outcome.returncode == 1
    assert "went on" not in outcome.stdout
    assert "failed" in outcome.stderr


@pytest.mark.parametrize("name", ["requirements.lock", "scripts/node.lock", "scripts/helsinki.lock"])
def test_every_package_is_locked_by_hash(name: str) -> None:
    lines = (ROOT / name).read_text().splitlines()
    packages = [line for line in lines if "==" in line and not line.startswith(("#", " "))]
    assert packages
    assert all(line.endswith("\\") for line in packages)
    assert sum("--hash=sha256:" in line for line in lines) >= len(packages)
