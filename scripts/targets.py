"""Files that a command writes: never over what it reads, two results into one file, or what is none of ours."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from gis.errors import InvalidInput, NotFound
from gis.exchange import town_file

IsOurs = Callable[[Path], bool]


def check_targets(sources: Iterable[Path], targets: Iterable[tuple[Path | None, IsOurs]]) -> None:
    """Look at the files that a command shall write before it begins to work.

    Parameters
    ----------
    sources : iterable of Path
        What is read.
    targets : iterable of (Path or None, function)
        What is written, with what tells whether a file that is there already may be replaced.

    Raises
    ------
    InvalidInput
        ``partition.same_file``, ``partition.not_ours``.
    NotFound
        ``partition.no_folder``.
    """
    taken = list(sources)
    for target, is_ours in targets:
        if target is None:
            continue
        if any(_is_same(target, other) for other in taken):
            raise InvalidInput("partition.same_file", path=str(target))
        if not target.absolute().parent.is_dir():
            raise NotFound("partition.no_folder", path=str(target))
        if target.exists() and not (_is_writable(target) and is_ours(target)):
            raise InvalidInput("partition.not_ours", path=str(target))
        taken.append(target)


def with_layer(name: str) -> IsOurs:
    """Whether a file is a GeoPackage of ours: one that has this layer."""

    def is_ours(path: Path) -> bool:
        try:
            return name in town_file.layer_names(path)
        except InvalidInput:
            return False

    return is_ours


def check_ending(path: Path | None, *endings: str) -> None:
    """Refuse a name that promises another kind of file.

    Raises
    ------
    InvalidInput
        ``partition.bad_ending``.
    """
    if path is not None and path.suffix.lower() not in endings:
        raise InvalidInput("partition.bad_ending", path=str(path), endings=" / ".join(endings))


def _is_same(one: Path, other: Path) -> bool:
    if one.exists() and other.exists():
        return one.samefile(other)
    return one.resolve() == other.resolve()


def _is_writable(path: Path) -> bool:
    # By its mode, not by what this account may do: root may write anything.
    return path.is_file() and bool(path.stat().st_mode & 0o222)
