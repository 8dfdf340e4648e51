"""The routes of the tiles. What they need of the service around them is handed in: this room knows no other."""

# No postponed annotations here: FastAPI must find the dependencies, which are local names, in the signatures.
from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Path, Query, Request
from fastapi.params import Depends as Dependency
from sqlalchemy.orm import Session
from starlette.responses import JSONResponse, Response

from gis import listing, plan_review
from gis.errors import InvalidInput
from gis.permissions import EVERYWHERE, Action, Actor, require_somewhere, scopes
from tiles import mvt, tilejson
from tiles.layers import LAYERS, Layer

MEDIA_TYPE = "application/vnd.mapbox-vector-tile"

LayerName = Annotated[str, Path(pattern=r"^[a-z_]{1,30}$", description="One of the layers of tiles/layers.py")]
PlanId = Annotated[int | None, Query(alias="plan", ge=1, le=2**62, description="Show the cells of this draft instead")]


def make_router(*, session: Dependency, allow: Callable[[Action], Any], now: Callable[..., datetime]) -> APIRouter:
    """The routes of tiles and TileJSON.

    Parameters
    ----------
    session : Depends
        Gives a database session.
    allow : callable
        Action → a ``Depends`` that gives the caller, as in ``api.deps``.
    now : callable
        Dependency that gives the present.
    """
    router = APIRouter(prefix="/tiles", tags=["tiles"])
    # Every layer's own action is required inside; that of the map is the least of them.
    caller = allow(Action.VIEW_MAP)

    @router.get("/{layer}.json", summary="TileJSON of a layer")
    def describe(
        request: Request,
        layer: LayerName,
        actor: Annotated[Actor, caller],
        db: Annotated[Session, session],
        plan: PlanId = None,
    ) -> JSONResponse:
        """Where the tiles are, which zooms and fields they have, and the extent of what the caller may see."""
        chosen, seen = _permitted(db, layer, actor=actor, plan_id=plan)
        bounds = listing.extent(db, scopes=(EVERYWHERE,) if chosen.is_base else seen)
        base = str(request.base_url).rstrip("/")
        document = tilejson.describe(chosen, base=base, bounds=bounds, plan_id=plan)
        return JSONResponse(document, headers={"Cache-Control": "private, no-cache", "Vary": "Cookie"})

    @router.get(
        "/{layer}/{z}/{x}/{y}.mvt",
        summary="One vector tile",
        response_class=Response,
        responses={
            200: {"content": {MEDIA_TYPE: {}}},
            204: {"description": "Nothing lies in this tile"},
            304: {"description": "The tile is the one that the caller has"},
        },
    )
    def tile(
        layer: LayerName,
        z: int,
        x: int,
        y: int,
        actor: Annotated[Actor, caller],
        db: Annotated[Session, session],
        at: Annotated[datetime, Depends(now)],
        plan: PlanId = None,
        if_none_match: Annotated[str | None, Header()] = None,
    ) -> Response:
        """A tile of what is in force and in the caller's areas; ``plan`` shows a draft to those who draw plans."""
        chosen, seen = _permitted(db, layer, actor=actor, plan_id=plan)
        made = mvt.make_tile(db, chosen, z=z, x=x, y=y, scopes=seen, at=at, plan_id=plan)
        return _respond(made, chosen, if_none_match=if_none_match)

    return router


def _permitted(session: Session, name: str, *, actor: Actor, plan_id: int | None) -> tuple[Layer, tuple[str, ...]]:
    """The layer, and the scopes in which the caller sees it; those of drafts if a draft is asked for."""
    layer = mvt.find(LAYERS, name)
    require_somewhere(actor, layer.action)
    if plan_id is None:
        return layer, scopes(actor, layer.action)
    if not layer.has_drafts:
        raise InvalidInput("tile.no_draft", layer=layer.name)
    return layer, plan_review.seen_scopes(session, plan_id, actor=actor)


def _respond(made: mvt.Tile, layer: Layer, *, if_none_match: str | None) -> Response:
    caching = f"private, max-age={layer.max_age_s}" if layer.max_age_s else "private, no-cache"
    headers = {"ETag": made.etag, "Cache-Control": caching, "Vary": "Cookie"}
    if mvt.is_known(made.etag, if_none_match):
        return Response(status_code=304, headers=headers)
    if not made.content:
        return Response(status_code=204, headers=headers)
    return Response(made.content, headers=headers, media_type=MEDIA_TYPE)
