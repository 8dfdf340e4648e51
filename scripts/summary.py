"""What `wangge partition` and `wangge merge` say of a plan's tiers and ground."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from scripts.program import Program


def say_statistics(program: Program, statistics: Mapping[str, Any]) -> None:
    """Print a line a tier and one on the ground, from `gis.partition.quality.statistics`."""
    for tier in statistics["tiers"]:
        ratio = tier["in_band_ratio"]
        click.echo(
            program.sentence(
                "partition.summary_tier",
                name=tier["name_zh" if program.language == "zh" else "name_en"],
                cells=tier["cells"],
                in_band="–" if ratio is None else f"{ratio:.1%}",
                least=tier["households_min"],
                most=tier["households_max"],
                mean=tier["households_mean"],
            )
        )
    click.echo(
        program.sentence(
            "partition.summary_ground",
            gap=statistics["gap_m2"],
            overlap=statistics["overlap_m2"],
            torn=statistics["pieces_not_contiguous"],
        )
    )
