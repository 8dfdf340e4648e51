"""``wangge bench partition``: ours and other engines on the same graphs in the same run, in one table."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click
import numpy as np

from gis.errors import NotFound
from gis.geometry import IntArray
from gis.partition import kernel
from gis.partition.instance import Instance, label_all, load, problems_of
from gis.partition.scoring import Score, score
from gis.partition.search import EFFORTS, Solution, effort_named
from scripts.peer_environment import peer_python, run_peer
from scripts.program import Program, pass_program, print_json
from scripts.spent import Spent
from scripts.targets import check_targets

PEERS = (
    "METIS", "METIS 5 %", "KaHIP", "GerryChain recursive_tree", "GerryChain seed_part", "GerryChain ReCom bursts",
    "spopt MaxP", "spopt RegionKMeans", "spopt SKATER", "spopt AZP", "spopt Ward",
)  # fmt: skip


@dataclass(frozen=True)
class Row:
    """What one engine made of one instance.

    Attributes
    ----------
    households, communities, answered : int
        Communities in all, and those that the engine gave a plan for; ``score`` is over these only.
    seconds, cpu_seconds : float
        Of search alone, not of loading, compiling or scoring: by the clock, and of all processors together. On a
        busy machine only the second tells how fast an engine is.
    peak_mb : float or None
        Most memory of the process and its children while it searched, libraries and instance included.
    note : str
        Why not all was answered.
    proofs : list of dict
        One a community, where asked for.
    """

    instance: str
    method: str
    seed: int
    households: int
    communities: int
    answered: int
    score: Score | None
    seconds: float
    cpu_seconds: float
    peak_mb: float | None
    note: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)
    proofs: list[dict[str, Any]] = field(default_factory=list)

    @property
    def seconds_per_100k(self) -> float:
        """Seconds of search on one core for 100,000 households."""
        return self.cpu_seconds * 1e5 / max(self.households, 1)

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON, the score's among them."""
        own = {name: getattr(self, name) for name in self.__dataclass_fields__ if name != "score"}
        measured = self.score.as_dict() if self.score else {}
        return own | {"seconds_per_100k": self.seconds_per_100k} | measured


@dataclass(frozen=True)
class Places:
    """Where our search runs."""

    processes: int
    cluster: str | None


@click.command("partition")
@click.argument("paths", metavar="INSTANCE.json.gz…", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--labels", type=click.Path(path_type=Path), help="Write one label a node into this JSON file.")
@click.option("--seed", type=int, default=0, show_default=True)
@click.option(
    "--effort", "efforts", type=click.Choice(list(EFFORTS)), multiple=True, default=["full"], show_default=True,
    help="May be repeated.",
)  # fmt: skip
@click.option("--peers", is_flag=True, help="Run the other engines too.")
@click.option("--peer", "chosen", type=click.Choice(PEERS), multiple=True, help="Only these of them (may be repeated).")
@click.option("--limit", "limit_s", type=float, default=180.0, show_default=True, help="CPU seconds for each of them.")
@click.option("--prove", is_flag=True, help="Prove our plans, community by community, as far as can be.")
@click.option("--prove-seconds", type=float, default=120.0, show_default=True, help="At most, for each community.")
@click.option("--processes", type=click.IntRange(min=1), default=1, show_default=True, help="For our search.")
@click.option("--cluster", metavar="tcp://HOST:PORT", help="Spread our search over the workers of this Dask scheduler.")
@click.option("--json", "as_json", is_flag=True, help="Print the figures as one JSON object.")
@pass_program
def command(
    program: Program,
    paths: tuple[Path, ...],
    labels: Path | None,
    seed: int,
    efforts: tuple[str, ...],
    peers: bool,
    chosen: tuple[str, ...],
    limit_s: float,
    prove: bool,
    prove_seconds: float,
    processes: int,
    cluster: str | None,
    as_json: bool,
) -> None:
    """Divide graphs into grids, and print how good and how fast that was.

    \b
    An instance is a JSON object of nodes and edges (its form stands in gis/partition/instance.py). Compiling the
    search is timed apart; the other time is the search. Other engines (--peers) run in an environment of their own,
    made in the user's cache when first asked for.
    """
    for path in paths:
        if not path.is_file():
            raise NotFound("import.no_file", path=str(path))
    if peers or chosen:
        program.say("bench.peers", path=peer_python())
    began = time.perf_counter()
    kernel.warm()
    compiled_s = time.perf_counter() - began
    rows = []
    several = len(paths) * len(efforts) > 1
    for path in paths:
        instance = problems_of(load(path))
        for effort in efforts:
            target = None if labels is None else _named(labels, instance.tables.name, effort, several=several)
            check_targets(paths, [(target, _is_labels)])
            row, found = _ours(program, instance, seed, effort, Places(processes, cluster))
            rows.append(row)
            if prove:
                row, found = _proven(program, instance, row, found, prove_seconds)
                rows.append(row)
            if target is not None:
                target.write_text(json.dumps(found.tolist()))
        rows += _others(program, path, instance, chosen or (PEERS if peers else ()), seed, limit_s)
    if as_json:
        print_json({"seconds_compiling_or_loading": round(compiled_s, 3), "processes": processes,
                    "rows": [row.as_dict() for row in rows]})  # fmt: skip
    else:
        print_rows(program, rows, compiled_s)


def _is_labels(path: Path) -> bool:
    """Whether a file is an answer that was written before, and so may be replaced."""
    try:
        return isinstance(json.loads(path.read_text(encoding="utf-8")), list)
    except (OSError, ValueError):
        return False


def _named(labels: Path, instance: str, effort: str, *, several: bool) -> Path:
    return labels.with_stem(f"{labels.stem}-{instance}-{effort}") if several else labels


# --- Ours ------------------------------------------------------------------------------------------------------------


def _ours(program: Program, instance: Instance, seed: int, effort: str, places: Places) -> tuple[Row, IntArray]:
    search = effort_named(effort)
    bar = program.progress(range(len(instance.problems)), label=f"{instance.tables.name} {effort}")

    def step(_done: int, _total: int) -> None:
        next(bar, None)

    with Spent() as spent:
        labels = label_all(
            instance, seed=seed, effort=search, processes=places.processes, cluster=places.cluster, progress=step
        )
    next(bar, None)
    return _row(instance, f"Wangge {effort}", seed, labels, **spent.figures()), labels


def _row(instance: Instance, method: str, seed: int, labels: IntArray | None, **other: Any) -> Row:
    communities = len(instance.problems)
    other = {"answered": communities, "households": _people(instance)} | other
    measured = None if labels is None else score(instance, labels)
    return Row(instance.tables.name, method, seed, communities=communities, score=measured, **other)


def _people(instance: Instance) -> int:
    return int(instance.tables.nodes["households"].sum())


def _proven(program: Program, instance: Instance, row: Row, labels: IntArray, limit_s: float) -> tuple[Row, IntArray]:
    """The same plan with its proofs, and better where a proof found better; time and memory are those of both."""
    from gis.partition.proof import certify, plan_cost  # slow to load

    better, proofs = labels.copy(), []
    parts = list(zip(instance.problems, instance.members, strict=True))
    with Spent() as spent:
        for number, (problem, member) in enumerate(program.progress(parts, label="proof", total=len(parts))):
            label = np.unique(labels[member], return_inverse=True)[1].astype(np.int64)
            proof = certify(problem, Solution(label, plan_cost(problem, label)), seconds=limit_s)
            if proof.label is not None:
                better[member] = proof.label
            told = {name: getattr(proof, name) for name in
                    ("kind", "note", "cost", "bound", "gap_ratio", "sets", "seconds", "out_of_band_bound")}  # fmt: skip
            proofs.append({"community": number, "nodes": len(member), "households": int(problem.total)} | told)
    proven = _row(
        instance, f"{row.method}, proof", row.seed, better, seconds=row.seconds + spent.seconds,
        cpu_seconds=row.cpu_seconds + spent.cpu_seconds, peak_mb=max(row.peak_mb or 0.0, spent.peak_mb), proofs=proofs,
    )  # fmt: skip
    return proven, better


# --- The others ------------------------------------------------------------------------------------------------------


def _others(
    program: Program, path: Path, instance: Instance, methods: Sequence[str], seed: int, limit_s: float
) -> Iterator[Row]:
    for method in program.progress(methods, label=f"{instance.tables.name} peers"):
        answer = run_peer(method, path, seed=seed, limit_s=limit_s)
        numbers = [int(instance.tables.nodes["community"][member[0]]) for member in instance.members]
        held = [i for i, number in enumerate(numbers) if number in answer.labels]
        labels, part = None, instance
        if held:
            part = instance.only(held)
            labels = np.concatenate([np.asarray(answer.labels[numbers[i]], dtype=np.int64) for i in held])
        row = _row(
            part, method, seed, labels, seconds=answer.seconds, cpu_seconds=answer.cpu_seconds,
            answered=len(held), peak_mb=answer.peak_mb,
            note=_why(program, answer.errors, limit_s, over=answer.is_over_time), versions=answer.versions,
            households=_people(part) if held else 0,
        )  # fmt: skip
        yield Row(**{**row.__dict__, "communities": len(instance.problems), "instance": instance.tables.name})


def _why(program: Program, errors: Mapping[int, str], limit_s: float, *, over: bool) -> str:
    """The reason given most often, and how often."""
    said = list(errors.values())
    if over:
        return program.sentence("bench.over_time", seconds=round(limit_s))
    if not said:
        return ""
    common = max(sorted(set(said)), key=said.count)
    return common if len(said) == 1 else f"{common} (×{said.count(common)})"


# --- The table -------------------------------------------------------------------------------------------------------

COLUMNS = (
    "method", "answered", "grids", "in_band", "cv", "sizes", "torn", "compactness", "cut", "extra", "on_barriers",
    "enclaves", "cut_km", "radius", "j", "seconds", "cpu_seconds", "per_100k", "memory",
)  # fmt: skip


def print_rows(program: Program, rows: Sequence[Row], compiled_s: float) -> None:
    """Print one table an instance."""
    for name in dict.fromkeys(row.instance for row in rows):
        here = [row for row in rows if row.instance == name]
        click.echo(program.sentence("bench.title", instance=name, communities=here[0].communities,
                                    households=here[0].households))  # fmt: skip
        for line in table([[program.sentence(f"bench.column.{column}") for column in COLUMNS], *map(_cells, here)]):
            click.echo(line)
        for row in here:
            if row.note:
                click.echo(f"  {row.method}: {row.note}")
            if row.proofs:
                click.echo(_told(program, row))
        click.echo("")
    click.echo(program.sentence("bench.compiled", seconds=round(compiled_s, 1)))


def _cells(row: Row) -> list[str]:
    first = [row.method, f"{row.answered}/{row.communities}"]
    last = [f"{row.seconds:.2f}", f"{row.cpu_seconds:.2f}", f"{row.seconds_per_100k:.1f}" if row.answered else "–",
            "–" if row.peak_mb is None else f"{row.peak_mb:.0f}"]  # fmt: skip
    s = row.score
    if s is None:
        return [*first, *["–"] * (len(COLUMNS) - len(first) - len(last)), *last]
    return [
        *first, str(s.grids), f"{s.in_band_ratio:.1%}", f"{s.households_cv:.3f}",
        f"{s.households_min}-{s.households_max}", str(s.not_contiguous), f"{s.polsby_popper_mean:.2f}",
        f"{s.small_compounds_cut}/{s.small_compounds}", str(s.big_compound_extra_pieces),
        f"{s.on_barrier_ratio:.0%}", str(s.enclaves), f"{s.cut_cost_km:.1f}", f"{s.radius_mean_m:.0f}", f"{s.j:.2f}",
        *last,
    ]  # fmt: skip


def _told(program: Program, row: Row) -> str:
    proven = sum(proof["kind"] == "optimal" for proof in row.proofs)
    cost, bound = (sum(proof[name] for proof in row.proofs) for name in ("cost", "bound"))
    return program.sentence(
        "bench.proof", method=row.method, proven=proven, communities=len(row.proofs), cost=round(cost, 1),
        bound=round(bound, 1), gap=f"{(cost - bound) / cost if cost else 0:.2%}",
        seconds=round(sum(proof["seconds"] for proof in row.proofs), 1),
        out_of_band=sum(proof["out_of_band_bound"] for proof in row.proofs),
    )  # fmt: skip


def table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines of a Markdown table, padded for reading as it is."""
    widths = [max(map(_width, column)) for column in zip(*rows, strict=True)]
    lines = [
        "| " + " | ".join(cell + " " * (width - _width(cell)) for cell, width in zip(row, widths, strict=True)) + " |"
        for row in rows
    ]
    return [lines[0], "|" + "|".join("-" * (width + 2) for width in widths) + "|", *lines[1:]]


def _width(cell: str) -> int:
    """Columns of a terminal: Chinese characters take two."""
    return sum(2 if ord(letter) > 0x2E7F else 1 for letter in cell)
