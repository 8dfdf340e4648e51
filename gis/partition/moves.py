"""What a redraw moves: buildings and households from cell to cell, the cells that go on, end and begin, in shares."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from gis.division import Division
from gis.geometry import FloatArray
from gis.partition.lineage import Shares, apportion, cell_numbers, part_pairs, shares
from gis.rule_set import followed_tiers
from gis.town import Town

ROW_COLUMNS = (
    "depth", "tier", "building", "unit_from", "unit_to", "floor_from", "floor_to", "compound", "households",
    "residents", "from_cell", "to_cell",
)  # fmt: skip
LINEAGE_COLUMNS = ("depth", "old", "new", "kind", "households", "old_percent", "new_percent")
WHOLE_PERCENT = 99.9


@dataclass(frozen=True)
class Moves:
    """The difference between a plan in force and a new one.

    Attributes
    ----------
    rows : DataFrame
        `ROW_COLUMNS`; one row a part of a building that comes from one cell into another, at each tier.
        ``residents`` is missing where they are not known.
    lineage : DataFrame
        `LINEAGE_COLUMNS`; one row a pair of an old and a new cell that share households (or ground, where one has
        none). ``old`` is missing for what is newly built, ``new`` for what was pulled down. ``old_percent`` sums to
        100 over an old cell, ``new_percent`` over a new one. ``kind`` is a word of
        `gis.models.plan.LINEAGE_KINDS`, ``built`` or ``gone``.
    tiers : tuple of dict
        Totals of each tier: ``depth``, ``name_zh``, ``name_en``, ``households`` (that were there before),
        ``households_moved``, ``households_uprooted`` (those of them whose cell lost half of its households or more,
        so that it cannot go on), ``kept_ratio`` (of all others), ``buildings_moved``, ``compounds_touched``,
        ``residents_moved``, ``cells_unchanged``, ``cells_redrawn``, ``cells_new``, ``cells_ended``,
        ``households_built``, ``households_gone``.
    """

    rows: pd.DataFrame
    lineage: pd.DataFrame
    tiers: tuple[Mapping[str, Any], ...]

    def as_dict(self) -> dict[str, Any]:
        """The same as plain values."""
        return {"tiers": [dict(tier) for tier in self.tiers], "moved": _records(self.rows),
                "lineage": _records(self.lineage)}  # fmt: skip


def moves(previous: Division, division: Division, town: Town | None = None) -> Moves:
    """Compare a new division with the plan in force.

    Parameters
    ----------
    previous, division : Division
        Compared over the communities of the new one.
    town : Town, optional
        For the compounds, and the residents where its buildings have a column ``residents``.

    Notes
    -----
    A household has moved where its cell does not continue the one that it was in. Households of a part that was cut
    otherwise before are shared out by staircases and floors.
    """
    before = _within(previous, set(division.cells[0]["community"].astype(str)))
    pairs = part_pairs(before.parts, division.parts)
    pairs["households"] = _households(division.parts, pairs)
    about = _buildings(town)
    rows, lineage, tiers = [], [], []
    for depth, old_depth in enumerate(followed_tiers(previous.rules, division.rules)):
        if old_depth is None:
            continue
        common = shares(before, division, old_depth, depth, pairs)
        went_on = {int(common.new[i]): int(common.old[i]) for i in common.continues}
        moved = _moved(before, division, old_depth, depth, pairs, went_on)
        rows.append(_rows(division, depth, moved, about))
        edges = _edges(before, division, old_depth, depth, common, went_on)
        lineage.append(edges)
        tiers.append(_totals(division, depth, pairs, rows[-1], edges, before, old_depth, went_on))
    return Moves(
        pd.concat(rows, ignore_index=True) if rows else pd.DataFrame(columns=list(ROW_COLUMNS)),
        pd.concat(lineage, ignore_index=True) if lineage else pd.DataFrame(columns=list(LINEAGE_COLUMNS)),
        tuple(tiers),
    )


def _within(division: Division, communities: set[str]) -> Division:
    cells = tuple(
        frame[frame["community"].astype(str).isin(communities)].reset_index(drop=True) for frame in division.cells
    )
    mine = division.parts["cell"].isin(set(cells[-1]["code"]))
    return Division(division.rules, cells, division.parts[mine].reset_index(drop=True))


def _households(parts: pd.DataFrame, pairs: pd.DataFrame) -> np.ndarray:
    """Households now of each pair of parts; together those of the new part, less what is newly built."""
    found = np.zeros(len(pairs), dtype=np.int64)
    has = parts["households"].to_numpy(dtype=np.int64)
    for new, members in pairs.groupby("new").indices.items():
        share = pairs["new_part"].to_numpy()[members]
        found[members] = apportion(int(has[int(str(new))]), share / max(1.0, float(share.sum())))
    return found


def _buildings(town: Town | None) -> pd.DataFrame:
    if town is None or not len(town["buildings"]):
        return pd.DataFrame(columns=["compound", "residents", "households"])
    frame = town["buildings"]
    known = {c: frame[c] if c in frame else pd.Series(pd.NA, index=frame.index) for c in ("compound", "residents")}
    about = pd.DataFrame({**known, "households": frame["households"]})
    return about.set_axis(frame["code"].astype(str).to_numpy(), axis=0)


def _moved(
    before: Division, division: Division, old_depth: int, depth: int, pairs: pd.DataFrame, went_on: Mapping[int, int]
) -> pd.DataFrame:
    old = cell_numbers(before, old_depth)[pairs["old"].to_numpy()]
    new = cell_numbers(division, depth)[pairs["new"].to_numpy()]
    stayed = np.array([went_on.get(n, -1) == o for o, n in zip(old.tolist(), new.tolist(), strict=True)], dtype=bool)
    here = pairs.assign(from_number=old, to_number=new)[~stayed & (pairs["households"].to_numpy() > 0)]
    return here.groupby(["new", "from_number", "to_number"], as_index=False)["households"].sum().assign(
        from_cell=lambda f: before.cells[old_depth]["code"].astype(str).to_numpy()[f["from_number"]],
        to_cell=lambda f: division.cells[depth]["code"].astype(str).to_numpy()[f["to_number"]],
    )  # fmt: skip


def _rows(division: Division, depth: int, moved: pd.DataFrame, about: pd.DataFrame) -> pd.DataFrame:
    tier = division.rules.grid_tiers[depth]
    part = division.parts.iloc[moved["new"].to_numpy(dtype=np.int64)].reset_index(drop=True)
    building = part["building"].astype(str)
    residents = building.map(about["residents"]).astype("Float64")
    all_of_it = building.map(about["households"]).astype("Float64").clip(lower=1)
    frame = pd.DataFrame(
        {
            "depth": depth + 1,
            "tier": tier.name_zh,
            "building": building,
            **{c: part[c] for c in ("unit_from", "unit_to", "floor_from", "floor_to")},
            "compound": building.map(about["compound"]),
            "households": moved["households"].astype("int64"),
            "residents": (residents * moved["households"].astype(float) / all_of_it).round().astype("Int64"),
            "from_cell": moved["from_cell"].astype(str),
            "to_cell": moved["to_cell"].astype(str),
        }
    )
    return frame.sort_values(["from_cell", "to_cell", "building", "unit_from"], ignore_index=True)[list(ROW_COLUMNS)]


def _edges(
    before: Division, division: Division, old_depth: int, depth: int, common: Shares, went_on: Mapping[int, int]
) -> pd.DataFrame:
    old_h = before.cells[old_depth]["households"].to_numpy(dtype=float)
    new_h = division.cells[depth]["households"].to_numpy(dtype=float)
    of_old = np.where(
        old_h[common.old] > 0, common.old_households / np.maximum(old_h[common.old], 1), common.old_ground
    )
    of_new = np.where(
        new_h[common.new] > 0, common.new_households / np.maximum(new_h[common.new], 1), common.new_ground
    )
    rows = list(_pair_rows(common, of_old, of_new, went_on))
    old_left = 1 - _summed(common.old, of_old, len(old_h))
    new_left = 1 - _summed(common.new, of_new, len(new_h))
    rows += [(int(o), -1, "gone", 0, float(old_left[o]), 0.0) for o in np.flatnonzero(old_left > 1e-6)]
    rows += [(-1, int(n), "built", round(float(new_left[n] * new_h[n])), 0.0, float(new_left[n]))
             for n in np.flatnonzero(new_left > 1e-6)]  # fmt: skip
    frame = pd.DataFrame(rows, columns=["o", "n", "kind", "households", "of_old", "of_new"])
    frame["old_percent"] = _percent(frame, "o", "of_old")
    frame["new_percent"] = _percent(frame, "n", "of_new")
    old_code = np.array([*before.cells[old_depth]["code"].astype(str), None], dtype=object)
    new_code = np.array([*division.cells[depth]["code"].astype(str), None], dtype=object)
    frame = frame.assign(depth=depth + 1, old=old_code[frame["o"]], new=new_code[frame["n"]])
    return frame.sort_values(["old", "new"], ignore_index=True)[list(LINEAGE_COLUMNS)]


def _pair_rows(
    common: Shares, of_old: FloatArray, of_new: FloatArray, went_on: Mapping[int, int]
) -> Iterator[tuple[int, int, str, int, float, float]]:
    for i, (o, n) in enumerate(zip(common.old.tolist(), common.new.tolist(), strict=True)):
        if of_old[i] <= 0 and of_new[i] <= 0:
            continue
        whole_old, whole_new = 100 * of_old[i] > WHOLE_PERCENT, 100 * of_new[i] > WHOLE_PERCENT
        if went_on.get(n) == o:
            kind = "keep" if whole_old and whole_new else "redraw"
        else:
            kind = "split" if whole_new else "merge" if whole_old else "transfer"
        yield o, n, kind, round(float(common.new_households[i])), float(of_old[i]), float(of_new[i])


def _summed(number: np.ndarray, value: FloatArray, count: int) -> FloatArray:
    return np.asarray(np.bincount(number, value, count), dtype=np.float64) if len(number) else np.zeros(count)


def _percent(frame: pd.DataFrame, key: str, ratio: str) -> FloatArray:
    """Shares of each cell in per cent with two decimals that sum to 100."""
    found, value = np.zeros(len(frame)), frame[ratio].to_numpy(dtype=float)
    for cell, members in frame.groupby(key).indices.items():
        if int(str(cell)) >= 0:
            share = value[members]
            found[members] = apportion(10_000, share / max(float(share.sum()), 1e-12)) / 100
    return found


def _totals(
    division: Division, depth: int, pairs: pd.DataFrame, rows: pd.DataFrame, edges: pd.DataFrame, before: Division,
    old_depth: int, went_on: Mapping[int, int],
) -> dict[str, Any]:  # fmt: skip
    tier = division.rules.grid_tiers[depth]
    there = int(pairs["households"].sum())
    moved = int(rows["households"].sum())
    old_total = float(before.cells[old_depth]["households"].sum())
    still = pairs[pairs["households"] > 0]
    stayed_old = float((before.parts["households"].to_numpy(dtype=float)[still["old"]] * still["old_part"]).sum())
    residents = rows["residents"].dropna()
    gone = edges[edges["kind"] == "gone"]
    lost = set(gone[gone["old_percent"] >= 50]["old"])
    uprooted = int(rows[rows["from_cell"].isin(lost)]["households"].sum())
    could = there - uprooted
    return {
        "depth": depth + 1,
        "name_zh": tier.name_zh,
        "name_en": tier.name_en,
        "households": there,
        "households_moved": moved,
        "households_uprooted": uprooted,
        "kept_ratio": round(1 - (moved - uprooted) / could, 4) if could else None,
        "buildings_moved": int(rows["building"].nunique()),
        "compounds_touched": int(rows["compound"].nunique()),
        "residents_moved": int(residents.sum()) if len(residents) == len(rows) else None,
        "cells_unchanged": int((edges["kind"] == "keep").sum()),
        "cells_redrawn": int((edges["kind"] == "redraw").sum()),
        "cells_new": len(division.cells[depth]) - len(went_on),
        "cells_ended": len(before.cells[old_depth]) - len(went_on),
        "households_built": int(division.cells[depth]["households"].sum()) - there,
        "households_gone": round(old_total - stayed_old),
    }


def _records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    plain = frame.astype(object).where(frame.notna(), None)
    return [{str(key): value for key, value in row.items()} for row in plain.to_dict(orient="records")]
