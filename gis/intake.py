"""From a file's town to one that can be stored: estimates filled in, shifted data refused, geometry cleaned.

What the database knows already helps to place rows whose file lacks communities or compounds, and to notice
coordinates that cannot be what they claim.
"""

from __future__ import annotations

from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from sqlalchemy import text
from sqlalchemy.orm import Session

from gis import households
from gis.cleaning import clean
from gis.crs import WGS84_CODE, looks_shifted, to_metric, zone_of
from gis.errors import InvalidInput
from gis.findings import Finding
from gis.town import LAYERS, Town, conform

_GROUND_LAYERS = ("communities", "compounds", "buildings")
# A table of these without geometry says something about rows that are there already.
_TABLES_OF_FACTS = ("compounds", "buildings")
_AROUND_DEG = 0.02  # further than GCJ-02 and BD-09 shift
_MOVED_AT_LEAST = 5
_MOVED_M = 60.0
_MOVED_ALIKE_RATIO = 0.2  # a shift takes all the same way; houses drawn anew go each its own
_CENTRES = """
SELECT code, ST_X(ST_Centroid(geom)) AS lon, ST_Y(ST_Centroid(geom)) AS lat FROM building WHERE code = ANY(:codes)
"""


def prepare(
    session: Session, town: Town, *, rule: households.HouseholdRule | None = None, trust_crs: bool = False
) -> tuple[Town, tuple[Finding, ...]]:
    """Make a town ready for the database: estimates filled in, shifted data refused, geometry cleaned.

    Parameters
    ----------
    session : Session
        Read only: communities and compounds that the town leaves out.
    town : Town
        As `gis.exchange.read_any` gives it.
    rule : HouseholdRule, optional
        The preset by default.
    trust_crs : bool
        Go on although buildings and compounds look shifted against each other.

    Raises
    ------
    InvalidInput
        ``import.looks_shifted``, ``import.moved_as_a_whole``.
    """
    drawn, bare = _with_and_without_geometry(town)
    drawn, findings = _prepare_drawn(session, drawn, rule, trust_crs=trust_crs)
    return drawn.with_layers(**{layer: _joined(drawn[layer], bare[layer]) for layer in bare}), findings


def _prepare_drawn(
    session: Session, town: Town, rule: households.HouseholdRule | None, *, trust_crs: bool
) -> tuple[Town, tuple[Finding, ...]]:
    town, estimated = households.estimate(town, rule)
    whole = complete(session, town)
    if not trust_crs:
        _refuse_shifted(session, whole)
        _refuse_moved(session, town)
    if not any(len(whole[layer]) for layer in _GROUND_LAYERS) or not len(whole["communities"]):
        return town, estimated
    cleaned, repaired = clean(whole)
    # What came from the database helped to place the rows and is not theirs to change.
    own = Town({layer: cleaned[layer] for layer in cleaned if layer in town}, title=town.title)
    told = [found for found in repaired if found.layer in town or found.layer not in LAYERS]
    return own, (*estimated, *told)


def _with_and_without_geometry(town: Town) -> tuple[Town, dict[str, pd.DataFrame]]:
    """The rows that can be drawn, and those of buildings and compounds that only say something about known ones."""
    bare = {layer: town[layer][town.geo(layer).geometry.isna()] for layer in _TABLES_OF_FACTS if len(town[layer])}
    drawn = {layer: town[layer][~town.geo(layer).geometry.isna()] for layer in bare}
    return town.with_layers(**drawn), {layer: frame for layer, frame in bare.items() if len(frame)}


def _joined(drawn: pd.DataFrame, bare: pd.DataFrame) -> pd.DataFrame:
    return pd.concat([drawn, bare]) if len(drawn) else bare


def _refuse_shifted(session: Session, town: Town) -> None:
    """Compare buildings with compounds: both of the town, or one of them as the database knows it."""
    if not len(town["compounds"]):
        return
    houses = town["buildings"]
    if not len(houses):
        houses = _known(session, "buildings", shapely.box(*town.geo("compounds").total_bounds).buffer(_AROUND_DEG))
    test = looks_shifted(gpd.GeoSeries(houses.geometry), town.geo("compounds").geometry)
    if test.is_suspicious:
        raise InvalidInput(
            "import.looks_shifted",
            misfit_percent=round(100 * test.misfit_ratio),
            best_percent=round(100 * test.best_misfit_ratio),
            buildings_crs=test.buildings_crs,
            reference_crs=test.reference_crs,
            compared=test.compared,
        )


def _refuse_moved(session: Session, town: Town) -> None:
    """Compare buildings with what the database holds under their codes: a town does not move as a whole."""
    if not len(town["buildings"]):
        return
    here = town.geo("buildings").set_index("code").geometry
    rows = session.execute(text(_CENTRES), {"codes": list(here.index)}).all()
    if len(rows) < _MOVED_AT_LEAST:
        return
    old = gpd.GeoSeries([shapely.Point(row.lon, row.lat) for row in rows], crs=WGS84_CODE)
    new = gpd.GeoSeries(shapely.centroid(here.loc[[row.code for row in rows]].to_numpy()), crs=WGS84_CODE)
    zone = zone_of(old)
    moves_m = shapely.get_coordinates(to_metric(new, zone)) - shapely.get_coordinates(to_metric(old, zone))
    common_m = np.median(moves_m, axis=0)
    moved_m = float(np.hypot(*common_m))
    unlike_m = float(np.median(np.hypot(*(moves_m - common_m).T)))
    if moved_m > _MOVED_M and unlike_m < _MOVED_ALIKE_RATIO * moved_m:
        raise InvalidInput("import.moved_as_a_whole", metres=round(moved_m), compared=len(rows))


def complete(session: Session, town: Town) -> Town:
    """The town with the communities and compounds around it that it leaves out, so that cleaning can place its rows."""
    places = [town.geo(layer) for layer in ("buildings", "compounds", "pois") if len(town[layer])]
    if not places or len(town["communities"]):
        return town
    box = shapely.box(*shapely.total_bounds([shapely.box(*place.total_bounds) for place in places]))
    added = {"communities": _known(session, "communities", box)}
    if not len(town["compounds"]):
        added["compounds"] = _known(session, "compounds", box)
    return town.with_layers(**{layer: frame for layer, frame in added.items() if len(frame)})


_KNOWN = {
    "communities": "SELECT a.code, a.name, a.name_en, p.code AS parent, ST_AsBinary(a.geom) AS geometry"
    " FROM admin_area a LEFT JOIN admin_area p ON p.id = a.parent_id WHERE a.level = 'community' AND a.geom && "
    "ST_SetSRID(ST_GeomFromWKB(:box), 4326) ORDER BY a.code",
    "compounds": "SELECT k.code, k.name, k.name_en, a.code AS community, k.housing_class, k.is_walled,"
    " ST_AsBinary(k.geom) AS geometry FROM compound k JOIN admin_area a ON a.id = k.area_id WHERE k.geom && "
    "ST_SetSRID(ST_GeomFromWKB(:box), 4326) ORDER BY k.code",
    "buildings": "SELECT b.code, ST_AsBinary(b.geom) AS geometry FROM building b WHERE b.geom && "
    "ST_SetSRID(ST_GeomFromWKB(:box), 4326) ORDER BY b.code",
}


def _known(session: Session, layer: str, box: Any) -> pd.DataFrame:
    rows = session.execute(text(_KNOWN[layer]), {"box": shapely.to_wkb(box)}).mappings().all()
    data = pd.DataFrame([dict(row) for row in rows], columns=[*LAYERS[layer].columns, "geometry"])
    shapes = gpd.GeoSeries([shapely.from_wkb(bytes(wkb)) for wkb in data.pop("geometry")], crs=WGS84_CODE)
    return conform(layer, gpd.GeoDataFrame(data, geometry=shapes))
