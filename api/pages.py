"""The built pages: one HTML file a page, their assets beside them, nothing from outside."""

from __future__ import annotations

from pathlib import Path

from fastapi import APIRouter, FastAPI, Request
from starlette.responses import FileResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from gis.errors import Unavailable

PAGES = ("login", "planner", "desk", "command", "field")


class Assets(StaticFiles):
    """Files whose names carry a hash of their content: kept by browsers for good."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        response.headers["Cache-Control"] = "public, max-age=31536000, immutable"
        if path.endswith((".js", ".mjs")):
            response.headers["Content-Type"] = "text/javascript; charset=utf-8"
        return response


PROGRAMS = ("/api/", "/tiles/", "/ogc", "/open311", "/assets/")
"""Below these addresses no person reads a page."""


def install(app: FastAPI, *, dist: Path) -> None:
    """Serve the pages of a built front end; a page not built yet answers 503 with the remedy."""
    app.state.missing_page = dist / "missing" / "index.html"
    router = APIRouter(include_in_schema=False)
    router.add_api_route("/", lambda: _page(dist / "index.html"), methods=["GET", "HEAD"])
    for page in PAGES:
        _add(router, page, dist)
    router.add_api_route("/favicon.ico", lambda: _page(dist / "favicon.ico"), methods=["GET"])
    router.add_api_route("/favicon.svg", lambda: _page(dist / "favicon.svg"), methods=["GET"])
    app.include_router(router)
    app.mount("/assets", Assets(directory=dist / "assets", check_dir=False), name="assets")


def _add(router: APIRouter, page: str, dist: Path) -> None:
    def show() -> FileResponse:
        return _page(dist / page / "index.html")

    router.add_api_route(f"/{page}", show, methods=["GET", "HEAD"], name=page)
    router.add_api_route(f"/{page}/", show, methods=["GET", "HEAD"], name=f"{page}-folder")


def missing(request: Request) -> Response | None:
    """What a person sees at an address that there is not; ``None`` for a program, which reads the problem."""
    file: Path = request.app.state.missing_page
    is_reader = "text/html" in request.headers.get("accept", "") and not request.url.path.startswith(PROGRAMS)
    return FileResponse(file, 404, headers={"Cache-Control": "no-cache"}) if is_reader and file.is_file() else None


def _page(file: Path) -> FileResponse:
    if not file.is_file():
        raise Unavailable("api.pages_not_built")
    return FileResponse(file, headers={"Cache-Control": "no-cache"})
