"""Coordinate systems: names, zones, shifts there and back, and the test for shifted layers."""

from __future__ import annotations

import geopandas as gpd
import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import Geod

from gis import crs
from gis.errors import InvalidGeometry, InvalidInput, UnknownCrs

GEOD = Geod(ellps="WGS84")


@pytest.mark.parametrize(
    ("said", "name"),
    [
        ("wgs84", "EPSG:4326"),
        ("WGS-84", "EPSG:4326"),
        ("4326", "EPSG:4326"),
        ("cgcs2000", "EPSG:4490"),
        ("EPSG:4490", "EPSG:4490"),
        ("国家2000", "EPSG:4490"),
        ("cgcs2000/123E", "EPSG:4550"),
        ("CGCS2000 105E", "EPSG:4544"),
        ("cgcs2000/zone41", "EPSG:4529"),
        ("epsg:4550", "EPSG:4550"),
        ("3857", "EPSG:3857"),
        ("GCJ-02", "gcj02"),
        ("火星坐标", "gcj02"),
        ("bd09", "bd09"),
    ],
)
def test_a_coordinate_system_is_found_by_what_people_call_it(said: str, name: str) -> None:
    assert crs.parse(said).name == name


@pytest.mark.parametrize("said", ["", "12", "beijing", "cgcs2000/122E", "cgcs2000/zone99", "EPSG:999999", "EPSG:4978"])
def test_an_unknown_coordinate_system_is_an_error_with_a_code(said: str) -> None:
    with pytest.raises(UnknownCrs):
        crs.parse(said)


@pytest.mark.parametrize(
    ("lon", "lat", "code"),
    [
        (106.23, 29.59, 4544),  # Bishan
        (111.67, 36.25, 4546),  # Hongdong
        (120.98, 31.38, 4549),  # Kunshan
        (124.15, 39.86, 4550),  # Donggang
        (73.5, 39.5, 4534),
        (136.5, 48.0, 4554),
        (24.94, 60.17, 32635),  # Helsinki
        (-73.98, 40.72, 32618),  # Manhattan
        (151.2, -33.9, 32756),  # Sydney
    ],
)
def test_the_zone_is_a_cgcs2000_meridian_in_china_and_utm_elsewhere(lon: float, lat: float, code: int) -> None:
    assert crs.zone_of((lon, lat)) == code
    assert crs.zone_of(shapely.Point(lon, lat).buffer(0.01)) == code


def test_a_place_off_the_globe_has_no_zone() -> None:
    with pytest.raises(InvalidGeometry):
        crs.zone_of((41_500_000.0, 4_400_000.0))
    with pytest.raises(InvalidGeometry):
        crs.zone_of(shapely.Polygon())


@settings(max_examples=60)
@given(lon=st.floats(73.6, 135.0), lat=st.floats(18.0, 53.5))
def test_shifting_and_unshifting_comes_back_within_a_centimetre(lon: float, lat: float) -> None:
    point = np.array([[lon, lat]])
    for there, back in (
        (crs.wgs84_to_gcj02, crs.gcj02_to_wgs84),
        (crs.wgs84_to_bd09, crs.bd09_to_wgs84),
    ):
        again = back(there(point))[0]
        assert GEOD.inv(lon, lat, *again)[2] < 0.01


def test_the_gcj02_offset_is_that_of_the_public_formula() -> None:
    # Offsets in metres computed from the public formula by others, for five places of the sample documents.
    for lon, lat, offset_m in ((106.23, 29.59, 472), (111.67, 36.25, 561), (124.15, 39.86, 523)):
        shifted = crs.wgs84_to_gcj02(np.array([[lon, lat]]))[0]
        assert GEOD.inv(lon, lat, *shifted)[2] == pytest.approx(offset_m, abs=6)


def test_nothing_is_shifted_outside_china() -> None:
    helsinki = np.array([[24.94, 60.17]])
    for shift in (crs.wgs84_to_gcj02, crs.gcj02_to_wgs84, crs.wgs84_to_bd09, crs.bd09_to_wgs84):
        assert np.array_equal(shift(helsinki), helsinki)


def test_both_forms_of_a_zone_mean_one_place() -> None:
    central = crs.points_to_wgs84(np.array([[500_000.0, 4_400_000.0]]), "cgcs2000/123E")
    numbered = crs.points_to_wgs84(np.array([[41_500_000.0, 4_400_000.0]]), "cgcs2000/zone41")
    assert np.allclose(central, numbered, atol=1e-11)
    assert central[0, 0] == pytest.approx(123.0)


def test_metres_measured_in_the_zone_agree_with_the_ellipsoid() -> None:
    ring = shapely.box(124.15, 39.86, 124.156, 39.8645)
    area_m2 = crs.to_metric(gpd.GeoSeries([ring], crs=4326)).area.iloc[0]
    assert area_m2 == pytest.approx(abs(GEOD.geometry_area_perimeter(ring)[0]), rel=6e-4)


def test_metric_work_refuses_a_frame_that_is_not_in_wgs84() -> None:
    with pytest.raises(InvalidInput) as error:
        crs.to_metric(gpd.GeoSeries([shapely.Point(0, 0)], crs=4550))
    assert error.value.code == "crs.not_as_required"


def test_height_is_dropped_and_missing_geometry_stays_missing() -> None:
    given = np.array([shapely.Point(124, 39, 7), None], dtype=object)
    made = crs.geometries_to_wgs84(given, "gcj02")
    assert not shapely.has_z(made[0])
    assert made[1] is None


def estate(count: int = 15) -> tuple[gpd.GeoSeries, gpd.GeoSeries]:
    """Compounds of 220 m with buildings well inside, the compounds 60 m apart."""
    compounds, houses = [], []
    for column in range(count):
        for row in range(3):
            west, south = 124.1 + column * 0.0033, 39.85 + row * 0.0025
            compounds.append(shapely.box(west, south, west + 0.0026, south + 0.002))
            houses += [
                shapely.box(west + dx, south + dy, west + dx + 0.0004, south + dy + 0.0002)
                for dx in (0.0002, 0.0011, 0.002)
                for dy in (0.0003, 0.0015)
            ]
    return gpd.GeoSeries(houses, crs=4326), gpd.GeoSeries(compounds, crs=4326)


def shifted(series: gpd.GeoSeries, shift: crs.Shift) -> gpd.GeoSeries:
    forward = crs.wgs84_to_gcj02 if shift == "gcj02" else crs.wgs84_to_bd09
    return gpd.GeoSeries(shapely.transform(series.to_numpy(), forward), crs=4326)


def test_layers_in_one_system_do_not_look_shifted() -> None:
    test = crs.looks_shifted(*estate())
    assert not test.is_suspicious
    assert test.misfit_ratio == 0


@pytest.mark.parametrize(
    ("of_buildings", "of_compounds"), [("gcj02", "bd09"), ("gcj02", None), (None, "gcj02"), ("bd09", None)]
)
def test_layers_in_two_systems_look_shifted_and_the_right_reading_is_named(
    of_buildings: crs.Shift | None, of_compounds: crs.Shift | None
) -> None:
    houses, compounds = estate()
    test = crs.looks_shifted(
        shifted(houses, of_buildings) if of_buildings else houses,
        shifted(compounds, of_compounds) if of_compounds else compounds,
    )
    assert test.is_suspicious
    assert (test.buildings_crs, test.reference_crs) == (of_buildings or "wgs84", of_compounds or "wgs84")
    assert test.best_misfit_ratio == 0


def test_a_handful_of_buildings_is_no_evidence() -> None:
    houses, compounds = estate()
    assert not crs.looks_shifted(shifted(houses[:8], "gcj02"), compounds).is_suspicious
