"""The routes of OGC API Features and Tiles: the same permissions, scopes and rows as everywhere else."""

from __future__ import annotations

import hashlib
from typing import Annotated, Any
from urllib.parse import urlencode

import orjson
from fastapi import APIRouter, Header, Path, Request
from starlette.responses import Response

from api.deps import Language, Now, SessionDep, allow
from api.ogc import documents
from api.ogc.asked import check_names, read_crs, read_items
from api.ogc.pages import page, shown
from api.ogc.tile_paths import TILE_MATRIX_SET
from api.strict import StrictRoute, wants_page
from gis import listing
from gis.errors import InvalidInput, NotFound
from gis.listing import things
from gis.listing.things import Thing, Wanted
from gis.permissions import Action, Actor, may_anywhere, require_somewhere, scopes

router = APIRouter(prefix="/ogc", tags=["ogc"], route_class=StrictRoute)
Viewer = Annotated[Actor, allow(Action.VIEW_MAP)]
CollectionId = Annotated[str, Path(alias="collectionId", pattern="^[a-z_]{1,30}$")]
_FORM = {"parameters": [documents.FORM]}


@router.get("", summary="OGC API: landing page", response_model=dict[str, Any], openapi_extra=_FORM)
def landing(request: Request, _: Viewer, language: Language) -> Response:
    """Where everything is, for QGIS and other clients of OGC API Features and Tiles. `f=html` is for people."""
    check_names(request)
    made = documents.landing(_base(request), language)
    return _document(request, made, language, made["title"], _link_rows(made["links"]), lead=made["description"])


@router.get("/conformance", summary="OGC API: conformance", response_model=dict[str, Any], openapi_extra=_FORM)
def conformance(request: Request, _: Viewer, language: Language) -> Response:
    """The conformance classes that are kept."""
    check_names(request)
    rows: list[list[Any]] = [[uri] for uri in documents.CONFORMANCE]
    title = "符合的标准" if language == "zh" else "Conformance"
    return _document(request, {"conformsTo": documents.CONFORMANCE}, language, title, rows)


@router.get("/api", summary="OGC API: definition", response_model=dict[str, Any], openapi_extra=_FORM)
def definition(request: Request, actor: Viewer, language: Language) -> Response:
    """OpenAPI 3.0 of what stands under `/ogc`, for clients that read it."""
    check_names(request)
    made = documents.openapi(_seen_by(actor), _base(request), language)
    return _sent(request, made, documents.OPENAPI)


@router.get("/collections", summary="OGC API: collections", response_model=dict[str, Any], openapi_extra=_FORM)
def collections(request: Request, session: SessionDep, actor: Viewer, language: Language) -> Response:
    """Those that the caller may see somewhere; drafts only for who may see drafts."""
    check_names(request)
    base = _base(request)
    box = listing.extent(session, scopes=scopes(actor, Action.VIEW_MAP))
    made = [documents.collection(thing, base, language, box) for thing in _seen_by(actor)]
    rows = [[{"text": one["title"], "href": f"{base}/collections/{one['id']}/items?f=html"}, one["id"]] for one in made]
    links = [documents.link(f"{base}/collections", "self", "application/json")]
    title = "数据集" if language == "zh" else "Collections"
    return _document(request, {"links": links, "collections": made}, language, title, rows)


@router.get(
    "/collections/{collectionId}", summary="OGC API: one collection", response_model=dict[str, Any], openapi_extra=_FORM
)
def collection(
    request: Request, session: SessionDep, actor: Viewer, language: Language, name: CollectionId
) -> Response:
    """Its extent, coordinate systems and links."""
    check_names(request)
    thing = _thing(name, actor)
    box = listing.extent(session, scopes=scopes(actor, Action.VIEW_MAP))
    made = documents.collection(thing, _base(request), language, box)
    return _document(request, made, language, made["title"], _link_rows(made["links"]))


@router.get(
    "/collections/{collectionId}/queryables",
    summary="OGC API: queryables",
    response_model=dict[str, Any],
    openapi_extra=_FORM,
)
def queryables(request: Request, actor: Viewer, language: Language, name: CollectionId) -> Response:
    """What the features may be filtered by, as a JSON schema."""
    check_names(request)
    thing = _thing(name, actor)
    made = documents.queryables(thing, _base(request), language)
    rows = [
        [key, value.get("title"), value.get("type", value.get("format"))] for key, value in made["properties"].items()
    ]
    return _document(request, made, language, made["title"], rows, media_type=documents.SCHEMA_JSON)


@router.get(
    "/collections/{collectionId}/items",
    summary="OGC API: features",
    response_model=dict[str, Any],
    openapi_extra={"parameters": [documents.FORM, *documents.ITEM_PARAMETERS]},
)
def items(
    request: Request,
    session: SessionDep,
    actor: Viewer,
    present: Now,
    language: Language,
    name: CollectionId,
    if_none_match: Annotated[str | None, Header()] = None,
) -> Response:
    """GeoJSON by number, paged by the next link. Every queryable is a parameter, too. Grids are those in force unless
    `datetime` asks for others; a misspelt parameter is refused. `numberMatched` is told on the first page."""
    thing = _thing(name, actor)
    asked = read_items(request, thing, scopes=scopes(actor, thing.action), now=present)
    rows, following = things.page(
        session, thing, asked.wanted, geometry=asked.crs.geometry, limit=asked.limit, after=asked.after
    )
    matched = things.count(session, thing, asked.wanted) if asked.after is None else None
    if wants_page(request):
        return _items_page(request, thing, rows, following, language)
    made = _feature_collection(request, thing, rows, following, matched, present.isoformat())
    return _features(made, asked.crs.uri, if_none_match)


@router.get(
    "/collections/{collectionId}/items/{featureId}",
    summary="OGC API: one feature",
    response_model=dict[str, Any],
    openapi_extra={"parameters": [documents.FORM, documents.CRS]},
)
def item(
    request: Request,
    session: SessionDep,
    actor: Viewer,
    present: Now,
    language: Language,
    name: CollectionId,
    key: Annotated[str, Path(alias="featureId", max_length=40)],
    if_none_match: Annotated[str | None, Header()] = None,
) -> Response:
    """By its number; cells of the past, too."""
    check_names(request, {"crs"})
    thing = _thing(name, actor)
    if not (key.isascii() and key.isdigit() and len(key) <= 18):
        raise NotFound("things.no_row", thing=thing.name, key=key)
    system = read_crs(request.query_params.get("crs"), "crs")
    wanted = Wanted(scopes=scopes(actor, thing.action), at=present)
    made = _feature(things.one(session, thing, int(key), wanted, geometry=system.geometry))
    if wants_page(request):
        labels = {one.name: one.zh if language == "zh" else one.en for one in thing.fields}
        rows: list[list[Any]] = [[labels[name], shown(value)] for name, value in made["properties"].items()]
        title = f"{thing.zh if language == 'zh' else thing.en} {key}"
        return page(
            title=title, language=language, rows=rows, above=_above(request, language, thing), here=request.url.path
        )
    href = f"{_base(request)}/collections/{thing.name}"
    made["links"] = [
        documents.link(f"{href}/items/{key}", "self", documents.GEOJSON),
        documents.link(f"{href}/items/{key}?f=html", "alternate", "text/html"),
        documents.link(href, "collection", "application/json"),
    ]
    return _features(made, system.uri, if_none_match)


@router.get(
    "/collections/{collectionId}/tiles", summary="OGC API: tilesets", response_model=dict[str, Any], openapi_extra=_FORM
)
def tilesets(request: Request, actor: Viewer, name: CollectionId) -> Response:
    """The tilesets of a collection: vector tiles on WebMercatorQuad."""
    check_names(request)
    return _sent(request, documents.tilesets(_tiled(name, actor), _base(request)))


@router.get(
    f"/collections/{{collectionId}}/tiles/{TILE_MATRIX_SET}",
    summary="OGC API: tileset",
    response_model=dict[str, Any],
    openapi_extra=_FORM,
)
def tileset(request: Request, session: SessionDep, actor: Viewer, name: CollectionId) -> Response:
    """Where the tiles are. They are those of `/tiles`, at the address that the standard has for them."""
    check_names(request)
    thing = _tiled(name, actor)
    box = listing.extent(session, scopes=scopes(actor, Action.VIEW_MAP))
    return _sent(request, documents.tileset(thing, _base(request), box))


@router.get("/tileMatrixSets", summary="OGC API: tile matrix sets", response_model=dict[str, Any], openapi_extra=_FORM)
def tile_matrix_sets(request: Request, _: Viewer) -> Response:
    """One."""
    check_names(request)
    return _sent(request, documents.tile_matrix_sets(_base(request)))


@router.get(
    f"/tileMatrixSets/{TILE_MATRIX_SET}",
    summary="OGC API: WebMercatorQuad",
    response_model=dict[str, Any],
    openapi_extra=_FORM,
)
def tile_matrix_set(request: Request, _: Viewer) -> Response:
    """The square of Web Mercator, halved zoom by zoom."""
    check_names(request)
    return _sent(request, documents.tile_matrix_set())


# --- Shapes of answers ----------------------------------------------------------------------------------------------


def _base(request: Request) -> str:
    return str(request.base_url).rstrip("/") + "/ogc"


def _seen_by(actor: Actor) -> list[Thing]:
    found = (things.THINGS[name] for name in things.COLLECTIONS)
    return [thing for thing in found if may_anywhere(actor, thing.action)]


def _thing(name: str, actor: Actor) -> Thing:
    thing = things.find(name)
    if thing.shape is None:
        raise NotFound("things.unknown", thing=name, known=list(things.COLLECTIONS))
    require_somewhere(actor, thing.action)
    return thing


def _tiled(name: str, actor: Actor) -> Thing:
    thing = _thing(name, actor)
    if thing.layer is None:
        raise NotFound("ogc.no_tiles", collection=name)
    return thing


def _feature(row: dict[str, Any]) -> dict[str, Any]:
    key, geometry = row.pop("id"), row.pop("geometry")
    return {
        "type": "Feature",
        "id": key,
        "geometry": None if geometry is None else orjson.Fragment(geometry),
        "properties": row,
    }


def _feature_collection(
    request: Request,
    thing: Thing,
    rows: list[dict[str, Any]],
    following: int | None,
    matched: int | None,
    stamp: str,
) -> dict[str, Any]:
    href = f"{_base(request)}/collections/{thing.name}"
    links = [
        documents.link(str(request.url), "self", documents.GEOJSON),
        documents.link(_changed(request, f="html"), "alternate", "text/html"),
        documents.link(href, "collection", "application/json"),
    ]
    if following is not None:
        links.append(documents.link(_changed(request, after=str(following)), "next", documents.GEOJSON))
    return {
        "type": "FeatureCollection",
        **({} if matched is None else {"numberMatched": matched}),
        "numberReturned": len(rows),
        "timeStamp": stamp,
        "links": links,
        "features": [_feature(row) for row in rows],
    }


def _changed(request: Request, **names: str) -> str:
    """The address of this request with some parameters put in."""
    params = {**dict(request.query_params), **names}
    return f"{_base(request)}{request.url.path.partition('/ogc')[2]}?{urlencode(params)}"


def _features(made: dict[str, Any], crs: str, if_none_match: str | None) -> Response:
    stamp = made.pop("timeStamp", None)
    content = orjson.dumps(made)
    etag = f'W/"{hashlib.blake2b(content + crs.encode(), digest_size=12).hexdigest()}"'
    headers = {
        "Content-Crs": f"<{crs}>", "ETag": etag, "Cache-Control": "private, no-cache", "Vary": "Cookie, Authorization",
    }  # fmt: skip
    if if_none_match and etag in if_none_match[:2000]:
        return Response(status_code=304, headers=headers)
    if stamp is not None:
        content = orjson.dumps({"timeStamp": stamp})[:-1] + b"," + content[1:]
    return Response(content, headers=headers, media_type=documents.GEOJSON)


def _sent(request: Request, made: Any, media_type: str = "application/json") -> Response:
    if request.query_params.get("f") == "html":
        raise InvalidInput("ogc.no_page")
    return Response(orjson.dumps(made), headers={"Cache-Control": "private, no-cache"}, media_type=media_type)


def _document(
    request: Request,
    made: Any,
    language: str,
    title: str,
    rows: list[list[Any]],
    *,
    lead: str = "",
    media_type: str = "application/json",
) -> Response:
    if wants_page(request):
        above = _above(request, language)
        return page(title=title, language=language, rows=rows, above=above, here=request.url.path, lead=lead)
    return _sent(request, made, media_type)


def _link_rows(links: list[documents.Document]) -> list[list[Any]]:
    def text(one: documents.Document) -> str:
        return str(one.get("title") or one["rel"].rpartition("/")[2])

    pages = [one for one in links if one["rel"] != "self"]
    return [[{"text": text(one), "href": one["href"]}, one["type"]] for one in pages]


def _above(request: Request, language: str, thing: Thing | None = None) -> list[tuple[str, str]]:
    base = _base(request)
    zh = language == "zh"
    above = [("Wangge", f"{base}?f=html"), ("数据集" if zh else "Collections", f"{base}/collections?f=html")]
    if thing is not None:
        above.append((thing.zh if zh else thing.en, f"{base}/collections/{thing.name}/items?f=html"))
    return above


def _items_page(
    request: Request, thing: Thing, rows: list[dict[str, Any]], following: int | None, language: str
) -> Response:
    fields = [one for one in thing.fields if not one.is_personal]
    href = f"{_base(request)}/collections/{thing.name}/items"
    cells = [
        [{"text": str(row["id"]), "href": f"{href}/{row['id']}?f=html"}, *(shown(row[one.name]) for one in fields)]
        for row in rows
    ]
    return page(
        title=thing.zh if language == "zh" else thing.en,
        language=language,
        heads=["#", *(one.zh if language == "zh" else one.en for one in fields)],
        rows=cells,
        above=_above(request, language),
        here=_changed(request).replace("f=html", "").rstrip("?&"),
        more=None if following is None else _changed(request, after=str(following), f="html"),
    )
