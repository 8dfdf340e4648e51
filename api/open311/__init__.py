"""Open311 GeoReport v2 under ``/open311/v2``: reports in, requests out, in JSON and XML."""

from api.open311.router import router

__all__ = ["router"]
