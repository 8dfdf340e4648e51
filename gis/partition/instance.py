"""Graph instances: a partition problem as numbers alone, for comparing engines.

``{"name", "households_min", "households_max", "nodes": {column: […]}, "edges": {column: […]}}``, as JSON, gzipped if
its name ends so. Nodes: households, community, compound (-1 = none), x_m, y_m, area_m2, perimeter_m. Edges: a, b,
length_m, barrier_m, cut_cost_m, walkable. An answer is one label a node; a cell never crosses a community.

`Tables` is the file as it stands, `Instance` the same as problems for the search.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gis.errors import InvalidInput, NotFound
from gis.geometry import FloatArray, IntArray
from gis.partition import kernel
from gis.partition.objectives import Limits, terms_for
from gis.partition.problem import Problem
from gis.partition.redraw import solve_from
from gis.partition.search import Effort, solve
from gis.rule_set import Tier
from gis.spreading import Signals, spread

Columns = Mapping[str, NDArray[Any]]

NODE_COLUMNS = ("households", "community", "compound", "x_m", "y_m", "area_m2", "perimeter_m")
EDGE_COLUMNS = ("a", "b", "length_m", "barrier_m", "cut_cost_m", "walkable")
DECIMALS = 2  # centimetres: finer than any survey, and a third of the file


@dataclass(frozen=True)
class Tables:
    """An instance as it is written: nodes and edges by column.

    Attributes
    ----------
    name : str
    low, high : float
        The band of households, inclusive.
    nodes, edges : mapping of str to array
        `NODE_COLUMNS` and `EDGE_COLUMNS`; ``a`` and ``b`` are numbers of nodes.
    """

    name: str
    low: float
    high: float
    nodes: Columns
    edges: Columns

    @property
    def communities(self) -> list[IntArray]:
        """The nodes of each community, communities in the order of their numbers."""
        home = self.nodes["community"]
        order = np.argsort(home, kind="stable")
        return np.split(order, np.flatnonzero(np.diff(home[order])) + 1)


@dataclass(frozen=True)
class Instance:
    """A graph of one or more communities.

    Attributes
    ----------
    problems : tuple of Problem
        One a community.
    members : tuple of int arrays
        The nodes of each, by their numbers in the instance.
    tables : Tables
        What it was made from.
    """

    problems: tuple[Problem, ...]
    members: tuple[IntArray, ...]
    tables: Tables

    @property
    def nodes(self) -> int:
        """How many nodes there are."""
        return sum(len(member) for member in self.members)

    def only(self, numbers: Sequence[int]) -> Instance:
        """Some of the communities as an instance of their own, nodes in their order, communities numbered anew."""
        members = [self.members[number] for number in numbers]
        kept = np.concatenate(members)
        at = np.full(len(self.tables.nodes["households"]), -1, dtype=np.int64)
        at[kept] = np.arange(len(kept))
        a, b = at[self.tables.edges["a"]], at[self.tables.edges["b"]]
        inner = (a >= 0) & (b >= 0)
        nodes = {name: values[kept] for name, values in self.tables.nodes.items()}
        edges = {name: values[inner] for name, values in self.tables.edges.items()} | {"a": a[inner], "b": b[inner]}
        tables = Tables(self.tables.name, self.tables.low, self.tables.high, nodes, edges)
        return Instance(tuple(self.problems[n] for n in numbers), tuple(at[member] for member in members), tables)


def read(path: Path, *, weights: Mapping[str, float] | None = None) -> Instance:
    """Read an instance as problems.

    Raises
    ------
    NotFound
        ``import.no_file``.
    InvalidInput
        ``partition.bad_instance`` if it lacks something.
    """
    return problems_of(load(path), weights=weights)


def load(path: Path) -> Tables:
    """Read an instance as tables; errors as `read`."""
    if not path.is_file():
        raise NotFound("import.no_file", path=str(path))
    try:
        raw = path.read_bytes()
        tables = _tables(json.loads(gzip.decompress(raw) if path.suffix == ".gz" else raw), path)
    except (OSError, EOFError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InvalidInput("partition.bad_instance", path=str(path), reason=str(error)) from error
    _check(tables, path)
    return tables


def _tables(data: Mapping[str, Any], path: Path) -> Tables:
    nodes = {name: np.asarray(data["nodes"][name]) for name in NODE_COLUMNS}
    edges = {name: np.asarray(data["edges"][name]) for name in EDGE_COLUMNS}
    for name in ("community", "compound"):
        nodes[name] = nodes[name].astype(np.int64)
    for name in ("a", "b"):
        edges[name] = edges[name].astype(np.int64)
    edges["walkable"] = edges["walkable"].astype(bool)
    name = str(data.get("name", path.name.removesuffix(".gz").removesuffix(".json")))
    return Tables(name, float(data["households_min"]), float(data["households_max"]), nodes, edges)


def _check(tables: Tables, path: Path) -> None:
    for columns in (tables.nodes, tables.edges):
        counts = {name: len(values) for name, values in columns.items()}
        if len(set(counts.values())) > 1:
            raise InvalidInput("partition.bad_instance", path=str(path), reason=f"columns differ in length: {counts}")
    count, ends = len(tables.nodes["households"]), np.concatenate([tables.edges["a"], tables.edges["b"]])
    if len(ends) and (ends.min() < 0 or ends.max() >= count):
        raise InvalidInput("partition.bad_instance", path=str(path), reason=f"an edge names none of the {count} nodes")


def problems_of(tables: Tables, *, weights: Mapping[str, float] | None = None) -> Instance:
    """The problems of an instance, one a community."""
    tier = Tier(3, "grid", "网格", "Grid", households_min=int(tables.low), households_max=int(tables.high))
    limits = Limits.of(tier)
    assert limits is not None
    terms = terms_for(tier, weights or {}, limits)
    members = tables.communities
    return Instance(tuple(_problem(part, terms) for part in _parts(tables, members)), tuple(members), tables)


def _parts(tables: Tables, members: Sequence[IntArray]) -> Iterator[Tables]:
    """Each community's part, in time proportional to the whole."""
    home = np.empty(len(tables.nodes["households"]), dtype=np.int64)
    at = np.empty_like(home)
    for number, member in enumerate(members):
        home[member], at[member] = number, np.arange(len(member))
    a, b = tables.edges["a"], tables.edges["b"]
    inner = np.flatnonzero(home[a] == home[b])
    inner = inner[np.argsort(home[a[inner]], kind="stable")]
    stops = np.searchsorted(home[a[inner]], np.arange(len(members) + 1))
    for number, member in enumerate(members):
        own = inner[stops[number] : stops[number + 1]]
        edges = {name: values[own] for name, values in tables.edges.items()}
        edges |= {"a": at[edges["a"]], "b": at[edges["b"]]}
        yield Tables(tables.name, tables.low, tables.high, {k: v[member] for k, v in tables.nodes.items()}, edges)


def _problem(part: Tables, terms: Any) -> Problem:
    node, edge = part.nodes, part.edges
    return Problem(
        households=node["households"].astype(float),
        area_m2=node["area_m2"].astype(float),
        perimeter_m=node["perimeter_m"].astype(float),
        middle_m=np.column_stack([node["x_m"], node["y_m"]]).astype(float),
        group=np.unique(node["compound"], return_inverse=True)[1].astype(np.int64) - int(node["compound"].min() < 0),
        is_tall=np.zeros(len(node["households"]), dtype=bool),
        a=edge["a"],
        b=edge["b"],
        length_m=edge["length_m"].astype(float),
        cut_cost_m=edge["cut_cost_m"].astype(float),
        walkable=edge["walkable"],
        terms=terms,
    )


# --- Writing ---------------------------------------------------------------------------------------------------------


def tables_of(name: str, graphs: Iterable[tuple[Problem, FloatArray]]) -> Tables:
    """Several communities' graphs as one instance.

    Parameters
    ----------
    graphs : iterable of (Problem, float array)
        As `gis.partition.site.graph_of` gives them: each community with the metres of its borders on barriers.
    """
    nodes: list[Columns] = []
    edges: list[Columns] = []
    count = groups = 0
    terms = None
    for number, (problem, barrier_m) in enumerate(graphs):
        nodes.append(_node_columns(problem, number, groups))
        edges.append(_edge_columns(problem, barrier_m, count))
        count += len(problem.households)
        groups += int(problem.group.max(initial=-1)) + 1
        terms = problem.terms
    if terms is None:
        raise InvalidInput("partition.no_communities")
    return Tables(name, terms.low, terms.high, _stacked(nodes), _stacked(edges))


def _node_columns(problem: Problem, community: int, groups: int) -> Columns:
    return {
        "households": problem.households,
        "community": np.full(len(problem.households), community),
        "compound": np.where(problem.group >= 0, problem.group + groups, -1),
        "x_m": problem.middle_m[:, 0],
        "y_m": problem.middle_m[:, 1],
        "area_m2": problem.area_m2,
        "perimeter_m": problem.perimeter_m,
    }


def _edge_columns(problem: Problem, barrier_m: FloatArray, first: int) -> Columns:
    return {
        "a": problem.a + first,
        "b": problem.b + first,
        "length_m": problem.length_m,
        "barrier_m": barrier_m,
        "cut_cost_m": problem.cut_cost_m,
        "walkable": problem.walkable,
    }


def _stacked(columns: Sequence[Columns]) -> Columns:
    return {name: np.concatenate([each[name] for each in columns]) for name in columns[0]}


def joined(name: str, several: Sequence[Tables]) -> Tables:
    """Instances beside each other as one, their communities and compounds numbered on."""
    nodes: list[Columns] = []
    edges: list[Columns] = []
    count = communities = compounds = 0
    for tables in several:
        node, edge = dict(tables.nodes), dict(tables.edges)
        node["community"] = node["community"] + communities
        node["compound"] = np.where(node["compound"] >= 0, node["compound"] + compounds, -1)
        edge |= {"a": edge["a"] + count, "b": edge["b"] + count}
        nodes.append(node)
        edges.append(edge)
        count += len(node["households"])
        communities = int(node["community"].max()) + 1
        compounds = max(compounds, int(node["compound"].max()) + 1)
    return Tables(name, several[0].low, several[0].high, _stacked(nodes), _stacked(edges))


def write(path: Path, tables: Tables) -> None:
    """Write an instance, gzipped if the name ends in ``.gz``; the same tables give the same bytes."""
    data = {
        "name": tables.name,
        "households_min": _plain(tables.low),
        "households_max": _plain(tables.high),
        "nodes": {name: _listed(tables.nodes[name]) for name in NODE_COLUMNS},
        "edges": {name: _listed(tables.edges[name]) for name in EDGE_COLUMNS},
    }
    raw = json.dumps(data, separators=(",", ":"), ensure_ascii=False).encode()
    path.write_bytes(gzip.compress(raw, mtime=0) if path.suffix == ".gz" else raw)


def _listed(values: NDArray[Any]) -> list[Any]:
    if values.dtype.kind != "f":
        return list(values.tolist())
    return [_plain(value) for value in np.round(values, DECIMALS).tolist()]


def _plain(value: float) -> float | int:
    return int(value) if value == int(value) else value


# --- Solving ---------------------------------------------------------------------------------------------------------


def label_all(
    instance: Instance,
    *,
    seed: int,
    effort: Effort,
    starts: Sequence[IntArray] | None = None,
    processes: int | None = 1,
    cluster: str | None = None,
    cancelled: Callable[[], bool] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> IntArray:
    """Solve every community of an instance; one label a node, no label in two communities.

    Parameters
    ----------
    starts : sequence of int arrays, optional
        Labels of each community to begin from, as `gis.partition.search.solve` takes them.
    processes, cluster, cancelled
        As `gis.spreading.spread` takes them; the labels are the same however they are made.
    progress : callable, optional
        Called with (communities done, communities in all).
    """
    problems = instance.problems
    jobs = [
        (problem, seed * 7919 + number, effort, None if starts is None else starts[number])
        for number, problem in enumerate(problems)
    ]
    order = sorted(range(len(jobs)), key=lambda i: (-len(problems[i].households), i))
    found: dict[int, IntArray] = {}
    for number, label in spread(
        _solved, jobs, order=order, processes=processes, cluster=cluster, cancelled=cancelled, warm=kernel.warm
    ):
        found[number] = label
        if progress is not None:
            progress(len(found), len(jobs))
    labels, used = np.zeros(instance.nodes, dtype=np.int64), 0
    for number, member in enumerate(instance.members):
        labels[member] = found[number] + used
        used += int(found[number].max()) + 1
    return labels


def _solved(job: tuple[Problem, int, Effort, IntArray | None], signals: Signals) -> IntArray:
    problem, seed, effort, start = job
    if start is not None:
        return solve_from(problem, start, seed=seed, effort=effort, cancelled=signals.enough).label
    return solve(problem, seed=seed, effort=effort, cancelled=signals.enough).label
