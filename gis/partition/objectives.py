"""The cost: one table of named terms, summed over the cells of a tier.

A rule set can change any weight by its name (``grid.boundary = 2.0`` or, for both kinds of cell, ``boundary = 2.0``).
The compiled search (`gis.partition.kernel`) adds the same terms up; the table here is what people read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from gis.errors import InvalidInput
from gis.partition.kernel import Terms
from gis.rule_set import Tier


@dataclass(frozen=True, slots=True)
class Term:
    """One term of the cost.

    Attributes
    ----------
    code : str
    formula, unit : str
        What one unit of weight is paid for.
    grid, micro_grid : float
        Default weight for cells of either kind.
    source : str
        Why it is there.
    """

    code: str
    formula: str
    unit: str
    grid: float
    micro_grid: float
    source: str


TERMS: tuple[Term, ...] = (
    Term("balance", "((h - T) / w)²", "cell", 100.0, 100.0, "规模适度: households near the middle of the band"),
    Term("outside", "1 if h outside [min, max]", "cell", 2000.0, 1500.0, "the band of the rule set"),
    Term("outside_per_household", "households outside the band", "household", 10.0, 20.0, "the band of the rule set"),
    Term("boundary", "½ Σ length × (1, .5 minor, .25 secondary or wall, .1 arterial, river or rail)", "m", 1.0, 1.0,
         "界线清晰: borders on streets, rivers and walls"),
    Term("group_piece", "(compound, grid) pairs; (building, micro-grid) pairs", "pair", 400.0, 60.0,
         "地域相邻: compounds and buildings stay whole where they fit"),
    Term("compactness", "1 - 4πA/P²", "cell", 100.0, 60.0, "方便管理: round rather than long"),
    Term("reach", "walk from the best base to the farthest inhabited place", "m", 0.5, 0.0, "便于服务"),
    Term("enclave", "1 if the only neighbour surrounds the cell", "cell", 300.0, 100.0, "责任明确"),
    Term("band", "floor bands of a stack", "band", 0.0, 150.0, "a stack of floors only where nothing else will do"),
    Term("similarity", "1 - Σ share² of housing classes and uses, by households", "cell", 60.0, 0.0, "构成相似"),
    Term("span", "longest walk between two inhabited places", "m", 0.0, 0.0,
         "方便管理; at rest by default, because reach and compactness already hold a cell together"),
    Term("stability", "households that leave the cell of the plan in force", "household", 1.5, 1.5,
         "a redraw changes as little as it must; counts only where there is a plan in force"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Limits:
    """The band of a tier, as the search sees it.

    Attributes
    ----------
    low, high : float
        The band that the search aims at: the tier's own, or, where that is a single number, the widened one.
    target, half_width : float
        Households; middle and half width of the band itself.
    least, most : float
        Households between which a cell passes: the band widened by its tolerance.
    """

    low: float
    high: float
    target: float
    half_width: float
    least: float
    most: float

    @classmethod
    def of(cls, tier: Tier) -> Limits | None:
        """The limits of a tier; ``None`` where it names no household numbers."""
        low, high = tier.households_min, tier.households_max
        if low is None and high is None:
            return None
        low = low if low is not None else 0
        high = high if high is not None else max(2 * low, 1)
        target = tier.target if tier.target is not None else (low + high) / 2
        least, most = low * (1 - tier.tolerance_ratio), max(high * (1 + tier.tolerance_ratio), 1.0)
        half = (high - low) / 2 or (most - least) / 2 or max(target / 4, 1.0)
        aim = (float(low), float(high)) if high > low else (least, most)
        return cls(*aim, float(target), float(half), least, most)

    def holds(self, households: float) -> bool:
        """Whether a cell of so many households passes."""
        return self.least - 1e-9 <= households <= self.most + 1e-9


def terms_for(tier: Tier, weights: Mapping[str, float], limits: Limits) -> Terms:
    """The numbers of the cost for a tier.

    Raises
    ------
    InvalidInput
        ``partition.unknown_term`` if the rule set weighs a term that is not in `TERMS`.
    """
    known = {term.code for term in TERMS}
    for name in weights:
        if name.split(".")[-1] not in known:
            raise InvalidInput("partition.unknown_term", term=name, known=sorted(known))
    kind = "micro_grid" if tier.kind == "micro_grid" else "grid"
    values = {
        term.code: float(weights.get(f"{kind}.{term.code}", weights.get(term.code, getattr(term, kind))))
        for term in TERMS
    }
    return Terms(low=limits.low, high=limits.high, target=limits.target, half_width=limits.half_width, **values)
