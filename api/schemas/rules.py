"""Rule sets: one to be put in force for an area, one half filled in to be checked, one to be held against a plan."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, model_validator
from pydantic_core import PydanticCustomError

from api.schemas.lists import Input
from gis.rule_check import Proposal, Stated
from gis.rule_set import RuleSet, from_mapping, load_preset, tiers_from

Ratio = Field(0.0, ge=0, le=1, allow_inf_nan=False)
AreaId = Annotated[int, Field(ge=1, le=2**62)]
WEIGHT = r"^[a-z_.]{1,60}$"
Weights = Annotated[
    dict[Annotated[str, Field(pattern=WEIGHT)], Annotated[float, Field(allow_inf_nan=False)]], Field(max_length=60)
]


class PostIn(Input):
    """A slot that somebody holds for each cell or area of a tier."""

    code: str = Field(pattern=r"^[a-z0-9_]{1,40}$")
    name_zh: str = Field(min_length=1, max_length=60)
    name_en: str = Field("", max_length=60)
    holders_min: int = Field(1, ge=0, le=1000)
    holders_max: int | None = Field(1, ge=1, le=1000)


class TierIn(Input):
    """One level; the order in the list is the order from the top."""

    kind: Literal["area", "grid", "micro_grid"]
    cell_of: Literal["band", "parent", "building"] = "band"
    name_zh: str = Field(min_length=1, max_length=60)
    name_en: str = Field("", max_length=60)
    households_min: int | None = Field(None, ge=0, le=1_000_000)
    households_max: int | None = Field(None, ge=1, le=1_000_000)
    households_target: int | None = Field(None, ge=1, le=1_000_000)
    tolerance_ratio: float = Ratio
    code_digits: int = Field(3, ge=1, le=6)
    posts: list[PostIn] = Field(default_factory=list, max_length=50)


class Definition(Input):
    """A rule set as the presets write it."""

    code: str = Field(pattern=r"^[a-z0-9_-]{1,40}$")
    name_zh: str = Field(min_length=1, max_length=200)
    name_en: str = Field("", max_length=200)
    source: str = Field(min_length=1, max_length=1000, description="Where the numbers come from")
    is_verified: bool = False
    keep_buildings_whole: bool = False
    weights: Weights = Field(default_factory=dict)
    tiers: list[TierIn] = Field(min_length=3, max_length=6)

    def value(self) -> RuleSet:
        """The rule set that is meant.

        Raises
        ------
        InvalidInput
        """
        return from_mapping(self.model_dump())


class NewRuleSet(Input):
    """The rules that an area lives under from a day on: a preset by its code, or a definition."""

    area_id: AreaId
    preset: str | None = Field(None, pattern=r"^[a-z0-9_-]{1,40}$")
    definition: Definition | None = None
    valid_from: date
    valid_to: date | None = Field(None, description="The first day on which it holds no more")

    @model_validator(mode="after")
    def _one_of_two(self) -> NewRuleSet:
        if (self.preset is None) == (self.definition is None):
            raise PydanticCustomError("preset_or_definition", "needs either preset or definition")
        if self.valid_to is not None and self.valid_to <= self.valid_from:
            raise PydanticCustomError("valid_to_after", "valid_to must lie after valid_from")
        return self

    def value(self) -> RuleSet:
        """The rule set that is meant.

        Raises
        ------
        NotFound, InvalidInput
        """
        return load_preset(self.preset or "") if self.definition is None else self.definition.value()


# --- Half filled in -------------------------------------------------------------------------------------------------

Number = Annotated[int | None, Field(ge=-(10**9), le=10**9)]


class PostDraft(Input):
    """A post as somebody has filled it in so far."""

    code: str = Field("", max_length=60)
    name_zh: str = Field("", max_length=100)
    name_en: str = Field("", max_length=100)
    holders_min: int = Field(1, ge=-(10**6), le=10**6)
    holders_max: Number = 1


class TierDraft(Input):
    """A tier as somebody has filled it in so far."""

    kind: Literal["area", "grid", "micro_grid"] = "grid"
    cell_of: Literal["band", "parent", "building"] = "band"
    name_zh: str = Field("", max_length=100)
    name_en: str = Field("", max_length=100)
    households_min: Number = None
    households_max: Number = None
    households_target: Number = None
    tolerance_ratio: float = Field(0.0, allow_inf_nan=False)
    code_digits: int = Field(3, ge=-(10**6), le=10**6)
    posts: list[PostDraft] = Field(default_factory=list, max_length=50)


class Draft(Input):
    """A rule set as somebody has filled it in so far: any of it may be missing or wrong."""

    code: str = Field("", max_length=60)
    name_zh: str = Field("", max_length=400)
    name_en: str = Field("", max_length=400)
    source: str = Field("", max_length=4000)
    is_verified: bool = True
    keep_buildings_whole: bool = False
    weights: Weights = Field(default_factory=dict)
    tiers: list[TierDraft] = Field(default_factory=list, max_length=20)


class StatedIn(Input):
    """Numbers that the place has published."""

    households: int | None = Field(None, ge=0, le=10**9)
    people: int | None = Field(None, ge=0, le=10**9)
    cells: list[Annotated[int | None, Field(ge=0, le=10**9)]] = Field(
        default_factory=list, max_length=6, description="Of each grid tier, the top first"
    )


class ToCheck(Input):
    """A rule set to be checked for an area."""

    area_id: AreaId
    definition: Draft
    valid_from: date | None = None
    valid_to: date | None = None
    stated: StatedIn | None = None

    def proposal(self) -> Proposal:
        """What is checked."""
        given = self.definition
        return Proposal(
            tiers_from(tier.model_dump() for tier in given.tiers), given.code, given.name_zh, given.name_en,
            given.source, given.weights, self.valid_from, self.valid_to,
        )  # fmt: skip

    def numbers(self) -> Stated | None:
        """The published numbers."""
        given = self.stated
        return None if given is None else Stated(given.households, given.people, tuple(given.cells))


class ToPreview(Input):
    """A stored rule set (by its id) or a proposed one, and the plan to hold it against; else what is in force."""

    rule_set: Annotated[int, Field(ge=1, le=2**62)] | Definition
    plan: int | None = Field(None, ge=1, le=2**62)
    area_id: AreaId | None = None
    ground: bool = Field(False, description="With the ground of the cells whose state changes")


class ToRead(Input):
    """A file of another place."""

    toml: str = Field(max_length=100_000)
    code: str = Field("own", max_length=60, description="Name of the file without its ending")


class Faults(BaseModel):
    """What a check found."""

    items: list[dict[str, Any]]
    may_store: bool
    nesting: list[dict[str, Any]]
    slots: int | None
