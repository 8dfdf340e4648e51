"""What is made from the database once a version and read by every process of a machine: indexes, arrays, tiles.

A version's key names its content, so nothing is ever changed in place: it is made in a folder beside, put there by one
rename, mapped read-only by whoever wants it, and cleared away when newer ones are there. A file that is cleared away
stays readable to those who have it open.
"""

from __future__ import annotations

import fcntl
import logging
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from gis.errors import Unavailable

log = logging.getLogger("wangge.artifacts")

KEPT = 4
"""Versions of a kind that stay: the present one, the one before, which others may still be loading, the next, and one
more."""
YOUNG_S = 600.0
"""One that was asked for so lately is never cleared away: someone may be about to open it."""
LEFT_S = 3600.0
"""Nobody builds for so long: what is older was left by a process that was killed."""

_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,99}")


class ArtifactStore:
    """Folders by kind and key, each made at most once a machine.

    Parameters
    ----------
    folder : Path
        Usually ``settings.home / "artifacts"``; made when it is needed.
    kept : int
        Versions of a kind that stay.
    """

    def __init__(self, folder: Path, *, kept: int = KEPT) -> None:
        self.folder = folder
        self.kept = kept

    def get(self, kind: str, key: str, build: Callable[[Path], None]) -> Path:
        """The folder of a version; made now if it is not there.

        Parameters
        ----------
        kind, key : str
            Lower-case letters, digits, ``_``, ``.`` and ``-``.
        build : callable
            Fills an empty folder. Whoever comes meanwhile, from any process, waits; if it raises, nothing stays.

        Raises
        ------
        Unavailable
            ``artifacts.no_room`` if the disk is full or closed to us.
        """
        final = self._path(kind, key)
        if not final.is_dir():
            try:
                self._make(final, build)
            except OSError as error:
                raise Unavailable("artifacts.no_room", folder=str(self.folder), said=error.strerror or "") from error
        with suppress(OSError):  # a folder that others own is good to read all the same
            os.utime(final)
        return final

    def has(self, kind: str, key: str) -> bool:
        """Whether a version is there."""
        return self._path(kind, key).is_dir()

    def discard(self, kind: str, key: str) -> None:
        """Take away a version, as one that cannot be read; the next who asks makes it anew."""
        final = self._path(kind, key)
        aside = final.with_name(f".{key}.{os.getpid()}.gone")
        with suppress(OSError):
            final.rename(aside)
            shutil.rmtree(aside, ignore_errors=True)

    def _path(self, kind: str, key: str) -> Path:
        if not (_NAME.fullmatch(kind) and _NAME.fullmatch(key)):
            raise ValueError(f"not the name of an artifact: {kind}/{key}")
        return self.folder / kind / key

    def _make(self, final: Path, build: Callable[[Path], None]) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.folder.chmod(0o700)  # telephone numbers are in it
        final.parent.mkdir(exist_ok=True)
        with _alone(final.with_name(f".{final.name}.lock")):
            if final.is_dir():  # made while we waited
                return
            for left in final.parent.glob(f".{final.name}.*.part"):  # of one that was killed
                shutil.rmtree(left, ignore_errors=True)
            part = final.with_name(f".{final.name}.{os.getpid()}.part")
            part.mkdir()
            try:
                build(part)
                part.rename(final)
            except BaseException:
                shutil.rmtree(part, ignore_errors=True)
                raise
        self._prune(final)

    def _prune(self, newest: Path) -> None:
        """Clear away the oldest of a kind, and what killed processes left, whichever process made them."""
        for left in (*newest.parent.glob(".*.part"), *newest.parent.glob(".*.gone")):
            if time.time() - _used_at(left) > LEFT_S:
                shutil.rmtree(left, ignore_errors=True)
        aged = sorted(
            ((_used_at(path), path) for path in newest.parent.iterdir() if path.name[0] != "." and path != newest),
            reverse=True,
        )
        for used_at, path in aged[self.kept - 1 :]:
            if time.time() - used_at > YOUNG_S:
                self.discard(newest.parent.name, path.name)


def _used_at(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:  # another process has just cleared it away
        return time.time()


@contextmanager
def _alone(lock: Path) -> Iterator[None]:
    """Nobody else on this machine makes the same thing meanwhile; the lock of a process that dies is free."""
    while True:
        number = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(number, fcntl.LOCK_EX)
            if _is_same(number, lock):
                yield
                with suppress(OSError):
                    lock.unlink()
                return
        finally:
            os.close(number)


def _is_same(number: int, lock: Path) -> bool:
    """Whether the file that we locked is still the one that others find; its last holder took it away."""
    try:
        there = lock.stat()
    except FileNotFoundError:
        return False
    held = os.fstat(number)
    return (held.st_ino, held.st_dev) == (there.st_ino, there.st_dev)
