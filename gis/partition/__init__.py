"""The partitioning tool: communities into grids and micro-grids by a rule set. Everything in metres inside.

`divide` is the door. The method, module by module: `units` (parts of buildings), `ground` (exact atoms of land),
`problem` (graph), `diagnosis` (what is impossible), `objectives` (the cost), `search` and `kernel` (compiled
annealing), `run` (one community from ground to cells), `division_of` (many communities over processes), `quality`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from gis.division import Division
from gis.rule_set import RuleSet
from gis.town import Town


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
        Asked now and then; when it says yes the work stops.

    Returns
    -------
    Division
        What cannot be met is reported in its findings, never raised.

    Raises
    ------
    InvalidInput
        ``partition.no_communities``, ``partition.unknown_community``, ``partition.unknown_effort``,
        ``partition.unknown_term``, ``partition.cancelled``.
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
    )


__all__ = ["divide"]
