"""What the desk is asked."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, model_validator

from gis.desk.edits import LONGEST_NAME, MOST_PIECES

Key = Annotated[int, Field(ge=1, le=2**62)]
Keys = Annotated[list[Key], Field(max_length=50_000)]
Point = Annotated[list[FiniteFloat], Field(min_length=2, max_length=2)]
Line = Annotated[list[Point], Field(min_length=2, max_length=5_000)]
RequestId = Annotated[str, Field(min_length=8, max_length=64, pattern=r"^[\w.:-]+$")]
Kind = Literal[
    "move", "new", "reparent", "merge", "split", "cut", "reshape", "break", "join", "lock", "unlock", "dedicate",
    "rename", "accept", "take_up",
]  # fmt: skip

# What each kind cannot be without.
NEEDS: dict[str, tuple[str, ...]] = {
    "move": ("to",),
    "reparent": ("cells", "to"),
    "merge": ("cells", "into"),
    "split": ("cell", "n"),
    "cut": ("cell", "line"),
    "reshape": ("cell", "ring"),
    "break": ("building", "by"),
    "join": ("building",),
    "dedicate": ("cell", "is_dedicated"),
    "rename": ("cell",),
    "accept": ("proposal",),
}


class Edit(BaseModel):
    """One edit; which of the fields are meant depends on the kind."""

    model_config = ConfigDict(extra="forbid")

    kind: Kind
    parts: Keys | None = None
    faces: Keys | None = None
    compound: Key | None = None
    building: Key | None = None
    to: Key | None = None
    parent: Key | None = None
    cells: Keys | None = None
    buildings: Keys | None = None
    all: bool | None = None
    into: Key | None = None
    cell: Key | None = None
    n: Annotated[int, Field(ge=2, le=MOST_PIECES)] | None = None
    line: Line | None = None
    ring: Annotated[Line, Field(min_length=3)] | None = None
    by: Literal["units", "floors"] | None = None
    cuts: Annotated[list[Annotated[int, Field(ge=1, le=199)]], Field(max_length=199)] | None = None
    is_dedicated: bool | None = None
    name: Annotated[str, Field(max_length=LONGEST_NAME * 2)] | None = None
    proposal: Key | None = None

    @model_validator(mode="after")
    def _whole(self) -> Edit:
        missing = [name for name in NEEDS.get(self.kind, ()) if getattr(self, name) is None]
        if missing:
            raise ValueError(f"{self.kind} needs {', '.join(missing)}")
        return self

    def asked(self) -> dict[str, Any]:
        """The fields that were given."""
        return self.model_dump(exclude_none=True)


class Batch(BaseModel):
    """Several edits, all or nothing."""

    model_config = ConfigDict(extra="forbid")

    kind: Literal["batch"]
    edits: Annotated[list[Edit], Field(min_length=1, max_length=200)]

    def asked(self) -> dict[str, Any]:
        """The fields that were given."""
        return {"kind": "batch", "edits": [one.asked() for one in self.edits]}


class _Request(BaseModel):
    request_id: RequestId
    base: Annotated[int, Field(ge=0, le=2**31)]


class EditRequest(_Request, Edit):
    """An edit with the number of the log that the asker has seen."""


class BatchRequest(_Request, Batch):
    """A batch with the number of the log that the asker has seen."""


class Failure(BaseModel):
    """Why something ended badly, in the reader's language."""

    code: str
    params: dict[str, Any]
    detail: str


class Survey(BaseModel):
    """How far the survey of a plan's ground is."""

    state: Literal["queued", "running", "done", "failed"]
    step: Literal["reading", "surveying", "storing"] | None
    share: Annotated[float, Field(ge=0, le=1, description="Of the whole work")]
    done: Annotated[int, Field(description="Communities surveyed")]
    total: Annotated[int, Field(description="Communities of the plan")]
    seconds_left: Annotated[int | None, Field(description="None until it can be told")]
    error: Failure | None


class Step(BaseModel):
    """An undo or a redo."""

    model_config = ConfigDict(extra="forbid")

    request_id: RequestId


class NewDraft(BaseModel):
    """A draft that starts from another plan."""

    model_config = ConfigDict(extra="forbid")

    title: Annotated[str, Field(min_length=1, max_length=200)]


class Waiting(BaseModel):
    """What is told while a plan's ground is surveyed."""

    survey: Survey | None
