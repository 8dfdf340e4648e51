"""Files that come in: from the socket onto the disk, whatever their size; a few hundred kilobytes in memory.

Who sends is asked before the first byte is taken, and no database session is held while a slow client sends.
"""

from __future__ import annotations

import secrets
import shutil
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio.to_thread
from fastapi import Request
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import FormParser, create_form_parser

from gis import file_runs
from gis.errors import Conflict, InvalidInput, Unavailable
from gis.permissions import Actor

FIELDS_MOST = 30
ROOM_BYTES = 1_000_000_000
"""Left free on the disk, which the database mostly shares."""
FIELD_LONGEST = 4_000
_TOGETHER = 1 << 20  # bytes that are written at a time


@dataclass
class Upload:
    """A form with one file, which lies on the disk.

    Attributes
    ----------
    name : str
        What the sender calls the file, without folders.
    fields : mapping of str to str
        Those that are not empty.
    """

    path: Path
    name: str
    fields: Mapping[str, str]


@dataclass
class _Form:
    fields: dict[str, str] = field(default_factory=dict)
    files: list[Any] = field(default_factory=list)

    def on_field(self, one: Any) -> None:
        if len(self.fields) >= FIELDS_MOST or len(one.value or b"") > FIELD_LONGEST:
            raise InvalidInput("file.bad_upload")
        self.fields[_text(one.field_name)] = _text(one.value)

    def on_file(self, one: Any) -> None:
        if self.files:
            one.close()
            raise InvalidInput("file.bad_upload")
        self.files.append(one)


def _text(raw: bytes | None) -> str:
    return (raw or b"").decode("utf-8", errors="replace").replace("\0", "").strip()


_SENDING: set[int | None] = set()
"""Accounts whose upload is under way in this process."""


async def from_one(request: Request, actor: Actor, folder: Path) -> AsyncGenerator[Upload]:
    """Take a form (`receive`) of an account, which sends one file at a time.

    Raises
    ------
    NotAllowed
        ``file.read_only``.
    Conflict
        ``file.upload_busy``.
    InvalidInput, Unavailable
        As `receive`.
    """
    file_runs.check_writing(actor)
    if actor.user_id in _SENDING:
        raise Conflict("file.upload_busy")
    _SENDING.add(actor.user_id)
    try:
        # Closed here: left to itself, what a refusal interrupts would be cleared away some time after the answer.
        async with aclosing(receive(request, folder)) as received:
            async for upload in received:
                yield upload
    finally:
        _SENDING.discard(actor.user_id)


async def receive(request: Request, folder: Path) -> AsyncGenerator[Upload]:
    """Take a multipart form with one file (``file``); what is still in the folder afterwards is removed.

    Raises
    ------
    InvalidInput
        ``file.bad_upload`` if it is no such form.
    Unavailable
        ``import.cannot_write`` if the disk refuses; ``file.no_room``.
    """
    form, own = _Form(), folder / secrets.token_hex(8)
    try:
        await anyio.to_thread.run_sync(_prepare, own, int(request.headers.get("content-length", "0") or 0))
        await _fed(request, _parser(request, own, form), own)
        yield _whole(form)
    except FormParserError as error:
        raise InvalidInput("file.bad_upload") from error
    except OSError as error:
        raise Unavailable("import.cannot_write", path=folder.name, reason=error.strerror or str(error)) from error
    finally:
        for one in form.files:
            one.close()
        # Also what a form that was torn off had begun.
        await anyio.to_thread.run_sync(lambda: shutil.rmtree(own, ignore_errors=True))


def _parser(request: Request, folder: Path, form: _Form) -> FormParser:
    kind = request.headers.get("content-type", "")
    if not kind.lower().startswith("multipart/form-data"):
        raise InvalidInput("file.bad_upload")
    config = {"UPLOAD_DIR": str(folder), "MAX_MEMORY_FILE_SIZE": 0, "UPLOAD_DELETE_TMP": False}
    return create_form_parser({"Content-Type": kind.encode("latin-1")}, form.on_field, form.on_file, config)


def _prepare(own: Path, announced: int) -> None:
    """Make the folder, for this account's eyes only, if there is room for the file and its result."""
    own.parent.parent.mkdir(parents=True, mode=0o700, exist_ok=True)
    own.mkdir(parents=True, mode=0o700)
    if shutil.disk_usage(own).free < 3 * announced + ROOM_BYTES:
        raise Unavailable("file.no_room", size_mb=announced // 1_000_000)


async def _fed(request: Request, parser: FormParser, own: Path) -> None:
    held = bytearray()
    fed = 0
    async for chunk in request.stream():
        held += chunk
        if len(held) >= _TOGETHER:
            fed += len(held)
            await anyio.to_thread.run_sync(parser.write, bytes(held))
            held.clear()
            # The parser holds a field in memory until it ends: what is not in the file by now is none.
            if fed - sum(path.stat().st_size for path in own.iterdir()) > 4 * _TOGETHER:
                raise InvalidInput("file.bad_upload")
    await anyio.to_thread.run_sync(parser.write, bytes(held))
    await anyio.to_thread.run_sync(parser.finalize)


def _whole(form: _Form) -> Upload:
    if len(form.files) != 1 or _text(form.files[0].field_name) != "file" or not form.files[0].size:
        raise InvalidInput("file.bad_upload")
    file = form.files[0]
    file.file_object.flush()
    name = _text(file.file_name).replace("\\", "/").rsplit("/", 1)[-1] or "table.csv"
    return Upload(Path(_text(file.actual_file_name)), name, {key: value for key, value in form.fields.items() if value})
