"""A made-up town whose totals are Donggang's, its people and its days: for trying out, showing and testing."""

from gis.demo.incidents import DemoIncident, DemoStep, incident_stream
from gis.demo.people import staff_for
from gis.demo.town import make_town

__all__ = ["DemoIncident", "DemoStep", "incident_stream", "make_town", "staff_for"]
