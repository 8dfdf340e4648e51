"""TileJSON 3.0 of a layer: what MapLibre and QGIS ask for first."""

from __future__ import annotations

from typing import Any

from tiles.layers import Layer


def describe(
    layer: Layer, *, base: str, bounds: tuple[float, float, float, float], plan_id: int | None
) -> dict[str, Any]:
    """The TileJSON document of a layer.

    Parameters
    ----------
    base : str
        ``https://host`` under which the tiles are asked for.
    bounds : tuple of float
        west, south, east, north in degrees.
    plan_id : int or None
        The draft whose cells are shown, if any.
    """
    query = "" if plan_id is None else f"?plan={plan_id}"
    west, south, east, north = bounds
    return {
        "tilejson": "3.0.0",
        "name": layer.name,
        "scheme": "xyz",
        "tiles": [f"{base}/tiles/{layer.name}/{{z}}/{{x}}/{{y}}.mvt{query}"],
        "minzoom": layer.min_zoom,
        "maxzoom": layer.max_zoom,
        "bounds": [west, south, east, north],
        "center": [(west + east) / 2, (south + north) / 2, max(layer.min_zoom, 12)],
        "vector_layers": [
            {
                "id": layer.name,
                "fields": dict(layer.fields),
                "minzoom": layer.min_zoom,
                "maxzoom": layer.max_zoom,
            }
        ],
    }
