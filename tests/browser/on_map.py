"""Where places are on the screen: web mercator from the middle of the map."""

from __future__ import annotations

import math

from playwright.sync_api import Page

TILE_PX = 512
Place = tuple[float, float]


def pixel(page: Page, place: Place, *, middle: Place, zoom: float) -> Place:
    """Where a place is, in pixels of the page, on a map that was opened over a middle."""
    box = page.locator(".map canvas").bounding_box()
    assert box is not None
    (lon0, lat0), (lon, lat) = middle, place
    world = TILE_PX * 2**zoom
    x = (lon - lon0) / 360 * world
    y = (_mercator(lat0) - _mercator(lat)) / (2 * math.pi) * world
    return box["x"] + box["width"] / 2 + x, box["y"] + box["height"] / 2 + y


def _mercator(lat: float) -> float:
    return math.log(math.tan(math.pi / 4 + math.radians(lat) / 2))
