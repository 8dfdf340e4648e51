"""Rule sets: one to be put in force for an area."""

from __future__ import annotations

from datetime import date
from typing import Literal

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from api.schemas.lists import Input
from gis.rule_set import RuleSet, from_mapping, load_preset

Ratio = Field(0.0, ge=0, le=1, allow_inf_nan=False)


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
    tiers: list[TierIn] = Field(min_length=3, max_length=6)


class NewRuleSet(Input):
    """The rules that an area lives under from a day on: a preset by its code, or a definition."""

    area_id: int = Field(ge=1, le=2**62)
    preset: str | None = Field(None, pattern=r"^[a-z0-9_-]{1,40}$")
    definition: Definition | None = None
    valid_from: date

    @model_validator(mode="after")
    def _one_of_two(self) -> NewRuleSet:
        if (self.preset is None) == (self.definition is None):
            raise PydanticCustomError("preset_or_definition", "needs either preset or definition")
        return self

    def value(self) -> RuleSet:
        """The rule set that is meant.

        Raises
        ------
        NotFound, InvalidInput
        """
        if self.definition is not None:
            return from_mapping(self.definition.model_dump())
        return load_preset(self.preset or "")
