"""Run momepy's enclosed tessellation on buildings and barriers.

usage: run_momepy.py INPUT.gpkg OUT.json PROCESSES

INPUT has the layers buildings and limit (polygons) and barriers (lines), in metres. OUT is one JSON object: seconds
(enclosures and tessellation), cpu_seconds (of this process alone), cells, invalid (cells whose edges do not match
their neighbours'), versions.
"""

from __future__ import annotations

import json
import sys
import time
import warnings
from importlib.metadata import version
from pathlib import Path

import geopandas
import momepy
import shapely


def main(source: str, out: str, processes: str) -> None:
    """Measure, and write what was measured."""
    warnings.simplefilter("ignore")
    layers = {name: geopandas.read_file(source, layer=name) for name in ("buildings", "barriers", "limit")}
    began, cpu = time.perf_counter(), time.process_time()
    enclosures = momepy.enclosures(layers["barriers"], limit=layers["limit"])
    enclosed = time.perf_counter()
    cells = momepy.enclosed_tessellation(layers["buildings"], enclosures, n_jobs=int(processes))
    done, spent = time.perf_counter(), time.process_time() - cpu
    invalid = shapely.coverage_invalid_edges(cells.geometry.to_numpy())
    figures = {
        "seconds": done - began,
        "cpu_seconds": spent,
        "seconds_enclosures": enclosed - began,
        "cells": len(cells),
        "invalid": int((~shapely.is_empty(invalid)).sum()),
        "versions": {name: version(name) for name in ("momepy", "shapely")},
    }
    Path(out).write_text(json.dumps(figures), encoding="utf-8")


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    main(*sys.argv[1:])
