"""Tiles made of arrays: valid polygons only, no gap between neighbours, nothing lost at a tile's edge."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.tiles.builders import properties, read_only, rough_town, shapes, table
from tiles import cells, encoding
from tiles.cells import EXACT_FROM, CellLayer
from tiles.layers import BUFFER, EXTENT, LAYERS

WINDOW = shapely.box(-BUFFER, -BUFFER, EXTENT + BUFFER, EXTENT + BUFFER)


@cache
def held(name: str) -> CellLayer:
    return read_only(cells.build(LAYERS[name], rough_town()[name]))


def all_seen(layer: CellLayer) -> Any:
    return np.ones(len(layer.communities), dtype=bool)


@pytest.mark.parametrize("name", ["grids", "micro_grids"])
@pytest.mark.parametrize("zoom", [10, 12, 13, 14, 15, 16])
def test_polygons_are_valid_and_no_gap_opens_between_them(name: str, zoom: int) -> None:
    layer = held(name)
    for x, y in layer.levels[zoom].tiles[:12]:
        drawn = list(shapes(encoding.encode(layer, zoom, x, y, all_seen(layer))).values())
        assert shapely.is_valid(drawn).all()
        whole = shapely.union_all(drawn)
        assert sum(shape.area for shape in drawn) == whole.area, "cells overlap"
        assert not any(part.interiors for part in shapely.get_parts(whole)), "a gap between cells"
        assert WINDOW.covers(whole)


@pytest.mark.parametrize("zoom", [12, 14, 16])
def test_each_cell_is_in_every_tile_that_it_lies_in(zoom: int) -> None:
    name = "grids"
    layer, source = held(name), rough_town()[name]
    ground = shapely.transform(source.grounds, lambda xy: cells.world_of(xy, zoom))
    for x, y in layer.levels[zoom].tiles[:10]:
        drawn = shapes(encoding.encode(layer, zoom, x, y, all_seen(layer)))
        here = shapely.transform(ground, lambda xy, x=x, y=y: xy - (x * EXTENT, y * EXTENT))
        expected = shapely.area(shapely.intersection(here, WINDOW))
        for number, area in zip(source.ids.tolist(), expected, strict=True):
            got = drawn[number].area if number in drawn else 0.0
            # Rounding and simplifying move a border by so many units; a sliver may go.
            moved = (1.0 if zoom >= EXACT_FROM else 4.0) * WINDOW.length / 8
            assert abs(got - area) < moved, (number, got, area)


def test_cells_of_communities_not_seen_are_left_out() -> None:
    layer = held("micro_grids")
    zoom = 13
    x, y = layer.levels[zoom].tiles[0]
    everything = properties(encoding.encode(layer, zoom, x, y, all_seen(layer)))
    home = dict(zip(layer.ids.tolist(), layer.community.tolist(), strict=True))
    for community in range(len(layer.communities)):
        seen = np.zeros(len(layer.communities), dtype=bool)
        seen[community] = True
        few = properties(encoding.encode(layer, zoom, x, y, seen))
        assert few == {number: told for number, told in everything.items() if home[number] == community}
    assert encoding.encode(layer, zoom, x, y, np.zeros(len(layer.communities), dtype=bool)) == b""


def test_properties_are_those_of_the_table_as_far_as_the_zoom_shows_them() -> None:
    layer, source = held("micro_grids"), rough_town()["micro_grids"]
    rows = {
        number: {name: values[place] for name, values in source.columns.items() if values[place] is not None}
        for place, number in enumerate(source.ids.tolist())
    }
    for zoom in (11, 16):
        x, y = layer.levels[zoom].tiles[0]
        for number, told in properties(encoding.encode(layer, zoom, x, y, all_seen(layer))).items():
            shown = {name for name in rows[number] if zoom >= layer.layer.shown_from.get(name, 0)}
            assert told == {name: rows[number][name] for name in shown}


def test_arrays_come_back_from_a_file_as_they_were(tmp_path: Path) -> None:
    layer = held("grids")
    layer.save(tmp_path / "cells.bin")
    read = cells.load(tmp_path / "cells.bin", layer.layer)
    assert read.levels.keys() == layer.levels.keys()
    assert not read.ids.flags.writeable
    for zoom in (8, 15):
        x, y = layer.levels[zoom].tiles[0]
        assert encoding.encode(read, zoom, x, y, all_seen(read)) == encoding.encode(layer, zoom, x, y, all_seen(layer))


def test_nothing_is_drawn_of_a_cell_that_only_its_box_brings_into_a_tile() -> None:
    level = held("micro_grids").levels[14]
    x, y = (int(unit) // EXTENT for unit in level.anchor[0])
    assert encoding._mended(level, 0, x, y)
    assert encoding._mended(level, 0, x + 9, y) == b""


def test_no_tile_where_no_cell_is() -> None:
    layer = held("grids")
    for place in ((8, 0, 0), (16, 65535, 65535), (7, 0, 0), (17, 0, 0)):
        assert encoding.encode(layer, *place, all_seen(layer)) == b""


def one_cell(ground: Any, zoom: int = 16) -> CellLayer:
    """A layer of one cell, its ground given in units of the zoom from the corner of tile (2^15, 2^15)."""
    corner = EXTENT * 2**15

    def degrees(xy: Any) -> Any:
        turns = (np.asarray(xy, dtype=float) + corner) / (EXTENT * 2**zoom)
        lat = np.degrees(np.arctan(np.sinh(np.pi * (1 - 2 * turns[:, 1]))))
        return np.column_stack([turns[:, 0] * 360 - 180, lat])

    return read_only(
        cells.build(LAYERS["grids"], table("grids", [shapely.transform(ground, degrees)], [1]), zooms=[zoom])
    )


AWKWARD = {
    "comb that the edge cuts into many": shapely.Polygon(
        [
            (-500, 0),
            (200, 0),
            *[(x, y) for k in range(20) for x, y in ((200, 50 * k), (-90 - k, 50 * k + 20))],
            (200, 1000),
            (-500, 1000),
        ]
    ).buffer(0),
    "ring round a corner": shapely.Point(0, 0).buffer(900).difference(shapely.Point(0, 0).buffer(600)),
    "hole across the edge": shapely.box(-1000, 1000, 3000, 3000).difference(shapely.box(-300, 1500, 200, 2000)),
    "hole wholly inside": shapely.box(-1000, 1000, 3000, 3000).difference(shapely.box(500, 1500, 900, 2000)),
    "tile in the middle of it": shapely.box(-9000, -9000, 9000, 9000),
    "tile in a hole of it": shapely.box(-9000, -9000, 9000, 9000).difference(shapely.box(-500, -500, 5000, 5000)),
    "two parts": shapely.MultiPolygon([shapely.box(-200, 0, 100, 100), shapely.box(400, 0, 500, 100)]),
    "along the edge of the margin": shapely.box(-64, 0, 300, 4160),
    "only touching the margin": shapely.box(-300, 0, -64, 100),
    "hole that touches the shell": shapely.Polygon(
        [(0, 0), (1000, 0), (1000, 1000), (0, 1000)], [[(0, 0), (500, 300), (300, 500)]]
    ),
}


@pytest.mark.parametrize("case", sorted(AWKWARD))
def test_awkward_ground_is_cut_as_geos_cuts_it(case: str) -> None:
    ground = AWKWARD[case]
    layer = one_cell(ground)
    for dx, dy in ((0, 0), (-1, 0), (0, -1), (-1, -1), (1, 1)):
        drawn = shapes(encoding.encode(layer, 16, 2**15 + dx, 2**15 + dy, all_seen(layer)))
        here = shapely.transform(ground, lambda xy, dx=dx, dy=dy: xy - (dx * EXTENT, dy * EXTENT))
        expected = shapely.intersection(here, WINDOW)
        got = drawn.get(1, shapely.Polygon())
        assert got.is_valid
        difference = shapely.symmetric_difference(got, expected)
        assert difference.area <= 1.1 * (expected.length + 4), case
        if expected.area == 0:
            assert drawn == {}


@settings(max_examples=60)
@given(
    st.integers(min_value=0, max_value=10**6),
    st.integers(min_value=5, max_value=60),
    st.floats(min_value=20, max_value=6000),
)
def test_random_stars_are_cut_as_geos_cuts_them(seed: int, corners: int, reach: float) -> None:
    random = np.random.default_rng(seed)
    angles = np.sort(random.random(corners)) * 2 * np.pi
    far = reach * (0.15 + random.random(corners))
    middle = random.random(2) * 5000 - 400
    ground = shapely.Polygon(np.column_stack([np.cos(angles), np.sin(angles)]) * far[:, None] + middle).buffer(0)
    layer = one_cell(ground)
    drawn = shapes(encoding.encode(layer, 16, 2**15, 2**15, all_seen(layer))).get(1, shapely.Polygon())
    expected = shapely.intersection(ground, WINDOW)
    assert drawn.is_valid
    assert shapely.symmetric_difference(drawn, expected).area <= 1.1 * (ground.length + expected.length + 4)
