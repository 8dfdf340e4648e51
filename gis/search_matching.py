"""Finds what an address means: the names in it by sound, then the buildings by name and number.

A name is looked for as it stands, then by each piece of it that is a name itself (城东锦江路 holds 锦江路), then as the
beginning of one, then by letters alike. With the names that are known, tokens such as ``mingzhuxiaoqu#7`` name the
buildings; no text is compared with a million others.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy import text
from sqlalchemy.orm import Session

from gis.addresses import Address, parse
from gis.listing.window import Row, fetch
from gis.spelling import bare, corrections, distance, initials, is_latin, loose, near_keys, spelling, syllables

SAME_SOUND = 0.98
"""Likeness of a name that sounds the same and is written otherwise."""
CERTAIN = 0.985
LEAST = 0.5
MAX_SOUNDS = 12
MAX_ROWS = 600
LONGEST_RUN = 16
"""Characters of a name that are taken to pieces."""
LONGEST_ALIKE = 40
"""Letters that are compared by trigrams: more would only cost."""

_SUFFIXES = ("小区", "花园", "家园", "社区", "公寓", "大厦", "广场", "新村", "路", "街", "大道", "巷", "里", "苑")


@dataclass(frozen=True, slots=True)
class Sound:
    """A name that the table knows and that may be meant.

    Attributes
    ----------
    spelling : str
        As tokens have it.
    likeness : float
        1 the same characters, `SAME_SOUND` the same sound, less from there on.
    """

    spelling: str
    name: str
    likeness: float


@dataclass(frozen=True, slots=True)
class Hit:
    """A building that an address may mean; ``is_exact`` if nothing in the address speaks against it."""

    row: Row
    score: float
    is_exact: bool


@dataclass(frozen=True, slots=True)
class Found:
    """The buildings of an address, the likeliest first; not approximate only if there is no doubt."""

    ids: tuple[int, ...]
    is_approximate: bool


@dataclass(slots=True)
class Question:
    """One address with what has been found of it so far."""

    address: Address
    sounds: dict[str, list[Sound]] = field(default_factory=dict)
    hits: list[Hit] = field(default_factory=list)

    @property
    def is_settled(self) -> bool:
        """Whether one building stands out and is exactly what was asked for."""
        return bool(self.hits) and self.hits[0].is_exact

    def tokens(self) -> dict[str, float]:
        """Tokens of the address by what they are worth: how well the name is known, less if they tell but a part."""
        found: dict[str, float] = {}
        for name, number in self.address.names:
            for sound in self.sounds.get(name, ()):
                for token, share in _joined(sound.spelling, number, self.address.building):
                    found[token] = max(found.get(token, 0.0), sound.likeness - share)
        return found


def _joined(spelled: str, number: str | None, building: str | None) -> Iterable[tuple[str, float]]:
    if number is None:
        yield f"{spelled}#{building or ''}", 0.0
        return
    yield f"{spelled}#{number}", 0.0 if building in (None, number) else 0.3
    if building is not None:
        yield f"{spelled}#{number}#{building}", 0.0


def find_addresses(session: Session, asked: Mapping[int, str], *, scopes: Sequence[str]) -> dict[int, Found]:
    """The buildings that addresses mean, all of them in a handful of queries; what is not found is left out."""
    questions = {n: Question(parse(words)) for n, words in asked.items()}
    named = {n: question for n, question in questions.items() if question.address.names}
    for question in named.values():
        question.sounds = {
            name: [Sound(spelling(name), name, 1.0)] for name, _ in question.address.names if spelling(name)
        }
    answer(session, named.values(), scopes=scopes)
    rest = [question for question in named.values() if not question.is_settled]
    if rest:
        wanted = {name for question in rest for name, _ in question.address.names}
        known = sounds_of(session, wanted, scopes=scopes)
        for question in rest:
            question.sounds = {name: known.get(name, []) for name, _ in question.address.names}
        answer(session, rest, scopes=scopes)
    found: dict[int, Found] = {}
    for n, question in questions.items():
        if question.hits:
            best = question.hits
            doubtful = not best[0].is_exact or (len(best) > 1 and best[1].score > best[0].score - 0.005)
            found[n] = Found(tuple(int(hit.row["ref_id"]) for hit in best[:5]), doubtful)
    return found


def answer(session: Session, questions: Iterable[Question], *, scopes: Sequence[str]) -> None:
    """Give each question its hits, the likeliest first."""
    asked = list(questions)
    tokens = {token for question in asked for token in question.tokens()}
    bare_names = {
        sound.spelling
        for question in asked
        for sounds in question.sounds.values()
        for sound in sounds
        if not question.address.has_number or question.address.road is not None
    }
    rows = _rows(session, tokens, bare_names, scopes=scopes)
    by_key: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        for key in (*(row["tokens"] or ()), row["spelling"]):
            if key:
                by_key[key].append(row)
    areas = _area_names(session, rows) if any(question.address.areas for question in asked) else {}
    for question in asked:
        keys = [*question.tokens(), *(s.spelling for sounds in question.sounds.values() for s in sounds)]
        candidates = {row["id"]: row for key in keys for row in by_key.get(key, ())}
        hits = [scored(question, row, areas) for row in candidates.values()]
        question.hits = sorted(hits, key=lambda hit: (-hit.score, hit.row["ref_id"]))


def _rows(session: Session, tokens: Collection[str], names: Collection[str], *, scopes: Sequence[str]) -> list[Row]:
    found: dict[int, Row] = {}
    for sql, keys in ((_BY_TOKENS, tokens), (_BY_OWN_NAME, names)):
        if keys:
            # more rows where more is asked, so that a batch finds as much as its rows one by one
            limit = MAX_ROWS + 40 * len(keys)
            for row in fetch(session, sql, {"keys": sorted(keys), "scopes": list(scopes), "limit": limit}):
                found[row["id"]] = row
    return list(found.values())


def _area_names(session: Session, rows: Sequence[Row]) -> dict[str, str]:
    codes = {code for row in rows for code in str(row["path"]).split(".")}
    found = fetch(session, "SELECT code, name FROM admin_area WHERE code = ANY(:codes)", {"codes": sorted(codes)})
    return {row["code"]: row["name"] for row in found}


def scored(question: Question, row: Row, areas: Mapping[str, str]) -> Hit:
    """How well a building answers to an address: by its best token, less for each word that speaks against it."""
    address, said = question.address, question.tokens()
    held = {token: said[token] for token in row["tokens"] or () if token in said}
    own = _own(question, row)
    best = max(held.values(), default=0.0)
    if best >= CERTAIN and not _is_written(question, row):
        best = SAME_SOUND
    is_certain = best >= CERTAIN or (own >= CERTAIN and not address.has_number)
    score = max(best, own)
    if address.building is not None and row["number"] != address.building:
        score, is_certain = score - (0.15 if row["number"] is None else 0.3), False
    if address.house is not None and row["house"] not in (None, address.house) and row["number"] != address.house:
        score, is_certain = score - 0.12, False
    likes = [_like(sounds, row, own) for sounds in question.sounds.values()]
    is_certain = is_certain and min(likes, default=0.0) >= CERTAIN
    score -= 0.1 * likes.count(0.0)
    chain = [areas[code] for code in str(row["path"]).split(".") if code in areas]
    if chain and any(not _is_in(area, chain) for area in address.areas):
        score, is_certain = score - 0.15, False
    return Hit(row, score, is_certain)


def _is_written(question: Question, row: Row) -> bool:
    """Whether the names of an address are the building's in writing too, not in sound alone."""
    names = {spelling(row[key]): bare(row[key]) for key in ("road", "place", "name") if row[key]}
    return all(
        is_latin(name) or names.get(sound.spelling, bare(name)) == bare(name)
        for name, sounds in question.sounds.items()
        for sound in sounds[:1]
        if sound.likeness >= CERTAIN
    )


def _own(question: Question, row: Row) -> float:
    if row["spelling"] is None:
        return 0.0
    likes = [
        s.likeness for sounds in question.sounds.values() for s in sounds if s.spelling == spelling(row["name"] or "")
    ]
    return max(likes, default=0.0)


def _like(sounds: Sequence[Sound], row: Row, own: float) -> float:
    """How like a name of the address is to one of the building's: its road, its place, its own; 0 if to none."""
    names = {spelling(row[key]) for key in ("road", "place") if row[key]}
    names |= {token.partition("#")[0] for token in row["tokens"] or ()}
    if own:
        names.add(spelling(row["name"] or ""))
    return max((sound.likeness for sound in sounds if sound.spelling in names), default=0.0)


def _is_in(area: str, chain: Sequence[str]) -> bool:
    """Whether an area of the address is one of the building's; the parts above the service's are not known."""
    ends = {name[-2:] for name in chain} | {name[-1:] for name in chain}
    if area[-2:] not in ends and area[-1:] not in ends:
        return True
    return any(area == name or area.startswith(name[:2]) or spelling(area) == spelling(name) for name in chain)


# --- names ------------------------------------------------------------------------------------------------------------


def sounds_of(session: Session, names: Collection[str], *, scopes: Sequence[str]) -> dict[str, list[Sound]]:
    """The names of the table that may be meant by names as somebody wrote them, the likeliest first."""
    wanted = sorted({name for name in names if spelling(name)})
    pieces = {name: _pieces(name) for name in wanted}
    spelled = sorted({piece for some in pieces.values() for piece in some})
    exact: dict[str, list[Row]] = defaultdict(list)
    for row in fetch(session, _EXACT, {"spelled": spelled, "scopes": list(scopes)}) if spelled else ():
        exact[row["spelling"]].append(row)
    found: dict[str, dict[str, Sound]] = {name: {} for name in wanted}
    for name in wanted:
        for piece, share in pieces[name].items():
            for row in exact.get(piece, ()):
                _note(found[name], row["name"], share if share < 1 else _written(name, row["name"]))
    open_names = [name for name in wanted if not any(s.likeness >= CERTAIN for s in found[name].values())]
    if open_names:
        _widen(session, open_names, found, scopes)
    return {name: sorted(some.values(), key=lambda s: -s.likeness)[:MAX_SOUNDS] for name, some in found.items()}


def _widen(session: Session, names: Sequence[str], found: dict[str, dict[str, Sound]], scopes: Sequence[str]) -> None:
    """Names that begin so, or differ by a syllable; only where there are none, those that are alike in letters."""
    keys = {name: near_keys(name) for name in names}
    by_key: dict[str, list[str]] = defaultdict(list)
    wanted = sorted({key for some in keys.values() for key in some})
    limit = MAX_ROWS + 20 * len(wanted)
    for row in fetch(session, _NEAR, {"keys": wanted, "scopes": list(scopes), "limit": limit}) if wanted else ():
        for key in row["tokens"]:
            by_key[key].append(row["name"])
    for name in names:
        for other in {other for key in keys[name] for other in by_key.get(key, ())}:
            _note(found[name], other, min(0.9, likeness(name, other)))
    _widen_by_letters(session, names, found, scopes)


def _widen_by_letters(
    session: Session, names: Sequence[str], found: dict[str, dict[str, Sound]], scopes: Sequence[str]
) -> None:
    asked = [
        {"n": n, "spelled": spelling(name)[:LONGEST_ALIKE], "latin": is_latin(name)} for n, name in enumerate(names)
    ]
    params = {
        "n": [one["n"] for one in asked],
        "spelled": [one["spelled"] for one in asked],
        "first": [one["spelled"] if one["latin"] else None for one in asked],
        "scopes": list(scopes),
    }
    for row in fetch(session, _BEGINNING, params):
        name = names[row["n"]]
        _note(found[name], row["name"], _begun(name, row["name"]))
    lost = [n for n, name in enumerate(names) if not found[name]]
    pairs = [(n, form) for n in lost if asked[n]["latin"] for form in corrections(str(asked[n]["spelled"]))]
    if pairs:
        params |= {"n": [n for n, _ in pairs], "spelled": [form for _, form in pairs], "first": [None] * len(pairs)}
        for row in fetch(session, _BEGINNING, params):
            name = names[row["n"]]
            _note(found[name], row["name"], min(0.9, likeness(name, row["name"])))
    lost = [n for n in lost if not found[names[n]]]
    if not lost:
        return
    session.execute(_THRESHOLD)
    params |= {"n": lost, "spelled": [asked[n]["spelled"] for n in lost]}
    for row in fetch(session, _ALIKE, params):
        name = names[row["n"]]
        _note(found[name], row["name"], min(0.9, likeness(name, row["name"])))


def _note(found: dict[str, Sound], name: str, how_alike: float) -> None:
    spelled = spelling(name)
    if how_alike >= LEAST and (spelled not in found or found[spelled].likeness < how_alike):
        found[spelled] = Sound(spelled, name, round(how_alike, 4))


def _pieces(name: str) -> dict[str, float]:
    """Spellings of all runs of two characters or more, each with the share that it is worth."""
    sounds = syllables(name)[:LONGEST_RUN]
    if is_latin(name):
        return {"".join(sounds): 1.0}
    pieces: dict[str, float] = {}
    for start in range(len(sounds)):
        for end in range(start + 2, len(sounds) + 1):
            share = (end - start) / len(sounds)
            worth = 0.6 + 0.3 * share if share < 1 else 1.0
            piece = "".join(sounds[start:end])
            pieces[piece] = max(pieces.get(piece, 0.0), worth)
    pieces["".join(sounds)] = 1.0
    if bare(name).endswith(_SUFFIXES):
        for suffix in _SUFFIXES:
            if bare(name).endswith(suffix) and len(bare(name)) > len(suffix) + 1:
                pieces["".join(sounds[: -len(suffix)])] = 0.92
    return pieces


def _written(asked: str, name: str) -> float:
    return 1.0 if bare(asked) == bare(name) or is_latin(asked) else SAME_SOUND


def _begun(asked: str, name: str) -> float:
    """Likeness of a name of which only the beginning, or the initials, were written."""
    share = len(spelling(asked)) / max(len(spelling(name)), 1)
    if spelling(name).startswith(spelling(asked)):
        return 0.86 + 0.08 * share
    return 0.85 if initials(name) == spelling(asked) else 0.78


def likeness(asked: str, name: str) -> float:
    """How alike a name is to one that somebody wrote: by characters, by sound, by sounds often confused.

    Examples
    --------
    >>> likeness("阳光水案", "阳光水岸"), round(likeness("阳光木岸", "阳光水岸"), 2)
    (0.98, 0.79)
    """
    one, other = bare(asked), bare(name)
    if not one or not other:
        return 0.0
    spelled, sounding = spelling(asked), spelling(name)
    by_sound = SAME_SOUND * (1 - distance(spelled, sounding) / max(len(spelled), len(sounding)))
    blunt, blunted = loose(spelled), loose(sounding)
    by_ear = 0.95 * (1 - distance(blunt, blunted) / max(len(blunt), len(blunted)))
    begun = 0.9 * (1 - distance(spelled, sounding[: len(spelled)]) / len(spelled)) if len(spelled) >= 4 else 0.0
    if is_latin(asked):
        return max(by_sound, by_ear, begun)
    return max(1 - distance(one, other) / max(len(one), len(other)), by_sound, by_ear, begun)


# --- SQL --------------------------------------------------------------------------------------------------------------

_ROW = """
    entry.id, entry.kind, entry.ref_id, entry.path::text AS path, entry.name, entry.spelling, entry.road,
    entry.house, entry.place, entry.number, entry.tokens, entry.weight, entry.lon, entry.lat
"""
_IN_SCOPES = "entry.path <@ ANY(CAST(:scopes AS ltree []))"

_BY_TOKENS = f"""
SELECT {_ROW}
FROM search_entry AS entry
WHERE entry.tokens && CAST(:keys AS text []) AND {_IN_SCOPES}
LIMIT :limit
"""
_BY_OWN_NAME = f"""
SELECT {_ROW}
FROM search_entry AS entry
WHERE entry.spelling = ANY(CAST(:keys AS text [])) AND entry.kind = 'building' AND {_IN_SCOPES}
LIMIT :limit
"""

_NAMES = "entry.kind IN ('road', 'place', 'compound', 'building', 'poi', 'area')"

_EXACT = f"""
SELECT DISTINCT entry.spelling, entry.name
FROM search_entry AS entry
WHERE entry.spelling = ANY(CAST(:spelled AS text [])) AND {_NAMES} AND {_IN_SCOPES}
LIMIT 5000
"""
_BEGINNING = f"""
SELECT asked.n, found.name
FROM unnest(CAST(:n AS int []), CAST(:spelled AS text []), CAST(:first AS text [])) AS asked (n, beginning, first)
CROSS JOIN LATERAL (
    SELECT entry.name, entry.weight
    FROM search_entry AS entry
    WHERE
        entry.spelling ~>=~ asked.beginning AND entry.spelling ~<~ (asked.beginning || '~')
        AND {_NAMES} AND {_IN_SCOPES}
    UNION ALL
    SELECT entry.name, entry.weight
    FROM search_entry AS entry
    WHERE
        entry.initials ~>=~ asked.first AND entry.initials ~<~ (asked.first || '~')
        AND {_NAMES} AND {_IN_SCOPES}
    ORDER BY weight DESC
    LIMIT 60
) AS found
"""
_NEAR = f"""
SELECT DISTINCT entry.name, entry.tokens
FROM search_entry AS entry
WHERE entry.tokens && CAST(:keys AS text []) AND {_NAMES} AND {_IN_SCOPES}
LIMIT :limit
"""
_THRESHOLD = text("SELECT set_config('pg_trgm.word_similarity_threshold', '0.45', true)")
_ALIKE = f"""
SELECT asked.n, found.name
FROM unnest(CAST(:n AS int []), CAST(:spelled AS text [])) AS asked (n, spelled)
CROSS JOIN LATERAL (
    SELECT entry.name
    FROM search_entry AS entry
    WHERE entry.spelling %> asked.spelled AND length(asked.spelled) > 2 AND {_NAMES} AND {_IN_SCOPES}
    ORDER BY similarity(entry.spelling, asked.spelled) DESC
    LIMIT 40
) AS found
"""
