"""The documents that describe the service: landing page, conformance, collections, queryables, tilesets, OpenAPI 3.0.

Each is a plain value; `api.ogc.router` sends it as JSON or, by `api.ogc.pages`, as a page.
"""

from __future__ import annotations

import math
from typing import Any

from api.ogc.asked import CRS84, LIMIT, LIMIT_MOST, SYSTEMS
from api.ogc.tile_paths import TILE_MATRIX_SET
from gis.listing.things import Field, Thing
from gis.listing.window import Box

Document = dict[str, Any]

GEOJSON = "application/geo+json"
SCHEMA_JSON = "application/schema+json"
OPENAPI = "application/vnd.oai.openapi+json;version=3.0"
MVT = "application/vnd.mapbox-vector-tile"
_SPEC = "http://www.opengis.net/spec"
_REL = "http://www.opengis.net/def/rel/ogc/1.0"
_TMS_URI = f"http://www.opengis.net/def/tilematrixset/OGC/1.0/{TILE_MATRIX_SET}"
_WIDTH_M = 40_075_016.6855785
_ZOOM_MOST = 20
_METRES_PER_PIXEL_OF_SCALE = 0.00028  # OGC's standard pixel

CONFORMANCE = (
    *(f"{_SPEC}/ogcapi-features-1/1.0/conf/{name}" for name in ("core", "oas30", "html", "geojson")),
    f"{_SPEC}/ogcapi-features-2/1.0/conf/crs",
    *(
        f"{_SPEC}/ogcapi-features-3/1.0/conf/{name}"
        for name in ("queryables", "queryables-query-parameters", "filter", "features-filter")
    ),
    *(
        f"{_SPEC}/cql2/1.0/conf/{name}"
        for name in (
            "cql2-text", "cql2-json", "basic-cql2", "advanced-comparison-operators", "case-insensitive-comparison",
            "basic-spatial-functions", "basic-spatial-functions-plus", "spatial-functions",
        )
    ),
    *(f"{_SPEC}/ogcapi-tiles-1/1.0/conf/{name}" for name in ("core", "tileset", "tilesets-list", "mvt")),
    f"{_SPEC}/tms/2.0/conf/json-tilematrixset",
)  # fmt: skip

_KINDS: dict[str, Document] = {
    "text": {"type": "string"},
    "integer": {"type": "integer"},
    "number": {"type": "number"},
    "flag": {"type": "boolean"},
    "time": {"type": "string", "format": "date-time"},
}


def link(href: str, rel: str, kind: str, title: str = "", **more: Any) -> Document:
    """One link."""
    return {"href": href, "rel": rel, "type": kind, **({"title": title} if title else {}), **more}


def landing(base: str, language: str) -> Document:
    """The landing page."""
    zh = language == "zh"
    return {
        "title": "网格 Wangge" if zh else "Wangge",
        "description": "城市网格管理：社区、小区、楼栋、网格与事件（按账号的辖区）"
        if zh
        else "Urban grid management: communities, compounds, buildings, grids and incidents of the caller's areas",
        "links": [
            link(base, "self", "application/json", "本页" if zh else "This document"),
            link(f"{base}?f=html", "alternate", "text/html", "网页" if zh else "As a page"),
            link(f"{base}/api", "service-desc", OPENAPI, "接口定义" if zh else "API definition"),
            link(f"{base}/conformance", "conformance", "application/json", "符合的标准" if zh else "Conformance"),
            link(f"{base}/collections", "data", "application/json", "数据集" if zh else "Collections"),
            link(
                f"{base}/tileMatrixSets", f"{_REL}/tiling-schemes", "application/json",
                "瓦片矩阵集" if zh else "Tile matrix sets",
            ),
        ],
    }  # fmt: skip


def collection(thing: Thing, base: str, language: str, box: Box) -> Document:
    """One collection."""
    href = f"{base}/collections/{thing.name}"
    links = [
        link(href, "self", "application/json"),
        link(f"{href}?f=html", "alternate", "text/html"),
        link(f"{href}/items", "items", GEOJSON, "要素" if language == "zh" else "Features"),
        link(f"{href}/items?f=html", "items", "text/html"),
        link(f"{href}/queryables", f"{_REL}/queryables", SCHEMA_JSON),
    ]
    if thing.layer is not None:
        links.append(link(f"{href}/tiles", f"{_REL}/tilesets-vector", "application/json"))
    extent: Document = {"spatial": {"bbox": [list(box)], "crs": CRS84.uri}}
    if thing.in_force is not None or thing.happened is not None:
        extent["temporal"] = {
            "interval": [[None, None]], "trs": "http://www.opengis.net/def/uom/ISO-8601/0/Gregorian",
        }  # fmt: skip
    return {
        "id": thing.name,
        "title": thing.zh if language == "zh" else thing.en,
        "extent": extent,
        "itemType": "feature",
        "crs": list(SYSTEMS),
        "storageCrs": CRS84.uri,
        "links": links,
    }


def queryables(thing: Thing, base: str, language: str) -> Document:
    """What may be filtered by: a JSON schema."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"{base}/collections/{thing.name}/queryables",
        "type": "object",
        "title": thing.zh if language == "zh" else thing.en,
        "properties": {
            "geometry": {"title": "geometry", "format": f"geometry-{thing.geometry}", "x-ogc-role": "primary-geometry"},
            **{one.name: _schema(one, language) for one in thing.fields if not one.is_personal},
        },
        "additionalProperties": False,
    }


def _schema(one: Field, language: str) -> Document:
    return {"title": one.zh if language == "zh" else one.en, **_KINDS[one.kind]}


def tilesets(thing: Thing, base: str) -> Document:
    """The tilesets of a collection: one, of vector tiles."""
    href = f"{base}/collections/{thing.name}/tiles"
    return {"links": [link(href, "self", "application/json")], "tilesets": [_tileset(thing, base, links_most=1)]}


def tileset(thing: Thing, base: str, box: Box) -> Document:
    """The vector tiles of a collection."""
    west, south, east, north = box
    return {
        **_tileset(thing, base, links_most=3),
        "layers": [{"id": thing.layer, "dataType": "vector"}],
        "boundingBox": {"lowerLeft": [west, south], "upperRight": [east, north], "crs": CRS84.uri},
        "tileMatrixSetLimits": [_limits(zoom, box) for zoom in range(_ZOOM_MOST + 1)],
    }


def _limits(zoom: int, box: Box) -> Document:
    """The tiles of a zoom that a box touches: clients that look for a sample look there."""
    west, south, east, north = box
    (left, top), (right, bottom) = _tile(zoom, west, north), _tile(zoom, east, south)
    return {
        "tileMatrix": str(zoom), "minTileRow": top, "maxTileRow": bottom, "minTileCol": left, "maxTileCol": right,
    }  # fmt: skip


def _tile(zoom: int, lon: float, lat: float) -> tuple[int, int]:
    """Column and row of the tile that holds a place."""
    last = (1 << zoom) - 1
    height = math.asinh(math.tan(math.radians(max(-85.0, min(85.0, lat))))) / math.pi
    column, row = int((lon + 180) / 360 * (last + 1)), int((1 - height) / 2 * (last + 1))
    return max(0, min(last, column)), max(0, min(last, row))


def _tileset(thing: Thing, base: str, links_most: int) -> Document:
    href = f"{base}/collections/{thing.name}/tiles/{TILE_MATRIX_SET}"
    links = [
        link(href, "self", "application/json"),
        link(f"{base}/tileMatrixSets/{TILE_MATRIX_SET}", f"{_REL}/tiling-scheme", "application/json"),
        link(f"{href}/{{tileMatrix}}/{{tileRow}}/{{tileCol}}", "item", MVT, templated=True),
    ]
    return {
        "title": thing.en,
        "dataType": "vector",
        "crs": "http://www.opengis.net/def/crs/EPSG/0/3857",
        "tileMatrixSetURI": _TMS_URI,
        "links": links[:links_most],
    }


def tile_matrix_sets(base: str) -> Document:
    """The one set of tiles that there is."""
    href = f"{base}/tileMatrixSets/{TILE_MATRIX_SET}"
    return {
        "tileMatrixSets": [
            {"id": TILE_MATRIX_SET, "uri": _TMS_URI, "links": [link(href, "self", "application/json")]},
        ]
    }


def tile_matrix_set() -> Document:
    """WebMercatorQuad as OGC 17-083 has it, to the zoom that we serve."""
    edge = _WIDTH_M / 2
    return {
        "id": TILE_MATRIX_SET,
        "title": "Google Maps Compatible for the World",
        "uri": _TMS_URI,
        "crs": "http://www.opengis.net/def/crs/EPSG/0/3857",
        "orderedAxes": ["X", "Y"],
        "wellKnownScaleSet": "http://www.opengis.net/def/wkss/OGC/1.0/GoogleMapsCompatible",
        "tileMatrices": [
            {
                "id": str(zoom),
                "scaleDenominator": _WIDTH_M / (256 << zoom) / _METRES_PER_PIXEL_OF_SCALE,
                "cellSize": _WIDTH_M / (256 << zoom),
                "cornerOfOrigin": "topLeft",
                "pointOfOrigin": [-edge, edge],
                "tileWidth": 256,
                "tileHeight": 256,
                "matrixWidth": 1 << zoom,
                "matrixHeight": 1 << zoom,
            }
            for zoom in range(_ZOOM_MOST + 1)
        ],
    }


# --- OpenAPI 3.0: the service's own document at /openapi.json is 3.1 and has no paths a collection ------------------


def openapi(things: list[Thing], base: str, language: str) -> Document:
    """The definition of what stands under ``/ogc``, with the queryables of each collection as parameters."""
    paths: Document = {
        path: _get(title)
        for path, title in (
            ("/", "Landing page"),
            ("/conformance", "Conformance"),
            ("/collections", "Collections"),
            ("/api", "This definition"),
            ("/tileMatrixSets", "Tile matrix sets"),
            (f"/tileMatrixSets/{TILE_MATRIX_SET}", "WebMercatorQuad"),
        )
    }
    for thing in things:
        path = f"/collections/{thing.name}"
        paths[path] = _get(thing.en)
        paths[f"{path}/queryables"] = _get(f"{thing.en}: queryables")
        paths[f"{path}/items"] = _get(f"{thing.en}: features", _parameters(thing, language), GEOJSON)
        paths[f"{path}/items/{{featureId}}"] = _get(
            f"{thing.en}: one feature", [_in_path("featureId", "integer"), _query("crs", _uri())], GEOJSON
        )
        if thing.layer is not None:
            paths[f"{path}/tiles"] = _get(f"{thing.en}: tilesets")
            paths[f"{path}/tiles/{TILE_MATRIX_SET}"] = _get(f"{thing.en}: tileset")
            indices = [_in_path(name, "integer") for name in ("tileMatrix", "tileRow", "tileCol")]
            tile = f"{path}/tiles/{TILE_MATRIX_SET}/{{tileMatrix}}/{{tileRow}}/{{tileCol}}"
            paths[tile] = _get(f"{thing.en}: tile", indices, MVT)
    return {
        "openapi": "3.0.3",
        "info": {"title": "Wangge", "version": "1.0.0"},
        "servers": [{"url": base}],
        "security": [{"bearer": []}, {"basic": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "basic": {"type": "http", "scheme": "basic", "description": "User name, and a token as the password"},
            }
        },
    }


def _get(title: str, parameters: list[Document] | None = None, kind: str = "application/json") -> Document:
    answers: Document = {"200": {"description": "OK", "content": {kind: {"schema": {}}}}}
    for status, words in (("400", "Bad parameter"), ("401", "Not signed in"), ("403", "Not allowed")):
        answers[status] = {"description": words}
    return {"get": {"summary": title, "parameters": parameters or [], "responses": answers}}


def _parameters(thing: Thing, language: str) -> list[Document]:
    fields = (_query(one.name, _schema(one, language)) for one in thing.fields if not one.is_personal)
    return [*ITEM_PARAMETERS, *fields]


def _query(name: str, schema: Document) -> Document:
    return {"name": name, "in": "query", "required": False, "schema": schema}


def _in_path(name: str, kind: str) -> Document:
    return {"name": name, "in": "path", "required": True, "schema": {"type": kind}}


def _uri() -> Document:
    return {"type": "string", "format": "uri", "enum": list(SYSTEMS)}


_NUMBERS: Document = {"type": "array", "items": {"type": "number"}, "minItems": 4, "maxItems": 6}
_LIMIT: Document = {"type": "integer", "minimum": 1, "maximum": LIMIT_MOST, "default": LIMIT}
FORM = _query("f", {"type": "string", "enum": ["json", "html"]})
CRS = _query("crs", _uri())
ITEM_PARAMETERS: list[Document] = [
    {**_query("bbox", _NUMBERS), "style": "form", "explode": False},
    _query("bbox-crs", _uri()),
    _query("datetime", {"type": "string"}),
    {**_query("limit", _LIMIT), "style": "form", "explode": False},
    _query("after", {"type": "string"}),
    CRS,
    _query("filter", {"type": "string"}),
    _query("filter-lang", {"type": "string", "enum": ["cql2-text", "cql2-json"], "default": "cql2-text"}),
    _query("filter-crs", _uri()),
]
