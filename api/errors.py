"""Errors at the edge: class → HTTP status in one table, and every answer as RFC 9457 ``application/problem+json``.

Codes and parameters are for programs; ``title`` and ``detail`` are sentences in the reader's language. The words a
caller sent are not repeated, a password among them would end in a log.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any

import orjson
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.exceptions import HTTPException
from starlette.responses import Response

from api import pages
from gis import errors as domain
from gis.db import translate
from gis.messages import LANGUAGES, catalogue, text

log = logging.getLogger("wangge.api")

STATUS: Mapping[type[domain.GridError], int] = {
    domain.InvalidInput: 422,
    domain.NotSignedIn: 401,
    domain.NotAllowed: 403,
    domain.NotFound: 404,
    domain.Conflict: 409,
    domain.Infeasible: 422,
    domain.Unavailable: 503,
}
"""Subclasses share the status of the nearest class above them."""

MEDIA_TYPE = "application/problem+json"
LANGUAGE_COOKIE = "wangge_lang"
RETRY_AFTER_S = 5

# Refusals that the framework itself makes, by status.
_HTTP_CODES = {
    400: "http.bad_request",
    404: "http.no_such_address",
    405: "http.method_not_allowed",
    406: "http.not_acceptable",
    413: "http.too_large",
    415: "http.unsupported_media_type",
}


def status_of(error: domain.GridError) -> int:
    """The HTTP status of an error, by its class or the nearest one above it."""
    return next((STATUS[kind] for kind in type(error).__mro__ if kind in STATUS), 500)


def language_of(request: Request) -> str:
    """The reader's language: ``?lang``, else the cookie, else the first known one of Accept-Language, else Chinese."""
    for wish in (request.query_params.get("lang"), request.cookies.get(LANGUAGE_COOKIE)):
        if wish in LANGUAGES:
            return wish
    for part in request.headers.get("accept-language", "")[:200].split(","):
        tongue = part.split(";")[0].strip().lower().split("-")[0]
        if tongue in LANGUAGES:
            return tongue
    return LANGUAGES[0]


def problem(
    status: int, code: str, params: Mapping[str, Any] | None = None, *, language: str, request_id: str | None = None
) -> Response:
    """One problem document as a response."""
    body: dict[str, Any] = {
        "type": f"urn:wangge:problem:{code}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "code": code,
        "params": dict(params or {}),
        "detail": text(code, params or {}, language=language),
    }
    if request_id is not None:
        body["request_id"] = request_id
    headers = {"Cache-Control": "no-store"}
    if status == 503:
        headers["Retry-After"] = str(RETRY_AFTER_S)
    content = orjson.dumps(body, default=str, option=orjson.OPT_NON_STR_KEYS | orjson.OPT_SERIALIZE_NUMPY)
    return Response(content, status, headers, MEDIA_TYPE)


Teller = Callable[[Request, int, str, Mapping[str, Any]], Response]


def told(request: Request, status: int, code: str, params: Mapping[str, Any] | None = None) -> Response:
    """A refusal in the way of the route: a standard's own statuses and documents (`api.strict`), else a problem."""
    tell: Teller | None = getattr(request.state, "tell", None)
    if tell is not None:
        return tell(request, status, code, params or {})
    return problem(status, code, params, language=language_of(request))


def refused(request: Request, status: int) -> Response:
    """What the framework itself refuses."""
    return told(request, status, _HTTP_CODES.get(status, "http.refused"), {"status": status})


def install(app: FastAPI) -> None:
    """Register the handlers on an application."""
    app.add_exception_handler(domain.GridError, _on_grid_error)
    app.add_exception_handler(RequestValidationError, _on_invalid)
    app.add_exception_handler(HTTPException, _on_http)
    app.add_exception_handler(IntegrityError, _on_integrity)
    app.add_exception_handler(OperationalError, _on_database_away)
    app.add_exception_handler(PoolTimeout, _on_database_away)
    app.add_exception_handler(Exception, _on_bug)


def _on_grid_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, domain.GridError)
    return told(request, status_of(error), error.code, error.params)


def _on_integrity(request: Request, error: Exception) -> Response:
    assert isinstance(error, IntegrityError)
    return _on_grid_error(request, translate(error))


def _on_invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    language = language_of(request)
    wrong = [
        {"where": ".".join(str(step) for step in one["loc"]), "what": _what(one, language), "kind": one["type"]}
        for one in error.errors()[:20]
    ]
    params = {"errors": wrong, "where": wrong[0]["where"], "what": wrong[0]["what"], "count": len(error.errors())}
    return told(request, 422, "http.invalid", params)


def _what(one: Mapping[str, Any], language: str) -> str:
    """What is wrong with a value, in the reader's language where we have words for it."""
    code = f"invalid.{one['type']}"
    if code in catalogue(language):
        return text(code, one.get("ctx", {}), language=language)
    return str(one["msg"])


def _on_http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    page = pages.missing(request) if error.status_code == 404 else None
    answer = page or refused(request, error.status_code)
    answer.headers.update(error.headers or {})
    return answer


def _on_database_away(request: Request, error: Exception) -> Response:
    log.error("database unavailable: %s", error)
    return told(request, 503, "http.database_away")


def _on_bug(request: Request, error: Exception) -> Response:
    request_id = getattr(request.state, "request_id", None)
    log.error("bug in %s %s, request %s", request.method, request.url.path, request_id, exc_info=error)
    params = {"request_id": request_id}
    return problem(500, "http.bug", params, language=language_of(request), request_id=request_id)
