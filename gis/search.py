"""One box that finds everything: buildings, compounds, cells, areas, roads, people; by name, code, address or pinyin.

What is typed is read as a code, as an address, and as the beginning of a name, in characters or in Latin letters. What
fits best comes first: the same > the same sound > the beginning > the initials > a part > alike; of equals the nearer,
then the more peopled. Only what lies in the caller's areas is ever looked at (in SQL).
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from gis import search_index
from gis.addresses import Address, clean, parse
from gis.errors import InvalidInput
from gis.listing.window import Row, fetch
from gis.permissions import Action, Actor, scopes
from gis.search_answer import described, metres
from gis.search_matching import SAME_SOUND, Question, answer, likeness, sounds_of
from gis.spelling import bare, corrections, is_latin, near_keys, spelling

KINDS = ("building", "compound", "community", "area", "grid", "micro_grid", "road", "place", "poi", "staff")
MAX_WORDS = 1000
"""Characters taken at all; of these the first 200 are read."""
MAX_LIMIT = 50
GOOD, FAIR, ENOUGH = 0.95, 0.8, 3
"""One that fits so well, or so many that fit so well: then nothing is looked for that is merely alike."""
BESIDE = 0.69
"""What is shown beside something that fits exactly fits at least so well: a building's compound, not its gates."""
MOST = 60
"""Rows looked at for each way of finding."""

_NEAR_M = 2_000.0
_ENTRY_KINDS = {"grid": "cell", "micro_grid": "cell", "community": "area"}
_GATE = re.compile(r"门$")
_CODE = re.compile(r"[A-Z]{0,3}[0-9][0-9A-Z]{2,31}")


@dataclass(frozen=True, slots=True)
class Candidate:
    """Something that may be meant: which row, how well it fits, and how it was found."""

    kind: str
    ref_id: int
    score: float
    how: str
    lon: float | None = None
    lat: float | None = None
    weight: int = 0
    name: str | None = None


@dataclass(slots=True)
class _Search:
    """One call: what was asked, by whom, and the best candidate found of each thing."""

    session: Session
    words: str
    address: Address
    actor: Actor
    at: datetime
    kinds: frozenset[str]
    near: tuple[float, float] | None
    best: dict[tuple[str, int], Candidate] = field(default_factory=dict)

    @property
    def scopes(self) -> list[str]:
        return list(scopes(self.actor, Action.VIEW_MAP))

    @property
    def entry_kinds(self) -> list[str]:
        return sorted({_ENTRY_KINDS.get(kind, kind) for kind in self.kinds})

    def ask(self, sql: str, **params: Any) -> list[Row]:
        common = {"scopes": self.scopes, "at": self.at, "kinds": self.entry_kinds, "most": MOST}
        return fetch(self.session, sql, {**common, **params})

    def note(self, found: Candidate) -> None:
        key = (found.kind, found.ref_id)
        if key not in self.best or self.best[key].score < found.score:
            self.best[key] = found


def search(
    session: Session,
    words: str,
    *,
    actor: Actor,
    at: datetime,
    limit: int = 10,
    near: tuple[float, float] | None = None,
    kinds: Collection[str] = (),
) -> list[Row]:
    """What somebody may mean by some words, the likeliest first, each with its place and who is responsible for it.

    Parameters
    ----------
    words : str
        A name or its beginning, a code, an address down to the room, pinyin or initials; mistakes allowed.
    at : datetime
        The plan in force and the posts held then answer.
    near : tuple of float, optional
        lon, lat in degrees: of equals the nearer comes first; a number alone (3栋) is looked for around it.
    kinds : collection of str, optional
        Only these of `KINDS`.

    Raises
    ------
    InvalidInput
        ``search.nothing_asked``: no letter and no digit; ``search.too_long``; ``search.unknown_kind``.
    """
    ranked = candidates(session, words, actor=actor, at=at, near=near, kinds=kinds)
    chosen = frozenset(kinds) or frozenset(KINDS)
    return described(session, ranked, limit=limit, words=words, actor=actor, at=at, kinds=chosen, near=near)


def candidates(
    session: Session,
    words: str,
    *,
    actor: Actor,
    at: datetime,
    near: tuple[float, float] | None = None,
    kinds: Collection[str] = (),
) -> list[Candidate]:
    """What may be meant, the likeliest first, by id alone; `search` tells of the first of them."""
    if len(words) > MAX_WORDS:
        raise InvalidInput("search.too_long", limit=MAX_WORDS, count=len(words))
    if unknown := sorted(set(kinds) - set(KINDS)):
        raise InvalidInput("search.unknown_kind", kind=unknown[0], kinds=", ".join(KINDS))
    read = clean(words)
    if not bare(read):
        raise InvalidInput("search.nothing_asked")
    search_index.work_off(session, limit=search_index.SOME)
    work = _Search(session, bare(read), parse(words), actor, at, frozenset(kinds) or frozenset(KINDS), near)
    for look in (_by_code, _by_address, _by_name, _by_number):
        look(work)
    scores = [one.score for one in work.best.values()]
    if max(scores, default=0.0) < GOOD and sum(score >= FAIR for score in scores) < ENOUGH:
        _by_likeness(work)
    ranked = sorted(work.best.values(), key=lambda one: _rank(one, near))
    is_found = bool(ranked) and ranked[0].score >= SAME_SOUND
    return [one for one in ranked if one.score >= BESIDE or not is_found]


def _rank(one: Candidate, near: tuple[float, float] | None) -> tuple[float, str, int]:
    score = one.score + 0.004 * math.log10(1 + one.weight) + _ORDER.get(one.kind, 0.0)
    if one.kind == "poi" and _GATE.search(one.name or ""):
        score -= 0.08  # every compound has some, and hardly anybody looks for them
    if near is not None and one.lon is not None and one.lat is not None:
        score += 0.03 * math.exp(-metres(near, (one.lon, one.lat)) / _NEAR_M)
    return (-round(score, 4), one.kind, one.ref_id)


# Of equals: what somebody looks for more often.
_ORDER = {
    "compound": 0.02,
    "area": 0.018,
    "cell": 0.015,
    "staff": 0.012,
    "building": 0.01,
    "road": 0.006,
    "place": 0.005,
}


# --- ways of finding --------------------------------------------------------------------------------------------------


def _by_code(work: _Search) -> None:
    """Codes, whole or by their beginning; cells by the plan in force."""
    code = work.words.upper()
    if not (code.isascii() and any(letter.isdigit() for letter in code)):
        return
    beyond = code + ("~" if _CODE.fullmatch(code) else " ")  # the space comes before all: the code itself and no other
    for row in work.ask(_ENTRIES_BY_CODE, code=code, beyond=beyond):
        work.note(_candidate(row, 1.0 if row["code"] == code else 0.9, "code"))
    if work.kinds & {"grid", "micro_grid"} and code.isdigit() and len(code) > 2:
        for row in work.ask(_CELLS_BY_CODE, low=code, high=code + ":"):  # ":" follows "9"
            work.note(Candidate("cell", row["id"], 1.0 if row["code"] == code else 0.91, "code"))


def _by_address(work: _Search) -> None:
    """Buildings by names with numbers."""
    address = work.address
    if not address.names or not address.has_number or "building" not in work.kinds:
        return
    question = Question(address)
    known = sounds_of(work.session, {name for name, _ in address.names}, scopes=work.scopes)
    question.sounds = {name: known.get(name, []) for name, _ in address.names}
    answer(work.session, [question], scopes=work.scopes)
    for hit in question.hits[:MOST]:
        how = "exact" if hit.is_exact else "sound" if hit.score >= SAME_SOUND - 0.005 else "alike"
        work.note(_candidate(hit.row, hit.score, how))
    places = Counter((hit.row["place"], hit.row["path"]) for hit in question.hits if hit.is_exact)
    if address.building is None and places:
        [((place, path), count)] = places.most_common(1)
        if place is not None and count > 1:
            _note_whole_place(work, place, path=path)


def _note_whole_place(work: _Search, place: str, *, path: str) -> None:
    """A house number that a whole compound bears means the compound."""
    for row in work.ask(_ENTRIES_BY_NAME, **_reach(spelling(place), beginning=None, first=None)):
        if row["kind"] == "compound" and row["path"] == path:
            work.note(_candidate(row, 1.0, "exact"))


def _by_name(work: _Search) -> None:
    """What is called so, sounds so, begins so, or has these initials."""
    for name, share in _names(work.address, work.words):
        spelled = spelling(name)
        latin = spelled if is_latin(name) else None
        for row in work.ask(_ENTRIES_BY_NAME, **_reach(spelled, beginning=spelled, first=latin)):
            how_alike, how = _how(name, row)
            work.note(_candidate(row, how_alike * share, how))
    if work.kinds & {"grid", "micro_grid"}:
        _by_community_and_number(work)


def _reach(spelled: str, *, beginning: str | None, first: str | None) -> dict[str, str | None]:
    """Where the index is read; ``~`` follows all letters and digits."""
    return {
        "spelled": spelled,
        "beginning": beginning,
        "beyond": beginning and beginning + "~",
        "first": first,
        "beyond_first": first and first + "~",
    }


def _names(address: Address, words: str) -> list[tuple[str, float]]:
    """The names to look for, each with what it is worth: all the words, or a name of the address that has a number."""
    if not address.has_number:
        last = [(address.areas[-1], 0.9)] if address.areas and not address.names else []
        pieces = [(name, 0.9) for name, _ in address.names if bare(name) != words]
        return [(words, 1.0), *last, *pieces]
    return [(words, 1.0), *((name, 0.7) for name, _ in address.names[-2:])]


def _how(asked: str, row: Row) -> tuple[float, str]:
    spelled, name = row["spelling"], str(row["name"])
    if bare(asked) == bare(name) or (spelled == spelling(asked) and is_latin(asked)):
        return 1.0, "exact"
    if spelled == spelling(asked):
        return SAME_SOUND, "sound"
    if spelled.startswith(spelling(asked)):
        written = 0.02 if bare(name).startswith(bare(asked)) else 0.0
        return 0.88 + written + 0.05 * len(spelling(asked)) / len(spelled), "prefix"
    return (0.85 if row["initials"] == spelling(asked) else 0.8), "initials"


def _by_community_and_number(work: _Search) -> None:
    """文庙社区5网格, 文庙5号网格: the grid of that number in the community."""
    found = re.search(r"(\D+?)(?:社区|村)?第?(\d{1,3})(?:-(\d{1,2}))?号?(?:微)?(?:网格|格)", clean(work.words))
    if found is None:
        return
    tail = found[2].zfill(3) + (found[3].zfill(2) if found[3] else "")
    spelled = [spelling(found[1]), spelling(found[1] + "社区"), spelling(found[1] + "村")]
    for row in work.ask(_CELLS_OF_COMMUNITY, spelled=spelled, tail=tail):
        work.note(Candidate("cell", row["id"], 0.97 if row["is_whole"] else 0.9, "exact"))


def _by_number(work: _Search) -> None:
    """A number alone: the buildings that bear it, those nearby if it is said where one is."""
    address = work.address
    if address.names or address.building is None or "building" not in work.kinds:
        return
    if work.near is not None:
        rows = work.ask(_NUMBERED_NEAR, number=address.building, lon=work.near[0], lat=work.near[1])
    else:
        rows = work.ask(_NUMBERED, number=address.building)
    for row in rows:
        work.note(_candidate(row, 0.9, "exact"))


def _by_likeness(work: _Search) -> None:
    """Mistyped: names that differ by a syllable, then names that hold these letters or have many in common."""
    for name, share in _names(work.address, work.words):
        spelled = spelling(name)
        if len(spelled) < 3:
            continue
        rows = work.ask(_ENTRIES_NEAR, keys=list(near_keys(name))) if not is_latin(name) else []
        for row in rows:
            work.note(_candidate(row, 0.78 * likeness(name, row["name"]) * share, "alike"))
        if is_latin(name):
            for row in work.ask(_ENTRIES_CORRECTED, beginnings=list(corrections(spelled))):
                work.note(_candidate(row, 0.78 * likeness(name, row["name"]) * share, "alike"))
        if len(work.best) < ENOUGH:
            work.session.execute(_THRESHOLD)
            for row in work.ask(_ENTRIES_ALIKE, spelled=spelled[:40]):
                held = 0.7 if spelled in row["spelling"] else 0.75 * likeness(name, row["name"])
                if held >= 0.33:
                    work.note(_candidate(row, held * share, "part" if spelled in row["spelling"] else "alike"))


def _candidate(row: Row, score: float, how: str) -> Candidate:
    return Candidate(
        row["kind"], row["ref_id"], score, how, row["lon"], row["lat"], row["weight"] or 0, row.get("name")
    )


# --- SQL --------------------------------------------------------------------------------------------------------------

_ROW = """
    entry.kind, entry.ref_id, entry.path::text AS path, entry.code, entry.name, entry.spelling, entry.initials,
    entry.lon, entry.lat, entry.weight
"""

# Where somebody serves: the department's area and the places of the posts held now, as `gis.listing.staff` has it.
_SEEN = """
    entry.kind = ANY(CAST(:kinds AS text []))
    AND (
        entry.path <@ ANY(CAST(:scopes AS ltree []))
        OR (
            entry.kind = 'staff'
            AND (
                '' = ANY(CAST(:scopes AS text []))
                OR EXISTS (
                    SELECT 1
                    FROM staff AS person
                    INNER JOIN department ON person.department_id = department.id
                    INNER JOIN admin_area AS office ON department.area_id = office.id
                    WHERE person.id = entry.ref_id AND office.path <@ ANY(CAST(:scopes AS ltree []))
                )
                OR EXISTS (
                    SELECT 1
                    FROM assignment AS held
                    LEFT JOIN grid AS cell ON held.grid_id = cell.id
                    LEFT JOIN plan_community AS ruling
                        ON cell.plan_id = ruling.plan_id AND cell.community_id = ruling.community_id
                    INNER JOIN admin_area AS place ON place.id = coalesce(held.area_id, cell.community_id)
                    WHERE
                        held.staff_id = entry.ref_id
                        AND held.valid_during @> CAST(:at AS timestamptz)
                        AND (held.grid_id IS NULL OR ruling.in_force_during @> CAST(:at AS timestamptz))
                        AND place.path <@ ANY(CAST(:scopes AS ltree []))
                )
            )
        )
    )
    AND (
        entry.kind <> 'cell'
        OR EXISTS (
            SELECT 1
            FROM grid AS cell
            INNER JOIN plan_community AS ruling
                ON cell.plan_id = ruling.plan_id AND cell.community_id = ruling.community_id
            WHERE cell.id = entry.ref_id AND ruling.in_force_during @> CAST(:at AS timestamptz)
        )
    )
"""

_ENTRIES_BY_CODE = f"""
SELECT {_ROW}
FROM search_entry AS entry
WHERE entry.code ~>=~ CAST(:code AS text) AND entry.code ~<~ CAST(:beyond AS text) AND {_SEEN}
ORDER BY entry.code = :code DESC, entry.code
LIMIT :most
"""

_ENTRIES_BY_NAME = f"""
(
    SELECT {_ROW} FROM search_entry AS entry
    WHERE entry.spelling = :spelled AND {_SEEN}
    ORDER BY entry.weight DESC LIMIT :most
)
UNION ALL
(
    SELECT {_ROW} FROM search_entry AS entry
    WHERE entry.initials = :first AND {_SEEN}
    ORDER BY entry.weight DESC LIMIT :most
)
UNION ALL
(
    SELECT {_ROW} FROM search_entry AS entry
    WHERE entry.spelling ~>=~ CAST(:beginning AS text) AND entry.spelling ~<~ CAST(:beyond AS text) AND {_SEEN}
    ORDER BY entry.weight DESC LIMIT :most
)
UNION ALL
(
    SELECT {_ROW} FROM search_entry AS entry
    WHERE entry.initials ~>=~ CAST(:first AS text) AND entry.initials ~<~ CAST(:beyond_first AS text) AND {_SEEN}
    ORDER BY entry.weight DESC LIMIT :most
)
"""

_ENTRIES_NEAR = f"""
SELECT {_ROW}
FROM search_entry AS entry
WHERE entry.tokens && CAST(:keys AS text []) AND {_SEEN}
LIMIT 300
"""
_ENTRIES_CORRECTED = f"""
SELECT found.*
FROM unnest(CAST(:beginnings AS text [])) AS asked (beginning)
CROSS JOIN LATERAL (
    SELECT {_ROW}
    FROM search_entry AS entry
    WHERE entry.spelling ~>=~ asked.beginning AND entry.spelling ~<~ (asked.beginning || '~') AND {_SEEN}
    LIMIT 20
) AS found
LIMIT 300
"""
_THRESHOLD = text("SELECT set_config('pg_trgm.word_similarity_threshold', '0.45', true)")
_ENTRIES_ALIKE = f"""
SELECT {_ROW}
FROM search_entry AS entry
WHERE entry.spelling %> :spelled AND {_SEEN}
ORDER BY similarity(entry.spelling, :spelled) DESC
LIMIT :most
"""

_CELLS_BY_CODE = """
SELECT cell.id, cell.code
FROM grid AS cell
INNER JOIN plan_community AS ruling ON cell.plan_id = ruling.plan_id AND cell.community_id = ruling.community_id
INNER JOIN admin_area AS community ON cell.community_id = community.id
WHERE
    cell.code >= :low AND cell.code < :high
    AND ruling.in_force_during @> CAST(:at AS timestamptz)
    AND community.path <@ ANY(CAST(:scopes AS ltree []))
ORDER BY length(cell.code), cell.code
LIMIT :most
"""
_CELLS_OF_COMMUNITY = """
SELECT cell.id, cell.code, cell.code = community.code || :tail AS is_whole
FROM search_entry AS entry
INNER JOIN admin_area AS community ON entry.ref_id = community.id
INNER JOIN plan_community AS ruling ON community.id = ruling.community_id
INNER JOIN grid AS cell ON ruling.plan_id = cell.plan_id AND ruling.community_id = cell.community_id
WHERE
    entry.kind = 'area' AND entry.spelling = ANY(CAST(:spelled AS text []))
    AND ruling.in_force_during @> CAST(:at AS timestamptz)
    AND starts_with(cell.code, community.code || :tail)
    AND community.path <@ ANY(CAST(:scopes AS ltree []))
ORDER BY cell.code
LIMIT :most
"""

_NUMBERED = f"""
SELECT {_ROW}
FROM search_entry AS entry
WHERE entry.number = :number AND {_SEEN}
LIMIT :most
"""
_NUMBERED_NEAR = f"""
SELECT {_ROW}
FROM building
INNER JOIN search_entry AS entry ON entry.kind = 'building' AND building.id = entry.ref_id AND entry.variant = 0
WHERE
    ST_DWithin(building.geom, ST_SetSRID(ST_MakePoint(:lon, :lat), 4326), 0.02)
    AND entry.number = :number AND {_SEEN}
ORDER BY building.geom <-> ST_SetSRID(ST_MakePoint(:lon, :lat), 4326)
LIMIT :most
"""
