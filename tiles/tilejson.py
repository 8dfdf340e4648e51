"""TileJSON 3.0 of one layer or several: what MapLibre and QGIS ask for first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from tiles.layers import Layer


def describe(
    name: str,
    layers: Sequence[Layer],
    *,
    base: str,
    bounds: tuple[float, float, float, float],
    query: Mapping[str, Any],
) -> dict[str, Any]:
    """The TileJSON document of tiles that hold some layers.

    Parameters
    ----------
    name : str
        As it stands in the address of the tiles.
    base : str
        ``https://host`` under which the tiles are asked for.
    bounds : tuple of float
        west, south, east, north in degrees.
    query : mapping
        What else the tiles are asked for with: a draft, an instant.
    """
    words = f"?{urlencode(query)}" if query else ""
    west, south, east, north = bounds
    lowest = min(layer.min_zoom for layer in layers)
    return {
        "tilejson": "3.0.0",
        "name": name,
        "scheme": "xyz",
        "tiles": [f"{base}/tiles/{name}/{{z}}/{{x}}/{{y}}.mvt{words}"],
        "minzoom": lowest,
        "maxzoom": max(layer.max_zoom for layer in layers),
        "bounds": [west, south, east, north],
        "center": [(west + east) / 2, (south + north) / 2, max(lowest, 12)],
        "vector_layers": vector_layers(layers),
    }


def vector_layers(layers: Sequence[Layer]) -> list[dict[str, Any]]:
    """Names, zooms and fields of layers, as TileJSON and PMTiles state them."""
    return [
        {"id": layer.name, "fields": dict(layer.fields), "minzoom": layer.min_zoom, "maxzoom": layer.max_zoom}
        for layer in layers
    ]
