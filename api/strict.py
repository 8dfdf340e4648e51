"""Routes of standards that know only 400 for a wrong request, and clients that wait to be asked for a password."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from typing import Any
from urllib.parse import quote

from fastapi import Request, Response
from fastapi.routing import APIRoute
from starlette.responses import RedirectResponse

from api.errors import language_of, problem
from gis.errors import NotSignedIn

CHALLENGE = 'Basic realm="Wangge", charset="UTF-8"'

Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class StrictRoute(APIRoute):
    """A route whose wrong input is 400, and that asks a program for its name and token.

    A browser is sent to the log-in page instead: its own window for a password would be answered with one.
    """

    def get_route_handler(self) -> Handler:
        """Wrap what FastAPI makes of the route."""
        inner = super().get_route_handler()

        async def handle(request: Request) -> Response:
            request.state.tell = tell
            try:
                return await inner(request)
            except NotSignedIn:
                if not wants_page(request):
                    raise
                back = request.url.path + (f"?{request.url.query}" if request.url.query else "")
                return RedirectResponse(f"/login?next={quote(back, safe='')}", 303)

        return handle


def tell(request: Request, status: int, code: str, params: Mapping[str, Any]) -> Response:
    """A problem document with the statuses that the standards know."""
    answer = problem(400 if status == 422 else status, code, params, language=language_of(request))
    if status == 401:
        answer.headers["WWW-Authenticate"] = CHALLENGE
    return answer


def wants_page(request: Request) -> bool:
    """Whether a page is asked for: by ``f=html``, else by an Accept header that names HTML before JSON."""
    form = request.query_params.get("f")
    if form is not None:
        return form == "html"
    accepted = request.headers.get("accept", "")[:500]
    page, data = accepted.find("text/html"), accepted.find("json")
    return page >= 0 and not 0 <= data < page
