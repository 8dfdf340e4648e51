"""Files in and out: the town file, OpenStreetMap, vector files, tables, plan files, reports."""

from gis.exchange.reading import read_any

__all__ = ["read_any"]
