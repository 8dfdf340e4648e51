"""Work for `gis.spreading`: functions of a module that other processes can find."""

from __future__ import annotations

import json
import os
import threading
import time
from pathlib import Path

from gis.errors import NotFound
from gis.partition.site import Job
from gis.spreading import Signals, spread


def cut(job: Job, signals: Signals) -> str:
    from gis.partition.run import divide_community  # slow to load, and most work here does not need it

    answer = divide_community(job, signals)
    frames = [frame.to_csv() for frame in (*answer.cells, answer.parts)]
    return json.dumps([frames, [[polygon.wkb_hex for polygon in tier] for tier in answer.geometry]])


def refuse(job: int, _signals: Signals) -> int:
    raise NotFound("import.no_file", path=str(job))


def run_till_enough(job: int, signals: Signals) -> int:
    deadline = time.monotonic() + 240
    while not signals.enough():
        signals.progress(0.5, float(job))
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return job


def die_once(job: Path, _signals: Signals) -> str:
    if not job.exists():
        job.touch()
        os._exit(1)
    return job.name


def die(_job: int, _signals: Signals) -> None:
    os._exit(1)


def note_and_stay(folder: str, signals: Signals) -> None:
    """Write down which process this is, and never end."""
    Path(folder, str(os.getpid())).touch()
    while not signals.enough():
        time.sleep(0.01)


def spread_for_ever(folder: str) -> None:
    """A process that waits for answers that never come."""
    list(spread(note_and_stay, [folder, folder], processes=2))


def write(path: str, words: str) -> None:
    """Write into a file which process this is, too."""
    Path(path).write_text(f"{words} {os.getpid()}")


def fail(words: str) -> None:
    raise NotFound("import.no_file", path=words)


def leave(status: int) -> None:
    os._exit(status)


def stay(path: str) -> None:
    Path(path).write_text(str(os.getpid()))
    threading.Event().wait()
