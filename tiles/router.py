"""The routes of the tiles. What they need of the service around them is handed in: this room knows no other."""

# No postponed annotations here: FastAPI must find the dependencies, which are local names, in the signatures.
from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Header, Path, Query, Request
from fastapi.params import Depends as Dependency
from pydantic import AwareDatetime
from sqlalchemy.orm import Session
from starlette.responses import JSONResponse, Response

from gis import listing, plan_review
from gis.errors import InvalidInput
from gis.permissions import EVERYWHERE, Action, Actor, may_anywhere, require_somewhere, scopes
from tiles import mvt, style, tilejson
from tiles.layers import ALL, LAYERS, Layer
from tiles.mvt import MEDIA_TYPE
from tiles.present import CellTiles

LayerName = Annotated[
    str, Path(pattern=r"^[a-z_]{1,30}$", description="One of the layers of tiles/layers.py, or `all`")
]
PlanId = Annotated[int | None, Query(alias="plan", ge=1, le=2**62, description="Show the cells of this draft instead")]
Instant = Annotated[AwareDatetime | None, Query(description="Show what was in force then; without it, what is now")]


def make_router(
    *,
    session: Dependency,
    allow: Callable[[Action], Any],
    now: Callable[..., datetime],
    cells: Callable[..., CellTiles | None] = lambda: None,
) -> APIRouter:
    """The routes of tiles, TileJSON and styles.

    Parameters
    ----------
    session : Depends
        Gives a database session.
    allow : callable
        Action → a ``Depends`` that gives the caller, as in ``api.deps``.
    now : callable
        Dependency that gives the present.
    cells : callable
        Dependency that gives what keeps the tiles of the plans in force; None where the database alone makes them.
    """
    router = APIRouter(prefix="/tiles", tags=["tiles"])
    # Every layer's own action is required inside; that of the map is the least of them.
    caller = allow(Action.VIEW_MAP)

    @router.get("/style/{role}.json", summary="MapLibre style of a role")
    def look(
        request: Request, role: Literal["planner", "command", "field"], actor: Annotated[Actor, caller]
    ) -> Response:
        """The map as the pages of a role draw it, for MapLibre and QGIS elsewhere in the network.

        All addresses in it lead here, absolute; letters are drawn with the fonts of whoever reads it.
        """
        shown = {name for name, layer in LAYERS.items() if may_anywhere(actor, layer.action)}
        return _document(style.style(role, base=_base(request), shown=shown))

    @router.get("/{layer}.json", summary="TileJSON of a layer, or of all")
    def describe(
        request: Request,
        layer: LayerName,
        actor: Annotated[Actor, caller],
        db: Annotated[Session, session],
        plan: PlanId = None,
        at: Instant = None,
    ) -> Response:
        """Where the tiles are, which zooms and fields they have, and the extent of what the caller may see."""
        chosen = _permitted(db, layer, actor=actor, plan_id=plan)
        seen = next((seen for one, seen in chosen if not one.is_base), (EVERYWHERE,))
        query = {"plan": plan, "at": at and at.isoformat()}
        document = tilejson.describe(
            layer,
            [one for one, _ in chosen],
            base=_base(request),
            bounds=listing.extent(db, scopes=seen),
            query={name: value for name, value in query.items() if value is not None},
        )
        return _document(document)

    @router.get(
        "/{layer}/{z}/{x}/{y}.mvt",
        summary="One vector tile",
        response_class=Response,
        responses={
            200: {"content": {MEDIA_TYPE: {}}},
            204: {"description": "Nothing lies in this tile"},
            304: {"description": "The tile is the one that the caller has"},
        },
        dependencies=[Depends(_check)],
    )
    def tile(
        layer: LayerName,
        z: int,
        x: int,
        y: int,
        actor: Annotated[Actor, caller],
        db: Annotated[Session, session],
        present: Annotated[datetime, Depends(now)],
        held: Annotated[CellTiles | None, Depends(cells)],
        plan: PlanId = None,
        at: Instant = None,
        if_none_match: Annotated[str | None, Header()] = None,
    ) -> Response:
        """A tile of what is in force and in the caller's areas; ``plan`` shows a draft to those who draw plans.

        The layer ``all`` holds every layer that the caller may see, each under its own name.
        """
        chosen = _permitted(db, layer, actor=actor, plan_id=plan)
        made = []
        for one, seen in chosen:
            kept = held.tile((one.name, z, x, y), seen) if held and plan is None and at is None else None
            if kept is not None:
                made.append(mvt.Tile(kept.plain(), kept.etag))
            else:
                made.append(mvt.make_tile(db, one, z=z, x=x, y=y, scopes=seen, at=at or present, plan_id=plan))
        whole = made[0] if len(made) == 1 else mvt.joined(made)
        return _respond(whole, min(one.max_age_s for one, _ in chosen), if_none_match=if_none_match)

    return router


def _check(request: Request) -> None:
    """Refuse what can be no tile before anything is asked of the database."""
    given = request.path_params
    if given["layer"] != ALL:
        mvt.find(LAYERS, given["layer"][:40])
    mvt.check_place(given["z"], given["x"], given["y"])


def _permitted(
    session: Session, name: str, *, actor: Actor, plan_id: int | None
) -> list[tuple[Layer, tuple[str, ...]]]:
    """The layers, and the scopes in which the caller sees each; those of drafts if a draft is asked for."""
    if name == ALL:
        layers = [layer for layer in LAYERS.values() if may_anywhere(actor, layer.action)]
    else:
        layers = [mvt.find(LAYERS, name)]
        require_somewhere(actor, layers[0].action)
    if plan_id is None:
        return [(layer, scopes(actor, layer.action)) for layer in layers]
    if not any(layer.has_drafts for layer in layers):
        raise InvalidInput("tile.no_draft", layer=name)
    drawn = plan_review.seen_scopes(session, plan_id, actor=actor)
    return [(layer, drawn if layer.has_drafts else scopes(actor, layer.action)) for layer in layers]


def _base(request: Request) -> str:
    return str(request.base_url).rstrip("/")


def _document(content: Any) -> Response:
    return JSONResponse(content, headers={"Cache-Control": "private, no-cache", "Vary": "Cookie, Authorization"})


def _respond(made: mvt.Tile, max_age_s: int, *, if_none_match: str | None) -> Response:
    caching = f"private, max-age={max_age_s}" if max_age_s else "private, no-cache"
    headers = {"ETag": made.etag, "Cache-Control": caching, "Vary": "Cookie, Authorization"}
    if mvt.is_known(made.etag, if_none_match):
        return Response(status_code=304, headers=headers)
    if not made.content:
        return Response(status_code=204, headers=headers)
    return Response(made.content, headers=headers, media_type=MEDIA_TYPE)
