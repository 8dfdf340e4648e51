"""Steps by which a plan is decided on, and remarks on its map."""

from __future__ import annotations

from pydantic import Field

from api.schemas.lists import Input
from gis.plan_approval import DOCUMENT_LENGTH, NOTE_LENGTH
from gis.plan_comments import LENGTH


class PlanStep(Input):
    """A step, and the revision of the plan (of ``/log``) that its taker saw; 409 if it has moved on since."""

    revision: int = Field(ge=1, le=2**31 - 1)
    comment: str = Field("", max_length=NOTE_LENGTH)


class PlanApproval(PlanStep):
    """An approval by a document."""

    document_no: str = Field("", max_length=DOCUMENT_LENGTH)


class PlanFiling(Input):
    """The number under which a plan was filed with the authority above."""

    document_no: str = Field("", max_length=DOCUMENT_LENGTH)
    comment: str = Field("", max_length=NOTE_LENGTH)


class NewComment(Input):
    """A remark at a place of a plan, or with ``parent`` an answer to one."""

    lon: float | None = Field(None, ge=-180, le=180, allow_inf_nan=False)
    lat: float | None = Field(None, ge=-90, le=90, allow_inf_nan=False)
    cell_id: int | None = Field(None, ge=1, le=2**62, description="Without it the lowest cell there")
    text: str = Field("", max_length=LENGTH)
    parent: int | None = Field(None, ge=1, le=2**62)


class Resolution(Input):
    """Whether a remark is resolved."""

    is_resolved: bool = True
