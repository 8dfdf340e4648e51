"""``wangge serve``: the pages, the map API and the tiles, with the worker of long jobs beside them.

With ``--workers N`` uvicorn's supervisor keeps N processes at one socket: one that dies or hangs is replaced, SIGHUP
replaces them one after the other without a refused request, and none outlives its parent. They share nothing but the
database and the artifacts on disk, so several machines at one database are the same thing.
"""

from __future__ import annotations

import errno
import gc
import multiprocessing
import os
import signal
import socket
import sys
import threading
import webbrowser
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import click
import uvicorn
from fastapi import FastAPI
from uvicorn.supervisors import Multiprocess

from api.app import create_app
from api.wire import WireProtocol
from gis import embedded
from gis.db import make_engine, migrate
from gis.errors import Unavailable
from gis.settings import Settings
from scripts.program import Program, pass_program
from scripts.worker import end_with, run_beside

STOP_S = 5
"""Open streams are cut so long after the service was told to stop."""
HUNG_S = 30
"""A process that does not answer its supervisor for so long is replaced."""
WATCH_S = 5.0
"""So often is looked whether the worker of long jobs is alive."""
BACKLOG = 4096
"""Connections that may wait to be taken: after a break in the network all pages come back at once."""
_URL, _PARENT = "WANGGE_SERVE_URL", "WANGGE_SERVE_PARENT"


@click.command()
@click.option("--host", help="Address to listen on; loopback unless said otherwise (WANGGE_HOST).")
@click.option("--port", type=click.IntRange(1, 65535), help="Port (WANGGE_PORT).")
@click.option("--workers", type=click.IntRange(1, 64), default=1, show_default=True, help="Processes that serve.")
@click.option("--worker/--no-worker", default=True, show_default=True, help="Run the worker of long jobs beside it.")
@click.option("--open", "open_page", is_flag=True, help="Open the first page in the browser.")
@pass_program
def command(program: Program, host: str | None, port: int | None, workers: int, worker: bool, open_page: bool) -> None:
    """Serve the pages, the map API and the vector tiles until interrupted."""
    given = {"host": host, "port": port}
    settings = program.settings.model_copy(update={key: value for key, value in given.items() if value is not None})
    serve(program, settings, workers=workers, worker=worker, open_page=open_page)


def serve(
    program: Program, settings: Settings, *, workers: int = 1, worker: bool = True, open_page: bool = False
) -> None:
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
        if workers == 1:
            uvicorn.run(tuned(create_app(settings, url=url)), host=settings.host, port=settings.port, **_OPTIONS)
        else:
            _supervise(settings, url, workers)


_OPTIONS: dict[str, Any] = {
    "http": WireProtocol,
    "log_level": "warning",
    "access_log": False,
    "server_header": False,
    "timeout_graceful_shutdown": STOP_S,
    "backlog": BACKLOG,
}


def _supervise(settings: Settings, url: str, workers: int) -> None:
    """Have several processes serve at one socket until told to stop."""
    # What the processes are made from goes along in the environment: they begin as fresh interpreters.
    os.environ |= {_URL: url, _PARENT: str(os.getpid())}
    os.environ |= {f"WANGGE_{name.upper()}": str(getattr(settings, name)) for name in ("host", "port", "home")}
    config = uvicorn.Config(
        "scripts.serve:served_app",
        factory=True,
        host=settings.host,
        port=settings.port,
        workers=workers,
        timeout_worker_healthcheck=HUNG_S,
        **_OPTIONS,
    )
    Multiprocess(config, sockets=[config.bind_socket()]).run()


def served_app() -> FastAPI:
    """The application of one of several processes; it ends when its supervisor does, however that ended."""
    threading.Thread(target=end_with, args=(int(os.environ[_PARENT]),), daemon=True).start()
    return tuned(create_app(Settings(), url=os.environ[_URL]))


def tuned(app: FastAPI) -> FastAPI:
    """Prepare the interpreter for answering in milliseconds.

    A thread that computes keeps the others waiting for one switch interval each time they come back from the network:
    with 5 ms, Python's own, a report took three times as long to reach five hundred listeners as with half a
    millisecond. What is there now stays to the end, so that the collector need not look at it again and again.
    """
    sys.setswitchinterval(0.0005)
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 20)
    return app


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
    """The worker of long jobs in a process beside the service; one that dies is replaced."""
    is_over = threading.Event()
    # A fresh interpreter: nothing of this process's connections and threads goes along.
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=run_beside, args=(url, os.getpid(), settings))]
    processes[0].start()

    def watch() -> None:
        while not is_over.wait(WATCH_S):
            if not processes[0].is_alive():
                processes[0] = context.Process(target=run_beside, args=(url, os.getpid(), settings))
                processes[0].start()

    watching = threading.Thread(target=watch, daemon=True)
    watching.start()
    try:
        yield
    finally:
        is_over.set()
        watching.join(STOP_S)
        processes[0].terminate()
        processes[0].join(STOP_S)
        if processes[0].is_alive():
            processes[0].kill()
