"""Tiles in a file: read back by the library, by GDAL (as QGIS does) and by the package that MapLibre uses."""

from __future__ import annotations

import gzip
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mapbox_vector_tile
import pyogrio
import pytest
from click.testing import CliRunner
from pmtiles.reader import MmapSource, Reader, all_tiles
from pmtiles.tile import Compression, TileType, tileid_to_zxy, zxy_to_tileid

from gis.settings import ROOT
from scripts.cli import run, wangge
from scripts.program import Program
from tests.usecases.builders import LAT, LON, SIZE
from tiles import export, mvt
from tiles.layers import LAYERS

WEB = ROOT / "api" / "web"


@pytest.fixture
def town(service: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A town whose database the command line finds."""
    monkeypatch.setenv("WANGGE_DATABASE_URL", service.url)
    return service


def exported(out: Path, *options: str) -> dict[str, Any]:
    """What the command told of the file that it wrote."""
    result = CliRunner().invoke(wangge, ["tiles", "export", "--out", str(out), "--json", *options], obj=Program())
    assert result.exit_code == 0, result.output + repr(result.exception)
    told: dict[str, Any] = json.loads(result.stdout)
    return told


def test_a_file_holds_the_tiles_that_the_service_gives(town: Any, tmp_path: Path) -> None:
    out = tmp_path / "town.pmtiles"
    told = exported(out, "--zooms", "12-15")
    with out.open("rb") as file:
        source = MmapSource(file)
        header, metadata = Reader(source).header(), Reader(source).metadata()
        assert (header["tile_type"], header["tile_compression"]) == (TileType.MVT, Compression.GZIP)
        assert (header["min_zoom"], header["max_zoom"], header["clustered"]) == (12, 15, True)
        assert header["min_lon_e7"] == round(LON * 1e7)
        assert header["max_lat_e7"] == round((LAT + SIZE) * 1e7)
        assert [layer["id"] for layer in metadata["vector_layers"]] == [name for name in LAYERS if name != "incidents"]
        assert metadata["generator"] == "Wangge"
        assert metadata["attribution"]
        tiles = dict(all_tiles(source))
    assert told["tiles"] == len(tiles)
    browser = town.as_("admin")
    for (z, x, y), packed in tiles.items():
        mine = mapbox_vector_tile.decode(gzip.decompress(packed))
        for name, layer in mine.items():
            answer = browser.get(f"/tiles/{name}/{z}/{x}/{y}.mvt")
            theirs = mapbox_vector_tile.decode(answer.content)[name]
            assert {one["id"] for one in layer["features"]} == {one["id"] for one in theirs["features"]}


@pytest.mark.usefixtures("town")
def test_gdal_opens_it(tmp_path: Path) -> None:
    out = tmp_path / "town.pmtiles"
    exported(out, "--zooms", "14", "--layers", "grids,micro_grids")
    assert [name for name, _ in pyogrio.list_layers(out)] == ["grids", "micro_grids"]
    frame = pyogrio.read_dataframe(out, layer="grids").to_crs("EPSG:4326")
    assert frame.geometry.is_valid.all()
    west, south, east, north = frame.total_bounds
    assert (west, south) == pytest.approx((LON, LAT), abs=1e-5)
    assert (east, north) == pytest.approx((LON + 2 * SIZE, LAT + SIZE), abs=1e-5)
    assert frame.code.nunique() == 4


@pytest.mark.skipif(not (WEB / "node_modules" / "pmtiles").is_dir(), reason="the pages' packages are not installed")
@pytest.mark.usefixtures("town")
def test_the_package_that_maplibre_uses_reads_it(tmp_path: Path) -> None:
    out = tmp_path / "town.pmtiles"
    told = exported(out, "--zooms", "13-14", "--layers", "grids")
    with out.open("rb") as file:
        (z, x, y), packed = next(iter(all_tiles(MmapSource(file))))
    script = """
        import { PMTiles } from "pmtiles";
        import { readFileSync } from "node:fs";
        const [path, z, x, y] = process.argv.slice(1);
        const file = readFileSync(path);
        const bytes = (from, size) => ({ data: new Uint8Array(file.subarray(from, from + size)).buffer });
        const archive = new PMTiles({ getKey: () => path, getBytes: async (from, size) => bytes(from, size) });
        const tilejson = await archive.getTileJson("pmtiles://town");
        const tile = await archive.getZxy(+z, +x, +y);
        console.log(JSON.stringify({ tilejson, size: tile.data.byteLength }));
    """
    command = ["node", "--input-type=module", "-e", script, str(out), str(z), str(x), str(y)]
    ran = subprocess.run(command, cwd=WEB, capture_output=True, text=True, check=False, timeout=240)
    assert ran.returncode == 0, ran.stderr
    read = json.loads(ran.stdout)
    assert read["size"] == len(gzip.decompress(packed))
    assert read["tilejson"]["vector_layers"][0]["id"] == "grids"
    assert (read["tilejson"]["minzoom"], read["tilejson"]["maxzoom"]) == (13, 14)
    assert told["layers"] == ["grids"]


def test_an_area_and_a_moment_limit_it(town: Any, tmp_path: Path) -> None:
    community = town.town.communities[1]
    out = tmp_path / "one.pmtiles"
    exported(out, "--zooms", "14", "--layers", "grids,areas", "--area", community.code)
    frame = pyogrio.read_dataframe(out, layer="grids")
    assert set(frame.code.str.slice(0, 12)) == {community.code}
    assert set(pyogrio.read_dataframe(out, layer="areas").code) == {community.code}
    assert run(["tiles", "export", "--out", str(out), "--layers", "grids", "--at", "2001-01-01"]) == 2  # no plan then
    assert pyogrio.read_dataframe(out, layer="grids").shape == frame.shape


@pytest.mark.parametrize(
    ("options", "exit_code"),
    [
        (["--zooms", "16-8"], 2),
        (["--zooms", "0-30"], 2),
        (["--zooms", "many"], 2),
        (["--layers", "nosuch"], 3),
        (["--area", "999"], 3),
        (["--at", "yesterday"], 2),
    ],
)
@pytest.mark.usefixtures("town")
def test_what_cannot_be_written_is_refused_and_leaves_no_file(
    tmp_path: Path, options: list[str], exit_code: int
) -> None:
    out = tmp_path / "out" / "town.pmtiles"
    out.parent.mkdir()
    assert run(["tiles", "export", "--out", str(out), *options]) == exit_code
    assert list(out.parent.iterdir()) == []


@pytest.mark.usefixtures("town")
def test_only_files_of_its_own_are_replaced(tmp_path: Path) -> None:
    assert run(["tiles", "export", "--out", str(tmp_path / "town.mbtiles")]) == 2
    foreign = tmp_path / "notes.pmtiles"
    for content in (b"my notes", b"PMTiles\x03 but broken"):
        foreign.write_bytes(content)
        assert run(["tiles", "export", "--out", str(foreign)]) == 2
        assert foreign.read_bytes() == content
    assert run(["tiles", "export", "--out", str(tmp_path / "no" / "town.pmtiles")]) == 3
    out = tmp_path / "town.pmtiles"
    exported(out, "--zooms", "12", "--layers", "grids")
    first = out.read_bytes()
    assert export.is_ours(out)
    exported(out, "--zooms", "13", "--layers", "grids")
    assert out.read_bytes() != first


def test_tiles_of_a_box_have_its_margin_and_no_more() -> None:
    for zoom in (0, 5, 12):
        for tile in export.tiles_of((LON, LAT, LON + SIZE, LAT + SIZE), zoom):
            assert tileid_to_zxy(zxy_to_tileid(*tile)) == tile
    assert list(export.tiles_of((-180, -85, 180, 85), 1)) == [(1, 0, 0), (1, 0, 1), (1, 1, 0), (1, 1, 1)]


def test_tiles_of_several_layers_are_one_message() -> None:
    one, two = mvt.Tile(b"a", 'W/"1"'), mvt.Tile(b"b", 'W/"2"')
    assert mvt.joined([one, two]).content == b"ab"
    assert mvt.joined([one, two]).etag != mvt.joined([two, one]).etag
