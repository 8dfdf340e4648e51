"""``wangge worker``: runs the long jobs that the service puts into the queue."""

from __future__ import annotations

import logging
import os
import signal
import threading
import time

import click

from gis import embedded
from gis.db import make_engine, migrate
from gis.jobs import work
from gis.settings import Settings
from scripts.program import Program, pass_program


@click.command()
@click.option("--once", is_flag=True, help="Stop when the queue is empty.")
@pass_program
def command(program: Program, once: bool) -> None:
    """Run partitions that planners ask for, one after the other, until interrupted."""
    url = embedded.database_url(program.settings)
    engine = make_engine(url, statement_timeout_s=600)
    migrate(engine)
    program.say("worker.started")
    work(url, engine, settings=program.settings, once=once)


def run_beside(url: str, parent: int, settings: Settings) -> None:
    """The worker as a child of the service: it ends when its parent does, however and whenever that ended."""
    logging.basicConfig(level=logging.WARNING)
    threading.Thread(target=end_with, args=(parent,), daemon=True).start()
    work(url, make_engine(url, statement_timeout_s=600), settings=settings)


def end_with(parent: int) -> None:
    """Wait until this process's parent is another one, then end as if told to."""
    while os.getppid() == parent:
        time.sleep(1.0)
    os.kill(os.getpid(), signal.SIGTERM)
