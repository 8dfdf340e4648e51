"""``wangge bench``: how well and how fast the engine works, beside other engines on the same instances."""

from __future__ import annotations

import click

from scripts import bench_instance, bench_partition


@click.group("bench")
def command() -> None:
    """Measure the engine."""


command.add_command(bench_instance.command)
command.add_command(bench_instance.synthetic)
command.add_command(bench_partition.command)
