"""A made-up town whose totals are Donggang's, its people and its days: for trying out, showing and testing."""

from gis.demo.town import make_town

__all__ = ["make_town"]
