"""``wangge bench``: how well and how fast the engine works, beside other engines on the same instances."""

from __future__ import annotations

import click

from scripts import (
    bench_city,
    bench_desk,
    bench_geotag,
    bench_ground,
    bench_incidents,
    bench_instance,
    bench_live,
    bench_online,
    bench_partition,
    bench_publish,
    bench_redraw,
    bench_search,
    bench_tiles,
)


@click.group("bench")
def command() -> None:
    """Measure the engine."""


command.add_command(bench_instance.command)
command.add_command(bench_instance.synthetic)
command.add_command(bench_partition.command)
command.add_command(bench_redraw.command)
command.add_command(bench_city.command)
command.add_command(bench_ground.command)
command.add_command(bench_geotag.command)
command.add_command(bench_online.command)
command.add_command(bench_publish.command)
command.add_command(bench_search.command)
command.add_command(bench_tiles.command)
command.add_command(bench_live.command)
command.add_command(bench_incidents.command)
command.add_command(bench_desk.command)
