"""The index of points: always the answer of rational arithmetic, whatever the grounds look like."""

import pickle
from itertools import product

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from gis.responsibility.cell_index import ASK, FAR_M, NEAR_M, CellIndex
from gis.responsibility.kernel import Book, ask, metres_per_degree
from scripts.bench_coverage import adversarial_points, coverage, owners_by_fractions, uniform_points

WEST, SOUTH, STEP = 120.3, 31.5, 0.0005


@pytest.fixture(scope="module")
def town():
    return coverage(30, seed=4)


@pytest.fixture(scope="module")
def index(town):
    return CellIndex.build(town.micro_grids)


def polygons(shapes):
    return np.array(shapes, dtype=object)


def square(x, y, size=1.0):
    return shapely.box(WEST + x * STEP, SOUTH + y * STEP, WEST + (x + size) * STEP, SOUTH + (y + size) * STEP)


def owners_one_by_one(index, points):
    return [index.locate(x, y) for x, y in points.tolist()]


def test_shared_corners_edges_and_points_beside_them_have_the_owner_that_fractions_give(town, index):
    points = adversarial_points(town.micro_grids, 900)
    truth = owners_by_fractions(town.micro_grids, points)
    assert (truth >= 0).mean() > 0.9
    assert index.locate_many(points[:, 0], points[:, 1]).tolist() == truth.tolist()
    assert owners_one_by_one(index, points) == truth.tolist()


def test_the_tiers_agree_with_geos_everywhere(town):
    points = uniform_points(town, 20_000) * 1.0
    points += (points - points.mean(axis=0)) * 0.1  # some outside
    for cells in (town.grids, town.micro_grids):
        at, cell = shapely.STRtree(cells).query(shapely.points(points), predicate="intersects")
        truth = np.full(len(points), len(cells))
        np.minimum.at(truth, at, cell)
        truth[truth == len(cells)] = -1
        index = CellIndex.build(cells)
        for threads in (1, 2):
            assert (index.locate_many(points[:, 0], points[:, 1], threads=threads) == truth).all()


@pytest.mark.parametrize("side_m", [0.5, 3.0, 15.0, 400.0])
def test_the_raster_does_not_matter(town, side_m):
    points = np.concatenate([adversarial_points(town.grids, 150), uniform_points(town, 150)])
    index = CellIndex.build(town.grids, side_m=side_m)
    assert index.locate_many(*points.T).tolist() == owners_by_fractions(town.grids, points).tolist()


corners = st.tuples(st.integers(0, 12), st.integers(0, 12))


@st.composite
def grounds(draw):
    """Polygons on a coarse lattice, so that they share corners and edges, overlap, and lie in one another."""
    shapes = []
    for _ in range(draw(st.integers(1, 7))):
        hull = shapely.convex_hull(shapely.multipoints(draw(st.lists(corners, min_size=3, max_size=6, unique=True))))
        shape = hull if hull.geom_type == "Polygon" else shapely.box(0, 0, 1, 1)
        hole = shapely.box(*sorted(draw(corners)), 9, 9)
        shape = shapely.difference(shape, hole) if draw(st.booleans()) else shape
        shapes.append(shapely.transform(shape, lambda at: at * STEP + (WEST, SOUTH)))
    return polygons([s if s.geom_type.endswith("Polygon") else shapely.Polygon() for s in shapes])


@given(grounds(), st.data())
@settings(max_examples=60)
def test_gaps_overlaps_holes_and_pieces(shapes, data):
    index = CellIndex.build(shapes)
    lattice = np.array(list(product(range(-1, 14), repeat=2))) * STEP + (WEST, SOUTH)
    points = np.concatenate([lattice, lattice + STEP * data.draw(st.floats(0.001, 0.999))])
    points[::7, 0] = np.nextafter(points[::7, 0], data.draw(st.sampled_from([-np.inf, np.inf])))
    truth = owners_by_fractions(shapes, points).tolist()
    assert index.locate_many(*points.T).tolist() == truth
    assert owners_one_by_one(index, points) == truth


def test_a_hundred_cells_that_meet_in_one_point():
    angles = np.linspace(0, 2 * np.pi, 101)[:-1]
    ring = np.column_stack([np.cos(angles), np.sin(angles)]) * STEP + (WEST, SOUTH)
    fan = polygons([shapely.Polygon([(WEST, SOUTH), a, b]) for a, b in zip(ring, np.roll(ring, -1, 0), strict=True)])
    index = CellIndex.build(fan, side_m=15.0)
    points = np.concatenate([[(WEST, SOUTH)], ring, (ring + np.array([WEST, SOUTH])) / 2, adversarial_points(fan, 300)])
    assert index.locate_many(*points.T).tolist() == owners_by_fractions(fan, points).tolist()
    assert [ground for ground, metres in index.around(WEST, SOUTH, 1.0) if metres == 0.0] == list(range(100))


def test_what_is_around_is_told_with_its_metres_what_covers_first(town, index):
    tree = shapely.STRtree(town.micro_grids)
    points = np.concatenate([uniform_points(town, 150), adversarial_points(town.micro_grids, 90)])
    begins, numbers, distances = index.around_many(*points.T, NEAR_M)
    for n, (x, y) in enumerate(points.tolist()):
        found = index.around(x, y, NEAR_M)
        assert found == list(zip(numbers[begins[n] : begins[n + 1]], distances[begins[n] : begins[n + 1]], strict=True))
        close = tree.query(shapely.box(x - 0.0004, y - 0.0004, x + 0.0004, y + 0.0004))
        scale = np.array(metres_per_degree(y))
        flat = shapely.transform(town.micro_grids[close], lambda at, o=(x, y), s=scale: (at - o) * s)
        metres = dict(zip(close.tolist(), shapely.distance(flat, shapely.Point(0, 0)).tolist(), strict=True))
        near = {ground: m for ground, m in metres.items() if m <= NEAR_M}
        assert {ground for ground, _ in found} == near.keys()
        assert dict(found) == pytest.approx(near, abs=1e-3)
        covering = [ground for ground, m in found if m == 0.0]
        assert covering[:1] == [o for o in owners_by_fractions(town.micro_grids, points[n : n + 1]).tolist() if o >= 0]
        assert found == sorted(found, key=lambda pair: (pair[1] > 0, pair[1], pair[0]))


def deep_or_asked(index, x, y):
    """What the question of a single point gives, in the words of `locate_deep_many`; all that it finds, compared."""
    book = index.book()
    found = ask(book.address, x, y, NEAR_M)
    if found < 0:
        return -2 - found if found < -1 else -1
    listed = list(zip(book.grounds[:found].tolist(), book.metres[:found].tolist(), strict=True))
    assert found <= Book.ROOM
    assert listed == index.around(x, y, NEAR_M)
    return ASK


def test_deep_is_said_only_where_nothing_else_is_near(town, index):
    points = uniform_points(town, 4000)
    deep = index.locate_deep_many(*points.T)
    assert deep.tolist() == [deep_or_asked(index, x, y) for x, y in points.tolist()]
    assert (deep >= 0).any()
    assert (deep == ASK).any()
    for (x, y), ground in zip(points.tolist(), deep.tolist(), strict=True):
        if ground >= 0:
            assert index.around(x, y, NEAR_M) == [(ground, 0.0)]


def test_far_from_all_it_is_certain_that_nothing_answers(town, index):
    west, south, east, north = town.bounds
    a_degree, _ = metres_per_degree(south)
    for metres in (0.0, 100.0, 190.0, 230.0, 5000.0):
        x = east + metres / a_degree
        answer = deep_or_asked(index, x, (south + north) / 2)
        assert answer in ((-1, ASK) if metres > FAR_M else (ASK,))
    assert deep_or_asked(index, 0.0, 0.0) == -1
    assert deep_or_asked(index, west - 1, south) == -1
    assert index.around(0.0, 0.0, 1e6) == []


@pytest.mark.parametrize("x", [float("nan"), float("inf"), float("-inf"), 1e300, -1e300])
def test_what_is_no_place_lies_in_no_ground(index, x):
    assert index.locate(x, 31.5) == -1
    assert index.locate(120.3, x) == -1
    assert index.around(x, 31.5, 15.0) == []
    assert index.around(120.3, x, 15.0) == []
    assert index.locate_many([x, 120.3], [31.5, x]).tolist() == [-1, -1]
    assert index.locate_deep_many([x], [31.5]).tolist() == [-1]


def test_missing_and_empty_grounds_cover_nothing_and_keep_their_number():
    shapes = polygons([None, shapely.Polygon(), square(0, 0), square(1, 0)])
    index = CellIndex.build(shapes)
    assert index.size == 4
    assert index.locate(WEST + 0.5 * STEP, SOUTH + 0.5 * STEP) == 2
    assert index.locate(WEST + STEP, SOUTH + 0.5 * STEP) == 2
    nothing = CellIndex.build(polygons([]))
    nothing.warm()
    assert nothing.locate(WEST, SOUTH) == -1
    assert nothing.around(WEST, SOUTH, 200.0) == []


def test_it_is_kept_in_files_mapped_and_handed_to_other_processes(town, index, tmp_path):
    index.save(tmp_path)
    points = uniform_points(town, 500)
    for copy in (CellIndex.load(tmp_path), pickle.loads(pickle.dumps(index))):
        copy.warm()
        assert (copy.locate_many(*points.T) == index.locate_many(*points.T)).all()
        with pytest.raises(ValueError, match="read-only"):
            copy.arrays["coarse"][0, 0] = 5
    with pytest.raises(FileNotFoundError):
        CellIndex.load(tmp_path / "elsewhere")
