"""Find the area of each point by another engine.

usage: run_map_peers.py METHOD AREAS.parquet POINTS OUT FIGURES.json THREADS RUNS

METHOD is sjoin, sedonadb or duckdb: AREAS is GeoParquet (polygons in degrees, in the order of their numbers), POINTS a
.npy of longitudes and latitudes (float64, n × 2), OUT gets the number of the area of each point (.npy, int32, -1 none;
of several that have it on their border the lowest). METHOD sjoin-file: POINTS and OUT are files, .csv with the columns
lon and lat or .parquet with points; OUT gets all columns of POINTS and ``code`` of AREAS.

FIGURES is one JSON object: seconds (of each run), peak_mb, versions. Counted is everything between the array of points
and the array of numbers, not the reading of both; of files, everything between the two. The engines get the areas
beforehand. All are asked for ``intersects``: ``within`` leaves points on borders without an owner.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd

BATCH = 65_536  # rows of a batch: SedonaDB was quickest so, and with the points in its own memory
Tagger = Callable[[np.ndarray], np.ndarray]


def _lowest(points: np.ndarray, areas: np.ndarray, count: int) -> np.ndarray:
    """The lowest area of each point out of pairs (point, area)."""
    out = np.full(count, -1, dtype=np.int32)
    order = np.argsort(areas, kind="stable")[::-1]  # the lowest is written last
    out[points[order]] = areas[order]
    return out


def _sjoin(areas: gpd.GeoDataFrame, _threads: int) -> Tagger:
    def tag(xy: np.ndarray) -> np.ndarray:
        points = gpd.GeoDataFrame(geometry=gpd.points_from_xy(xy[:, 0], xy[:, 1]), crs=areas.crs)
        found = gpd.sjoin(points, areas[["geometry"]], predicate="intersects")
        return _lowest(found.index.to_numpy(), found["index_right"].to_numpy(), len(xy))

    return tag


def _sedonadb(areas: gpd.GeoDataFrame, threads: int) -> Tagger:
    import pyarrow as pa
    import sedonadb

    engine = sedonadb.connect()
    engine.sql(f"SET datafusion.execution.target_partitions = {threads}").execute()
    numbered = gpd.GeoDataFrame({"area": np.arange(len(areas), dtype=np.int32)}, geometry=areas.geometry.to_numpy())
    engine.create_data_frame(numbered).to_memtable().to_view("areas", overwrite=True)

    def tag(xy: np.ndarray) -> np.ndarray:
        rows = np.arange(len(xy), dtype=np.int32)
        table = pa.table({"point": rows, "x": np.ascontiguousarray(xy[:, 0]), "y": np.ascontiguousarray(xy[:, 1])})
        engine.create_data_frame(table.from_batches(table.to_batches(BATCH))).to_memtable().to_view(
            "points", overwrite=True
        )
        found = engine.sql(
            "SELECT p.point, a.area FROM points AS p JOIN areas AS a ON ST_Intersects(a.geometry, ST_Point(p.x, p.y))"
        ).to_arrow_table()
        return _lowest(found["point"].to_numpy(), found["area"].to_numpy(), len(xy))

    return tag


def _duckdb(areas: gpd.GeoDataFrame, threads: int) -> Tagger:
    import duckdb
    import duckdb_extension_spatial

    connection = duckdb.connect(config={"threads": threads, "allow_unsigned_extensions": "true"})
    (extension,) = Path(duckdb_extension_spatial.__file__).parent.rglob("spatial.duckdb_extension")
    connection.execute(f"LOAD '{extension}'")
    raw = pd.DataFrame({"area": np.arange(len(areas), dtype=np.int32), "wkb": areas.geometry.to_wkb().to_numpy()})
    connection.register("raw", raw)
    connection.execute("CREATE TABLE areas AS SELECT area, ST_GeomFromWKB(wkb) AS geom FROM raw")

    def tag(xy: np.ndarray) -> np.ndarray:
        rows = np.arange(len(xy), dtype=np.int32)
        connection.register("points", {"point": rows, "x": xy[:, 0].copy(), "y": xy[:, 1].copy()})
        found = connection.execute(
            "SELECT p.point, a.area FROM (SELECT point, ST_Point(x, y) AS geom FROM points) AS p "
            "JOIN areas AS a ON ST_Intersects(a.geom, p.geom)"
        ).fetchnumpy()
        return _lowest(np.asarray(found["point"]), np.asarray(found["area"]), len(xy))

    return tag


METHODS: dict[str, tuple[Callable[[gpd.GeoDataFrame, int], Tagger], tuple[str, ...]]] = {
    "sjoin": (_sjoin, ("geopandas", "shapely")),
    "sedonadb": (_sedonadb, ("sedonadb",)),
    "duckdb": (_duckdb, ("duckdb", "duckdb-extension-spatial")),
}


def _by_file(areas: gpd.GeoDataFrame, source: Path, out: Path) -> None:
    """Read, join and write, as is usual."""
    if source.suffix == ".csv":
        table = pd.read_csv(source)
        points = gpd.GeoDataFrame(table, geometry=gpd.points_from_xy(table["lon"], table["lat"]), crs=areas.crs)
    else:
        points = gpd.read_parquet(source)
    found = gpd.sjoin(points, areas[["code", "geometry"]], predicate="intersects", how="left")
    found = found[~found.index.duplicated()].drop(columns="index_right")
    if out.suffix == ".csv":
        pd.DataFrame(found.drop(columns="geometry")).to_csv(out, index=False)
    else:
        found.to_parquet(out)


def main(method: str, areas_path: str, source: str, out: str, figures: str, threads: str, runs: str) -> None:
    """Measure, and write what was found and how long it took."""
    areas = gpd.read_parquet(areas_path)
    seconds: list[float] = []
    packages: tuple[str, ...] = ("geopandas", "pandas", "pyarrow")
    if method == "sjoin-file":
        for _ in range(int(runs)):
            began = time.perf_counter()
            _by_file(areas, Path(source), Path(out))
            seconds.append(time.perf_counter() - began)
    else:
        make, packages = METHODS[method]
        tag = make(areas, int(threads))
        points = np.load(source)
        tag(points[:1000])  # libraries loaded, plans made
        for _ in range(int(runs)):
            began = time.perf_counter()
            found = tag(points)
            seconds.append(time.perf_counter() - began)
        np.save(out, found)
    said: dict[str, Any] = {
        "seconds": seconds,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "versions": {name: version(name) for name in packages},
    }
    Path(figures).write_text(json.dumps(said), encoding="utf-8")


if __name__ == "__main__":
    if len(sys.argv) != 8:
        sys.exit(__doc__)
    main(*sys.argv[1:])
