"""What OpenStreetMap tags mean for a town: tables only. Source of the words: the OSM wiki's "Map features"."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

Tags = Mapping[str, str]

KEYS = (
    "building",
    "highway",
    "railway",
    "waterway",
    "natural",
    "landuse",
    "leisure",
    "amenity",
    "place",
    "barrier",
    "boundary",
    "man_made",
    "entrance",
    "addr:housenumber",
    "shop",
)


def _table(**words: str) -> Mapping[str, str]:
    return MappingProxyType({word: meaning for meaning, listed in words.items() for word in listed.split()})


ROADS = _table(
    arterial="motorway trunk primary motorway_link trunk_link primary_link",
    secondary="secondary tertiary secondary_link tertiary_link",
    minor="residential unclassified living_street road pedestrian service",
)
# Ways inside a yard: nobody would draw a border along them.
YARD_SERVICE = frozenset({"driveway", "parking_aisle", "drive-through", "emergency_access"})

WALLS = frozenset({"wall", "fence", "city_wall", "retaining_wall", "hedge"})
RAILS = frozenset({"rail", "light_rail", "subway", "narrow_gauge"})
RIVERS = frozenset({"river", "canal"})

GROUND = (
    ("natural", _table(water="water bay", green="wood scrub grassland heath wetland")),
    ("waterway", _table(water="riverbank dock")),
    (
        "landuse",
        _table(
            water="basin reservoir",
            green="grass forest meadow village_green recreation_ground cemetery flowerbed greenfield",
            farmland="farmland farmyard orchard vineyard allotments",
            industrial="industrial garages railway construction brownfield depot",
            other="commercial retail military religious institutional",
        ),
    ),
    ("leisure", _table(green="park garden pitch playground golf_course nature_reserve common", other="stadium")),
    ("place", _table(square="square")),
    ("highway", _table(square="pedestrian")),
    ("amenity", _table(other="school kindergarten college university hospital marketplace")),
)

BUILDING_USES = _table(
    residential="apartments residential house detached terrace semidetached_house dormitory bungalow houseboat block "
    "farm allotment_house",
    commercial="commercial retail hotel supermarket kiosk mall shop",
    office="office",
    industrial="industrial warehouse factory manufacture hangar",
    school="school kindergarten university college",
    hospital="hospital clinic",
    public="public civic government church chapel cathedral mosque synagogue temple shrine train_station "
    "transportation stadium sports_centre sports_hall museum library fire_station castle religious monastery",
    other="garage garages roof carport shed hut construction ruins service greenhouse parking toilets "
    "transformer_tower barn cabin grandstand bunker container tent collapsed",
)

# What a building or the ground below it is used for says what a plain building=yes is.
USE_OF_AMENITY = _table(
    school="school kindergarten college university",
    hospital="hospital clinic",
    market="marketplace",
    public="townhall courthouse police fire_station library place_of_worship theatre community_centre arts_centre "
    "prison embassy museum bus_station",
    commercial="restaurant cafe bar pub bank cinema fuel fast_food nightclub casino",
    other="parking toilets shelter fountain",
)
USE_OF_LANDUSE = _table(
    residential="residential",
    commercial="commercial retail",
    industrial="industrial railway garages depot",
    public="military religious institutional",
)

POIS = (
    (
        "amenity",
        _table(
            school="school kindergarten college university",
            hospital="hospital clinic doctors",
            market="marketplace",
            station="bus_station ferry_terminal",
            service="townhall community_centre social_facility post_office",
            police="police",
            fire="fire_station",
            elderly="nursing_home",
        ),
    ),
    ("railway", _table(station="station halt subway_entrance")),
    ("shop", _table(market="supermarket mall department_store")),
    ("leisure", _table(park="park")),
    ("barrier", _table(gate="gate lift_gate swing_gate entrance")),
    ("man_made", _table(bridge="bridge")),
)

# https://wiki.openstreetmap.org/wiki/Tag:boundary%3Dadministrative: in China 4 is the province, 5 the prefecture,
# 6 the county, 8 the town or sub-district, 10 the community or village.
AREA_LEVEL = MappingProxyType({4: "city", 5: "city", 6: "county", 7: "county", 8: "street"})
COMMUNITY_LEVELS = (10, 9, 11)


def barrier(tags: Tags) -> str | None:
    """Kind of barrier that a way is, if any; what runs below ground or through a house divides nothing."""
    if tags.get("tunnel", "no") != "no" or tags.get("covered") == "yes" or tags.get("area") == "yes":
        return None
    if (kind := ROADS.get(tags.get("highway", ""))) is not None:
        return None if tags.get("service") in YARD_SERVICE else kind
    if tags.get("railway") in RAILS:
        return "rail"
    if tags.get("waterway") in RIVERS or tags.get("natural") == "coastline":
        return "river"
    return "wall" if tags.get("barrier") in WALLS else None


def ground(tags: Tags) -> str | None:
    """Kind of ground that an area is, if any."""
    return next((kinds[tags[key]] for key, kinds in GROUND if tags.get(key) in kinds), None)


def poi(tags: Tags) -> str | None:
    """Kind of place that a point or area is, if any."""
    if tags.get("social_facility:for") == "senior" or tags.get("social_facility") == "assisted_living":
        return "elderly"
    return next((kinds[tags[key]] for key, kinds in POIS if tags.get(key) in kinds), None)


def use(tags: Tags) -> str | None:
    """Use of a building by its own tags; ``None`` for a plain ``building=yes``."""
    own = BUILDING_USES.get(tags["building"])
    if own is None:
        own = USE_OF_AMENITY.get(tags.get("amenity", ""))
    if own is None:
        own = next((use for key, use in _USE_OF_KEY.items() if tags.get(key, "no") != "no"), None)
    shops = any(tags.get(key) for key in ("shop", "building:use:retail"))
    return "mixed" if own == "residential" and shops else own


_USE_OF_KEY = MappingProxyType({"office": "office", "shop": "commercial", "tourism": "commercial"})


def address(tags: Tags) -> str | None:
    """Address in one line, in the order of its script."""
    if full := tags.get("addr:full"):
        return full
    number = tags.get("addr:housenumber")
    street = tags.get("addr:street") or tags.get("addr:place")
    if not number or not street:
        return street or number or None
    if any("\u4e00" <= letter <= "\u9fff" for letter in street):
        return street + number + ("" if number.endswith(("号", "弄", "栋", "幢")) else "号")
    return f"{street} {number}"
