"""Graph instances: a partition problem as numbers alone, for comparing engines.

``{"households_min", "households_max", "nodes": {column: […]}, "edges": {column: […]}}``, as JSON, gzipped if its name
ends so. Nodes: households, community, compound (-1 = none), x_m, y_m, area_m2, perimeter_m. Edges: a, b, length_m,
barrier_m, cut_cost_m, walkable. An answer is one label a node; a cell never crosses a community.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gis.errors import InvalidInput, NotFound
from gis.geometry import IntArray
from gis.partition.objectives import Limits, terms_for
from gis.partition.problem import Problem
from gis.partition.search import Effort, solve
from gis.rule_set import Tier


@dataclass(frozen=True)
class Instance:
    """A graph of one or more communities.

    Attributes
    ----------
    problems : tuple of Problem
        One a community.
    members : tuple of int arrays
        The nodes of each, by their numbers in the instance.
    """

    problems: tuple[Problem, ...]
    members: tuple[IntArray, ...]

    @property
    def nodes(self) -> int:
        """How many nodes there are."""
        return sum(len(member) for member in self.members)


def read(path: Path, *, weights: Mapping[str, float] | None = None) -> Instance:
    """Read an instance.

    Raises
    ------
    NotFound
        ``import.no_file``.
    InvalidInput
        ``partition.bad_instance`` if it lacks something.
    """
    if not path.is_file():
        raise NotFound("import.no_file", path=str(path))
    try:
        raw = path.read_bytes()
        data = json.loads(gzip.decompress(raw) if path.suffix == ".gz" else raw)
        parts = list(_communities(data, weights or {}))
    except (OSError, EOFError, ValueError, KeyError, TypeError) as error:
        raise InvalidInput("partition.bad_instance", path=str(path), reason=str(error)) from error
    return Instance(tuple(problem for problem, _ in parts), tuple(member for _, member in parts))


def _communities(data: Mapping[str, Any], weights: Mapping[str, float]) -> Iterator[tuple[Problem, IntArray]]:
    tier = Tier(3, "grid", "网格", "Grid", households_min=data["households_min"], households_max=data["households_max"])
    limits = Limits.of(tier)
    assert limits is not None
    node = {name: np.asarray(values) for name, values in data["nodes"].items()}
    edge = {name: np.asarray(values) for name, values in data["edges"].items()}
    for community in np.unique(node["community"]):
        member = np.flatnonzero(node["community"] == community)
        at = np.full(len(node["community"]), -1, dtype=np.int64)
        at[member] = np.arange(len(member))
        inner = (at[edge["a"]] >= 0) & (at[edge["b"]] >= 0)
        problem = Problem(
            households=node["households"][member].astype(float),
            area_m2=node["area_m2"][member],
            perimeter_m=node["perimeter_m"][member],
            middle_m=np.column_stack([node["x_m"][member], node["y_m"][member]]),
            group=np.unique(node["compound"][member], return_inverse=True)[1].astype(np.int64)
            - int(node["compound"][member].min() < 0),
            is_tall=np.zeros(len(member), dtype=bool),
            a=at[edge["a"][inner]],
            b=at[edge["b"][inner]],
            length_m=edge["length_m"][inner].astype(float),
            cut_cost_m=edge["cut_cost_m"][inner].astype(float),
            walkable=edge["walkable"][inner].astype(bool),
            terms=terms_for(tier, weights, limits),
        )
        yield problem, member


def label_all(instance: Instance, *, seed: int, effort: Effort) -> IntArray:
    """Solve every community of an instance; one label a node, no label in two communities."""
    labels = np.zeros(instance.nodes, dtype=np.int64)
    used = 0
    for number, (problem, member) in enumerate(zip(instance.problems, instance.members, strict=True)):
        solution = solve(problem, seed=seed * 7919 + number, effort=effort)
        labels[member] = solution.label + used
        used += solution.cells
    return labels
