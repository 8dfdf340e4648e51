"""The ground: always a valid coverage, parcels untouched, neighbours with the same corners, simplified together."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest
import shapely
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from gis.coverage import simplify_coverage, stitched_wgs84
from gis.geometry import Geometries, coverage_faults, dissolve, landings_on
from gis.partition.ground import ARTERIAL, MINOR, NO_BARRIER, SECONDARY, WATER, Ground, Plot, survey
from gis.partition.simplifying import simplified
from tests.partition.test_divide import STREETS, assert_sound, divided
from tests.partition.towns import ZONE, estate, town, wgs84

Lines = list[tuple[int, list[tuple[float, float]]]]


def polygons(geometries: list[shapely.Geometry]) -> Geometries:
    return wgs84(geometries) if geometries else np.empty(0, dtype=object)


def plot(
    outline: shapely.Geometry,
    houses: list[shapely.Geometry],
    lines: Lines | None = None,
    units: NDArray[np.int64] | None = None,
    edges: list[shapely.Geometry] | None = None,
) -> Plot:
    """What stands in a made-up community, drawn in metres."""
    lines = lines or []
    kinds = np.array([kind for kind, _ in lines], dtype=np.int64)
    return Plot(
        wgs84([outline])[0],
        polygons(houses),
        np.ones(len(houses), dtype=np.int64) if units is None else units,
        polygons([shapely.LineString(points) for _, points in lines]),
        kinds,
        kinds == SECONDARY,
        polygons(edges or []),
    )


def metric(ground: Ground) -> Geometries:
    return ground.lattice.to_metric(ground.faces)


def outline_metric(ground: Ground, place: Plot) -> shapely.Geometry:
    outline = ground.lattice.from_wgs84(np.array([place.outline], dtype=object))
    return ground.lattice.to_metric(outline)[0]


def assert_ground(ground: Ground, place: Plot, *, with_gaps: bool = True) -> None:
    """What holds of every ground, whatever stands on it."""
    faces, outline = metric(ground), outline_metric(ground, place)
    faults = coverage_faults(faces, outline)
    assert faults.gap_m2 == 0
    assert faults.overlap_m2 < 1e-3
    assert faults.is_valid or not with_gaps
    assert shapely.coverage_is_valid(faces)
    assert ground.area_m2.sum() == pytest.approx(shapely.area(outline), abs=0.02 * shapely.length(outline))
    assert (ground.area_m2 > 0).all()
    atoms = dissolve(faces, ground.atom_of_face, len(ground.building))
    assert shapely.area(atoms) == pytest.approx(ground.area_m2)
    assert shapely.length(atoms) == pytest.approx(ground.perimeter_m)
    # Every metre of an atom's border is the outline's, or that of one pair of atoms.
    shared = np.bincount(ground.a, ground.length_m, len(atoms)) + np.bincount(ground.b, ground.length_m, len(atoms))
    assert (shared <= ground.perimeter_m + 1e-6).all()
    assert (ground.perimeter_m - shared).sum() == pytest.approx(shapely.length(shapely.union_all(faces)), abs=0.1)
    assert (ground.a < ground.b).all()
    assert (ground.cut_cost_m <= ground.length_m + 1e-9).all()
    assert (ground.barrier_m <= ground.length_m + 1e-9).all()
    named = list(zip(ground.building.tolist(), ground.unit.tolist(), ground.parcel.tolist(), strict=True))
    built = [name for name in named if name[0] >= 0]
    assert len(built) == len(set(built))


def standing(ground: Ground) -> set[int]:
    return set(ground.building[ground.building >= 0].tolist())


def house(x: float, y: float, length: float = 40, width: float = 12, turned: float = 0) -> shapely.Polygon:
    return shapely.affinity.rotate(shapely.box(x, y, x + length, y + width), turned)


# --- Shapes ----------------------------------------------------------------------------------------------------------


def test_touching_houses_share_their_wall() -> None:
    place = plot(shapely.box(0, 0, 120, 60), [house(20, 20), house(60, 20)])
    ground = survey(place, ZONE)
    assert_ground(ground, place)
    assert len(ground.building) == 2
    wall = ground.lattice.from_wgs84(wgs84([shapely.LineString([(60, 20), (60, 32)])]))
    border = shapely.intersection(*dissolve(metric(ground), ground.atom_of_face, 2))
    assert shapely.covers(shapely.buffer(border, 0.3), ground.lattice.to_metric(wall)[0])


def test_a_courtyard_belongs_to_the_house_around_it() -> None:
    ring = shapely.difference(shapely.box(30, 30, 90, 90), shapely.box(45, 45, 75, 75))
    place = plot(shapely.box(0, 0, 200, 120), [ring, house(120, 50)])
    ground = survey(place, ZONE)
    assert_ground(ground, place)
    assert ground.area_m2[ground.building == 0][0] > 60 * 60


def test_a_wall_that_ends_nowhere_encloses_nothing() -> None:
    dead_end: Lines = [(SECONDARY, [(70, -5), (70, 40)])]
    houses = [house(10, 20), house(80, 20), house(10, 60), house(80, 60)]
    place = plot(shapely.box(0, 0, 130, 90), houses, dead_end)
    ground = survey(place, ZONE)
    assert_ground(ground, place)
    assert standing(ground) == {0, 1, 2, 3}


def test_the_staircases_of_a_house_cut_by_a_lane_make_one_piece() -> None:
    # The lane leaves ground of the first and the last staircase on its far side, with another house's between.
    lane: Lines = [(MINOR, [(0, 33), (38, 25), (62, 25), (100, 33)])]
    houses = [house(20, 20, 60, 12), house(35, 45, 30, 10)]
    place = plot(shapely.box(0, 0, 100, 70), houses, lane, units=np.array([6, 1]))
    ground = survey(place, ZONE)
    assert_ground(ground, place)
    mine = dissolve(metric(ground), (ground.building[ground.atom_of_face] != 0).astype(np.int64), 2)[0]
    assert shapely.get_num_geometries(mine) == 1


def test_only_streets_bridge_a_river() -> None:
    river: Lines = [(WATER, [(-10, 50), (310, 50)])]
    houses = [house(30, 10), house(30, 70), house(230, 10), house(230, 70)]

    def crossings(kind: int) -> int:
        across: Lines = [*river, (kind, [(150, -10), (150, 110)])]
        place = plot(shapely.box(0, 0, 300, 100), houses, across)
        ground = survey(place, ZONE)
        assert_ground(ground, place)
        wet = (ground.cut_cost_m < 0.2 * ground.length_m) & (ground.length_m > 20)
        return int((ground.walkable & wet).sum())

    assert crossings(MINOR) > 0
    assert crossings(SECONDARY) == 0  # a wall


def test_nothing_stands_there() -> None:
    place = plot(shapely.box(0, 0, 100, 100), [])
    ground = survey(place, ZONE)
    assert_ground(ground, place)
    assert ground.building.tolist() == [-1]


FOOTPRINTS = st.sampled_from(["slab", "touching", "l_shape", "ring", "tiny", "on_outline", "tower"])
OUTLINES = st.sampled_from(["box", "bent", "two_pieces", "ring", "narrow"])


def footprint(kind: str, x: float, y: float, turned: float) -> list[shapely.Geometry]:
    if kind == "touching":
        return [shapely.affinity.rotate(part, turned, origin=(x + 20, y + 6))
                for part in (shapely.box(x, y, x + 20, y + 12), shapely.box(x + 20, y, x + 40, y + 12))]  # fmt: skip
    shapes = {
        "slab": shapely.box(x, y, x + 40, y + 12),
        "l_shape": shapely.union_all([shapely.box(x, y, x + 36, y + 10), shapely.box(x, y, x + 10, y + 26)]),
        "ring": shapely.difference(shapely.box(x, y, x + 36, y + 26), shapely.box(x + 9, y + 8, x + 27, y + 18)),
        "tiny": shapely.box(x, y, x + 0.6, y + 0.5),
        "on_outline": shapely.box(x - 25, y, x + 12, y + 12),
        "tower": shapely.Point(x + 12, y + 12).buffer(11),
    }
    return [shapely.affinity.rotate(shapes[kind], turned)]


def outline_of(kind: str) -> shapely.Geometry:
    box = shapely.box(0, 0, 260, 180)
    return {
        "box": box,
        "bent": shapely.Polygon([(0, 0), (130, 14), (260, -9), (251, 90), (260, 180), (88, 171), (0, 180), (7, 77)]),
        "two_pieces": shapely.union_all([shapely.box(0, 0, 120, 180), shapely.box(150, 20, 260, 160)]),
        "ring": shapely.difference(box, shapely.box(95, 60, 165, 120)),
        "narrow": shapely.union_all([shapely.box(0, 0, 120, 180), shapely.box(120, 80, 200, 83),
                                     shapely.box(200, 0, 260, 180)]),
    }[kind]  # fmt: skip


def cut_up(footprints: list[shapely.Geometry], outline: shapely.Geometry) -> list[shapely.Geometry]:
    """As cleaning leaves them: no overlaps, something of each inside, in one piece."""
    kept: list[shapely.Geometry] = []
    for shape in footprints:
        clear = shapely.difference(shape, shapely.union_all(kept)) if kept else shape
        biggest = max(shapely.get_parts(clear).tolist(), key=lambda part: part.area, default=shapely.Polygon())
        if biggest.area > 0.2 and shapely.intersection(biggest, outline).area > 0.5 * biggest.area:
            kept.append(biggest)
    return kept


def made_up(outline: str, kinds: list[str], seed: int, lines: int) -> tuple[Plot, list[shapely.Geometry]]:
    """A community of that outline with such houses and so many lines, placed by chance."""
    rng = np.random.default_rng(seed)
    area = outline_of(outline)
    spots = rng.permutation(list(itertools.product(range(5), range(4))))
    shapes: list[shapely.Geometry] = []
    for kind, (i, j) in zip(kinds, spots, strict=False):
        x, y = 52 * i + rng.uniform(0, 9), 44 * j + rng.uniform(0, 9)
        shapes += footprint(kind, 0 if kind == "on_outline" else x, y, float(rng.choice([0, 0, rng.uniform(-40, 40)])))
    houses = cut_up(shapes, area)
    classes = [NO_BARRIER + MINOR, SECONDARY, ARTERIAL, WATER]
    drawn: Lines = [
        (int(rng.choice(classes)), [tuple(p) for p in rng.uniform((-20, -20), (280, 200), (rng.integers(2, 5), 2))])
        for _ in range(lines)
    ]
    return plot(
        area, houses, drawn, units=rng.integers(1, 5, len(houses)), edges=[shapely.box(40, 30, 150, 140)]
    ), houses


@settings(max_examples=25)
@example("narrow", ["slab", "touching", "slab"], 0, 0)  # a neck of 3 m between two houses
@example("ring", ["tiny", "l_shape", "on_outline", "slab"], 6702, 3)  # two ends of a line beside a corner
@given(OUTLINES, st.lists(FOOTPRINTS, max_size=12), st.integers(0, 10_000), st.integers(0, 5))
def test_ground_is_always_a_coverage(outline: str, kinds: list[str], seed: int, lines: int) -> None:
    place, houses = made_up(outline, kinds, seed, lines)
    ground = survey(place, ZONE)
    assert_ground(ground, place)
    large = {i for i, shape in enumerate(houses) if shape.area > 50}
    assert large <= standing(ground)


# --- Parcels ---------------------------------------------------------------------------------------------------------


def quarter() -> Plot:
    """Two dozen houses, streets, a wall and a bent outline."""
    rng = np.random.default_rng(3)
    houses = [house(12 + 56 * i, 10 + 40 * j, 38, 12, float(rng.uniform(-12, 12))) for i in range(6) for j in range(4)]
    lines: Lines = [(MINOR, [(120, -10), (117, 90), (122, 180)]), (SECONDARY, [(-10, 83), (350, 79)]),
                    (WATER, [(233, -10), (236, 180)])]  # fmt: skip
    outline = shapely.Polygon([(0, 0), (180, -7), (345, 0), (351, 88), (345, 166), (120, 172), (0, 166)])
    return plot(outline, houses, lines, units=rng.integers(1, 5, len(houses)))


def cells_of(ground: Ground, count: int) -> NDArray[np.int64]:
    """Grow cells from a few atoms over the borders; shape (atoms,)."""
    cell = np.full(len(ground.building), -1, dtype=np.int64)
    cell[np.linspace(0, len(cell) - 1, count).astype(int)] = np.arange(count)
    open_left = True
    while open_left:
        open_left = False
        for a, b in zip(ground.a.tolist(), ground.b.tolist(), strict=True):
            if (cell[a] < 0) != (cell[b] < 0):
                cell[a] = cell[b] = max(cell[a], cell[b])
                open_left = True
    return np.maximum(cell, 0)  # islands


def assert_parcels(before: Ground, place: Plot, cell: NDArray[np.int64], kept: list[int], gone: int) -> None:
    """Lock cells of a ground, take the last houses away, survey again."""
    cells = dissolve(before.faces, cell[before.atom_of_face], int(cell.max()) + 1)[kept]
    left = slice(0, max(len(place.footprints) - gone, 0))
    again = dataclasses.replace(
        place, parcels=before.lattice.to_wgs84(cells), footprints=place.footprints[left], units=place.units[left]
    )
    after = survey(again, ZONE)
    assert_ground(after, again)
    assert set(after.parcel.tolist()) - {-1} == set(range(len(kept)))
    union = dissolve(after.faces, after.parcel[after.atom_of_face] + 1, len(kept) + 1)[1:]
    away = shapely.area(shapely.symmetric_difference(union, after.lattice.from_wgs84(again.parcels)))
    # New corners on the community's outline may be half a step off; a step is a centimetre.
    assert (away < 0.7 * shapely.length(union)).all()
    atoms = dissolve(after.faces, after.atom_of_face, len(after.building))
    assert (shapely.get_num_geometries(atoms) == 1).all()


def test_parcels_are_exactly_their_atoms_and_no_atom_crosses_them() -> None:
    place = quarter()
    before = survey(place, ZONE)
    assert_parcels(before, place, cells_of(before, 6), [0, 2, 3, 5], gone=3)


HOUSES = st.sampled_from(["slab", "touching", "l_shape", "ring", "on_outline", "tower"])


@settings(max_examples=12)
@given(OUTLINES, st.lists(HOUSES, min_size=1, max_size=12), st.integers(0, 10_000), st.integers(0, 5))
def test_parcels_stay_whatever_they_are(outline: str, kinds: list[str], seed: int, lines: int) -> None:
    place, _ = made_up(outline, kinds, seed, lines)
    before = survey(place, ZONE)
    cell = cells_of(before, min(4, len(before.building)))
    assert_parcels(before, place, cell, [n for n in range(int(cell.max()) + 1) if n != 1], gone=2)


def test_parcels_drawn_by_hand_leave_no_slivers_beside_them() -> None:
    place = quarter()
    drawn = polygons([shapely.box(-5, -9, 116.95, 82), shapely.box(117, 0, 233, 82.05)])
    kept = dataclasses.replace(place, parcels=drawn)
    ground = survey(kept, ZONE)
    assert_ground(ground, kept)
    assert set(ground.parcel.tolist()) == {-1, 0, 1}
    assert ground.area_m2.min() > 5


def test_without_parcels_all_ground_is_outside() -> None:
    ground = survey(quarter(), ZONE)
    assert (ground.parcel == -1).all()


# --- Several communities, fewer corners ------------------------------------------------------------------------------


def two_communities() -> tuple[dict[str, shapely.Geometry], list[dict[str, object]]]:
    border = [(300, 0), (307, 55), (296, 111), (300, 160)]
    west = shapely.Polygon([(0, 0), *border, (0, 160)])
    east = shapely.Polygon([*border, (600, 160), (600, 0)][::-1])
    return {"001": west, "002": east}, [*estate(5, 4, 33), *estate(4, 4, 40, x=320)]


def test_neighbouring_communities_share_every_corner() -> None:
    communities, houses = two_communities()
    division, place = divided(town(communities, houses, STREETS))
    assert_sound(division, place)
    for cells in division.cells:
        shapes = cells.to_crs(ZONE).geometry.to_numpy()
        shapes = shapes[np.unique(shapely.to_wkb(shapes), return_index=True)[1]]
        assert shapely.coverage_is_valid(shapes, gap_width=0.05)
    for upper, lower in itertools.pairwise(division.cells):
        for code, shape in zip(upper["code"], upper.geometry, strict=True):
            children = lower.geometry[lower["parent"] == code].to_numpy()
            children = children[np.unique(shapely.to_wkb(children), return_index=True)[1]]
            assert shapely.equals(shapely.coverage_union_all(children), shape)


def test_stitching_leaves_alone_what_needs_nothing() -> None:
    one, other = wgs84([shapely.box(0, 0, 10, 10), shapely.box(20, 0, 30, 10)])
    layers = [np.array([one, other], dtype=object)]
    assert stitched_wgs84(layers, [np.array([0, 1])])[0].tolist() == [one, other]
    assert not len(stitched_wgs84([layers[0][:0]], [np.empty(0, dtype=np.int64)])[0])


def test_stitching_gives_both_sides_the_corners_of_either() -> None:
    left = [shapely.box(0, 0, 10, 4), shapely.box(0, 4, 10, 10)]
    right = [shapely.box(10, 0, 20, 7), shapely.box(10, 7, 20, 10)]
    cells = np.asarray(shapely.set_precision(wgs84([*left, *right]), 1e-7), dtype=object)
    whole = np.array([shapely.coverage_union_all(cells[:2]), shapely.coverage_union_all(cells[2:])], dtype=object)
    upper, lower = stitched_wgs84([whole, cells], [np.array([0, 1]), np.array([0, 0, 1, 1])])
    assert not shapely.coverage_is_valid(cells)
    assert shapely.coverage_is_valid(lower)
    assert shapely.coverage_is_valid(upper)
    for number in (0, 1):
        assert shapely.equals(upper[number], shapely.coverage_union_all(lower[2 * number : 2 * number + 2]))


@pytest.mark.parametrize("keep_outlines", [True, False])
def test_all_tiers_are_simplified_together(keep_outlines: bool) -> None:
    communities, houses = two_communities()
    towers = [{"at": house(330 + 60 * i, 60, 24, 24), "households": 132, "floors": 33, "units": 1} for i in range(2)]
    houses = [h for h in houses if not any(shapely.intersects(h["at"], t["at"]) for t in towers)]
    division, place = divided(town(communities, [*houses, *towers], STREETS))
    lighter = simplified(division, 2.0, keep_outlines=keep_outlines)
    if keep_outlines:
        assert_sound(lighter, place)
    for cells, before in zip(lighter.cells, division.cells, strict=True):
        assert shapely.get_num_coordinates(cells.geometry).sum() < shapely.get_num_coordinates(before.geometry).sum()
        assert cells["code"].tolist() == before["code"].tolist()
        shapes = cells.to_crs(ZONE).geometry.to_numpy()
        distinct = np.unique(shapely.to_wkb(shapes), return_index=True)[1]
        assert len(distinct) == len(np.unique(shapely.to_wkb(before.geometry.to_numpy())))
        assert shapely.coverage_is_valid(shapes[distinct], gap_width=0.05)
        assert cells["area_m2"].to_numpy() == pytest.approx(shapely.area(shapes))


def test_nothing_is_simplified_by_nothing() -> None:
    cells = np.asarray(shapely.set_precision(wgs84([shapely.box(0, 0, 10, 10)]), 1e-7), dtype=object)
    for tolerance in (0.0, 5.0):
        made = simplify_coverage([cells], [], np.zeros(1, dtype=np.int64), tolerance)
        assert shapely.equals(made[0][0], cells[0])
    assert not len(simplify_coverage([cells[:0]], [], np.empty(0, dtype=np.int64), 5.0)[0])


def test_landings_are_the_same_from_both_sides_and_wherever_the_lattice_begins() -> None:
    rng = np.random.default_rng(5)
    start, end = rng.integers(-90_000, 90_000, (2, 200, 2)).astype(float)
    here = landings_on(start, end)
    assert (here == landings_on(end, start)).all()
    away = np.array([1.0, 3.0])
    assert (landings_on(start + away, end + away) - away == here).all()
    lines = shapely.multilinestrings(shapely.linestrings(np.stack([start, end], axis=1)))
    assert shapely.distance(lines, shapely.points(here)).max() <= 0.7072
    # The corners of an earlier plan are on a coarser lattice: a landing on its borders moves nothing.
    border = 16 * np.array([[0.0, 0.0], [37.0, -211.0]])
    landings = landings_on(border[:1], border[1:])
    assert len(landings) > 5
    assert shapely.distance(shapely.LineString(border), shapely.points(landings)).max() < 1e-6
