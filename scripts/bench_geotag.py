"""``wangge bench geotag``: points to areas in batches, beside other engines on the same points in the same run.

Counted is everything between an array of longitudes and latitudes and an array of the areas' numbers; of files,
everything between the two files. Agreement is counted over every point. Peers run in an environment of their own.
"""

from __future__ import annotations

import json
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import click
import geopandas as gpd
import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import shapely
from numpy.typing import NDArray
from sqlalchemy import text

from gis.crs import WGS84
from gis.db import make_engine
from gis.embedded import database_url
from gis.geotagging.cells import Cells
from gis.geotagging.reading import Asked
from gis.geotagging.running import Wish, geotag_file
from gis.geotagging.words import OF_CELL
from gis.geotagging.writing import geo_metadata, point_wkb
from gis.responsibility.cell_index import CellIndex
from scripts.bench_coverage import Coverage, adversarial_points, coverage, owners_by_fractions, uniform_points
from scripts.peer_environment import MAP_LOCK, peer_python, run_ended
from scripts.program import Program, pass_program, print_json
from scripts.spent import Spent

RUNNER = Path(__file__).parent / "peers" / "run_map_peers.py"
PEERS = ("sedonadb", "sjoin", "duckdb")
SLOW = 1_000_000
"""Points for peers that would take minutes for more: their rate counts."""
FILE_ROWS = 1_000_000
ADVERSARIAL = 18_000
_PIECE = 250_000
Ints = NDArray[np.int32]


@dataclass
class Row:
    """One engine on one task.

    Attributes
    ----------
    per_second : float
        Points or rows, by the median of the runs.
    wrong : int or None
        Points whose area is not that of shapely and the lowest number.
    """

    name: str
    task: str
    threads: int
    count: int
    seconds: Sequence[float] = ()
    wrong: int | None = None
    peak_mb: float | None = None
    error: str | None = None
    versions: dict[str, str] = field(default_factory=dict)

    @property
    def per_second(self) -> float:
        """Median speed."""
        return self.count / statistics.median(self.seconds) if self.seconds else 0.0

    def as_dict(self) -> dict[str, Any]:
        """As plain values."""
        return {**self.__dict__, "seconds": list(self.seconds), "per_second": self.per_second}


@click.command("geotag")
@click.option("--points", type=click.IntRange(min=1_000), default=10_000_000, show_default=True)
@click.option(
    "--grids", type=click.IntRange(min=10), default=600, show_default=True, help="600: a town; 60000: a city."
)
@click.option("--runs", type=click.IntRange(min=1), default=3, show_default=True, help="Of each; the median counts.")
@click.option("--peers", is_flag=True, help="Also SedonaDB, geopandas and DuckDB, on the same points.")
@click.option("--files/--no-files", default=True, show_default=True, help="Also from file to file, 1 M rows.")
@click.option("--sql/--no-sql", default=True, show_default=True, help="Awkward points in PostGIS, too.")
@click.option("--limit", "limit_s", type=float, default=600.0, show_default=True, help="Seconds for each peer.")
@click.option("--json", "as_json", is_flag=True, help="Print the figures as one JSON object.")
@pass_program
def command(
    program: Program,
    points: int,
    grids: int,
    runs: int,
    peers: bool,
    files: bool,
    sql: bool,
    limit_s: float,
    as_json: bool,
) -> None:
    """Measure how fast points find their area, and whether it is the right one."""
    made = coverage(grids)
    with tempfile.TemporaryDirectory(prefix="wangge-geotag-") as folder:
        bench = _Bench(program, Path(folder), made, runs, limit_s)
        built = bench.build()
        rows = bench.arrays(uniform_points(made, points), PEERS if peers else ())
        if files:
            rows += bench.files(peers=peers)
        awkward = bench.awkward(sql=sql)
    figures = {
        "points": points,
        "grids": grids,
        "corners": int(shapely.get_num_coordinates(made.grids).sum()),
        "build": built,
        "rows": [row.as_dict() for row in rows],
        "ratios": _ratios(rows),
        "adversarial": awkward,
    }
    if as_json:
        print_json(figures)
    else:
        _print(program, figures, rows)


@dataclass
class _Bench:
    program: Program
    folder: Path
    made: Coverage
    runs: int
    limit_s: float

    def build(self) -> dict[str, float]:
        """Make the index; what it took."""
        CellIndex.build(self.made.grids[:2])  # compiled
        with Spent() as before:
            pass
        with Spent() as spent:
            self.index = CellIndex.build(self.made.grids)
        self.index.warm()
        size_mb = sum(array.nbytes for array in self.index.arrays.values()) / 1e6
        return {"seconds": spent.seconds, "index_mb": size_mb, "peak_mb": spent.peak_mb, "before_mb": before.peak_mb}

    def arrays(self, points: NDArray[np.float64], peers: Sequence[str]) -> list[Row]:
        """Arrays of points: ours, and each peer."""
        lon, lat = np.ascontiguousarray(points[:, 0]), np.ascontiguousarray(points[:, 1])
        truth = _by_shapely(self.made.grids, points)
        rows = []
        for threads in (1, 2):
            seconds, found = _timed(partial(self.index.locate_many, lon, lat, threads=threads), self.runs)
            rows.append(Row("Wangge", "points", threads, len(points), seconds, int((found != truth).sum())))
        if peers:
            self._areas()
        for name in peers:
            count = len(points) if name == "sedonadb" else min(len(points), SLOW)
            rows.append(self._peer(name, points[:count], truth[:count]))
        return rows

    def _areas(self) -> Path:
        path = self.folder / "areas.parquet"
        if not path.exists():
            codes = [f"G{n:06d}" for n in range(len(self.made.grids))]
            gpd.GeoDataFrame({"code": codes}, geometry=self.made.grids, crs=WGS84.definition).to_parquet(path)
        return path

    def _peer(self, name: str, points: NDArray[np.float64], truth: Ints) -> Row:
        source, out = self.folder / "points.npy", self.folder / f"{name}.npy"
        np.save(source, points)
        row = self._run(name, "points", source, out, len(points))
        if row.error is None:
            row.wrong = int((np.load(out) != truth).sum())
        return row

    def _run(self, name: str, task: str, source: Path, out: Path, count: int) -> Row:
        figures = self.folder / "figures.json"
        figures.unlink(missing_ok=True)
        threads = 2 if name in ("sedonadb", "duckdb") else 1
        words = [name, str(self._areas()), str(source), str(out), str(figures), str(threads), str(self.runs)]
        said, is_over = run_ended([str(peer_python(MAP_LOCK)), str(RUNNER), *words], self.limit_s)
        with suppress(OSError, ValueError):
            told = json.loads(figures.read_text(encoding="utf-8"))
            return Row(name, task, threads, count, told["seconds"], None, told["peak_mb"], versions=told["versions"])
        return Row(name, task, threads, count, error=f"> {self.limit_s:.0f} s" if is_over else said)

    def files(self, *, peers: bool) -> list[Row]:
        """Whole files: read, tagged, written."""
        points = uniform_points(self.made, FILE_ROWS, seed=5)
        cells, rows = _cells(self.index), []
        for ending in (".csv", ".parquet"):
            source = _table(points, self.folder / f"in{ending}")
            for threads in (1, 2):
                out = self.folder / f"out{ending}"
                seconds, _ = _timed(partial(_tagged, source, out, cells, threads), self.runs)
                rows.append(Row("Wangge", f"file{ending}", threads, len(points), seconds))
            if peers:
                rows.append(
                    self._run("sjoin-file", f"file{ending}", source, self.folder / f"peer{ending}", len(points))
                )
        return rows

    def awkward(self, *, sql: bool) -> dict[str, Any]:
        """Points on corners, on edges and beside them, against rational arithmetic."""
        cells = self.made.grids
        points = adversarial_points(cells, ADVERSARIAL)
        truth = owners_by_fractions(cells, points)
        wrong = {
            "index": int((self.index.locate_many(*points.T) != truth).sum()),
            "batch": int((self._by_file(points) != truth).sum()),
            "within": int((_by_shapely(cells, points, predicate="within") != truth).sum()),
        }
        if sql:
            wrong["sql"] = int((_by_sql(self.program, cells, points) != truth).sum())
        return {"points": len(points), "wrong": wrong}

    def _by_file(self, points: NDArray[np.float64]) -> Ints:
        source, out = _table(points, self.folder / "awkward.parquet"), self.folder / "awkward_out.parquet"
        _tagged(source, out, _cells(self.index), 2)
        table = pq.read_table(out, columns=["how", "grid_code"])
        inside = pa.compute.is_in(table["how"], pa.array(["inside", "border"])).to_numpy()
        codes = np.array([int(code) if code else -1 for code in table["grid_code"].to_pylist()], dtype=np.int32)
        return np.where(inside, codes, -1).astype(np.int32)


def _timed(work: Callable[[], Any], runs: int) -> tuple[list[float], Any]:
    work()
    seconds = []
    for _ in range(runs):
        began = time.perf_counter()
        found = work()
        seconds.append(time.perf_counter() - began)
    return seconds, found


def _by_shapely(areas: Any, points: NDArray[np.float64], predicate: str = "intersects") -> Ints:
    """The lowest area of each point as GEOS finds it; -1 none."""
    tree = shapely.STRtree(areas)
    found = np.full(len(points), len(areas), dtype=np.int32)

    def ask(begin: int) -> None:
        some = shapely.points(points[begin : begin + _PIECE])
        at, area = tree.query(some, predicate=predicate)
        np.minimum.at(found, at + begin, area.astype(np.int32))

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(ask, range(0, len(points), _PIECE)))
    found[found == len(areas)] = -1
    return found


def _by_sql(program: Program, areas: Any, points: NDArray[np.float64]) -> Ints:
    """The same rule as one statement: covers, then the lowest id."""
    engine = make_engine(database_url(program.settings))
    try:
        with engine.connect() as connection:
            connection.execute(text("CREATE TEMP TABLE area (id int PRIMARY KEY, geom geometry) ON COMMIT DROP"))
            shapes = [{"id": n, "wkb": wkb} for n, wkb in enumerate(shapely.to_wkb(areas))]
            connection.execute(text("INSERT INTO area VALUES (:id, ST_GeomFromWKB(:wkb, 4326))"), shapes)
            connection.execute(text("CREATE INDEX ON area USING gist (geom)"))
            connection.execute(text("ANALYZE area"))
            asked = (
                "SELECT (SELECT id FROM area WHERE ST_Covers(geom, p.at) ORDER BY id LIMIT 1) FROM "
                "(SELECT n, ST_SetSRID(ST_MakePoint(x, y), 4326) AS at FROM "
                "unnest(CAST(:n AS int []), CAST(:x AS float8 []), CAST(:y AS float8 [])) AS given (n, x, y)) AS p "
                "ORDER BY n"
            )
            given = {"n": list(range(len(points))), "x": points[:, 0].tolist(), "y": points[:, 1].tolist()}
            answers = connection.execute(text(asked), given).scalars().all()
    finally:
        engine.dispose()
    return np.array([-1 if one is None else one for one in answers], dtype=np.int32)


# --- files -----------------------------------------------------------------------------------------------------------


def _cells(index: CellIndex) -> Cells:
    """Cells that have a code and nothing else."""
    codes = [str(n) for n in range(index.size)]
    words = {name: codes if name == "grid_code" else [None] * index.size for name in OF_CELL}
    return Cells(
        index=index,
        outlines=CellIndex.build(np.array([], dtype=object)),
        words=pa.table({name: pa.array(column, pa.string()) for name, column in words.items()}),
        is_stack=np.zeros(index.size, dtype=bool),
        shown=np.ones(index.size, dtype=bool),
        shown_outlines=np.zeros(0, dtype=bool),
        leaf_rows={},
        version="bench",
    )


def _table(points: NDArray[np.float64], path: Path) -> Path:
    """A table of calls: number, words, and places in two columns or as points."""
    columns: dict[str, Any] = {
        "number": pa.array(np.arange(len(points))),
        "words": pa.array([f"市民反映第{n % 997}号楼下噪音扰民" for n in range(len(points))]),
    }
    if path.suffix == ".csv":
        table = pa.table({**columns, "lon": points[:, 0].round(7), "lat": points[:, 1].round(7)})
        pacsv.write_csv(table, path)
    else:
        table = pa.table({**columns, "geometry": point_wkb(points)})
        pq.write_table(table.replace_schema_metadata(geo_metadata("geometry", WGS84, ["Point"])), path)
    return path


def _tagged(source: Path, out: Path, cells: Cells, threads: int) -> None:
    geotag_file(source, out, cells=cells, asked=Asked("wgs84"), wish=Wish("en"), threads=threads)


# --- what is told ----------------------------------------------------------------------------------------------------


def _ratios(rows: Sequence[Row]) -> dict[str, float]:
    """Ours by each peer's on the same task, with as many threads as it had, and with two."""
    found = {}
    ours = {(row.task, row.threads): row.per_second for row in rows if row.name == "Wangge"}
    for row in rows:
        if row.name != "Wangge" and row.per_second:
            for threads in (1, 2):
                found[f"{row.task}: {threads} / {row.name}"] = ours[row.task, threads] / row.per_second
    return found


def _print(program: Program, figures: dict[str, Any], rows: Sequence[Row]) -> None:
    said = program.sentence
    built = {name: round(value, 1) for name, value in figures["build"].items()}
    click.echo(said("bench.geotag.title", points=figures["points"], grids=figures["grids"]))
    click.echo(said("bench.geotag.build", **built))
    for row in rows:
        if row.error is not None:
            click.echo(said("bench.geotag.failed", name=row.name, task=row.task, reason=row.error))
            continue
        wrong = "–" if row.wrong is None else row.wrong
        speed = f"{row.per_second / 1e6:.2f}"
        click.echo(
            said("bench.geotag.row", name=row.name, task=row.task, threads=row.threads, speed=speed, wrong=wrong)
        )
    for name, ratio in figures["ratios"].items():
        click.echo(said("bench.geotag.ratio", name=name, ratio=f"{ratio:.1f}"))
    awkward = figures["adversarial"]
    wrong = ", ".join(f"{name} {count}" for name, count in awkward["wrong"].items())
    click.echo(said("bench.geotag.awkward", points=awkward["points"], wrong=wrong))
