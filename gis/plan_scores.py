"""What plans are compared by, side by side: bands, compactness, barriers, compounds, principles; all measured alike."""

from __future__ import annotations

from typing import Any

from gis.division import Division
from gis.plan_report import plain
from gis.town import Town

SIZES = ("in_band_ratio", "passing_ratio", "households_min", "households_mean", "households_max")


def scores(division: Division, town: Town) -> dict[str, Any]:
    """Measure a division over its own communities.

    Parameters
    ----------
    town : Town
        With these communities; what absent layers would tell stays ``None``.

    Returns
    -------
    dict
        ``tiers`` (top first: ``depth``, names, ``cells``, ``passing``, `SIZES`, ``compactness_mean``, ``_min``,
        ``not_contiguous``), ``boundary_on_barriers_ratio``, ``small_compounds``, ``small_compounds_cut``, and
        ``principles``: ``code``, names, ``source``, ``score`` (0 to 100, ``None`` where the data do not say).
    """
    # Loads numba, which a service that compares nothing is spared.
    from gis.partition.principles import PRINCIPLES, principles
    from gis.partition.quality import statistics

    measured = statistics(division, town)
    scored = principles(division, town)["plan"]
    kept = ("depth", "name_zh", "name_en", "cells", *SIZES, "compactness_mean", "compactness_min", "not_contiguous")
    tiers = [
        {**{key: tier[key] for key in kept}, "passing": _count(tier["passing_ratio"], tier["cells"])}
        for tier in measured["tiers"]
    ]
    found: dict[str, Any] = plain(
        {
            "tiers": tiers,
            **{key: measured[key] for key in ("boundary_on_barriers_ratio", "small_compounds", "small_compounds_cut")},
            "principles": [
                {
                    "code": p.code,
                    "name_zh": p.name_zh,
                    "name_en": p.name_en,
                    "source": p.source,
                    "score": scored[p.code],
                }
                for p in PRINCIPLES
            ],
        }
    )  # fmt: skip
    return found


def _count(ratio: float | None, cells: int) -> int | None:
    return None if ratio is None else round(ratio * cells)
