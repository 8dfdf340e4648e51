"""OGC API Features and Tiles under ``/ogc``: for QGIS, ArcGIS, GDAL and whoever else speaks them."""

from api.ogc.router import router
from api.ogc.tile_paths import TilePaths

__all__ = ["TilePaths", "router"]
