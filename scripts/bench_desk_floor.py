"""The floor of ``wangge bench desk``: how long a bare map takes that is given the grids of a plan and nothing else."""

from __future__ import annotations

import json
import re
from typing import Any

import numpy as np
from sqlalchemy import text

from gis.settings import ROOT
from scripts.bench_database import BenchDatabase

TIMES = 3
COLOURS = ("#b8dcc4", "#f2e4a6", "#eec1bd", "#bcd3e6", "#d9c4e2", "#f2cda3")

# A page of the server's address, whose files Playwright gives.
FLOOR = """<!doctype html>
<link rel="stylesheet" href="/floor/maplibre-gl.css">
<style>body { margin: 0 } #map { position: absolute; left: 342px; top: 56px; right: 0; bottom: 0 }</style>
<div id="map"></div>
<script type="module" src="/floor/floor.js"></script>
"""
FLOOR_SCRIPT = """
import { Map, setWorkerUrl } from "/floor/maplibre-gl.mjs";
setWorkerUrl("/floor/maplibre-gl-worker.mjs");
const cells = { type: "geojson", data: "/floor/cells.json", tolerance: 0.2, maxzoom: 17 };
const fill = { "fill-color": ["get", "fill"], "fill-opacity": 0.6, "fill-antialias": false };
const map = new Map({
  container: "map", bounds: BOUNDS, fitBoundsOptions: { padding: 24 }, attributionControl: false,
  style: { version: 8, sources: { cells }, layers: [
    { id: "fill", type: "fill", source: "cells", paint: fill },
    { id: "line", type: "line", source: "cells", layout: { "line-join": "round" },
      paint: { "line-color": "#2c4259", "line-width": 2 } },
  ] },
});
map.once("idle", () => { document.documentElement.dataset.benchFloor = performance.now(); });
"""


def floor_ms(page: Any, base: str, town: BenchDatabase, plan_id: int) -> int | None:
    """Milliseconds until a bare map has drawn the grids (median); ``None`` without the packages of the pages."""
    library = ROOT / "api/web/node_modules/maplibre-gl/dist"
    if not library.is_dir():
        return None
    bounds, cells = _grids(town, plan_id)
    made = {
        "": (FLOOR, "text/html"),
        "floor.js": (FLOOR_SCRIPT.replace("BOUNDS", json.dumps(bounds)), "text/javascript"),
        "cells.json": (json.dumps(cells), "application/json"),
    }

    def answer(route: Any) -> None:
        name = route.request.url.removeprefix(f"{base}/floor/")
        if name in made:
            body, kind = made[name]
            route.fulfill(body=body, content_type=kind)
        else:
            route.fulfill(path=library / name)

    page.route(f"{base}/floor/**", answer)
    taken = []
    for _ in range(TIMES):
        page.goto(f"{base}/floor/")
        page.wait_for_selector("html[data-bench-floor]", state="attached")
        taken.append(float(page.locator("html").get_attribute("data-bench-floor")))
    return round(float(np.median(taken)))


def _grids(town: BenchDatabase, plan_id: int) -> tuple[list[float], dict[str, Any]]:
    """The box of the grids of a plan, and their polygons."""
    asked = text(
        "SELECT ST_AsGeoJSON(geom, 7), ST_Extent(geom) OVER () FROM grid WHERE plan_id = :plan AND grid_depth = 1"
    )
    with town.engine.connect() as connection:
        rows = connection.execute(asked, {"plan": plan_id}).all()
    features = [
        {"type": "Feature", "geometry": json.loads(shape), "properties": {"fill": COLOURS[n % len(COLOURS)]}}
        for n, (shape, _) in enumerate(rows)
    ]
    bounds = [float(value) for value in re.findall(r"-?[\d.]+", rows[0][1])]
    return bounds, {"type": "FeatureCollection", "features": features}
