"""``wangge tiles``: the map's tiles as a file."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

import click

from gis import areas
from gis.errors import InvalidInput
from gis.exchange.town_file import replacing
from gis.in_force import in_force
from gis.permissions import EVERYWHERE
from gis.responsibility.responsibility import store_of
from gis.worktime import CHINA
from scripts.program import Program, pass_program, print_json
from scripts.targets import check_ending, check_targets
from scripts.transaction import transaction
from tiles import export, mvt
from tiles.layers import LAYERS, Layer
from tiles.versions import open_version

_TIME = click.DateTime(("%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%S%z"))
_LEFT_OUT = "incidents"
"""They change by the minute; a file is for what stays."""


@click.group("tiles")
def command() -> None:
    """Tiles of the map."""


@command.command("export")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Ends with .pmtiles.")
@click.option("--layers", help="Names with commas between; without it all but incidents.")
@click.option("--zooms", default="8-16", show_default=True, help="From and to.")
@click.option("--area", help="Code of the area to be held to.")
@click.option("--at", type=_TIME, help="What was in force then (China's time if no zone is said).")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on standard output.")
@pass_program
def write(
    program: Program,
    out: Path,
    layers: str | None,
    zooms: str,
    area: str | None,
    at: datetime | None,
    as_json: bool,
) -> None:
    """Write tiles into one file (PMTiles) that MapLibre and QGIS open without this service."""
    check_ending(out, ".pmtiles")
    check_targets((), [(out, lambda path: path.stat().st_size == 0 or export.is_ours(path))])
    chosen, wanted = _layers(layers), _zooms(zooms)
    moment = datetime.now(UTC) if at is None else at if at.tzinfo else at.replace(tzinfo=CHINA)
    with transaction(program) as session, replacing(out) as temporary:
        found = areas.by_code(session, area) if area else None
        version = open_version(
            session.get_bind().engine,
            in_force(session, moment),
            store=store_of(program.settings),
            limit_bytes=1000 * program.settings.tile_limit_kb,
        )
        made = export.export(
            session,
            temporary,
            layers=chosen,
            zooms=wanted,
            scope=found.path if found else EVERYWHERE,
            at=moment,
            version=version,
            name=found.name if found else "Wangge",
            progress=lambda items, total: program.progress(items, label="tiles", total=total),
        )
    if as_json:
        told = {"tiles": made.tiles, "different": made.different, "bytes": made.size}
        print_json({"path": out, "layers": [layer.name for layer in chosen], "at": moment, **told})
        return
    mb = f"{made.size / 1e6:.1f}"
    program.say("tiles.exported", tiles=made.tiles, different=made.different, mb=mb, path=str(out))


def _layers(words: str | None) -> list[Layer]:
    if words is None:
        return [layer for layer in LAYERS.values() if layer.name != _LEFT_OUT]
    names = dict.fromkeys(word.strip() for word in words.split(","))
    return [layer for layer in LAYERS.values() if layer.name in {mvt.find(LAYERS, name).name for name in names}]


def _zooms(words: str) -> range:
    found = re.fullmatch(r"(\d{1,2})(?:-(\d{1,2}))?", words.strip())
    if found is None:
        raise InvalidInput("tiles.bad_zooms", lowest=export.LOWEST, highest=export.HIGHEST)
    return range(int(found[1]), int(found[2] or found[1]) + 1)
