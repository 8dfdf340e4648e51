"""The principles by which planners argue for a grid, as sub-scores from 0 to 100 that they can read and defend.

Donggang draws grids by 界线清晰、任务适当、责任明确、便于服务, Tongliang by 地域相邻、构成相似、规模适度、方便管理.
Each is a weighted mean of components; a component has a raw figure with its unit, and a score by a formula that is in
`COMPONENTS`. All is measured on the finished division and the town, independently of what the search believed, and
only for the top tier that is cut by a band. What the data do not say stays unknown (``None``) and is left out of the
mean; how much is known is told beside it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray

from gis import crs
from gis.division import Division
from gis.geometry import FloatArray, Geometries, IntArray, compactness
from gis.partition.objectives import Limits
from gis.partition.quality import (
    LOOK_EVERY_M,
    ON_BARRIER_M,
    ON_OUTLINE_M,
    PIECE_M2,
    are_near,
    banded_position,
    cells_of_parts,
    metric_shapes,
    straight_pieces,
)
from gis.rule_set import Tier
from gis.town import Town

DETOUR = 1.3  # a walk is so much longer than the straight line; a setting, told with the figure
M_PER_MINUTE = 70.0
NARROW_M = 6.0  # ground narrower than this is a sliver that nobody sees as part of the grid
SLIVERS_NONE_LEFT = 0.1  # share of slivers at which the score is 0
CV_NONE_LEFT = 0.5


@dataclass(frozen=True, slots=True)
class Component:
    """A measured part of a principle.

    Attributes
    ----------
    code, name_zh, name_en : str
    formula : str
        The raw figure.
    unit : str
    score : str
        How the figure becomes 0 to 100.
    """

    code: str
    name_zh: str
    name_en: str
    formula: str
    unit: str
    score: str


COMPONENTS: Mapping[str, Component] = {
    component.code: component
    for component in (
        Component("on_barriers", "边界沿道路河流围墙", "Border on barriers",
                  "metres of inner border within 2 m of a street, river, rail or wall / all inner border", "ratio",
                  "100 × ratio"),
        Component("slivers", "狭长碎地", "Slivers",
                  "ground narrower than 6 m / all ground", "ratio", "100 × (1 - ratio / 0.1), not below 0"),
        Component("compounds_whole", "小区完整", "Compounds whole",
                  "households of compounds that fit into a cell and lie wholly in this one / of all such here",
                  "ratio", "100 × ratio"),
        Component("load", "户数离目标", "Households off target",
                  "(households - target) / half width of the band", "half widths",
                  "100 - 25 x² within the band; beyond, 75 × (1 - excess / half width), not below 0"),
        Component("one_owner", "楼栋唯一归属", "One owner each",
                  "households of buildings whose parts are placed once each and add up / of all buildings here",
                  "ratio", "100 × ratio"),
        Component("stairs_whole", "单元不跨格", "Staircases not shared",
                  "households of staircases that lie in this cell alone / of all staircases here", "ratio",
                  "100 × ratio"),
        Component("buildings_whole", "楼栋不跨格", "Buildings not shared",
                  "households of buildings that lie in this cell alone / of all buildings here", "ratio",
                  "100 × ratio"),
        Component("enclave", "飞地", "Enclave", "1 if one other cell surrounds this one", "cell", "100 × (1 - value)"),
        Component("posts", "岗位设置", "Posts", "posts that the rules name for each cell of this tier", "posts",
                  "100 if any, else 0"),
        Component("reach", "步行半径", "Walking reach",
                  f"from the best inhabited building to the farthest, straight × {DETOUR:g}", "m",
                  f"100 within 5 minutes ({M_PER_MINUTE:g} m a minute), 50 at 10, 0 at 15"),
        Component("span", "最远两楼", "Span",
                  f"between the two inhabited buildings farthest apart, straight × {DETOUR:g}", "m",
                  "100 within 10 minutes, 0 at 30"),
        Component("pieces", "地块数", "Pieces", "pieces of ground larger than 0.5 m²", "pieces", "100 if one, else 0"),
        Component("same_housing", "房屋类别相似", "Same housing class",
                  "Simpson: Σ (share of households)² over housing classes; unknown ones left out", "ratio",
                  "100 × value"),
        Component("same_use", "用途相似", "Same use",
                  "Simpson: Σ (share of households)² over uses of buildings; unknown ones left out", "ratio",
                  "100 × value"),
        Component("band", "户数在标准内", "Households in band",
                  "households below the minimum or above the maximum, widened by the tolerance", "households",
                  "100 × (1 - value / half width of the band), not below 0"),
        Component("compactness", "紧凑度", "Compactness", "4πA/P² (Polsby & Popper 1991)", "ratio",
                  "100 × ratio / (π/4), not above 100: a square scores 100"),
        Component("evenness", "负担均衡", "Evenness", "coefficient of variation of the cells' households", "ratio",
                  "100 × (1 - value / 0.5), not below 0"),
    )
}  # fmt: skip
"""What is measured; `evenness` of the whole plan only."""


@dataclass(frozen=True, slots=True)
class Principle:
    """A principle of a place: names, where it comes from, its components with their weights."""

    code: str
    name_zh: str
    name_en: str
    source: str
    components: Mapping[str, float]

    @property
    def formula(self) -> str:
        """The weighted mean, written out."""
        return " + ".join(f"{weight:g} {code}" for code, weight in self.components.items())


_DONGGANG, _TONGLIANG = "东港：界线清晰、任务适当、责任明确、便于服务", "铜梁：地域相邻、构成相似、规模适度、方便管理"
PRINCIPLES: tuple[Principle, ...] = (
    Principle("clear_borders", "界线清晰", "Clear borders", _DONGGANG,
              {"on_barriers": 0.5, "slivers": 0.2, "compounds_whole": 0.3}),
    Principle("suitable_load", "任务适当", "Suitable load", _DONGGANG, {"load": 0.7, "evenness": 0.3}),
    Principle("clear_responsibility", "责任明确", "Clear responsibility", _DONGGANG,
              {"one_owner": 0.3, "stairs_whole": 0.2, "buildings_whole": 0.1, "enclave": 0.2, "posts": 0.2}),
    Principle("convenient_service", "便于服务", "Convenient service", _DONGGANG, {"reach": 0.7, "span": 0.3}),
    Principle("adjacent", "地域相邻", "Adjacent ground", _TONGLIANG, {"pieces": 1.0}),
    Principle("similar", "构成相似", "Similar make-up", _TONGLIANG, {"same_housing": 0.5, "same_use": 0.5}),
    Principle("right_size", "规模适度", "Right size", _TONGLIANG, {"band": 1.0}),
    Principle("easy_management", "方便管理", "Easy management", _TONGLIANG, {"compactness": 0.6, "span": 0.4}),
)  # fmt: skip
"""In the order of their sources. A score is 0 to 100; the unit of all."""


def table() -> list[dict[str, Any]]:
    """`PRINCIPLES` with their components as plain values, for people and machines."""
    return [
        {
            "code": principle.code,
            "name_zh": principle.name_zh,
            "name_en": principle.name_en,
            "source": principle.source,
            "unit": "0-100",
            "formula": principle.formula,
            "components": [
                {
                    "code": code,
                    "weight": weight,
                    **{
                        field: getattr(COMPONENTS[code], field)
                        for field in ("name_zh", "name_en", "formula", "unit", "score")
                    },
                }
                for code, weight in principle.components.items()
            ],
        }
        for principle in PRINCIPLES
    ]


def principles(division: Division, town: Town) -> dict[str, Any]:
    """Score every cell of the top banded tier, and the plan, by the principles.

    Parameters
    ----------
    division : Division
    town : Town
        The town that was divided. Layers that are absent leave what they would tell unknown.

    Returns
    -------
    dict
        ``tier`` (grid depth), ``plan``, ``plan_components``, ``table`` (`table`) and ``cells``: a dict for each cell
        with ``code``, ``scores`` and ``components``; both map codes to numbers or ``None``. In the plan a component
        is the mean over the cells that know it, with ``known_ratio``, the share of cells that do, and a score is the
        weighted mean of the plan's components.
    """
    position = banded_position(division)
    tier = division.rules.grid_tiers[position]
    raw = _measure(division, town, position)
    points = {code: _points(code, values, tier) for code, values in raw.items()}
    codes = division.cells[position]["code"].astype(str).tolist()
    scores = {principle.code: _weighted(principle.components, points) for principle in PRINCIPLES}
    size = division.cells[position]["households"].to_numpy(dtype=float)
    variation = float(size.std() / size.mean()) if len(size) and size.mean() > 0 else np.nan
    values = {code: _mean(column) for code, column in raw.items()} | {"evenness": _plain(variation)}
    means = {code: _mean(column) for code, column in points.items()}
    means["evenness"] = _plain(100 * max(1 - variation / CV_NONE_LEFT, 0.0))
    known = {code: round(float(np.isfinite(column).mean()), 4) if len(column) else 0.0 for code, column in raw.items()}
    known["evenness"] = float(means["evenness"] is not None)
    one = {code: np.array([np.nan if mean is None else mean]) for code, mean in means.items()}
    return {
        "tier": position + 1,
        "plan": {p.code: _plain(float(_weighted(p.components, one)[0])) for p in PRINCIPLES},
        "plan_components": {
            code: {"value": values[code], "score": means[code], "known_ratio": known[code]} for code in values
        },
        "table": table(),
        "cells": [
            {
                "code": code,
                "scores": {name: _plain(column[i], 1) for name, column in scores.items()},
                "components": {name: _plain(column[i]) for name, column in raw.items()},
            }
            for i, code in enumerate(codes)
        ],
    }


def _plain(value: float, decimals: int = 4) -> float | None:
    return round(float(value), decimals) if np.isfinite(value) else None


def _mean(column: FloatArray) -> float | None:
    finite = column[np.isfinite(column)]
    return _plain(float(finite.mean())) if len(finite) else None


def _weighted(weights: Mapping[str, float], points: Mapping[str, FloatArray]) -> FloatArray:
    """Weighted mean of the components that are known."""
    known = [code for code in weights if code in points]
    values = np.stack([points[code] for code in known])
    weight = np.array([weights[code] for code in known])[:, None] * np.isfinite(values)
    total = weight.sum(axis=0)
    mean = (np.nan_to_num(values) * weight).sum(axis=0) / np.maximum(total, 1e-12)
    return np.where(total > 0, mean, np.nan)


# --- From figures to points ------------------------------------------------------------------------------------------


def _points(code: str, x: FloatArray, tier: Tier) -> FloatArray:
    """Scores 0 to 100 of a component; the formulas of `COMPONENTS`."""
    if code in ("on_barriers", "compounds_whole", "one_owner", "stairs_whole", "buildings_whole", "same_housing",
                "same_use"):  # fmt: skip
        return 100 * x
    if code == "slivers":
        return np.clip(100 * (1 - x / SLIVERS_NONE_LEFT), 0, 100)
    if code == "load":
        return np.where(np.abs(x) <= 1, 100 - 25 * x**2, np.maximum(75 * (2 - np.abs(x)), 0))
    if code == "enclave":
        return 100 * (1 - x)
    if code == "posts":
        return np.where(x > 0, 100.0, 0.0)
    if code == "reach":
        return np.clip(150 - 10 * x / M_PER_MINUTE, 0, 100)
    if code == "span":
        return np.clip(150 - 5 * x / M_PER_MINUTE, 0, 100)
    if code == "pieces":
        return np.where(x == 1, 100.0, 0.0)
    if code == "compactness":
        return np.minimum(100 * x / (np.pi / 4), 100)
    limits = Limits.of(tier)
    return np.full(len(x), np.nan) if limits is None else np.maximum(100 * (1 - x / limits.half_width), 0)


# --- Figures ---------------------------------------------------------------------------------------------------------


def _measure(division: Division, town: Town, position: int) -> dict[str, FloatArray]:
    """The raw figure of every component but `evenness`, shape (cells,) each; nan where unknown."""
    cells, tier = division.cells[position], division.rules.grid_tiers[position]
    zone = int(division.recipe.get("zone") or crs.zone_of(cells))
    shapes = metric_shapes(cells, zone)
    lived = _lived(division, town, position, zone)
    size = cells["households"].to_numpy(dtype=float)
    reach, span = _walks(lived, len(cells))
    posts = sum(post.holders_min > 0 for post in tier.posts)
    return {
        "on_barriers": _on_barriers(shapes, division, town, zone),
        "slivers": _slivers(shapes),
        "compounds_whole": _compounds_whole(lived, tier, len(cells)),
        "load": _load(size, tier),
        **_owners(lived, town, len(cells)),
        "enclave": _enclaves(shapes),
        "posts": np.full(len(cells), float(posts)),
        "reach": reach,
        "span": span,
        "pieces": _pieces(shapes),
        "same_housing": _simpson(lived, "housing", len(cells)),
        "same_use": _simpson(lived, "use", len(cells)),
        "band": _excess(size, tier),
        "compactness": compactness(shapely.area(shapes), shapely.length(shapes)),
    }


def _load(size: FloatArray, tier: Tier) -> FloatArray:
    limits = Limits.of(tier)
    return np.full(len(size), np.nan) if limits is None else (size - limits.target) / limits.half_width


def _excess(size: FloatArray, tier: Tier) -> FloatArray:
    limits = Limits.of(tier)
    if limits is None or tier.cell_of != "band":
        return np.full(len(size), np.nan)
    return np.maximum(np.maximum(limits.least - size, size - limits.most), 0.0)


def _lived(division: Division, town: Town, position: int, zone: int) -> pd.DataFrame:
    """Inhabited parts: number of the cell, households, building, spans, and what is known of the building."""
    number = {code: i for i, code in enumerate(division.cells[position]["code"].astype(str))}
    parts = division.parts
    frame = pd.DataFrame(
        {
            "cell": cells_of_parts(division, position).map(number),
            "building": parts["building"].astype(str),
            "households": parts["households"].astype(float),
            **{name: parts[name].astype("Float64") for name in ("unit_from", "unit_to", "floor_from", "floor_to")},
        }
    )
    frame = frame[(frame["households"] > 0) & frame["cell"].notna()].astype({"cell": np.int64})
    return frame.join(_about(town, zone), on="building").reset_index(drop=True)


def _about(town: Town, zone: int) -> pd.DataFrame:
    """What the town says of each building, by code."""
    buildings, compounds = town["buildings"], town["compounds"]
    housing = dict(zip(compounds["code"].astype(str), compounds["housing_class"].astype("string"), strict=True))
    compound = buildings["compound"].astype("string")
    middle = np.empty((0, 2))
    if len(buildings):
        middle = shapely.get_coordinates(shapely.centroid(metric_shapes(town.geo("buildings"), zone)))
    known = pd.DataFrame(
        {
            "compound": compound.to_numpy(),
            "housing": compound.map(housing).astype("string").replace("unknown", pd.NA).to_numpy(),
            "use": buildings["use"].astype("string").to_numpy(),
            "registered": buildings["households"].astype("Float64").to_numpy(dtype=float, na_value=np.nan),
            "x": middle[:, 0],
            "y": middle[:, 1],
        },
        index=buildings["code"].astype(str).to_numpy(),
    )
    return known[~known.index.duplicated()]


def _share(frame: pd.DataFrame, kept: NDArray[np.bool_], count: int) -> FloatArray:
    """Households of the rows that are kept, as a share of all rows of each cell."""
    cell: IntArray = frame["cell"].to_numpy(dtype=np.int64)
    households = frame["households"].to_numpy(dtype=float)
    total = np.bincount(cell, households, count)
    held = np.bincount(cell[kept], households[kept], count)
    return np.where(total > 0, held / np.maximum(total, 1e-12), np.nan)


def _on_barriers(shapes: Geometries, division: Division, town: Town, zone: int) -> FloatArray:
    barriers, communities = town["barriers"], town["communities"]
    if not len(barriers) or not len(communities):
        return np.full(len(shapes), np.nan)
    own = communities[communities["code"].isin(set(division.cells[0]["community"]))]
    rings, cell = shapely.get_parts(shapely.segmentize(shapely.boundary(shapes), LOOK_EVERY_M), return_index=True)
    _, ring = shapely.get_coordinates(rings, return_index=True)
    owner = cell[ring[np.flatnonzero(ring[:-1] == ring[1:])]]
    start, end = straight_pieces(rings)
    middle, length = shapely.points((start + end) / 2), np.hypot(*(end - start).T)
    inner = ~are_near(middle, shapely.boundary(metric_shapes(own, zone)), ON_OUTLINE_M)
    on = np.zeros(len(middle), dtype=bool)
    on[inner] = are_near(middle[inner], metric_shapes(barriers, zone), ON_BARRIER_M)
    total = np.bincount(owner[inner], length[inner], len(shapes))
    held = np.bincount(owner[on], length[on], len(shapes))
    return np.where(total > 1.0, held / np.maximum(total, 1e-12), np.nan)


def _slivers(shapes: Geometries) -> FloatArray:
    """Share of ground that is lost when a cell is shrunk and grown again."""
    opened = shapely.buffer(shapely.buffer(shapes, -NARROW_M / 2, join_style="mitre"), NARROW_M / 2, join_style="mitre")
    area = np.maximum(shapely.area(shapes), 1e-9)
    return np.asarray(np.clip(1 - shapely.area(shapely.intersection(opened, shapes)) / area, 0.0, 1.0))


def _compounds_whole(lived: pd.DataFrame, tier: Tier, count: int) -> FloatArray:
    known = lived[lived["compound"].notna()]
    if not len(known) or tier.households_max is None:
        return np.full(count, np.nan)
    by = known.groupby("compound")
    size, cells = by["households"].transform("sum"), by["cell"].transform("nunique")
    small = (size <= tier.households_max).to_numpy()
    return _share(known[small], (cells == 1).to_numpy()[small], count)


def _owners(lived: pd.DataFrame, town: Town, count: int) -> dict[str, FloatArray]:
    """Whether each building, and each staircase, belongs to one cell, and is placed once."""
    if not len(lived):
        return dict.fromkeys(("one_owner", "stairs_whole", "buildings_whole"), np.full(count, np.nan))
    by = lived.groupby("building")
    alone = (by["cell"].transform("nunique") == 1).to_numpy()
    placed = by["households"].transform("sum").to_numpy(dtype=float)
    registered = lived["registered"].to_numpy(dtype=float)
    once = ~_overlapping(lived)
    if len(town["buildings"]):
        once &= np.abs(placed - registered) < 0.5
    return {
        "one_owner": _share(lived, once, count),
        "stairs_whole": _share(lived, alone | ~_shares_stairs(lived), count),
        "buildings_whole": _share(lived, alone, count),
    }


def _spans(frame: pd.DataFrame, name: str) -> tuple[FloatArray, FloatArray]:
    first = frame[f"{name}_from"].to_numpy(dtype=float, na_value=-np.inf)
    last = frame[f"{name}_to"].to_numpy(dtype=float, na_value=np.inf)
    return first, last


def _pairs(lived: pd.DataFrame) -> tuple[IntArray, IntArray]:
    """All pairs of rows of the same building."""
    left, right = [], []
    for rows in lived.groupby("building").indices.values():
        if len(rows) > 1:
            i, j = np.triu_indices(len(rows), 1)
            left.append(rows[i])
            right.append(rows[j])
    none = np.empty(0, dtype=np.int64)
    return (np.concatenate(left), np.concatenate(right)) if left else (none, none)


def _meet(lived: pd.DataFrame, name: str, i: IntArray, j: IntArray) -> NDArray[np.bool_]:
    first, last = _spans(lived, name)
    return np.asarray((first[i] <= last[j]) & (first[j] <= last[i]))


def _overlapping(lived: pd.DataFrame) -> NDArray[np.bool_]:
    """Rows that hold what another row of the building holds too."""
    i, j = _pairs(lived)
    twice = _meet(lived, "unit", i, j) & _meet(lived, "floor", i, j)
    found = np.zeros(len(lived), dtype=bool)
    found[i[twice]] = found[j[twice]] = True
    return found


def _shares_stairs(lived: pd.DataFrame) -> NDArray[np.bool_]:
    """Rows with a staircase that also leads into another cell."""
    i, j = _pairs(lived)
    cell = lived["cell"].to_numpy()
    shared = _meet(lived, "unit", i, j) & (cell[i] != cell[j])
    found = np.zeros(len(lived), dtype=bool)
    found[i[shared]] = found[j[shared]] = True
    return found


def _enclaves(shapes: Geometries) -> FloatArray:
    """1 for a cell that alone fills a hole of another."""
    rings, host = shapely.get_rings(shapely.get_parts(shapes), return_index=True)
    first = np.ones(len(rings), dtype=bool)
    first[1:] = host[1:] != host[:-1]
    holes = shapely.polygons(rings[~first]) if (~first).any() else np.empty(0, dtype=object)
    found = np.zeros(len(shapes))
    if len(holes):
        inside = shapely.point_on_surface(shapes)
        hole, cell = shapely.STRtree(inside).query(holes, predicate="contains")
        alone = np.bincount(hole, minlength=len(holes))[hole] == 1
        found[cell[alone]] = 1.0
    return found


def _pieces(shapes: Geometries) -> FloatArray:
    parts, cell = shapely.get_parts(shapes, return_index=True)
    return np.bincount(cell, shapely.area(parts) > PIECE_M2, len(shapes)).astype(np.float64)


def _walks(lived: pd.DataFrame, count: int) -> tuple[FloatArray, FloatArray]:
    """Metres from the best inhabited building to the farthest, and between the two farthest apart."""
    reach, span = np.full(count, np.nan), np.full(count, np.nan)
    known = lived[lived["x"].notna()].drop_duplicates(["cell", "building"])
    places = known[["x", "y"]].to_numpy(dtype=float)
    for cell, rows in known.groupby("cell").indices.items():
        away = np.hypot(*(places[rows][:, None] - places[rows][None]).transpose(2, 0, 1))
        farthest = away.max(axis=1) * DETOUR
        reach[int(cell)], span[int(cell)] = farthest.min(), farthest.max()
    return reach, span


def _simpson(lived: pd.DataFrame, column: str, count: int) -> FloatArray:
    known = lived[lived[column].notna()]
    result = np.full(count, np.nan)
    if not len(known):
        return result
    by = known.groupby(["cell", column])["households"].sum()
    share = by / by.groupby(level=0).transform("sum")
    index = (share**2).groupby(level=0).sum()
    result[index.index.to_numpy(dtype=np.int64)] = index.to_numpy(dtype=float)
    return result


def lowest(scored: Mapping[str, Any], code: str, count: int = 5) -> Sequence[Mapping[str, Any]]:
    """The cells of `principles` that score least by a principle, the least first."""
    known = [cell for cell in scored["cells"] if cell["scores"][code] is not None]
    return sorted(known, key=lambda cell: (cell["scores"][code], cell["code"]))[:count]
