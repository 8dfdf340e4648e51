"""Text files in blocks of whole records, in UTF-8 or GB 18030, however large the file is."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from pathlib import Path

from gis.errors import InvalidInput

BLOCK_BYTES = 4 << 20
RECORD_MOST = 16 << 20
"""A record longer than this is none: a quotation that never ends."""
_SAMPLE_BYTES = 1 << 20


def blocks(path: Path, *, start: int = 0, quoted: bool = False, size: int = BLOCK_BYTES) -> Iterator[bytes]:
    """The file from an offset on, cut at ends of records.

    Parameters
    ----------
    quoted : bool
        Ends of lines within quotation marks end no record.

    Notes
    -----
    A mark that is never closed makes all that follows look quoted. Where no end of a record comes within
    `RECORD_MOST`, its first line goes as a block of its own, and records are looked for anew behind it.
    """
    with path.open("rb") as file:
        file.seek(start)
        held = b""
        while more := file.read(size):
            held += more
            while (end := _last_end(held, quoted)) == 0 and len(held) > RECORD_MOST:
                first = held.index(b"\n") + 1 if b"\n" in held else len(held)
                yield held[:first]
                held = held[first:]
            if end:
                yield held[:end]
                held = held[end:]
        while held:
            end = _last_end(held, quoted) or (0 if held.count(b'"') % 2 == 0 or not quoted else held.find(b"\n") + 1)
            yield held[: end or len(held)]
            held = held[end or len(held) :]


def _last_end(held: bytes, quoted: bool) -> int:
    """Offset behind the last record that is whole; 0 if none is."""
    end = held.rfind(b"\n") + 1
    if not quoted:
        return end
    marks = held.count(b'"', 0, end)
    while end and marks % 2:
        before = held.rfind(b"\n", 0, end - 1) + 1
        marks -= held.count(b'"', before, end)
        end = before
    return end


def encoding_of(path: Path) -> tuple[str, int]:
    """Encoding of a text file, ``utf-8`` or ``gb18030``, and the length of its mark.

    Decided by the first stretch that is not plain ASCII, line by line, so that one broken line decides nothing.

    Raises
    ------
    InvalidInput
        ``import.unreadable_text`` for UTF-16 and binary files.
    """
    with path.open("rb") as file:
        head = file.read(_SAMPLE_BYTES)
        if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) or b"\0" in head:
            raise InvalidInput("import.unreadable_text", path=path.name)
        if head.startswith(codecs.BOM_UTF8):
            return "utf-8", len(codecs.BOM_UTF8)
        while head.isascii():
            head = file.read(_SAMPLE_BYTES)
            if not head:
                return "utf-8", 0
    lines = [line for line in head.split(b"\n")[:-1] or [head] if not line.isascii()]
    broken = {name: sum(not _decodes(line, name) for line in lines) for name in ("utf-8", "gb18030")}
    if min(broken.values()) * 2 > len(lines):
        raise InvalidInput("import.unreadable_text", path=path.name)
    return ("utf-8" if broken["utf-8"] <= broken["gb18030"] else "gb18030"), 0


def _decodes(line: bytes, encoding: str) -> bool:
    try:
        line.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True


def in_utf8(block: bytes, encoding: str) -> tuple[bytes, bool]:
    """A block as UTF-8, and whether every letter of it could be read; those that could not become U+FFFD."""
    if block.isascii():
        return block, b"\0" not in block
    try:
        words = block.decode(encoding)
    except UnicodeDecodeError:
        return b"\n".join(line.decode(encoding, errors="replace").encode() for line in block.split(b"\n")), False
    return (block if encoding == "utf-8" else words.encode()), "\0" not in words
