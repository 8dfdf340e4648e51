"""Pages to PDF: the only file that knows WeasyPrint. Letters are embedded; nothing is fetched from anywhere."""

from __future__ import annotations

import io
import logging
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from gis.errors import Unavailable

FONT_FILES = ("NotoSansCJK", "NotoSansSC", "NotoSansHans", "SourceHanSans")
FONT_FOLDERS = (Path("/usr/share/fonts"), Path("/usr/local/share/fonts"), Path.home() / ".fonts",
                Path.home() / ".local/share/fonts")  # fmt: skip


def to_pdf(html: str) -> bytes:
    """A document as PDF.

    Raises
    ------
    Unavailable
        ``print.no_library`` if Pango or HarfBuzz is not there, ``print.no_font`` without Chinese letters.
    """
    if not has_chinese():
        raise Unavailable("print.no_font")
    weasyprint = _library()
    # The time of making would make two prints of one plan differ.
    made: bytes = weasyprint.HTML(string=html, url_fetcher=_nothing).write_pdf()
    return made


def joined(pieces: Sequence[bytes]) -> bytes:
    """Several PDFs as one, in their order."""
    if len(pieces) == 1:
        return pieces[0]
    from pypdf import PdfWriter

    whole = PdfWriter()
    for piece in pieces:
        whole.append(io.BytesIO(piece))
    whole.compress_identical_objects()
    out = io.BytesIO()
    whole.write(out)
    return out.getvalue()


@cache
def _library() -> Any:
    try:
        import weasyprint
    except OSError as error:  # its libraries are opened when it is imported
        raise Unavailable("print.no_library", reason=str(error)) from error
    for name in ("weasyprint", "fontTools", "fontTools.subset"):
        logging.getLogger(name).setLevel(logging.ERROR)
    return weasyprint


@cache
def has_chinese() -> bool:
    """Whether a font with Chinese letters is installed."""
    return any(
        any(file.name.startswith(FONT_FILES) for file in folder.rglob("*.*t?"))
        for folder in FONT_FOLDERS
        if folder.is_dir()
    )


def _nothing(url: str, *_: Any, **__: Any) -> dict[str, Any]:
    """No page of ours names an address; one that slipped in is not asked."""
    raise ValueError(f"nothing is fetched: {url[:80]}")
