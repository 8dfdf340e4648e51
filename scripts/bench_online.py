"""``wangge bench online``: from a point to its cell and people over HTTP, beside other servers and the server itself.

All stand on the same uvicorn with the same data and are asked the same points by wrk over 32 connections. Before that
every point is asked once of everybody and compared with shapely.
"""

from __future__ import annotations

import http.client
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any
from urllib.parse import urlsplit

import click
import numpy as np
import shapely
from numpy.typing import NDArray

from gis.errors import Unavailable
from scripts import bench_servers
from scripts.bench_coverage import uniform_points
from scripts.bench_database import BenchDatabase, bench_database
from scripts.load import CONNECTIONS, SECONDS, Load, measure
from scripts.peer_environment import MAP_LOCK, peer_python
from scripts.program import Program, pass_program, print_json

AT = "/api/v1/locate"
POINTS = 2_000
TIPG = "/collections/peer.micro_grid/items?f=geojson&filter-lang=cql2-text&filter=S_INTERSECTS(geom,POINT(%r%%20%r))"


@dataclass(frozen=True)
class Row:
    """One way of asking.

    Attributes
    ----------
    name : str
    server : str
        Kind of `scripts.bench_servers`, or ``tipg``.
    path : callable
        Longitude, latitude → what is asked.
    caller : str or None
        Whose token is sent.
    found : callable or None
        The answer → id of the micro-grid; ``None`` for servers that do nothing.
    """

    name: str
    server: str
    path: Callable[[float, float], str]
    caller: str | None = None
    found: Callable[[Any], int | None] | None = None


def _thin(lon: float, lat: float) -> str:
    return f"{AT}?lon={lon!r}&lat={lat!r}"


def _brief(lon: float, lat: float) -> str:
    return f"{AT}?lon={lon!r}&lat={lat!r}&brief=true"


def _tipg(lon: float, lat: float) -> str:
    return TIPG % (lon, lat)


def _ours(answer: Any) -> int | None:
    return int(answer["micro_grid"]["id"]) if answer["how"] in ("inside", "border") else None


def _by_query(answer: Any) -> int | None:
    return int(answer["micro_grid"]["id"]) if answer else None


def _by_tipg(answer: Any) -> int | None:
    return min((int(one["id"]) for one in answer["features"]), default=None)


ROWS = (
    Row("bare", "bare", _thin),
    Row("route", "route", _thin),
    Row("brief", "open", _brief, found=_ours),
    Row("thin", "open", _thin, found=_ours),
    Row("thin_signed_in", "ours", _thin, "all", _ours),
    Row("thin_restricted", "ours", _thin, "half", _ours),
    Row("fastapi", "open_routed", _thin, found=_ours),
    Row("fastapi_signed_in", "ours_routed", _thin, "all", _ours),
    Row("query", "query", _thin, found=_by_query),
    Row("tipg", "tipg", _tipg, found=_by_tipg),
)
RATIOS: tuple[tuple[str, str, str, float], ...] = (
    # name, above, below, aim
    ("brief_to_tipg", "brief", "tipg", 50.0),
    ("brief_to_bare", "brief", "bare", 0.70),
    ("thin_to_tipg", "thin", "tipg", 50.0),
    ("thin_to_bare", "thin", "bare", 0.70),
    ("fastapi_to_tipg", "fastapi", "tipg", 12.0),
    ("fastapi_to_route", "fastapi", "route", 0.95),
    ("fastapi_to_query", "fastapi", "query", 2.0),
    ("thin_signed_in_to_thin", "thin_signed_in", "thin", 0.80),
    ("thin_restricted_to_thin", "thin_restricted", "thin", 0.80),
    ("fastapi_signed_in_to_fastapi", "fastapi_signed_in", "fastapi", 0.80),
)


@click.command("online")
@click.option("--grids", default=600, show_default=True, help="Grids of the town, with five micro-grids each.")
@click.option("--seconds", default=SECONDS, show_default=True, help="Load on each, twice.")
@click.option("--peers/--no-peers", default=True, show_default=True, help="TiPG in an environment of its own.")
@click.option("--points", is_flag=True, help="Many points in one request, instead.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on standard output.")
@pass_program
def command(program: Program, grids: int, seconds: float, peers: bool, points: bool, as_json: bool) -> None:
    """Ask for the cell and people of points: ours, the empty server, a PostGIS route, TiPG."""
    with bench_database(program.settings, grids=grids, buildings_of_a_cell=2) as town:
        if points:
            from scripts import bench_batches  # which asks as this module does

            told = bench_batches.measured(program, town, seconds=seconds)
        else:
            told = measured(program, town, seconds=seconds, peers=peers)
    if as_json:
        print_json(told)
        return
    for line in _lines(program, told):
        click.echo(line)


def measured(program: Program, town: BenchDatabase, *, seconds: float, peers: bool) -> dict[str, Any]:
    """All rows, twice in opposite orders (the better counts), their agreement with shapely, and the ratios."""
    points = uniform_points(town.coverage, POINTS)
    wanted = owners(town, points)
    bench_servers.store_peer_table(town.engine)
    rows = [row for row in ROWS if peers or row.server != "tipg"]
    loads: dict[str, Load] = {}
    wrong: dict[str, int] = {}
    shown = _shown(town)
    with _servers(program, town, {row.server for row in rows}) as addresses:
        for row in rows:
            if row.found is not None:
                wrong[row.name] = _disagreements(row, addresses[row.server], town, points, wanted)
        for turn in (rows, rows[::-1]):
            for row in turn:
                kept = [owner in shown for owner in wanted.tolist()] if row.caller == "half" else slice(None)
                urls = [addresses[row.server] + row.path(*point) for point in points[kept].tolist()]
                load = measure(urls, seconds=seconds, headers=_headers(row, town))
                if row.name not in loads or load.per_second > loads[row.name].per_second:
                    loads[row.name] = load
    return {
        "grids": len(town.coverage.grids),
        "micro_grids": len(town.coverage.micro_grids),
        "connections": CONNECTIONS,
        "rows": {name: asdict(load) for name, load in loads.items()},
        "points_compared": len(points),
        "disagreements": wrong,
        "ratios": {
            name: {"ratio": loads[above].per_second / loads[below].per_second, "aim": aim}
            for name, above, below, aim in RATIOS
            if above in loads and below in loads
        },
    }


def owners(town: BenchDatabase, points: NDArray[np.float64]) -> NDArray[np.int64]:
    """Id of the micro-grid of each point by shapely: covers, then the lowest id; 0 if none."""
    which, cells = shapely.STRtree(town.coverage.micro_grids).query(shapely.points(points), predicate="intersects")
    found = np.full(len(points), np.iinfo(np.int64).max)
    np.minimum.at(found, which, town.micro_ids[cells])
    return np.where(found == np.iinfo(np.int64).max, 0, found)


@contextmanager
def _servers(program: Program, town: BenchDatabase, kinds: set[str]) -> Iterator[dict[str, str]]:
    from contextlib import ExitStack

    with ExitStack() as stack:
        addresses = {}
        for kind in sorted(kinds):
            if kind == "tipg":
                addresses[kind] = stack.enter_context(bench_servers.tipg(peer_python(MAP_LOCK), town.url))
            else:
                addresses[kind] = stack.enter_context(bench_servers.running(kind, town.url, program.settings.home))
        yield addresses


def _headers(row: Row, town: BenchDatabase) -> Mapping[str, str]:
    return {} if row.caller is None else {"Cookie": f"wangge_session={town.tokens[row.caller]}"}


def _disagreements(
    row: Row, address: str, town: BenchDatabase, points: NDArray[np.float64], wanted: NDArray[np.int64]
) -> int:
    """How many points are given another cell than shapely gives, to somebody who may see it."""
    assert row.found is not None
    shown = _shown(town) if row.caller == "half" else None
    connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=30)
    wrong = 0
    for (lon, lat), owner in zip(points.tolist(), wanted.tolist(), strict=True):
        if shown is not None and owner not in shown:
            continue
        connection.request("GET", row.path(lon, lat), headers=dict(_headers(row, town)))
        response = connection.getresponse()
        body = response.read()
        if response.status != 200:
            raise Unavailable("bench.load_failed", url=address + row.path(lon, lat), said=body[:200].decode())
        wrong += (row.found(json.loads(body)) or 0) != owner
    connection.close()
    return wrong


def _shown(town: BenchDatabase) -> set[int]:
    """Micro-grids that the restricted caller may see."""
    from sqlalchemy import text

    with town.engine.connect() as connection:
        found = connection.execute(
            text(
                "SELECT g.id FROM grid g JOIN role_grant r ON r.area_id = g.community_id"
                " JOIN user_account u ON u.id = r.user_id WHERE u.username = 'bench-half'"
            )
        )
        return set(found.scalars())


def _lines(program: Program, told: Mapping[str, Any]) -> Iterator[str]:
    if "batches" in told:
        yield program.sentence("bench.online.batches", points=told["points"], connections=told["connections"])
        for name, row in told["batches"].items():
            agrees = f"{row['points_compared'] - row['disagreements']}/{row['points_compared']}"
            yield f"  {name:<14}{row['points_per_second'] / 1e6:>8.2f} M/s  (≥ {row['aim'] / 1e6:g})  {agrees}"
        return
    yield program.sentence("bench.online.title", **{key: told[key] for key in ("grids", "micro_grids", "connections")})
    for name, load in told["rows"].items():
        wrong = told["disagreements"].get(name)
        agrees = "-" if wrong is None else f"{told['points_compared'] - wrong}/{told['points_compared']}"
        yield (
            f"  {program.sentence(f'bench.online.{name}'):<44}{load['per_second']:>10,.0f} /s"
            f"{load['p50_ms']:>9.2f}{load['p99_ms']:>9.2f} ms{load['errors']:>6}  {agrees}"
        )
    for name, one in told["ratios"].items():
        yield f"  {name:<44}{one['ratio']:>10.2f}  (≥ {one['aim']:g})"
