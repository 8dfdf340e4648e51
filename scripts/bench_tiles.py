"""``wangge bench tiles``: vector tiles of micro-grids over HTTP, beside TiPG, PostGIS and a server that does nothing.

All stand on the same uvicorn with the same data; every tile of the town at a zoom is asked for in turn by wrk over 32
connections. In the same run each tile that the encoder makes is compared with what ``ST_AsMVT`` makes of the same
cells, its polygons are checked, and random points are looked up in it.
"""

from __future__ import annotations

import http.client
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import quote, urlsplit

import click
import numpy as np
import shapely

from gis.artifacts import ArtifactStore
from gis.db import unit_of_work
from gis.errors import Unavailable
from gis.in_force import in_force
from scripts import bench_servers
from scripts.bench_coverage import uniform_points
from scripts.bench_database import BenchDatabase, bench_database
from scripts.load import CONNECTIONS, Load, measure
from scripts.peer_environment import MAP_LOCK, peer_python
from scripts.program import Program, pass_program, print_json
from tiles import cells, encoding, mvt
from tiles.layers import EXTENT, LAYERS
from tiles.present import CellTiles
from tiles.versions import Version

LAYER = "micro_grids"
ZOOMS = (10, 12, 14, 16)
MOST_TILES = 200
POINTS = 1_000
PATIENCE_S = 120.0
TIPG = "/collections/peer.micro_grid/tiles/WebMercatorQuad/{}/{}/{}"
AIMS: tuple[tuple[str, str, str, Mapping[int, float]], ...] = (
    # name, above, below, aim by zoom
    ("uncached_to_tipg", "uncached", "tipg", dict.fromkeys(ZOOMS, 4.0)),
    ("kept_to_tipg", "kept", "tipg", {10: 500.0, 16: 80.0}),
    ("known_to_bare", "known", "bare", dict.fromkeys(ZOOMS, 0.9)),
    ("uncached_to_sql", "uncached", "sql", dict.fromkeys(ZOOMS, 3.0)),
)
Tile = tuple[int, int, int]


@dataclass(frozen=True)
class Agreement:
    """What the encoder made, beside what the database makes of the same cells.

    Attributes
    ----------
    tiles, features : int
    not_valid : int
        Polygons.
    missing, further : int
        Features of a tile that only the database shows, and that only the encoder shows.
    not_slivers : int
        Of those, the ones wider than a unit of the tile.
    other_properties : int
    area_p99 : float
        Of the areas of a feature in both, their difference over the larger: 99th percentile, from zoom 15 on, where
        neither simplifies.
    points, elsewhere : int
        Points looked up in the tiles of zoom 16, and those that another cell was found at than by shapely; points
        within a unit of a border are left out.
    """

    tiles: int
    features: int
    not_valid: int
    missing: int
    further: int
    not_slivers: int
    other_properties: int
    area_p99: float
    points: int
    elsewhere: int


@click.command("tiles")
@click.option("--grids", default=600, show_default=True, help="Grids of the town, with five micro-grids each.")
@click.option("--seconds", default=4.0, show_default=True, help="Load on each, at each zoom.")
@click.option("--peers/--no-peers", default=True, show_default=True, help="TiPG in an environment of its own.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on standard output.")
@pass_program
def command(program: Program, grids: int, seconds: float, peers: bool, as_json: bool) -> None:
    """Ask for tiles: made when asked for, kept, known to the caller, by PostGIS, by TiPG."""
    with bench_database(program.settings, grids=grids, buildings_of_a_cell=1) as town:
        told = measured(program, town, seconds=seconds, peers=peers)
    if as_json:
        print_json(told)
        return
    for line in _lines(program, told):
        click.echo(line)


def measured(program: Program, town: BenchDatabase, *, seconds: float, peers: bool) -> dict[str, Any]:
    """Rates by zoom and server, ratios, agreement, and how long a version takes to make."""
    version, made = _version(town)
    tiles = {zoom: _tiles(version, zoom) for zoom in ZOOMS}
    agreement = compare(town, version)
    bench_servers.store_peer_table(town.engine)
    with _servers(program, town, peers=peers) as addresses:
        _await_short_way(addresses, town, tiles)
        loads = {
            zoom: {name: _load(name, addresses, town, here, seconds) for name in _rows(peers)}
            for zoom, here in program.progress(tiles.items(), label="zooms", total=len(tiles))
        }
    return {
        "grids": len(town.coverage.grids),
        "micro_grids": len(town.coverage.micro_grids),
        "connections": CONNECTIONS,
        "made": made,
        "zooms": {
            zoom: {"tiles": len(tiles[zoom]), "rows": {name: asdict(load) for name, load in rows.items()}}
            for zoom, rows in loads.items()
        },
        "ratios": {
            name: {
                zoom: {"ratio": rows[above].per_second / rows[below].per_second, "aim": aims.get(zoom)}
                for zoom, rows in loads.items()
            }
            for name, above, below, aims in AIMS
            if peers or below != "tipg"
        },
        "agreement": asdict(agreement),
    }


def _rows(peers: bool) -> list[str]:
    return ["bare", "known", "kept", "uncached", "sql", *(["tipg"] if peers else [])]


# --- Ours, without a server ------------------------------------------------------------------------------------------


def _version(town: BenchDatabase) -> tuple[Version, dict[str, float]]:
    """The version in force, and how long it took to make its arrays and all its tiles, compiled beforehand."""
    encoding.warm()
    with TemporaryDirectory(prefix="wangge-tiles-") as folder:
        held = CellTiles(
            town.engine, ArtifactStore(Path(folder)), limit_bytes=2_500_000, cache_bytes=256_000_000
        )  # fmt: skip
        with unit_of_work(town.engine) as session:
            now = in_force(session, datetime.now(UTC))
        began = time.perf_counter()
        held.change(now)
        held.prepare(now)
        if held.preparing is not None:
            held.preparing.join()
        seconds = time.perf_counter() - began
        present = held.present
        assert present is not None
        assert present.shelf is not None
        tiles = len(present.shelf)
        mb = sum(file.stat().st_size for file in Path(folder).rglob("*") if file.is_file()) / 1e6
        # Mapped files outlive their folder.
        return present.version, {"seconds": seconds, "tiles": tiles, "megabytes": mb}


def _tiles(version: Version, zoom: int) -> list[Tile]:
    """Tiles in which something lies, at most `MOST_TILES` of them, spread over the town."""
    view = version.view(("",))
    places = [place for place in version.places([zoom]) if place[0] == LAYER]
    places = places[:: max(1, len(places) // MOST_TILES)]
    return [place[1:] for place in places if version.encode(place, view)]


def compare(town: BenchDatabase, version: Version) -> Agreement:
    """Look at every tile of the version as a reader of it would, and at the database's."""
    view = version.view(("",))
    counts = dict.fromkeys(("tiles", "features", "not_valid", "missing", "further", "not_slivers"), 0)
    other = 0
    areas: list[float] = []
    with unit_of_work(town.engine) as session:
        for place in version.places():
            layer, z, x, y = place
            theirs = mvt.make_tile(
                session, LAYERS[layer], z=z, x=x, y=y, scopes=("",), at=datetime.now(UTC)
            )  # fmt: skip
            own, told = _drawn(version.encode(place, view)), _drawn(theirs.content)
            counts["tiles"] += 1
            counts["features"] += len(own)
            counts["not_valid"] += int((~shapely.is_valid([shape for shape, _ in own.values()])).sum())
            counts["missing"] += len(told.keys() - own.keys())
            counts["further"] += len(own.keys() - told.keys())
            for number in own.keys() ^ told.keys():
                shape = (own.get(number) or told[number])[0]
                counts["not_slivers"] += shape.area > shape.length / 2
            for number in own.keys() & told.keys():
                other += own[number][1] != told[number][1]
                if z >= cells.EXACT_FROM:
                    one, two = own[number][0].area, told[number][0].area
                    areas.append(abs(one - two) / max(one, two))
    points, elsewhere = _looked_up(town, version)
    area_p99 = float(np.percentile(areas, 99)) if areas else 0.0
    return Agreement(**counts, other_properties=other, area_p99=area_p99, points=points, elsewhere=elsewhere)


def _drawn(content: bytes) -> dict[int, tuple[Any, Mapping[str, Any]]]:
    """Shape and properties of what a tile of one layer draws, by id, in units of the tile.

    Read without a library for tiles, which is none of what running Wangge needs.
    """
    return {number: (shape, told) for number, shape, told in _features(content)} if content else {}


def _features(content: bytes) -> Iterator[tuple[int, Any, Mapping[str, Any]]]:
    (layer,) = (body for field, body in _fields(content) if field == 3)
    parts: dict[int, list[Any]] = {}
    for field, body in _fields(layer):
        parts.setdefault(field, []).append(body)
    keys, values = [bytes(key).decode() for key in parts[3]], [_value(body) for body in parts.get(4, [])]
    for feature in parts[2]:
        held = dict(_fields(feature))
        tags = list(_varints(held.get(2, b"")))
        told = {keys[key]: values[value] for key, value in zip(tags[::2], tags[1::2], strict=True)}
        commands = np.frombuffer(bytes(held[4]), dtype=np.uint8)
        yield held[1], _shape(commands), told


def _shape(commands: Any) -> Any:
    """The rings of a polygon put together; its first MoveTo is taken away as the kernel's reader wants it."""
    from tiles.encoding import polygons
    from tiles.kernel import points_of

    numbers = _varints(bytes(commands[:16]))
    assert next(numbers) == 9
    ax, ay = next(numbers), next(numbers)
    start = 1 + _length(ax) + _length(ay)
    return polygons(*points_of(commands, start, len(commands), (ax >> 1) ^ -(ax & 1), (ay >> 1) ^ -(ay & 1)))


def _length(value: int) -> int:
    return max(1, -(-value.bit_length() // 7))


def _fields(content: Any) -> Iterator[tuple[int, Any]]:
    """Numbers and contents of a protobuf message's fields."""
    data, at = memoryview(content), 0
    while at < len(data):
        tag, at = _varint(data, at)
        value, at = _varint(data, at)
        if tag & 7 == 2:
            yield tag >> 3, data[at : at + value]
            at += value
        else:
            yield tag >> 3, value


def _varint(data: Any, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
        shift += 7


def _varints(data: Any) -> Iterator[int]:
    at = 0
    while at < len(data):
        value, at = _varint(data, at)
        yield value


def _value(body: Any) -> Any:
    ((field, value),) = _fields(body)
    if field == 1:
        return bytes(value).decode()
    return bool(value) if field == 7 else -(value + 1) // 2 if field == 6 else value


def _looked_up(town: BenchDatabase, version: Version) -> tuple[int, int]:
    """Random points: the cell that zoom 16 draws there, and the one that covers it."""
    zoom = 16
    points = uniform_points(town.coverage, POINTS)
    ids = _owners(town, points)
    unit = cells.world_of(points, zoom)
    held = version.layers[version.at[LAYER, zoom]]
    seen = version.view(("",)).seen[version.at[LAYER, zoom]]
    compared = elsewhere = 0
    drawn: dict[tuple[int, int], dict[int, tuple[Any, Mapping[str, Any]]]] = {}
    for (px, py), owner in zip(unit.tolist(), ids.tolist(), strict=True):
        tile = int(px // EXTENT), int(py // EXTENT)
        if tile not in drawn:
            drawn[tile] = _drawn(encoding.encode(held, zoom, *tile, seen))
        point = shapely.Point(px - tile[0] * EXTENT, py - tile[1] * EXTENT)
        near = {number: shape for number, (shape, _) in drawn[tile].items() if shapely.dwithin(shape, point, 1.0)}
        if len(near) > 1:
            continue
        compared += 1
        elsewhere += list(near) != ([owner] if owner else [])
    return compared, elsewhere


def _owners(town: BenchDatabase, points: Any) -> Any:
    """Id of the micro-grid of each point: covers, then the lowest id; 0 if none."""
    which, found = shapely.STRtree(town.coverage.micro_grids).query(shapely.points(points), predicate="intersects")
    owner = np.full(len(points), np.iinfo(np.int64).max)
    np.minimum.at(owner, which, town.micro_ids[found])
    return np.where(owner == np.iinfo(np.int64).max, 0, owner)


# --- Servers and load ------------------------------------------------------------------------------------------------


@contextmanager
def _servers(program: Program, town: BenchDatabase, *, peers: bool) -> Iterator[dict[str, str]]:
    home = program.settings.home
    with ExitStack() as stack:
        addresses = {
            "bare": stack.enter_context(bench_servers.running("bare", town.url, home)),
            "kept": stack.enter_context(bench_servers.running("ours", town.url, home)),
            "uncached": stack.enter_context(
                bench_servers.running("ours", town.url, home, env={"WANGGE_TILE_CACHE_MB": "0"})
            ),
        }
        if peers:
            addresses["tipg"] = stack.enter_context(bench_servers.tipg(peer_python(MAP_LOCK), town.url))
        yield addresses | {"known": addresses["kept"], "sql": addresses["kept"]}


def _headers(town: BenchDatabase, **more: str) -> dict[str, str]:
    return {"Cookie": f"wangge_session={town.tokens['all']}", "Accept-Encoding": "gzip"} | more


def _ours(tile: Tile) -> str:
    return "/tiles/{}/{}/{}/{}.mvt".format(LAYER, *tile)


def _await_short_way(addresses: Mapping[str, str], town: BenchDatabase, tiles: Mapping[int, Sequence[Tile]]) -> None:
    """Until both servers have the version in memory: what goes through the framework carries those of documents."""
    ends = time.monotonic() + PATIENCE_S
    for name in ("kept", "uncached"):
        while "referrer-policy" in _asked(addresses[name] + _ours(tiles[10][0]), _headers(town)):
            if time.monotonic() > ends:
                raise Unavailable("bench.load_failed", url=addresses[name], said="-")
            time.sleep(0.1)


def _asked(url: str, headers: Mapping[str, str]) -> dict[str, str]:
    """The headers of one answer, in lower case."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=60)
    connection.request("GET", f"{parts.path}?{parts.query}" if parts.query else parts.path, headers=dict(headers))
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    if answer.status != 200:
        raise Unavailable("bench.load_failed", url=url, said=f"{answer.status} {body[:200].decode(errors='replace')}")
    return {name.lower(): value for name, value in answer.getheaders()}


def _load(name: str, addresses: Mapping[str, str], town: BenchDatabase, tiles: Sequence[Tile], seconds: float) -> Load:
    base = addresses[name]
    headers = _headers(town)
    if name == "tipg":
        urls, headers = [base + TIPG.format(*tile) for tile in tiles], {}
    elif name == "sql":
        moment = quote(datetime.now(UTC).isoformat())
        urls, headers = [f"{base}{_ours(tile)}?at={moment}" for tile in tiles], _headers(town)
        del headers["Accept-Encoding"]
    else:
        urls = [base + _ours(tile) for tile in tiles]
    if name == "uncached":
        del headers["Accept-Encoding"]
    if name in ("known", "bare"):
        urls = urls[:1]
        headers["If-None-Match"] = _asked(addresses["kept"] + _ours(tiles[0]), _headers(town))["etag"]
    if name != "bare":
        for url in urls[:1] if name == "known" else urls:
            _asked(url, {key: value for key, value in headers.items() if key != "If-None-Match"})
    return measure(urls, seconds=seconds, headers=headers)


# --- What is printed -------------------------------------------------------------------------------------------------


def _lines(program: Program, told: Mapping[str, Any]) -> Iterator[str]:
    yield program.sentence("bench.tiles.title", **{key: told[key] for key in ("grids", "micro_grids", "connections")})
    for zoom, one in told["zooms"].items():
        yield program.sentence("bench.tiles.zoom", zoom=zoom, tiles=one["tiles"])
        for name, load in one["rows"].items():
            yield (
                f"    {program.sentence(f'bench.tiles.{name}'):<46}{load['per_second']:>10,.0f} /s"
                f"{load['p50_ms']:>9.2f}{load['p99_ms']:>9.2f} ms{load['bytes_each'] / 1e3:>9.1f} kB"
                f"{load['errors']:>6}"
            )
        for name, ratios in told["ratios"].items():
            aim = ratios[zoom]["aim"]
            yield f"    {name:<46}{ratios[zoom]['ratio']:>10.2f}" + (f"  (≥ {aim:g})" if aim else "")
    yield program.sentence("bench.tiles.made", **{key: round(value, 2) for key, value in told["made"].items()})
    yield program.sentence("bench.tiles.agreement", **told["agreement"])
