"""The report of a plan as one plain value: what was asked, what was got, what is out of order and why, what is proven.

`collect` makes it of a division and its town, `store` keeps it with the plan's rows, `load` finds it again, `told`
adds the sentences. `gis.exchange.plan_report_page` makes the page that a planner reads of it.

The value, which is also the JSON of ``wangge report PLAN --out FILE.json`` and of ``GET /api/v1/plans/{id}/report``:

========== ============================================================================================================
format     ``wangge plan report``, with ``version`` 1; ``title``; ``made_at`` (ISO 8601 or null)
asked      ``rule_set``, ``tiers`` (grid tiers, top first: band, tolerance, what passes, posts), ``weights`` (the cost's
           terms: formula, unit, source, weight and default), ``effort``, ``seed``, ``search``, ``communities``,
           ``redraw`` (null unless the plan in force was the start)
got        ``communities``, ``buildings``, ``households``; ``tiers`` (figures; histograms ``[from, to, cells]``);
           ``ground`` (gaps, overlaps, pieces in m²); ``cost`` (tier to term to cost, as far as the search told it);
           ``by_community``; ``moves`` (of a redraw, else null); ``cells`` (the top banded tier: households, state,
           compactness, reach, scores); ``out_of_band`` (every cell of any tier: reason, whether it is proven, the
           cheapest relaxation, and all of them)
principles plan, components and table of `gis.partition.principles`, without the cells
proof      ``communities``: what was proven of each (``kind``, ``cost``, ``bound``, ``gap_ratio``, ``sets``), kind
           ``none`` where nothing was; ``counts`` by kind
findings   what was noticed about data and demands: code, severity, layer, key, parameters
versions   of Wangge, Python and the libraries that the result depends on
========== ============================================================================================================

Nothing here is rounded for looks except shares (four decimals) and metres (one).
"""

from __future__ import annotations

import platform
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np
import pandas as pd
import shapely
from sqlalchemy import delete, select, text
from sqlalchemy.orm import Session

from gis import crs, messages
from gis.division import Division
from gis.findings import Finding
from gis.geometry import compactness
from gis.models import PlanReport
from gis.plan_measures import histogram
from gis.rule_set import Tier
from gis.town import Town

FORMAT, VERSION = "wangge plan report", 1
OUT_OF_BAND = "partition.out_of_band."
LIBRARIES = ("numpy", "scipy", "numba", "shapely", "pyproj", "geopandas")


def collect(
    division: Division,
    town: Town,
    *,
    title: str = "",
    quality: Mapping[str, Any] | None = None,
    noticed: Sequence[Finding] = (),
    moves: Mapping[str, Any] | None = None,
    made_at: datetime | None = None,
) -> dict[str, Any]:
    """Gather the report of a division.

    Parameters
    ----------
    town : Town
        The town that was divided; what absent layers would tell stays unknown.
    quality : mapping, optional
        What `gis.partition.quality.statistics` found; measured here if it is not given.
    noticed : sequence of Finding
        What was noticed about the data before (reading, cleaning).
    moves : mapping, optional
        Of a redraw: ``tiers``, what moved in each (`gis.partition.moves`).
    """
    # Loads numba, which a service that only shows stored reports is spared.
    from gis.partition.principles import principles
    from gis.partition.quality import statistics

    measured = statistics(division, town) if quality is None and len(town["communities"]) else dict(quality or {})
    scored = principles(division, town)
    tiers = [_tier_asked(tier, depth) for depth, tier in enumerate(division.rules.grid_tiers, start=1)]
    out = _out_of_band(division, tiers)
    proof = _proof(division)
    got = {
        "communities": int(division.cells[0]["community"].nunique()),
        "buildings": int(division.parts["building"].nunique()),
        "households": int(division.parts["households"].sum()),
        "tiers": [_tier_got(division, position, tiers[position], measured) for position in range(len(tiers))],
        "ground": {key: value for key, value in measured.items() if key != "tiers"},
        "cost": dict(division.recipe.get("cost") or {}),
        "by_community": _by_community(division, town, scored["tier"], out, proof),
        "cells": _cells(division, scored, tiers),
        "out_of_band": out,
        "moves": _moves(division) if moves is None else dict(moves),
    }
    report: dict[str, Any] = plain(
        {
            "format": FORMAT,
            "version": VERSION,
            "title": title or town.title,
            "made_at": made_at.isoformat() if made_at else None,
            "asked": _asked(division, tiers),
            "got": got,
            "principles": {key: value for key, value in scored.items() if key != "cells"},
            "proof": proof,
            "findings": [asdict(finding) for finding in (*noticed, *_other_findings(division))],
            "versions": versions(division.recipe.get("versions")),
        }
    )
    return report


def versions(made_with: Mapping[str, Any] | None = None) -> dict[str, str]:
    """What a result depends on: of the division where it says so, else of this program."""
    found = {"wangge": _version("wangge"), "python": platform.python_version()}
    found |= {name: _version(name) for name in LIBRARIES} | {"geos": shapely.geos_version_string}
    return found | {str(key): str(value) for key, value in (made_with or {}).items()}


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "–"


# --- What was asked --------------------------------------------------------------------------------------------------


def _asked(division: Division, tiers: list[dict[str, Any]]) -> dict[str, Any]:
    from gis.partition.objectives import TERMS

    rules, recipe = division.rules, division.recipe
    weights = rules.weights
    kinds = [kind for kind in ("grid", "micro_grid") if any(tier["kind"] == kind for tier in tiers)]
    terms = []
    for term in TERMS:
        asked = {
            kind: weights.get(f"{kind}.{term.code}", weights.get(term.code, getattr(term, kind))) for kind in kinds
        }
        default = {kind: getattr(term, kind) for kind in kinds}
        terms.append(
            {
                "code": term.code, "formula": term.formula, "unit": term.unit, "source": term.source,
                "weight": asked, "default": default, "is_changed": asked != default,
            }
        )  # fmt: skip
    return {
        "rule_set": {
            key: getattr(rules, key)
            for key in ("code", "name_zh", "name_en", "source", "is_verified", "keep_buildings_whole")
        },
        "tiers": tiers,
        "weights": terms,
        "effort": recipe.get("effort"),
        "seed": recipe.get("seed"),
        "search": recipe.get("search"),
        "zone": recipe.get("zone"),
        "communities": list(recipe.get("communities") or sorted(set(division.cells[0]["community"].astype(str)))),
        "redraw": recipe.get("redraw"),
    }


def _tier_asked(tier: Tier, depth: int) -> dict[str, Any]:
    by = tier.tolerance_ratio
    is_banded = tier.cell_of == "band"
    low, high = (tier.households_min, tier.households_max) if is_banded else (None, None)
    return {
        "depth": depth,
        "kind": tier.kind,
        "name_zh": tier.name_zh,
        "name_en": tier.name_en,
        "cell_of": tier.cell_of,
        "households_min": tier.households_min,
        "households_max": tier.households_max,
        "households_target": tier.target,
        "tolerance_ratio": by,
        "passes_from": None if low is None else low * (1 - by),
        "passes_to": None if high is None else high * (1 + by),
        "posts": [{"code": post.code, "name_zh": post.name_zh, "name_en": post.name_en} for post in tier.posts],
    }


def state_of(households: float, tier: Mapping[str, Any]) -> str:
    """``in_band``, ``tolerated`` (by the tolerance alone), ``under`` or ``over``."""
    low, high = tier["passes_from"], tier["passes_to"]
    if low is not None and households < low - 1e-9:
        return "under"
    if high is not None and households > high + 1e-9:
        return "over"
    least, most = tier["households_min"], tier["households_max"]
    if low is not None and least is not None and households < least:
        return "tolerated"
    if high is not None and most is not None and households > most:
        return "tolerated"
    return "in_band"


# --- What was got ----------------------------------------------------------------------------------------------------


def _tier_got(
    division: Division, position: int, tier: Mapping[str, Any], measured: Mapping[str, Any]
) -> dict[str, Any]:
    cells = division.cells[position]
    size = cells["households"].to_numpy(dtype=np.int64)
    states = Counter(state_of(value, tier) for value in size.tolist())
    round_ = _compactness(division, position)
    known: Mapping[str, Any] = next(
        (each for each in measured.get("tiers", ()) if each.get("depth") == position + 1), {}
    )
    band = None
    if tier["passes_from"] is not None and tier["passes_to"] is not None:
        band = (round(tier["passes_from"]), round(tier["passes_to"]))
    return {
        "depth": position + 1,
        "name_zh": tier["name_zh"],
        "name_en": tier["name_en"],
        "cells": len(size),
        **{state: states[state] for state in ("in_band", "tolerated", "under", "over")},
        "passing_ratio": round((states["in_band"] + states["tolerated"]) / max(len(size), 1), 4),
        "in_band_ratio": round(states["in_band"] / max(len(size), 1), 4),
        "households_min": int(size.min()) if len(size) else 0,
        "households_mean": round(float(size.mean()), 1) if len(size) else 0.0,
        "households_max": int(size.max(initial=0)),
        "variation": round(float(size.std() / size.mean()), 4) if len(size) and size.mean() > 0 else None,
        "compactness_mean": round(float(round_.mean()), 4) if len(round_) else None,
        "compactness_min": round(float(round_.min()), 4) if len(round_) else None,
        "not_contiguous": known.get("not_contiguous"),
        "tolerance_to_pass": _tolerance_to_pass(size, tier),
        "households_histogram": histogram(size, band=band),
        "compactness_histogram": _bins(round_, 0.1),
    }


def _tolerance_to_pass(size: Any, tier: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The tolerance with which half, and all, of the inhabited cells out of band would pass: ratio and cells."""
    low, high = tier["households_min"], tier["households_max"]
    need = sorted(
        max(1 - h / low if low else 0.0, h / high - 1 if high else 0.0)
        for h in size.tolist()
        if h > 0 and state_of(h, tier) in ("under", "over")
    )
    steps = sorted({(len(need) + 1) // 2, len(need)}) if need else []
    return [{"ratio": round(float(np.ceil(need[n - 1] * 1000 - 1e-9) / 1000), 4), "cells": n} for n in steps]


def _compactness(division: Division, position: int) -> Any:
    cells = division.cells[position]
    zone = int(division.recipe.get("zone") or crs.zone_of(cells))
    shapes = shapely.transform(cells.geometry.to_numpy(), lambda xy: crs.points_to_metric(xy, zone))
    return compactness(shapely.area(shapes), shapely.length(shapes))


def _bins(values: Any, step: float) -> list[list[float]]:
    """``[from, to, n]`` in equal steps; ``to`` not included."""
    finite = np.asarray(values, dtype=float)
    finite = finite[np.isfinite(finite)]
    if not len(finite):
        return []
    first, last = int(np.floor(finite.min() / step + 1e-9)), int(np.floor(finite.max() / step + 1e-9))
    place = np.clip(np.floor(finite / step + 1e-9).astype(int), first, last) - first
    counts = np.bincount(place, minlength=last - first + 1)
    return [[round((first + i) * step, 6), round((first + i + 1) * step, 6), int(n)] for i, n in enumerate(counts)]


def _cells(division: Division, scored: Mapping[str, Any], tiers: list[dict[str, Any]]) -> dict[str, Any]:
    position = scored["tier"] - 1
    frame = division.cells[position]
    rows = []
    for i, cell in enumerate(scored["cells"]):
        households = int(frame["households"].iloc[i])
        rows.append(
            {
                "code": cell["code"],
                "community": str(frame["community"].iloc[i]),
                "households": households,
                "state": state_of(households, tiers[position]),
                "area_m2": round(float(frame["area_m2"].iloc[i]), 1),
                "scores": cell["scores"],
                "components": cell["components"],
            }
        )
    reach = np.array([_number(row["components"]["reach"]) for row in rows], dtype=float)
    return {"depth": scored["tier"], "rows": rows, "reach_histogram": _bins(reach, _reach_step(reach))}


def _number(value: float | None) -> float:
    return np.nan if value is None else float(value)


def _reach_step(reach: Any) -> float:
    longest = float(np.nanmax(reach)) if np.isfinite(reach).any() else 0.0
    return next((step for step in (25.0, 50.0, 100.0, 200.0, 500.0) if longest / step <= 20), 1000.0)


def _out_of_band(division: Division, tiers: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Every cell that does not pass, with what the partitioner told of it."""
    told = {f.key: f for f in division.findings if f.code.startswith(OUT_OF_BAND)}
    rows = []
    for tier, cells in zip(tiers, division.cells, strict=True):
        for code, community, households in zip(
            cells["code"].astype(str), cells["community"].astype(str), cells["households"], strict=True
        ):
            state = state_of(int(households), tier)
            if state in ("under", "over"):
                rows.append(_cell_out(code, community, int(households), state, tier, told.get(code)))
    return rows


def _cell_out(
    code: str, community: str, households: int, state: str, tier: Mapping[str, Any], finding: Finding | None
) -> dict[str, Any]:
    params = dict(finding.params) if finding else {}
    reason = finding.code.removeprefix(OUT_OF_BAND) if finding else "not_told"
    low, high = tier["passes_from"] or 0, tier["passes_to"] or 0
    band = {"households": households, "low": round(low), "high": round(high)}
    return {
        "code": code,
        "community": community,
        "depth": tier["depth"],
        "tier_zh": tier["name_zh"],
        "tier_en": tier["name_en"],
        "households": households,
        "low": round(low),
        "high": round(high),
        "state": state,
        "excess": round(households - high) if state == "over" else round(households - low),
        "reason": reason,
        "is_proven": reason not in ("not_proven", "not_told"),
        "params": band | {key: value for key, value in params.items() if key not in ("remedy", "relaxations")},
        "remedy": params.get("remedy"),
        "relaxations": params.get("relaxations") or [],
    }


def _other_findings(division: Division) -> Iterable[Finding]:
    return (finding for finding in division.findings if not finding.code.startswith(OUT_OF_BAND))


def _by_community(
    division: Division, town: Town, depth: int, out: list[dict[str, Any]], proof: Mapping[str, Any]
) -> list[dict[str, Any]]:
    communities = town["communities"]
    names = {str(row["code"]): row for row in communities[["code", "name", "name_en"]].to_dict("records")}
    cells = division.cells[depth - 1]
    rows = []
    for code, own in cells.groupby(cells["community"].astype(str), sort=True):
        known = names.get(str(code), {})
        kind = next((each["kind"] for each in proof["communities"] if each["community"] == code), "none")
        rows.append(
            {
                "code": str(code),
                "name_zh": _word(known.get("name")),
                "name_en": _word(known.get("name_en")) or _word(known.get("name")),
                "households": int(own["households"].sum()),
                "cells": len(own),
                "out_of_band": sum(row["community"] == code and row["depth"] == depth for row in out),
                "proof": kind,
            }
        )
    return rows


def _moves(division: Division) -> dict[str, Any] | None:
    """What a redraw says that it moved."""
    moved = (division.recipe.get("redraw") or {}).get("moved")
    return {"tiers": list(moved)} if moved else None


def _word(value: Any) -> str | None:
    return None if value is None or pd.isna(value) else str(value)


def _proof(division: Division) -> dict[str, Any]:
    """What was proven of each community; ``none`` where the division says nothing."""
    stated: Mapping[str, Any] = division.recipe.get("proofs") or {}
    rows = []
    for code in sorted(set(division.cells[0]["community"].astype(str))):
        known = stated.get(code)
        row = dict(known) if isinstance(known, Mapping) else {}
        rows.append({"community": code, **row, "kind": str(row.get("kind") or "none")})
    return {
        "is_stated": bool(stated),
        "communities": rows,
        "counts": dict(Counter(row["kind"] for row in rows)),
    }


# --- Sentences -------------------------------------------------------------------------------------------------------


def told(report: Mapping[str, Any], languages: Sequence[str] = messages.LANGUAGES) -> dict[str, Any]:
    """The report with a sentence in every language for what has a code: ``text`` of findings, reasons and ways out."""
    got = report["got"]
    out = [
        {
            **row,
            "text": _sentence(f"{OUT_OF_BAND}{row['reason']}", {"key": row["code"], **row["params"]}, languages),
            "relaxations": [
                {**way, "text": _sentence(way["code"], way["params"], languages)} for way in row["relaxations"]
            ],
        }
        for row in got["out_of_band"]
    ]
    findings = [
        {**each, "text": _sentence(each["code"], _place(each) | each["params"], languages)}
        for each in report["findings"]
    ]
    return {**report, "got": {**got, "out_of_band": out}, "findings": findings}


def _place(finding: Mapping[str, Any]) -> dict[str, Any]:
    return {"layer": finding["layer"], "row": finding["row"], "key": finding["key"]}


def _sentence(code: str, params: Mapping[str, Any], languages: Sequence[str]) -> dict[str, str]:
    return {language: messages.text(code, params, language=language) for language in languages}


def plain(value: Any) -> Any:
    """What JSON can hold: numpy's numbers and other strangers made plain, what is no number ``None``."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in value]
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return value if value is None or isinstance(value, str | int | float | bool) else str(value)


# --- In the database -------------------------------------------------------------------------------------------------


def store(session: Session, plan_id: int, report: Mapping[str, Any], *, made_at: datetime) -> None:
    """Keep the report of a plan, in place of the one before; its findings are rows of their own.

    Cells are noted with their ids, since a draft's codes may change until it is published.
    """
    ids = {row.code: row.id for row in session.execute(_CELL_CODES, {"plan": plan_id})}
    got = dict(report["got"])
    got["out_of_band"] = [{**row, "cell_id": ids.get(row["code"])} for row in got["out_of_band"]]
    rows = [{**row, "cell_id": ids.get(row["code"])} for row in got["cells"]["rows"]]
    got["cells"] = {**got["cells"], "rows": rows}
    session.execute(delete(PlanReport).where(PlanReport.plan_id == plan_id))
    session.add(
        PlanReport(
            plan_id=plan_id, made_at=made_at, asked=plain(report["asked"]), got=plain(got),
            proof=plain(report["proof"]), principles=plain(report["principles"]), versions=plain(report["versions"]),
        )
    )  # fmt: skip
    session.flush()


def load(session: Session, plan_id: int, *, title: str, findings: Sequence[Finding]) -> dict[str, Any] | None:
    """The stored report of a plan, cells by their present codes; ``None`` if the plan has none."""
    row = session.scalar(select(PlanReport).where(PlanReport.plan_id == plan_id))
    if row is None:
        return None
    codes = {cell.id: cell.code for cell in session.execute(_CELL_CODES, {"plan": plan_id})}
    got = dict(row.got)
    got["out_of_band"] = _renamed(got["out_of_band"], codes)
    got["cells"] = {**got["cells"], "rows": _renamed(got["cells"]["rows"], codes)}
    return {
        "format": FORMAT,
        "version": VERSION,
        "title": title,
        "made_at": row.made_at.isoformat(),
        "asked": row.asked,
        "got": got,
        "principles": row.principles,
        "proof": row.proof,
        "findings": [asdict(finding) for finding in findings if not finding.code.startswith(OUT_OF_BAND)],
        "versions": row.versions,
    }


def _renamed(rows: Iterable[Mapping[str, Any]], codes: Mapping[int, str]) -> list[dict[str, Any]]:
    return [{**row, "code": codes.get(row.get("cell_id", -1), row["code"])} for row in rows]


_CELL_CODES = text("SELECT id, code FROM grid WHERE plan_id = :plan")
