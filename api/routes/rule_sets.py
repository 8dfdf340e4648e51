"""Rule sets: read, checked while they are edited, held against a plan, stored as a new dated version, exchanged."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Path
from pydantic import ValidationError
from starlette.responses import Response

from api.deps import Language, Now, SessionDep, allow, answer
from api.schemas.lists import Items
from api.schemas.rules import Draft, Faults, NewRuleSet, ToCheck, ToPreview, ToRead
from gis import areas, listing, rule_file, rule_preview, rule_set, rules
from gis.errors import InvalidInput
from gis.models import RuleSetRow
from gis.partition.objectives import TERMS
from gis.permissions import Action, Actor, scopes
from gis.rule_check import check, errors, nesting, slots, told

router = APIRouter(prefix="/api/v1/rule-sets", tags=["rule sets"])
Viewer = Annotated[Actor, allow(Action.VIEW_MAP)]
Editor = Annotated[Actor, allow(Action.EDIT_RULES)]
RuleSetId = Annotated[int, Path(ge=1, le=2**62)]


@router.get("", summary="Rule sets, the newest first", response_model=Items)
def find(session: SessionDep, actor: Viewer) -> Response:
    """The dated rules of the caller's areas and of those above them, with their tiers."""
    items = listing.rule_sets(session, scopes=scopes(actor, Action.VIEW_MAP))
    return answer({"items": items, "next": None, "total": len(items)})


@router.get("/presets", summary="Rule sets that ship with Wangge", response_model=Items)
def presets(_: Editor) -> Response:
    """By code, with their tiers, bands and posts; `is_verified` false means 待核对."""
    items = [asdict(rule_set.load_preset(code)) for code in rule_set.preset_codes()]
    return answer({"items": items, "next": None, "total": len(items)})


@router.get("/weights", summary="What a rule set can weigh", response_model=Items)
def weights(_: Viewer) -> Response:
    """The terms of the partitioner's cost: formula, unit, and the usual weight for grids and for micro-grids."""
    items = [asdict(term) for term in TERMS]
    return answer({"items": items, "next": None, "total": len(items)})


@router.post("", summary="Put a rule set in force", status_code=201, response_model=dict[str, Any])
def store(given: NewRuleSet, session: SessionDep, actor: Editor, present: Now) -> Response:
    """For an area and all below it from a day on; the one before it ends there. The same twice changes nothing.

    A rule set that is stored is never changed: an edited copy comes into force on a day of its own.
    """
    row = rules.renew(
        session, given.value(), area_id=given.area_id, valid_from=given.valid_from, valid_to=given.valid_to,
        actor=actor, now=present,
    )  # fmt: skip
    return answer({"id": row.id, "code": row.code, "area_id": row.area_id}, status=201)


@router.post("/check", summary="Check a rule set", response_model=Faults)
def check_one(given: ToCheck, session: SessionDep, actor: Editor, present: Now, language: Language) -> Response:
    """Half filled in or wrong in every way: each fault with its field, its reason and its way out; stores nothing."""
    proposal = given.proposal()
    around = rules.around(session, area_id=given.area_id, actor=actor, now=present, stated=given.numbers())
    found = check(proposal, around)
    return answer(
        {
            "items": [told(fault, proposal, language=language) for fault in found],
            "may_store": not errors(found),
            "nesting": [asdict(nest) for nest in nesting(proposal.tiers)],
            "slots": slots(proposal.tiers, given.stated.cells) if given.stated else None,
        }
    )


@router.post("/preview", summary="What a rule set makes of a plan", response_model=dict[str, Any])
def preview(given: ToPreview, session: SessionDep, actor: Editor, present: Now, language: Language) -> Response:
    """Per tier the cells in, under and over the band before and after, those that change, the cells and posts needed.

    Of a plan, or without one of what is in force in the area; stores nothing.
    """
    if isinstance(given.rule_set, int):
        proposed = rules.value(rules.seen(session, given.rule_set, actor=actor))
    else:
        proposed = given.rule_set.value()
    wish = rule_preview.Wish(given.plan, given.area_id, given.ground)
    return answer(rule_preview.preview(session, proposed, wish, actor=actor, at=present, language=language))


@router.post("/read", summary="Read the file of a rule set", response_model=dict[str, Any])
def read(given: ToRead, _: Editor) -> Response:
    """TOML of another place as a definition to check and edit; stores nothing."""
    data = rule_file.read(given.toml)
    try:
        draft = Draft.model_validate({"code": given.code, **data})
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(step) for step in first["loc"])
        raise InvalidInput("rules.unreadable", path=given.code, said=f"{where}: {first['msg']}") from error
    return answer({"definition": draft.model_dump()})


@router.get("/{rule_set_id}", summary="One rule set", response_model=dict[str, Any])
def show(session: SessionDep, actor: Viewer, rule_set_id: RuleSetId) -> Response:
    """With tiers, posts, weights, dates, and how many plans are drawn by it."""
    return answer(_in_full(session, rules.seen(session, rule_set_id, actor=actor)))


@router.get("/{rule_set_id}/file.toml", summary="A rule set as a file", response_class=Response)
def file(session: SessionDep, actor: Viewer, rule_set_id: RuleSetId) -> Response:
    """TOML in the form of the presets, for another place to read."""
    row = rules.seen(session, rule_set_id, actor=actor)
    headers = {
        "Content-Disposition": f"attachment; filename*=UTF-8''{quote(row.code)}.toml",
        "Cache-Control": "no-store",
    }
    return Response(rule_file.write(rules.value(row)), media_type="application/toml; charset=utf-8", headers=headers)


def _in_full(session: SessionDep, row: RuleSetRow) -> dict[str, Any]:
    area = areas.get(session, row.area_id)
    return {
        "id": row.id,
        "area": {"id": area.id, "code": area.code, "name": area.name, "name_en": area.name_en},
        "valid_from": row.valid_during.lower,
        "valid_to": row.valid_during.upper,
        "plans": rules.uses(session, row.id),
        "definition": asdict(rules.value(row)),
    }
