"""``wangge bench city``: search in a city, made of copies of instances, however large."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import click

from gis.partition import kernel
from gis.partition.instance import Tables, joined, label_all, load, problems_of
from gis.partition.scoring import score
from gis.partition.search import EFFORTS, effort_named
from scripts.bench_partition import Row, print_rows
from scripts.program import Program, pass_program, print_json
from scripts.spent import Spent

TEN_MILLION = 10_000_000


@click.command("city")
@click.argument("paths", metavar="INSTANCE.json.gz…", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--households", type=click.IntRange(min=1), help="At least; by default each instance once.")
@click.option("--ten-million", is_flag=True, help="10,000,000 households.")
@click.option(
    "--effort", "efforts", type=click.Choice(list(EFFORTS)), multiple=True, default=["draft"], show_default=True,
    help="May be repeated.",
)  # fmt: skip
@click.option("--processes", type=click.IntRange(min=1), default=2, show_default=True)
@click.option("--cluster", metavar="tcp://HOST:PORT", help="Spread over the workers of this Dask scheduler.")
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print the figures as one JSON object.")
@pass_program
def command(
    program: Program,
    paths: tuple[Path, ...],
    households: int | None,
    ten_million: bool,
    efforts: tuple[str, ...],
    processes: int,
    cluster: str | None,
    seed: int,
    as_json: bool,
) -> None:
    """Search in instances beside each other, in as many copies as make up the households asked for.

    \b
    Communities are never solved twice the same way: each copy has seeds of its own. Time is the search and the start of
    its processes (a few seconds, once); memory the most that all processes held together.
    """
    several = [load(path) for path in paths]
    if ten_million or households:
        several = list(_copies(several, TEN_MILLION if ten_million else households or 0))
    instance = problems_of(joined("city", several))
    people = int(instance.tables.nodes["households"].sum())
    began = time.perf_counter()
    kernel.warm()
    compiled_s = time.perf_counter() - began
    rows = []
    for effort in efforts:
        done = iter(program.progress(range(len(instance.problems)), label=effort))
        with Spent() as spent:
            labels = label_all(
                instance, seed=seed, effort=effort_named(effort), processes=processes, cluster=cluster,
                progress=lambda *_, done=done: next(done, None),
            )  # fmt: skip
        communities = len(instance.problems)
        rows.append(
            Row(instance.tables.name, f"Wangge {effort} ×{processes}", seed, people, communities, communities,
                score(instance, labels), spent.seconds, spent.cpu_seconds, spent.peak_mb)
        )  # fmt: skip
    if as_json:
        print_json({"seconds_compiling_or_loading": compiled_s, "rows": [row.as_dict() for row in rows]})
    else:
        print_rows(program, rows, compiled_s)


def _copies(several: list[Tables], wanted: int) -> Iterator[Tables]:
    """Instances one after another, again and again, until there are households enough."""
    total = number = 0
    while total < wanted:
        tables = several[number % len(several)]
        yield tables
        total += int(tables.nodes["households"].sum())
        number += 1
