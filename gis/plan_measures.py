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


def histogram(values: IntArray, *, band: tuple[int, int] | None = None, bins: int = 12) -> list[list[int]]:
    """Counts in nearly equal steps of whole numbers: ``[from, to, n]``, both ends inclusive.

    No step lies across an end of the band, so that each is wholly within it or wholly outside.

    Examples
    --------
    >>> histogram(np.array([3, 4, 17]), bins=4)
    [[0, 4, 2], [5, 9, 0], [10, 14, 0], [15, 19, 1]]
    >>> histogram(np.array([44, 50, 80, 81]), band=(50, 80), bins=4)
    [[40, 49, 1], [50, 59, 1], [60, 69, 0], [70, 80, 1], [81, 90, 1]]
    """
    if len(values) == 0:
        return []
    low, high = int(values.min()), int(values.max())
    step = _round_step((high - low) / bins)
    edges = np.arange(low // step * step, high + step + 1, step)
    if band is not None:
        edges = _around(band, step, low, high)
    counts, _ = np.histogram(values, bins=np.append(edges[:-1] - 0.5, edges[-1] - 0.5))
    return [[int(a), int(b) - 1, int(n)] for a, b, n in zip(edges[:-1], edges[1:], counts, strict=True)]


def _around(band: tuple[int, int], step: int, low: int, high: int) -> IntArray:
    """First whole number of each step, and one past the last: anchored at the ends of the band."""
    under = np.arange(band[0], low - step, -step)[::-1]
    within = np.arange(band[0], band[1], step)
    if len(within) > 1 and band[1] - within[-1] < step / 2:
        within = within[:-1]  # a last narrow step would look like a gap
    over = np.arange(band[1] + 1, high + step + 1, step)
    edges = np.unique(np.concatenate([under, within, over])).astype(np.int64)
    return edges[max(int(np.searchsorted(edges, low, side="right")) - 1, 0) :]


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
        "histogram": histogram(households, band=_band(row)),
    }


def _band(row: Any) -> tuple[int, int] | None:
    low, high = (
        _widened(row.households_min, 1 - row.tolerance_ratio),
        _widened(row.households_max, 1 + row.tolerance_ratio),
    )
    return None if low is None or high is None else (low, high)


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
           -- Buildings cut between cells, and ground under several cells of a stack, count once.
           (SELECT count(DISTINCT gp.building_id) FROM grid_part gp WHERE gp.plan_id = p.id) AS buildings,
           coalesce(sum(g.area_m2 / g.on_ground), 0) AS area_m2
    FROM plan p JOIN tier t ON t.rule_set_id = p.rule_set_id AND t.grid_depth IS NOT NULL
    LEFT JOIN (
        SELECT *, count(*) OVER (PARTITION BY grid_depth, parent_id, md5(ST_AsBinary(geom))) AS on_ground
        FROM grid WHERE plan_id = :plan
    ) g ON g.grid_depth = t.grid_depth
    WHERE p.id = :plan GROUP BY p.id, t.id ORDER BY t.grid_depth
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
