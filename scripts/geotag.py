"""``wangge geotag``: a table of places → the same table with cells and people, every row of it."""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from sqlalchemy import Engine
from tqdm import tqdm

from gis.db import make_engine
from gis.embedded import database_url
from gis.errors import GridError, InvalidInput
from gis.permissions import EVERYWHERE, SYSTEM
from gis.worktime import CHINA
from scripts.program import Program, pass_program, print_json
from scripts.targets import check_ending, check_targets

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gis.geotagging.cells import Cells
    from gis.geotagging.running import Summary
    from gis.geotagging.tagging import Resolve


@click.command("geotag")
@click.argument("source", metavar="IN", type=click.Path(path_type=Path))
@click.option("--out", metavar="OUT", required=True, type=click.Path(path_type=Path), help="What to write.")
@click.option(
    "--crs", help="Coordinates: wgs84, cgcs2000, cgcs2000/123E, gcj02, bd09, EPSG:… Needed where IN is silent."
)
@click.option("--at", metavar="TIME", help="The plan in force and the posts held then (2026-03-01 or with time); now.")
@click.option(
    "--plan", metavar="PLAN.gpkg", type=click.Path(path_type=Path), help="This plan file, without a database."
)
@click.option("--lon", metavar="COLUMN", help="By default the one that is called so.")
@click.option("--lat", metavar="COLUMN", help="By default the one that is called so.")
@click.option("--address", metavar="COLUMN", help="Where there are no coordinates: look this up in the database.")
@click.option("--layer", metavar="NAME", help="Layer or sheet, where IN has several.")
@click.option("--phones", is_flag=True, help="Also the telephones of the people responsible.")
@click.option("--headers", type=click.Choice(["zh", "en"]), help="Language of the added columns; that of the messages.")
@click.option("--encoding", type=click.Choice(["utf-8", "gb18030"]), help="Of CSV; by default that of IN.")
@click.option("--default-point", "heap_ratio", metavar="SHARE", type=click.FloatRange(0, 1), default=0.01,
              show_default=True, help="A point that so many of the rows share, and 100, is a default.")  # fmt: skip
@click.option("--threads", "--processes", type=click.IntRange(min=1), help="By default one a core.")
@click.option("--cluster", metavar="tcp://HOST:PORT", help="Spread over the workers of this Dask scheduler.")
@click.option("--json", "as_json", is_flag=True, help="Print the summary as one JSON object.")
@pass_program
def command(
    program: Program,
    /,
    source: Path,
    out: Path,
    at: str | None,
    plan: Path | None,
    phones: bool,
    headers: str | None,
    encoding: str | None,
    heap_ratio: float,
    threads: int | None,
    cluster: str | None,
    as_json: bool,
    **said: Any,
) -> None:
    """Find the cell and the people responsible for every row of a table.

    \b
    IN and OUT, by their endings: .csv .tsv .txt (UTF-8, GB 18030), .xlsx, .gpkg, .parquet (GeoParquet),
    .ndjson .jsonl .geojsonl. Every row comes back in its order, as it was, with columns added; one that has no cell
    says why. Tables may be larger than memory. Ctrl-C stops with nothing written.
    """
    from gis.geotagging.reading import ENDINGS_OUT, Asked
    from gis.geotagging.running import Wish, geotag_file

    check_ending(out, *ENDINGS_OUT)
    check_targets([source, *([plan] if plan else [])], [(out, _is_tagged)])
    if plan is not None and (at is not None or said["address"] is not None):
        raise InvalidInput("geotag.plan_without_database")
    if cluster is not None and said["address"] is not None:
        raise InvalidInput("geotag.address_on_cluster")
    language = headers or program.language
    when = _time(at)
    with (
        _cells(program, plan, when, language, phones, with_addresses=said["address"] is not None) as (cells, resolve),
        tqdm(total=100.0, desc="geotag", disable=not sys.stderr.isatty(), leave=False,
             bar_format="{l_bar}{bar}| {elapsed}<{remaining}") as bar,
    ):  # fmt: skip
        summary = geotag_file(
            source,
            out,
            cells=cells,
            asked=Asked(**said),
            wish=Wish(language, phones, heap_ratio, encoding),
            threads=threads or len(os.sched_getaffinity(0)),
            cluster=cluster,
            resolve=resolve,
            progress=lambda share: bar.update(100.0 * share - bar.n) and None,
        )
    if as_json:
        print_json({"path": str(out), **summary.as_dict()})
    else:
        _tell(program, summary, out)


def _time(words: str | None) -> datetime:
    """A time; without a zone China's, without an hour the day's first instant."""
    if words is None:
        return datetime.now(UTC)
    try:
        at = datetime.fromisoformat(words)
    except ValueError as error:
        raise InvalidInput("geotag.bad_time", time=words) from error
    return at if at.tzinfo is not None else at.replace(tzinfo=CHINA)


@contextmanager
def _cells(
    program: Program, plan: Path | None, at: datetime, language: str, phones: bool, *, with_addresses: bool
) -> Iterator[tuple[Cells, Resolve | None]]:
    """The cells of a plan file or of the database, and what finds addresses there."""
    from gis.geotagging.addresses import resolver
    from gis.geotagging.cells import cells_of
    from gis.responsibility.responsibility import as_of

    contacts = (EVERYWHERE,) if phones else ()
    if plan is not None:
        from gis.responsibility.plan_file import of_plan_file

        yield cells_of(of_plan_file(plan), language=language, contact_scopes=contacts), None
        return
    engine: Engine = make_engine(database_url(program.settings))
    try:
        known = as_of(engine, program.settings, at)
        resolve = resolver(engine, at=at, actor=SYSTEM) if with_addresses else None
        yield cells_of(known, language=language, contact_scopes=contacts), resolve
    finally:
        engine.dispose()


def _is_tagged(path: Path) -> bool:
    """Whether a file is an earlier answer: it has the columns that are added."""
    from gis.geotagging.reading import columns_of
    from gis.geotagging.words import headers

    try:
        columns = set(columns_of(path))
    except (GridError, OSError):
        return False
    return any({*headers(["how", "flags", "grid_code"], (), language).values()} <= columns for language in ("zh", "en"))


def _tell(program: Program, summary: Summary, out: Path) -> None:
    told = summary.as_dict()
    click.echo(program.sentence("geotag.summary", **told))
    for reason, rows in told["reasons"].items():
        click.echo(program.sentence("geotag.summary_line", word=program.sentence(f"geotag.word.{reason}"), rows=rows))
    for hint, rows in told["hints"].items():
        click.echo(program.sentence("geotag.summary_line", word=program.sentence(f"geotag.word.{hint}"), rows=rows))
    for point in told["default_points"]:
        click.echo(program.sentence("geotag.summary_heap", **point))
    click.echo(program.sentence("geotag.written", path=out, speed=told["rows_per_second"], seconds=told["seconds"]))
