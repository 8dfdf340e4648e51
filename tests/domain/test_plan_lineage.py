"""Which cells go on when a plan replaces another."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from gis.plan_lineage import Edge, continuations


def edge(old: int, new: int, households: int, *, of: int = 100) -> Edge:
    ends: list[Any] = [SimpleNamespace(id=end, households=of, code=str(end)) for end in (old, new)]
    return Edge(ends[0], ends[1], households, 0.0, 0.0)


def test_a_cell_goes_on_in_at_most_one_and_in_the_one_that_has_more_of_it():
    """Estimated shares of a tower cut at other floors may add up to more than there is."""
    chosen = continuations([edge(1, 11, 55), edge(1, 12, 60), edge(2, 12, 58)])
    assert [(e.old.id, e.new.id) for e in chosen] == [(1, 12)]


def test_half_and_half_goes_on_nowhere():
    assert continuations([edge(1, 11, 50), edge(1, 12, 50)]) == []


def test_the_order_of_the_edges_does_not_matter():
    edges = [edge(1, 11, 60), edge(2, 12, 60), edge(2, 11, 55)]
    assert continuations(edges) == continuations(edges[::-1])


def test_the_same_ground_goes_on_whoever_lives_there_now():
    cells: list[Any] = [SimpleNamespace(id=i, households=100, code=str(i), floor_from=None, floor_to=None)
                        for i in (1, 2, 11)]  # fmt: skip
    rebuilt, mostly = Edge(cells[0], cells[2], 0, 1.0, 1.0), Edge(cells[1], cells[2], 80, 0.1, 0.0)
    assert continuations([mostly, rebuilt]) == [rebuilt]
    cells[2].floor_from = 8
    assert continuations([rebuilt]) == []
