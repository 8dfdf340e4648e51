"""Answers of GeoReport v2: the same rows as JSON or as XML, and its way to tell errors."""

from __future__ import annotations

import re
from collections.abc import Callable, Coroutine, Mapping
from datetime import datetime
from typing import Any
from xml.etree import ElementTree

import orjson
from fastapi import Request, Response
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException

from api.errors import language_of
from gis.errors import InvalidInput
from gis.messages import text

FORM_BYTES = 100_000
FIELDS_MOST = 60
_NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

# Statuses of the standard: a key that is missing or wrong is 403, everything wrong with the input 400.
_STATUSES = {401: 403, 422: 400}

Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class GeoReportRoute(APIRoute):
    """A route that tells errors as the standard does, and reads a form before it asks who sends it.

    The standard's ``api_key`` stands in the form: it is a token like that of the Authorization header.
    """

    def get_route_handler(self) -> Handler:
        """Wrap what FastAPI makes of the route."""
        inner = super().get_route_handler()

        async def handle(request: Request) -> Response:
            request.state.tell = tell
            if "api_key" in request.query_params:
                raise InvalidInput("open311.key_in_address")
            if request.method == "POST":
                await _read_form(request)
            return await inner(request)

        return handle


async def _read_form(request: Request) -> None:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in ("application/x-www-form-urlencoded", "multipart/form-data"):
        raise InvalidInput("open311.bad_form")
    if int(request.headers.get("content-length") or 0) > FORM_BYTES:
        raise HTTPException(413)
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > FORM_BYTES:
            raise HTTPException(413)
    request._body = body  # Starlette's own place for a body that was read
    try:
        form = await request.form(max_files=0, max_fields=FIELDS_MOST, max_part_size=FORM_BYTES)
    except HTTPException as error:
        raise InvalidInput("open311.bad_form") from error
    request.state.form = {key: value for key, value in form.multi_items() if isinstance(value, str)}
    if key := request.state.form.get("api_key"):
        request.state.authorization = f"Bearer {key}"


def tell(request: Request, status: int, code: str, params: Mapping[str, Any]) -> Response:
    """An error as GeoReport v2 has it: a list of code and description."""
    status = _STATUSES.get(status, status)
    said = [{"code": status, "description": f"{text(code, params, language=language_of(request))} [{code}]"}]
    ending = "xml" if request.url.path.endswith(".xml") else "json"
    return sent(ending, said, "errors", "error", status=status)


def sent(ending: str, rows: list[dict[str, Any]], root: str, item: str, *, status: int = 200) -> Response:
    """Rows in the form that was asked for."""
    headers = {"Cache-Control": "no-store"}
    if ending != "xml":
        return Response(orjson.dumps(rows), status, headers, "application/json; charset=utf-8")
    top = ElementTree.Element(root)
    for row in rows:
        _fill(ElementTree.SubElement(top, item), row)
    content = ElementTree.tostring(top, encoding="utf-8", xml_declaration=True)
    return Response(content, status, headers, "text/xml; charset=utf-8")


def sent_one(ending: str, value: dict[str, Any], root: str) -> Response:
    """One value, not in a list: a service's definition, the discovery document."""
    if ending != "xml":
        return Response(orjson.dumps(value), 200, {"Cache-Control": "no-store"}, "application/json; charset=utf-8")
    top = ElementTree.Element(root)
    _fill(top, value)
    content = ElementTree.tostring(top, encoding="utf-8", xml_declaration=True)
    return Response(content, 200, {"Cache-Control": "no-store"}, "text/xml; charset=utf-8")


def _fill(element: ElementTree.Element, row: Mapping[str, Any]) -> None:
    for name, value in row.items():
        child = ElementTree.SubElement(element, name)
        if isinstance(value, list):
            for one in value:
                inner = ElementTree.SubElement(child, name.removesuffix("s"))
                if isinstance(one, Mapping):
                    _fill(inner, one)
                else:
                    inner.text = _words(one)
        elif value is not None:
            child.text = _words(value)


def _words(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return value.isoformat()
    return _NO_XML.sub("", str(value))
