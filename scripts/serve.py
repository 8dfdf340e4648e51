"""``wangge serve``: the pages, the map API and the tiles, with the worker of long jobs beside them."""

from __future__ import annotations

import errno
import multiprocessing
import os
import signal
import socket
import sys
import threading
import webbrowser
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import click
import uvicorn

from api.app import create_app
from gis import embedded
from gis.db import make_engine, migrate
from gis.errors import Unavailable
from gis.settings import Settings
from scripts.program import Program, pass_program
from scripts.worker import run_beside

STOP_S = 5
"""Open streams are cut so long after the service was told to stop."""


@click.command()
@click.option("--host", help="Address to listen on; loopback unless said otherwise (WANGGE_HOST).")
@click.option("--port", type=click.IntRange(1, 65535), help="Port (WANGGE_PORT).")
@click.option("--worker/--no-worker", default=True, show_default=True, help="Run the worker of long jobs beside it.")
@click.option("--open", "open_page", is_flag=True, help="Open the first page in the browser.")
@pass_program
def command(program: Program, host: str | None, port: int | None, worker: bool, open_page: bool) -> None:
    """Serve the pages, the map API and the vector tiles until interrupted."""
    given = {"host": host, "port": port}
    settings = program.settings.model_copy(update={key: value for key, value in given.items() if value is not None})
    serve(program, settings, worker=worker, open_page=open_page)


def serve(program: Program, settings: Settings, *, worker: bool = True, open_page: bool = False) -> None:
    """Find the database, bring its schema up to date, and serve until interrupted.

    Raises
    ------
    Unavailable
        ``serve.port_taken``, ``serve.cannot_listen``; or the database or PostGIS is not there.
    """
    require_free(settings.host, settings.port)
    url = embedded.database_url(settings)
    engine = make_engine(url)
    migrate(engine)
    engine.dispose()
    address = f"http://{'127.0.0.1' if settings.host in ('0.0.0.0', '::') else settings.host}:{settings.port}/"
    program.say("serve.listening", address=address)
    # uvicorn stops on SIGTERM and then raises it again: as an exit, so that what is below is left in good order.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with _worker(url, settings) if worker else nullcontext():
        if open_page:
            threading.Timer(1.5, webbrowser.open, [address]).start()
        uvicorn.run(
            create_app(settings, url=url),
            host=settings.host,
            port=settings.port,
            log_level="warning",
            server_header=False,
            timeout_graceful_shutdown=STOP_S,
        )


def require_free(host: str, port: int) -> None:
    """Find out before anything is started whether the service could listen there.

    Raises
    ------
    Unavailable
        ``serve.port_taken``, ``serve.cannot_listen``.
    """
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise Unavailable("serve.port_taken", port=port) from error
            raise Unavailable("serve.cannot_listen", host=host, port=port, said=error.strerror or "") from error


@contextmanager
def _worker(url: str, settings: Settings) -> Iterator[None]:
    # A fresh interpreter: nothing of this process's connections and threads goes along.
    process = multiprocessing.get_context("spawn").Process(target=run_beside, args=(url, os.getpid(), settings))
    process.start()
    try:
        yield
    finally:
        process.terminate()
        process.join(STOP_S)
        if process.is_alive():
            process.kill()
