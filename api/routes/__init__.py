"""The routes, one file a thing. Each states the action that it asks leave for (`api.deps.allow`)."""

from api import ogc, open311
from api.routes import (
    areas,
    buildings,
    decide,
    desk,
    export,
    geotag,
    geotag_runs,
    grids,
    health,
    incidents,
    locate,
    plans,
    proposals,
    rule_sets,
    search,
    session,
    staff,
    tokens,
)

ROUTERS = (
    locate.router,  # asked most often, and routers are looked through in turn
    health.router,
    session.router,
    tokens.router,
    areas.router,
    rule_sets.router,
    plans.router,
    desk.router,
    proposals.router,
    decide.router,
    grids.router,
    buildings.router,
    staff.router,
    geotag.router,
    geotag_runs.router,
    search.router,
    incidents.router,
    export.router,
    ogc.router,
    open311.router,
)
