"""Run one other engine on a graph instance, community by community.

usage: run_peers.py METHOD INSTANCE.json.gz OUT.jsonl SEED LIMIT_S

One line a community as soon as it is answered, {"community", "labels" or "error", "seconds", "cpu_seconds"}; so what
was answered before the process is ended counts. The last line is {"peak_mb", "versions"}. Seconds are those of the
engine's own call, without loading it or the instance. LIMIT_S is processor time for all communities together; an engine
written in Python is held to an even share of it for each.

Engines get what they can use. Graph partitioners: households as node weights, cut metres as edge weights, eight times
as much within a compound, over borders that can be walked (and the shortest links that make each community one
whole). GerryChain: bounds 300-500, the same cut metres as its objective, and a surcharge on cutting compounds.
spopt's: places of the nodes as attributes, since no other cost can be given to them. The number of grids is the
households over the middle of the band, rounded.
"""

from __future__ import annotations

import gzip
import json
import math
import random
import signal
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

WITHIN_COMPOUND = 8
TRIES = 5
Labels = Any


@dataclass(frozen=True)
class Community:
    """One community's graph; ``a`` and ``b`` count its own nodes."""

    number: int
    members: np.ndarray
    households: np.ndarray
    compound: np.ndarray
    xy: np.ndarray
    a: np.ndarray
    b: np.ndarray
    cost: np.ndarray
    low: float
    high: float
    seed: int
    seconds: float

    @property
    def grids(self) -> int:
        """How many grids to ask for."""
        return max(round(float(self.households.sum()) / ((self.low + self.high) / 2)), 1)

    @property
    def weights(self) -> list[int]:
        """Edge weights of a partitioner: metres, more within a compound, at least 1."""
        same = (self.compound[self.a] == self.compound[self.b]) & (self.compound[self.a] >= 0)
        return [int(weight) for weight in np.maximum(np.rint(self.cost * np.where(same, WITHIN_COMPOUND, 1)), 1)]

    @property
    def neighbours(self) -> tuple[list[int], list[int], list[int]]:
        """Compressed rows: first neighbour of each node, neighbours, edge weights."""
        end, other = np.concatenate([self.a, self.b]), np.concatenate([self.b, self.a])
        order = np.lexsort((other, end))
        first = np.searchsorted(end[order], np.arange(len(self.households) + 1))
        weights = np.array(self.weights * 2)
        return first.tolist(), other[order].tolist(), weights[order].tolist()


def communities(path: Path, seed: int, limit_s: float) -> Iterator[Community]:
    """Read an instance."""
    raw = path.read_bytes()
    data = json.loads(gzip.decompress(raw) if path.suffix == ".gz" else raw)
    node = {name: np.asarray(values) for name, values in data["nodes"].items()}
    edge = {name: np.asarray(values) for name, values in data["edges"].items()}
    numbers = np.unique(node["community"])
    for number in numbers:
        members = np.flatnonzero(node["community"] == number)
        at = np.full(len(node["community"]), -1)
        at[members] = np.arange(len(members))
        inner = (at[edge["a"]] >= 0) & (at[edge["b"]] >= 0)
        xy = np.column_stack([node["x_m"], node["y_m"]])[members]
        a, b, cost = linked(
            at[edge["a"][inner]], at[edge["b"][inner]], edge["cut_cost_m"][inner], edge["walkable"][inner], xy
        )
        yield Community(
            int(number), members, node["households"][members].astype(int), node["compound"][members], xy, a, b, cost,
            data["households_min"], data["households_max"], seed, limit_s / len(numbers),
        )  # fmt: skip


def linked(
    a: np.ndarray, b: np.ndarray, cost: np.ndarray, walkable: np.ndarray, xy: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Borders that can be walked, and the shortest others that make the community one whole."""
    piece = np.arange(len(xy))

    def join(i: int, j: int) -> None:
        piece[piece == piece[j]] = piece[i]

    for i, j in zip(a[walkable], b[walkable], strict=True):
        if piece[i] != piece[j]:
            join(i, j)
    kept = walkable.copy()
    for k in np.argsort(np.hypot(*(xy[a] - xy[b]).T), kind="stable"):
        if not kept[k] and piece[a[k]] != piece[b[k]]:
            kept[k] = True
            join(a[k], b[k])
    more: list[tuple[int, int]] = []
    while len(np.unique(piece)) > 1:
        here, there = np.flatnonzero(piece == piece[0]), np.flatnonzero(piece != piece[0])
        away = np.linalg.norm(xy[here][:, None] - xy[there][None], axis=2)
        i, j = np.unravel_index(away.argmin(), away.shape)
        more.append((int(here[i]), int(there[j])))
        join(*more[-1])
    extra = np.array(more, dtype=int).reshape(-1, 2)
    return (
        np.concatenate([a[kept], extra[:, 0]]),
        np.concatenate([b[kept], extra[:, 1]]),
        np.concatenate([cost[kept], np.zeros(len(extra))]),
    )


# --- Graph partitioners ----------------------------------------------------------------------------------------------


def metis(community: Community, *, ufactor: int) -> Labels:
    """METIS, asked for contiguous parts; ``ufactor`` is the imbalance allowed in thousandths."""
    import pymetis

    first, other, weights = community.neighbours
    options = pymetis.Options(ncuts=20, seed=community.seed, ufactor=ufactor)
    _, labels = pymetis.part_graph(
        community.grids, xadj=first, adjncy=other, vweights=community.households.tolist(), eweights=weights,
        contiguous=True, recursive=False, options=options,
    )  # fmt: skip
    return labels


def kahip(community: Community) -> Labels:
    """KaHIP, its strong mode."""
    import kahip as library

    first, other, weights = community.neighbours
    _, labels = library.kaffpa(
        community.households.tolist(), first, weights, other, community.grids, 0.25, True, community.seed,
        library.STRONG,
    )  # fmt: skip
    return labels


# --- GerryChain ------------------------------------------------------------------------------------------------------


def _gerry_start(community: Community, makers: Sequence[str]) -> tuple[Any, dict[Any, Any], float, float]:
    """A plan within the bounds, by one of GerryChain's makers of first plans; several tries of each, as users do."""
    import networkx
    from gerrychain import Graph, partition
    from gerrychain.tree import bipartition_tree

    plain = networkx.Graph()
    for i, households in enumerate(community.households.tolist()):
        plain.add_node(i, households=households, compound=int(community.compound[i]))
    for i, j, cost in zip(community.a.tolist(), community.b.tolist(), community.cost.tolist(), strict=True):
        plain.add_edge(i, j, cost=cost)
    graph = Graph.from_networkx(plain)
    target = float(community.households.sum()) / community.grids
    epsilon = min(community.high / target - 1, 1 - community.low / target)
    if epsilon <= 0:
        raise ValueError(f"no number of grids fits {int(community.households.sum())} households")
    cut = partial(bipartition_tree, max_attempts=2_000)
    error: Exception = ValueError("no maker")
    for number in range(TRIES * len(makers)):
        make = getattr(partition, makers[number % len(makers)])
        rng = random.Random(community.seed * 1000 + number)
        try:
            labels = make(
                graph, range(community.grids), target, "households", epsilon, bipartition_tree_fn=cut, rng=rng
            )
        except (RuntimeError, ValueError) as failed:
            error = failed
            continue
        return graph, labels, target, epsilon
    raise error


def gerry_start(community: Community, *, maker: str) -> Labels:
    """A random plan within the bounds."""
    labels = _gerry_start(community, [maker])[1]
    return [int(labels[i]) for i in range(len(community.households))]


def gerry_bursts(community: Community) -> Labels:
    """Short bursts of ReCom from a random plan, towards the shortest weighted cut; 2,000 steps or the time there is."""
    from gerrychain import Partition, constraints, updaters
    from gerrychain.optimization import SingleMetricOptimizer
    from gerrychain.proposals import recom
    from gerrychain.tree import bipartition_tree

    began = time.process_time()
    graph, labels, target, epsilon = _gerry_start(community, ["recursive_tree_part", "recursive_seed_part"])
    costs: dict[tuple[int, int], float] = {}
    for i, j, cost in zip(community.a.tolist(), community.b.tolist(), community.cost.tolist(), strict=True):
        costs[i, j] = costs[j, i] = cost

    def cut_cost(partition: Any) -> float:
        return sum(costs[edge] for edge in partition["cut_edges"])

    start = Partition(graph, labels, {"households": updaters.Tally("households", alias="households")})
    cut = partial(bipartition_tree, max_attempts=200, allow_pair_reselection=True)
    step = partial(
        recom, pop_col="households", pop_target=target, epsilon=epsilon, region_surcharge={"compound": 1.0},
        bipartition_tree_fn=cut,
    )  # fmt: skip
    search = SingleMetricOptimizer(
        step, [constraints.contiguous], start, cut_cost, maximize=False, rng=random.Random(community.seed)
    )
    bursts = search.short_bursts(burst_length=10, num_bursts=200)
    with suppress(RuntimeError):  # no cut was found; the best plan until then counts
        while next(bursts, None) is not None and time.process_time() - began < 0.9 * community.seconds:
            pass
    best = search.best_part.assignment
    return [int(best[i]) for i in range(len(community.households))]


# --- spopt -----------------------------------------------------------------------------------------------------------


def _frame(community: Community) -> tuple[Any, Any]:
    import geopandas
    from libpysal import weights

    frame = geopandas.GeoDataFrame(
        {"x": community.xy[:, 0], "y": community.xy[:, 1], "households": community.households},
        geometry=geopandas.points_from_xy(*community.xy.T),
    )
    rows: dict[int, list[int]] = {i: [] for i in range(len(frame))}
    for i, j in zip(community.a.tolist(), community.b.tolist(), strict=True):
        rows[i].append(j)
        rows[j].append(i)
    return frame, weights.W(rows, silence_warnings=True)


def max_p(community: Community) -> Labels:
    """As many grids as possible of at least the minimum."""
    from spopt.region import MaxPHeuristic

    np.random.seed(community.seed)  # noqa: NPY002 (the library has no other way)
    frame, near = _frame(community)
    model = MaxPHeuristic(frame, near, ["x", "y"], "households", community.low, top_n=2)
    model.solve()
    return model.labels_


def k_means(community: Community) -> Labels:
    """Regional k-means."""
    from spopt.region import RegionKMeansHeuristic

    _, near = _frame(community)
    model = RegionKMeansHeuristic(community.xy, community.grids, near, seed=community.seed)
    model.solve()
    return model.labels_


def skater(community: Community) -> Labels:
    """SKATER."""
    from spopt.region import Skater

    frame, near = _frame(community)
    model = Skater(frame, near, ["x", "y"], n_clusters=community.grids)
    model.solve()
    return model.labels_


def azp(community: Community) -> Labels:
    """AZP."""
    from spopt.region import AZP

    frame, near = _frame(community)
    model = AZP(frame, near, ["x", "y"], n_clusters=community.grids, random_state=community.seed)
    model.solve()
    return model.labels_


def ward(community: Community) -> Labels:
    """Ward's clustering along borders."""
    from spopt.region import WardSpatial

    frame, near = _frame(community)
    model = WardSpatial(frame, near, ["x", "y"], n_clusters=community.grids)
    model.solve()
    return model.labels_


METHODS: Mapping[str, tuple[Callable[[Community], Labels], tuple[str, ...]]] = {
    "METIS": (partial(metis, ufactor=250), ("pymetis",)),
    "METIS 5 %": (partial(metis, ufactor=50), ("pymetis",)),
    "KaHIP": (kahip, ("kahip",)),
    "GerryChain recursive_tree": (partial(gerry_start, maker="recursive_tree_part"), ("gerrychain",)),
    "GerryChain seed_part": (partial(gerry_start, maker="recursive_seed_part"), ("gerrychain",)),
    "GerryChain ReCom bursts": (gerry_bursts, ("gerrychain",)),
    "spopt MaxP": (max_p, ("spopt",)),
    "spopt RegionKMeans": (k_means, ("spopt",)),
    "spopt SKATER": (skater, ("spopt",)),
    "spopt AZP": (azp, ("spopt",)),
    "spopt Ward": (ward, ("spopt",)),
}


@contextmanager
def held_to(seconds: float) -> Iterator[None]:
    """End Python code that takes more processor time."""

    def over(_number: int, _frame: object) -> None:
        raise TimeoutError(f"no answer in {seconds:.0f} s")

    signal.signal(signal.SIGPROF, over)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)


def answer(method: Callable[[Community], Labels], community: Community) -> dict[str, Any]:
    """One community's line."""
    began, cpu = time.perf_counter(), time.process_time()

    def spent() -> dict[str, float]:
        return {"seconds": time.perf_counter() - began, "cpu_seconds": time.process_time() - cpu}

    try:
        if community.households.sum() == 0 or community.grids == 1 or len(community.households) == 1:
            labels = np.zeros(len(community.households), dtype=int)  # all of them need at least two grids to make
        else:
            with held_to(community.seconds):
                labels = np.asarray(method(community), dtype=float)
        if len(labels) != len(community.households) or not np.isfinite(labels).all():
            raise ValueError("not every node got a label")
    except Exception as error:  # whatever the engine does is its answer
        reason = f"{type(error).__name__}: {error}".splitlines()[0][:160]
        return {"community": community.number, "error": reason, **spent()}
    return {"community": community.number, "labels": labels.astype(int).tolist(), **spent()}


def peak_mb() -> int:
    """Most memory this program held; getrusage would count what its parent held before it."""
    for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines():
        if line.startswith("VmHWM:"):
            return math.ceil(int(line.split()[1]) * 1024 / 1e6)
    return 0


def main(name: str, instance: str, out: str, seed: str, limit_s: str) -> None:
    """Answer all communities."""
    warnings.simplefilter("ignore")
    method, packages = METHODS[name]
    for package in packages:
        __import__(package)
    with Path(out).open("w", encoding="utf-8") as file:
        for community in communities(Path(instance), int(seed), float(limit_s)):
            file.write(json.dumps(answer(method, community)) + "\n")
            file.flush()
        versions = {package: version(package) for package in packages}
        file.write(json.dumps({"peak_mb": peak_mb(), "versions": versions}) + "\n")


if __name__ == "__main__":
    if len(sys.argv) != 6:
        sys.exit(__doc__)
    main(*sys.argv[1:])
