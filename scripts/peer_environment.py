"""The other engines' environments: made when first asked for, in the user's cache, by hash; and runs within them.

Their newest releases want other versions than ours and libraries that cannot be loaded beside ours, so they get
interpreters of their own, one for each lock file, and each run a process of its own that is ended when its time is
over.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from gis.errors import Unavailable

HERE = Path(__file__).parent
LOCK = HERE / "peers.lock"
"""Of the engines that divide graphs and ground."""
MAP_LOCK = HERE / "map_peers.lock"
"""Of those that join points with areas and serve features and tiles."""
RUNNER = HERE / "peers" / "run_peers.py"
PYTHONS = ("3.12", "3.13")
"""Tried before our own interpreter, in this order: the newest momepy and spopt need 3.12."""
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS"), "1")
GRACE_S = 15.0  # to load libraries and the instance, beside the time that the engine has
BUSY = 3.0  # by the clock, so many times the processor time; a busy machine gives less
INSTALL_S = 900.0


@dataclass(frozen=True)
class PeerAnswer:
    """What an engine made of an instance.

    Attributes
    ----------
    labels : mapping of int to list of int
        By community; those that were not answered are missing.
    errors : mapping of int to str
    seconds, cpu_seconds : float
        Spent in the engine's own calls, by the clock and of the processor.
    peak_mb : float or None
        ``None`` where the process had to be ended.
    versions : mapping of str to str
    is_over_time : bool
    """

    labels: Mapping[int, list[int]]
    errors: Mapping[int, str]
    seconds: float
    cpu_seconds: float
    peak_mb: float | None = None
    versions: Mapping[str, str] = field(default_factory=dict)
    is_over_time: bool = False


@cache
def peer_python(lock: Path = LOCK) -> Path:
    """The interpreter of the environment that a lock file describes, which is made where it is not there yet.

    Raises
    ------
    Unavailable
        ``bench.no_peers`` if it cannot be made, as without a package registry.
    """
    base = _newest_python()
    named = hashlib.sha256(lock.read_bytes() + os.path.realpath(base).encode()).hexdigest()[:12]
    cache_home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = cache_home / "wangge" / f"{lock.stem}-{named}"
    python, ready = folder / "bin" / "python", folder / "ready"
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with _alone(folder):
            if not ready.exists():
                _make(folder, base, python, lock)
                ready.touch()
    except (OSError, subprocess.SubprocessError) as error:
        raise Unavailable("bench.no_peers", reason=_last_words(error), lock=str(lock)) from error
    return python


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Nobody else makes the same environment meanwhile; the lock lies on the folder that holds it, so nothing stays."""
    number = os.open(folder.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(number, fcntl.LOCK_EX)
        yield
    finally:
        os.close(number)


def _make(folder: Path, base: str, python: Path, lock: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    try:
        _run([base, "-m", "venv", str(folder)])
        _run([*_installer(python), "--require-hashes", "--no-deps", "-r", str(lock)])
    except BaseException:  # also Ctrl-C
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _newest_python() -> str:
    """An interpreter that makes environments: in the path, or one that uv or pyenv keep aside."""
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    uv = _uv()
    for wanted in PYTHONS:
        found = [shutil.which(f"python{wanted}"), *map(str, sorted(pyenv.glob(f"{wanted}.*/bin/python")))]
        if uv is not None:
            with contextlib.suppress(OSError, subprocess.SubprocessError):
                found.append(_run([uv, "python", "find", "--no-python-downloads", wanted]).strip())
        for path in found:
            with contextlib.suppress(OSError, subprocess.SubprocessError):
                if path:
                    _run([path, "-c", "import ensurepip, venv"])
                    return path
    return sys.executable


def _uv() -> str | None:
    return shutil.which("uv") or shutil.which("uv", path=str(Path(sys.executable).parent))


def _installer(python: Path) -> list[str]:
    """The command that installs into an environment: uv where it is there, which is much faster, or pip."""
    uv = _uv()
    if uv is not None:
        return [uv, "pip", "install", "--quiet", "--python", str(python)]
    return [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]


def _run(command: list[str]) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=INSTALL_S).stdout


def _last_words(error: Exception) -> str:
    said = (getattr(error, "stderr", None) or str(error)).strip()
    return said.splitlines()[-1] if said else type(error).__name__


def run_peer(method: str, instance: Path, *, seed: int, limit_s: float) -> PeerAnswer:
    """Run one engine on an instance, at most for so much processor time."""
    with tempfile.TemporaryDirectory(prefix="wangge-peers-") as folder:
        out = Path(folder) / "answers.jsonl"
        command = [str(peer_python()), str(RUNNER), method, str(instance.absolute()), str(out), str(seed), str(limit_s)]
        said, is_over_time = run_ended(command, BUSY * limit_s + GRACE_S)
        return _read(out, said, is_over_time)


def run_ended(command: list[str], limit_s: float) -> tuple[str, bool]:
    """Run a command with all it starts, ended when its time is over: what it said last, and whether it was ended."""
    with subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True,
        env=os.environ | ONE_THREAD,
    ) as process:  # fmt: skip
        try:
            _, said = process.communicate(timeout=limit_s)
            is_over_time = False
        except subprocess.TimeoutExpired:
            is_over_time, said = True, ""
        finally:
            if process.poll() is None:  # over time, or we were interrupted
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
    return (said.strip().splitlines() or [""])[-1], is_over_time


def _read(out: Path, said: str, is_over_time: bool) -> PeerAnswer:
    lines: list[dict[str, Any]] = []
    if out.exists():
        for line in out.read_text(encoding="utf-8").splitlines():
            with contextlib.suppress(ValueError):  # the line that was being written when time was over
                lines.append(json.loads(line))
    answers = [line for line in lines if "community" in line]
    last = next((line for line in lines if "peak_mb" in line), {})
    errors = {line["community"]: line["error"] for line in answers if "error" in line}
    if not last and not is_over_time:
        errors |= {-1: said}
    return PeerAnswer(
        labels={line["community"]: line["labels"] for line in answers if "labels" in line},
        errors=errors,
        seconds=sum(line["seconds"] for line in answers),
        cpu_seconds=sum(line["cpu_seconds"] for line in answers),
        peak_mb=last.get("peak_mb"),
        versions=last.get("versions", {}),
        is_over_time=is_over_time,
    )
