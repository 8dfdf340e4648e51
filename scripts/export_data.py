"""``wangge export``: what is in the database as a file for others."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import click

from gis import crs as systems
from gis import export as exporting
from gis.errors import InvalidInput
from gis.exchange import export_file
from gis.exchange.town_file import replacing
from gis.listing.things import THINGS
from gis.permissions import SYSTEM
from gis.worktime import CHINA
from scripts.program import Program, pass_program, print_json
from scripts.targets import check_targets
from scripts.transaction import transaction

_TIME = click.DateTime(("%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%S%z"))


@click.command("export")
@click.argument("thing", type=click.Choice(list(THINGS)))
@click.option(
    "--out", type=click.Path(path_type=Path), required=True, help=f"Ends with {', '.join(export_file.FORMATS)}."
)
@click.option("--crs", default="wgs84", show_default=True, help="wgs84, cgcs2000, cgcs2000/123E, gcj02, bd09, EPSG:…")
@click.option("--at", type=_TIME, help="Grids, people and posts as of then (China's time if no zone is said).")
@click.option("--from", "since", type=_TIME, help="Incidents reported from then.")
@click.option("--to", "until", type=_TIME, help="Incidents reported until then.")
@click.option("--area", help="Code of the area to be held to.")
@click.option(
    "--headers", type=click.Choice(["code", "zh"]), default="code", show_default=True, help="Names of columns."
)
@click.option(
    "--encoding", type=click.Choice(["utf-8", "gbk"]), default="utf-8", show_default=True, help="Of a Shapefile."
)
@click.option("--personal", is_flag=True, help="With phones, and what people wrote of incidents.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on standard output.")
@pass_program
def command(
    program: Program,
    thing: str,
    out: Path,
    crs: str,
    at: datetime | None,
    since: datetime | None,
    until: datetime | None,
    area: str | None,
    headers: str,
    encoding: str,
    personal: bool,
    as_json: bool,
) -> None:
    """Write THING into a file: GeoJSON, GeoPackage, Shapefile, KML, GPX, FlatGeobuf, Excel or CSV.

    The file says its coordinate system. GCJ-02 and BD-09 are never labelled as WGS 84.
    """
    name = next((name for name in export_file.FORMATS if out.name.lower().endswith(f".{name}")), None)
    if name is None:
        raise InvalidInput("export.no_ending", path=out.name, known=list(export_file.FORMATS))
    check_targets((), [(out, lambda path: path.stat().st_size == 0 or export_file.is_ours(path))])
    order = exporting.Order(
        thing, name, systems.parse(crs), at=_zoned(at), since=_zoned(since), until=_zoned(until), area=area,
        in_chinese=headers == "zh", encoding="gbk" if encoding == "gbk" else "utf-8", personal=personal,
    )  # fmt: skip
    with transaction(program) as session, replacing(out) as temporary:
        made = exporting.export(session, order, temporary, actor=SYSTEM, now=datetime.now(UTC))
    if as_json:
        print_json({"thing": thing, "path": out, "rows": made.rows, "crs": made.crs, "format": name})
        return
    words = program.sentence(f"thing.{thing}")
    program.say("export.done", rows=made.rows, thing=words, path=str(out), crs=made.crs)


def _zoned(time: datetime | None) -> datetime | None:
    return time.replace(tzinfo=CHINA) if time is not None and time.tzinfo is None else time
