"""The read side: pages of rows for maps and tables, filtered by scope in SQL.

Each function takes the scopes (tree paths) under which its caller may see rows, made by `gis.permissions.scopes`; a row
outside them does not exist for the caller. Geometry comes as GeoJSON text that PostGIS wrote, and is passed through
untouched.
"""

from gis.listing.areas import WORLD, area, areas, extent
from gis.listing.buildings import buildings, compounds
from gis.listing.cells import cell, cell_in_full, cells, parts
from gis.listing.incidents import CountBy, IncidentFilter, counts, incident, incidents, log
from gis.listing.live import Change, News, newest_number, news, reaches
from gis.listing.people import HOMES, categories, departments, mask_phone, person, posts, profile, responsible, staff
from gis.listing.plans import findings, plan, plans, rule_sets
from gis.listing.window import Box, Filters, Listed, Row, Window, fetch

__all__ = [
    "HOMES",
    "WORLD",
    "Box",
    "Change",
    "CountBy",
    "Filters",
    "IncidentFilter",
    "Listed",
    "News",
    "Row",
    "Window",
    "area",
    "areas",
    "buildings",
    "categories",
    "cell",
    "cell_in_full",
    "cells",
    "compounds",
    "counts",
    "departments",
    "extent",
    "fetch",
    "findings",
    "incident",
    "incidents",
    "log",
    "mask_phone",
    "newest_number",
    "news",
    "parts",
    "person",
    "plan",
    "plans",
    "posts",
    "profile",
    "reaches",
    "responsible",
    "rule_sets",
    "staff",
]
