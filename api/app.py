"""The composition of the HTTP service, and nothing else."""

from __future__ import annotations

import gc
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from typing import Any

from anyio import CapacityLimiter
from fastapi import FastAPI

import tiles.router
from api import deps, errors, live, pages
from api.access import AccessCache
from api.desk_bell import DeskBell
from api.front import FRONT, FrontedApp, Reply
from api.guard import BODY_LIMIT, Guard
from api.live_front import LivePath
from api.locating import FastLocate, ManyPoints
from api.ogc import TilePaths
from api.routes import ROUTERS, geotag_runs, taking
from api.standing_in import StandIn
from gis import spelling
from gis.db import make_engine
from gis.in_force import Keeper
from gis.jobs import deferring_app
from gis.notices import Notices
from gis.responsibility.present import Present
from gis.responsibility.responsibility import store_of
from gis.settings import Settings
from tiles.front import TilesFront
from tiles.present import CellTiles

_DESCRIPTION = """
Urban grid management (网格化管理): communities, grids and micro-grids, who is responsible where, and incidents.

Errors are `application/problem+json` with a stable `code`. Signing in gives an HttpOnly cookie. Lists and tiles hold
only what lies in the areas that the caller was granted.
"""


def _clock() -> datetime:
    return datetime.now(UTC)


def create_app(settings: Settings, *, url: str, clock: Callable[[], datetime] = _clock) -> FrontedApp:
    """Make the service on a migrated database.

    Parameters
    ----------
    settings : Settings
    url : str
        ``postgresql://…``, from `gis.embedded.database_url`.
    clock : callable
        Gives the present, aware; tests give their own.
    """
    # As many again may be opened at a peak: no request that was let in waits for a connection.
    engine = make_engine(url, pool_size=(deps.MAX_SESSIONS + deps.FEW + 1) // 2)
    # Of its own, so that news wait for nobody's request.
    news_engine = make_engine(url, pool_size=1)
    notices = Notices(url)
    keeper = Keeper(news_engine, notices, clock=clock)
    access = AccessCache(notices)
    present = Present(engine, store_of(settings), keeper)
    # So few threads that everybody else is still answered.
    many = ManyPoints(bodies=CapacityLimiter(8), crunchers=CapacityLimiter(max(1, (os.cpu_count() or 2) // 2)))
    services = deps.Services(
        settings=settings,
        engine=engine,
        clock=clock,
        jobs=deferring_app(url),
        notices=notices,
        live=live.Broadcaster(partial(live.read_news, news_engine)),
        access=access,
        keeper=keeper,
        present=present,
        locate=FastLocate(present, clock=clock, who=access.seen, many=many),
        few=CapacityLimiter(deps.FEW),
        stand_in=StandIn(url),
    )

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[dict[str, Any]]:
        async with services.live.running(services.notices):
            with services.notices.running(), services.keeper.running():
                spelling.warm()
                gc.freeze()  # modules and routes stay: a large request must not have them looked through for garbage
                yield {FRONT: app.front}
        services.stand_in.close()
        services.engine.dispose()
        news_engine.dispose()

    app = FrontedApp(
        title="Wangge",
        version="0.1.0",
        description=_DESCRIPTION,
        docs_url=None,  # its page loads scripts from outside
        redoc_url=None,
        lifespan=lifespan,
        responses=deps.ERROR_RESPONSES,
    )
    cells = CellTiles(
        engine,
        store_of(settings),
        limit_bytes=1000 * settings.tile_limit_kb,
        cache_bytes=1_000_000 * settings.tile_cache_mb,
    )
    app.state.services = services
    app.state.cells = cells
    app.state.desk_bell = DeskBell(notices)
    keeper.on_change(cells.change)
    keeper.ahead(cells.ahead)
    keeper.on_change(lambda found: services.live.now_in_force(found.version), is_last=True)
    keeper.on_change(cells.prepare, is_last=True)  # what is told of a publication does not wait for it
    app.front.at("/api/v1/locate", services.locate)
    app.front.at("/api/v1/incidents/stream", LivePath(services))
    errors.install(app)
    for router in ROUTERS:
        app.include_router(router)
    app.include_router(
        tiles.router.make_router(session=deps.SessionScope, allow=deps.allow, now=deps.now, cells=lambda: cells)
    )
    app.front.below("/tiles/", TilesFront(cells, services.access.seen, partial(deps.who, services), Reply))
    app.front.below("/ogc/", TilePaths(app.front))
    pages.install(app, dist=settings.web_dist)
    app.add_middleware(deps.Compression, minimum_size=1000, compresslevel=5)
    upload_limit = settings.upload_limit_mb * 1_000_000
    app.add_middleware(
        Guard, body_limit=BODY_LIMIT, uploads={geotag_runs.PATH: upload_limit, taking.PATH: upload_limit}
    )
    return app
