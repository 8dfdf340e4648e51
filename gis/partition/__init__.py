"""The partitioning tool: communities into grids and micro-grids by a rule set. Everything in metres inside.

`divide` is the door. The method, module by module: `units` (parts of buildings), `ground` (exact atoms of land),
`problem` (graph), `diagnosis` (what is impossible), `objectives` (the cost), `search` and `kernel` (compiled
annealing), `proof`, `site`, `run` and `cells` (one community from ground to cells), `division_of` and `spreading`
(many communities), `redraw`, `lineage` and `moves` (from a plan in force), `alternatives`, `quality`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from gis.division import Division
from gis.rule_set import RuleSet
from gis.town import Town

if TYPE_CHECKING:
    from gis.partition.redraw import Locks


def divide(
    town: Town,
    rules: RuleSet,
    *,
    seed: int = 0,
    effort: str = "draft",
    communities: Sequence[str] | None = None,
    processes: int | None = None,
    progress: Callable[[int, int, str], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
    enough: Callable[[], bool] | None = None,
    previous: Division | None = None,
    stability: float = 0.5,
    locks: Locks | None = None,
    cluster: str | None = None,
    within: Callable[[int, float, float], None] | None = None,
) -> Division:
    """Divide a town's communities into the cells of every grid tier of a rule set.

    Parameters
    ----------
    town : Town
        Cleaned (`gis.cleaning.clean`): communities that do not overlap, valid footprints, each building with its
        community.
    rules : RuleSet
    seed : int
        The same seed, town, rules and effort give the same division, on any number of processes.
    effort : {"draft", "full", "deep"}
    communities : sequence of str, optional
        Codes of those to divide; all by default.
    processes : int, optional
        By default one a core for many communities, none beside this one for few.
    progress : callable, optional
        Called with (communities done, communities in all, code of the one just done).
    cancelled : callable, optional
        Asked now and then; when it says yes the work stops with nothing to show.
    enough : callable, optional
        Asked now and then; from its yes on the best plan so far is taken: of communities not begun the quick start.
    previous : Division, optional
        The plan in force, of which as much is to stay as ``stability`` says. Cells that go on keep their codes, the
        others get codes that it never used.
    stability : float
        0 (as if there was no plan in force) to 1 (change only what is broken); see `redraw.weight_per_household`.
    locks : Locks, optional
        Buildings, grids and micro-grids of the plan in force that stay.
    cluster : str, optional
        Address of a Dask scheduler (``tcp://host:port``) whose workers do the work instead of processes here; the
        division is the same.

    within : callable, optional
        Called now and then with (number of a community in work, share of it done, cost of its best so far).

    Returns
    -------
    Division
        What cannot be met is reported in its findings, never raised.

    Raises
    ------
    InvalidInput
        ``partition.no_communities``, ``partition.unknown_community``, ``partition.unknown_effort``,
        ``partition.unknown_term``, ``partition.cancelled``, ``partition.bad_stability``, ``partition.lock_unknown``,
        ``partition.locks_without_plan``; ``spreading.bad_address``.
    Unavailable
        ``spreading.worker_died``, ``spreading.cluster_unreachable``, ``spreading.no_workers``,
        ``spreading.other_versions``.
    """
    from gis.partition.division_of import divide_town  # numba is slow to load and most callers only need the name

    return divide_town(
        town,
        rules,
        seed=seed,
        effort=effort,
        communities=communities,
        processes=processes,
        progress=progress,
        cancelled=cancelled,
        enough=enough,
        previous=previous,
        stability=stability,
        locks=locks,
        within=within,
        cluster=cluster,
    )


__all__ = ["divide"]
