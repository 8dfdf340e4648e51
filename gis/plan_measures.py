"""What a stored plan looks like in figures: statistics of each tier, and what is not as the rules ask."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from gis.models import PlanFinding

IntArray = NDArray[np.int64]


def statistics(session: Session, plan_id: int) -> dict[str, Any]:
    """Figures of each grid tier, the top first, and of the ground as the partitioner measured it.

    Returns
    -------
    dict
        ``tiers``: list of dict with ``depth``, ``kind``, names, ``cells``, ``in_band``, ``in_band_ratio``,
        ``households_sum``, ``_min``, ``_mean``, ``_max``, the band as ``households_min_allowed`` and ``_max_allowed``
        (widened by the tolerance), ``histogram`` (`histogram`), ``buildings``, ``area_m2``. Beside it what
        `gis.partition.quality` found: ``gap_m2``, ``overlap_m2``, ``not_contiguous`` (``None`` if it was not asked).
    """
    tiers = [_tier(row) for row in session.execute(_TIERS, {"plan": plan_id})]
    quality = session.scalar(text("SELECT quality FROM plan WHERE id = :plan"), {"plan": plan_id}) or {}
    return {
        "tiers": tiers,
        **{key: quality.get(key) for key in ("gap_m2", "overlap_m2", "not_contiguous")},
        "quality": quality,
    }


def violations(session: Session, plan_id: int) -> list[dict[str, Any]]:
    """Cells out of band, then what the partitioner noticed: code, severity, place and parameters, no sentence."""
    cells = [
        {
            "code": f"plan.cell_{row.band_state}",
            "severity": "violation",
            "depth": row.grid_depth,
            "cell_id": row.id,
            "cell_code": row.code,
            "params": {
                "cell": row.code,
                "households": row.households,
                "low": row.households_min,
                "high": row.households_max,
                "excess": _excess(row),
            },
            "bbox": [row.west, row.south, row.east, row.north],
        }
        for row in session.execute(_OUT_OF_BAND, {"plan": plan_id})
    ]
    return cells + _findings(session, plan_id)


def histogram(values: IntArray, *, bins: int = 12) -> list[list[int]]:
    """Counts in equal steps that begin at round numbers: ``[from, to, n]``, the last inclusive.

    Examples
    --------
    >>> histogram(np.array([3, 4, 17]), bins=4)
    [[0, 5, 2], [5, 10, 0], [10, 15, 0], [15, 20, 1]]
    """
    if len(values) == 0:
        return []
    low, high = int(values.min()), int(values.max())
    step = _round_step((high - low) / bins)
    first = low // step * step
    edges = np.arange(first, high + step + 1, step)
    counts, _ = np.histogram(values, bins=edges)
    return [[int(a), int(b), int(n)] for a, b, n in zip(edges[:-1], edges[1:], counts, strict=True)]


def _round_step(width: float) -> int:
    power = 1
    while True:
        for step in (1, 2, 5):
            if step * power >= width:
                return step * power
        power *= 10


def _tier(row: Any) -> dict[str, Any]:
    households: IntArray = np.array(row.households_all, dtype=np.int64)
    return {
        "depth": row.grid_depth,
        "kind": row.kind,
        "name_zh": row.name_zh,
        "name_en": row.name_en,
        "cells": len(households),
        "in_band": row.in_band,
        "in_band_ratio": row.in_band / len(households) if len(households) else None,
        "under": row.under,
        "over": row.over,
        "households_sum": int(households.sum()),
        "households_min": int(households.min()) if len(households) else None,
        "households_mean": float(households.mean()) if len(households) else None,
        "households_max": int(households.max()) if len(households) else None,
        "households_min_allowed": _widened(row.households_min, 1 - row.tolerance_ratio),
        "households_max_allowed": _widened(row.households_max, 1 + row.tolerance_ratio),
        "buildings": row.buildings,
        "area_m2": row.area_m2,
        "histogram": histogram(households),
    }


def _widened(bound: int | None, by: float) -> int | None:
    return None if bound is None else round(bound * by)


def _excess(row: Any) -> int:
    bound = row.households_max if row.band_state == "over" else row.households_min
    return 0 if bound is None else int(row.households - bound)


def _findings(session: Session, plan_id: int) -> list[dict[str, Any]]:
    found: Sequence[PlanFinding] = session.scalars(
        select(PlanFinding).where(PlanFinding.plan_id == plan_id).order_by(PlanFinding.id)
    ).all()
    return [
        {
            "code": row.code,
            "severity": row.severity,
            "layer": row.layer,
            "depth": None,
            "cell_id": None,
            "cell_code": row.key,
            "params": {"key": row.key, **row.params},
            "bbox": None,
        }
        for row in found
    ]


_TIERS = text(
    """
    SELECT t.grid_depth, t.kind, t.name_zh, t.name_en, t.households_min, t.households_max, t.tolerance_ratio,
           coalesce(array_agg(g.households ORDER BY g.code) FILTER (WHERE g.id IS NOT NULL), '{}') AS households_all,
           count(*) FILTER (WHERE g.band_state = 'in_band') AS in_band,
           count(*) FILTER (WHERE g.band_state = 'under') AS under,
           count(*) FILTER (WHERE g.band_state = 'over') AS over,
           coalesce(sum(g.buildings), 0) AS buildings, coalesce(sum(g.area_m2), 0) AS area_m2
    FROM plan p JOIN tier t ON t.rule_set_id = p.rule_set_id AND t.grid_depth IS NOT NULL
    LEFT JOIN grid g ON g.plan_id = p.id AND g.grid_depth = t.grid_depth
    WHERE p.id = :plan GROUP BY t.id ORDER BY t.grid_depth
    """
)

_OUT_OF_BAND = text(
    """
    SELECT g.id, g.code, g.grid_depth, g.households, g.band_state, t.households_min, t.households_max,
           ST_XMin(g.geom) AS west, ST_YMin(g.geom) AS south, ST_XMax(g.geom) AS east, ST_YMax(g.geom) AS north
    FROM grid g JOIN tier t ON t.rule_set_id = g.rule_set_id AND t.grid_depth = g.grid_depth
    WHERE g.plan_id = :plan AND g.band_state <> 'in_band' ORDER BY g.grid_depth, g.code
    """
)
