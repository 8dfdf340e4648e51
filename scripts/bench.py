"""``wangge bench``: how well and how fast the engine works, on instances that other engines can be given too."""

from __future__ import annotations

import json
import time
from pathlib import Path

import click
import numpy as np

from gis.partition import kernel
from gis.partition.instance import label_all, read
from gis.partition.search import effort_named
from scripts import bench_instance
from scripts.program import Program, pass_program, print_json


@click.group("bench")
def command() -> None:
    """Measure the engine."""


command.add_command(bench_instance.command)


@command.command("partition")
@click.argument("instance", metavar="INSTANCE.json.gz", type=click.Path(path_type=Path))
@click.option("--labels", type=click.Path(path_type=Path), help="Write one label a node into this JSON file.")
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--effort", type=click.Choice(["draft", "full", "deep"]), default="full", show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print the figures as one JSON object.")
@pass_program
def partition(program: Program, instance: Path, labels: Path | None, seed: int, effort: str, as_json: bool) -> None:
    """Divide a graph INSTANCE into grids.

    \b
    The instance is a JSON object of nodes and edges (its form stands in gis/partition/instance.py). Compiling the
    search is timed apart; the other time is the search on one core.
    """
    began = time.perf_counter()
    kernel.warm()
    compiled = time.perf_counter()
    problem = read(instance)
    ready = time.perf_counter()
    found = label_all(problem, seed=seed, effort=effort_named(effort))
    done = time.perf_counter()
    if labels is not None:
        labels.write_text(json.dumps(found.tolist()), encoding="utf-8")
    households = np.concatenate([p.households for p in problem.problems])
    order = np.concatenate(problem.members)
    size = np.bincount(found[order], households)
    low, high = problem.problems[0].terms.low, problem.problems[0].terms.high
    figures = {
        "nodes": problem.nodes,
        "households": int(households.sum()),
        "communities": len(problem.problems),
        "cells": len(size),
        "in_band_ratio": round(float(((size >= low) & (size <= high)).mean()), 4),
        "effort": effort,
        "seed": seed,
        "seconds": round(done - ready, 3),
        "seconds_compiling_or_loading": round(compiled - began, 3),
    }
    if as_json:
        print_json(figures)
    else:
        click.echo(program.sentence("partition.bench", **{**figures, "in_band": f"{figures['in_band_ratio']:.1%}"}))
