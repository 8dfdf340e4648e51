"""Answers as columns for the desk's page, where a request asks for a media type and a form of them."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.exceptions import HTTPException
from starlette.responses import Response

from gis.desk import columns


def is_wanted(accept: str, media_type: str, form: int) -> bool:
    """Whether columns are asked for.

    Raises
    ------
    HTTPException
        406 where they are asked for in forms that are not known, and nothing else would do.
    """
    ranges = [[word.strip().lower() for word in one.split(";")] for one in accept.split(",")]
    forms = [words[1:] for words in ranges if words[0] == media_type]
    if any(f"form={form}" in words for words in forms):
        return True
    if forms and not {words[0] for words in ranges} & {"application/json", "application/*", "*/*"}:
        raise HTTPException(406)
    return False


def answer_gzipped(data: bytes, media_type: str, *, accept_encoding: str, headers: Mapping[str, str]) -> Response:
    """Bytes that are compressed already, for those who take them so; for others as they were."""
    if "gzip" not in accept_encoding:
        return Response(columns.gunzipped(data), 200, dict(headers), media_type)
    return Response(data, 200, {**headers, "Content-Encoding": "gzip"}, media_type)
