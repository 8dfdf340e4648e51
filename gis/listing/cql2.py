"""Filters in CQL2 (OGC 21-065), as text or JSON, put into SQL with bound parameters.

Taken are logical operators, comparisons, LIKE, BETWEEN, IN, IS NULL, CASEI, dates, and the spatial predicates: basic
CQL2, advanced comparison and spatial functions. Names are looked up in the fields of a thing, values are bound; nothing
of a filter becomes SQL as it stands. Length, depth and number of terms are bounded, so that no filter costs more to
read than it does to refuse.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, NoReturn

import orjson
import shapely
from shapely.geometry import shape as shape_of

from gis.errors import InvalidInput
from gis.listing.things import Field, Thing

LONGEST = 8000
DEEPEST = 20
TERMS_MOST = 200
FIRST_YEAR, LAST_YEAR = 1900, 2200

_COMPARISONS = {"=": "=", "<>": "<>", "<": "<", ">": ">", "<=": "<=", ">=": ">="}
_SPATIAL = {
    "s_intersects": "ST_Intersects",
    "s_within": "ST_Within",
    "s_contains": "ST_Contains",
    "s_disjoint": "ST_Disjoint",
    "s_equals": "ST_Equals",
    "s_touches": "ST_Touches",
    "s_crosses": "ST_Crosses",
    "s_overlaps": "ST_Overlaps",
}
GEOMETRY = "geometry"
_GEOMETRY_NAMES = (GEOMETRY, "geom")
_WKT = ("POINT", "LINESTRING", "POLYGON", "MULTIPOINT", "MULTILINESTRING", "MULTIPOLYGON", "GEOMETRYCOLLECTION")


@dataclass
class Compiled:
    """A condition, its parameters, and whether it names a field that comes from beside."""

    sql: str = ""
    params: dict[str, Any] = field(default_factory=dict)
    uses_beside: bool = False


def compile_filter(words: str, thing: Thing, *, is_json: bool, flipped: bool = False) -> Compiled:
    """Put a filter into SQL.

    Parameters
    ----------
    words : str
        CQL2 text, or CQL2 JSON.
    flipped : bool
        Coordinates come latitude first.

    Raises
    ------
    InvalidInput
        ``things.bad_filter`` with what is wrong and where.
    """
    if len(words) > LONGEST:
        _refuse(f"longer than {LONGEST} characters")
    if is_json:
        try:
            tree = orjson.loads(words)
        except orjson.JSONDecodeError as error:
            _refuse(f"not JSON: {error}")
    else:
        tree = _Reader(words).read()
    compiler = _Compiler(thing, flipped=flipped)
    compiler.out.sql = compiler.condition(tree, 0)
    return compiler.out


def _refuse(why: str) -> NoReturn:
    raise InvalidInput("things.bad_filter", why=why[:200])


# --- Text to tree: CQL2 JSON is the tree ----------------------------------------------------------------------------

_TOKEN = re.compile(
    r"""\s*(?:
    (?P<number>[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)
  | (?P<text>'(?:[^']|'')*')
  | (?P<quoted>"[^"]+")
  | (?P<word>[^\W\d][\w.]*)
  | (?P<sign><>|<=|>=|=|<|>|\(|\)|,)
    )""",
    re.VERBOSE,
)


class _Reader:
    """Reads by descent; each step goes on, so that time grows with the length alone."""

    def __init__(self, words: str) -> None:
        self.words = words
        self.tokens: list[tuple[str, str, int]] = []
        at = 0
        while words[at:].strip():
            found = _TOKEN.match(words, at)
            if found is None or found.lastgroup is None:
                _refuse(f"cannot be read at {words[at : at + 20]!r}")
            self.tokens.append((found.lastgroup, found[found.lastgroup], found.start(found.lastgroup)))
            at = found.end()
        self.at = 0

    def read(self) -> Any:
        tree = self._either(0)
        if self.at < len(self.tokens):
            self._fail("an end")
        return tree

    def _fail(self, wanted: str) -> NoReturn:
        seen = self.tokens[self.at][1] if self.at < len(self.tokens) else "the end"
        _refuse(f"{wanted} was expected instead of {seen[:30]!r}")

    def _peek(self, ahead: int = 0) -> str:
        """The next token in capitals where it is a word or sign, else nothing."""
        if self.at + ahead >= len(self.tokens):
            return ""
        kind, value, _ = self.tokens[self.at + ahead]
        return value.upper() if kind in ("word", "sign") else ""

    def _take(self, *wanted: str) -> bool:
        if self._peek() in wanted:
            self.at += 1
            return True
        return False

    def _need(self, wanted: str) -> None:
        if not self._take(wanted):
            self._fail(wanted)

    def _either(self, depth: int) -> Any:
        return self._joined("OR", self._both, depth)

    def _both(self, depth: int) -> Any:
        return self._joined("AND", self._not, depth)

    def _joined(self, word: str, part: Callable[[int], Any], depth: int) -> Any:
        parts = [part(depth)]
        while self._take(word):
            parts.append(part(depth))
        return parts[0] if len(parts) == 1 else {"op": word.lower(), "args": parts}

    def _not(self, depth: int) -> Any:
        if depth > DEEPEST:
            _refuse(f"nested deeper than {DEEPEST}")
        if self._take("NOT"):
            return {"op": "not", "args": [self._not(depth + 1)]}
        if self._take("("):
            inner = self._either(depth + 1)
            self._need(")")
            return inner
        return self._predicate()

    def _predicate(self) -> Any:
        name = self._peek().lower()
        if name in _SPATIAL:
            self.at += 1
            self._need("(")
            first = self._spatial()
            self._need(",")
            second = self._spatial()
            self._need(")")
            return {"op": name, "args": [first, second]}
        left = self._scalar()
        if isinstance(left, bool) and self._peek() in ("", "AND", "OR", ")"):
            return left
        if self._take("IS"):
            negated = self._take("NOT")
            self._need("NULL")
            tree: Any = {"op": "isNull", "args": [left]}
            return {"op": "not", "args": [tree]} if negated else tree
        negated = self._take("NOT")
        tree = self._compared(left, negated=negated)
        return {"op": "not", "args": [tree]} if negated else tree

    def _compared(self, left: Any, *, negated: bool) -> Any:
        if self._take("LIKE"):
            return {"op": "like", "args": [left, self._scalar()]}
        if self._take("BETWEEN"):
            low = self._scalar()
            self._need("AND")
            return {"op": "between", "args": [left, low, self._scalar()]}
        if self._take("IN"):
            return {"op": "in", "args": [left, self._listed()]}
        operator = self._peek()
        if negated or operator not in _COMPARISONS:
            self._fail("a comparison")
        self.at += 1
        return {"op": operator, "args": [left, self._scalar()]}

    def _listed(self) -> list[Any]:
        self._need("(")
        values = [self._scalar()]
        while self._take(","):
            values.append(self._scalar())
        self._need(")")
        return values

    def _scalar(self, depth: int = 0) -> Any:
        if self.at >= len(self.tokens):
            self._fail("a value")
        kind, value, _ = self.tokens[self.at]
        self.at += 1
        if kind == "number":
            return float(value)
        if kind == "text":
            return value[1:-1].replace("''", "'")
        if kind == "quoted":
            return {"property": value[1:-1]}
        if kind == "sign":
            self.at -= 1
            self._fail("a value")
        if value.upper() in ("TRUE", "FALSE"):
            return value.upper() == "TRUE"
        if self._take("("):
            return self._function(value.upper(), depth + 1)
        return {"property": value}

    def _function(self, name: str, depth: int) -> Any:
        if depth > DEEPEST:
            _refuse(f"nested deeper than {DEEPEST}")
        inner = self._scalar(depth)
        self._need(")")
        if name in ("TIMESTAMP", "DATE"):
            return {name.lower(): inner}
        if name == "CASEI":
            return {"op": "casei", "args": [inner]}
        _refuse(f"the function {name[:30]} is not known")

    def _spatial(self) -> Any:
        name = self._peek()
        if name == "BBOX":
            self.at += 1
            return {"bbox": self._listed()}
        if name not in _WKT:
            return self._scalar()
        start = self.tokens[self.at][2]
        self.at += 1
        depth = 0
        while self.at < len(self.tokens):
            sign = self._peek()
            depth += (sign == "(") - (sign == ")")
            self.at += 1
            if not depth:
                break
        last = self.tokens[self.at - 1]
        try:
            literal = shapely.from_wkt(self.words[start : last[2] + len(last[1])])
        except shapely.errors.ShapelyError:
            _refuse("the geometry cannot be read")
        return literal


# --- Tree to SQL ----------------------------------------------------------------------------------------------------


class _Compiler:
    def __init__(self, thing: Thing, *, flipped: bool) -> None:
        self.thing = thing
        self.flipped = flipped
        self.out = Compiled()
        self.terms = 0

    def condition(self, tree: Any, depth: int) -> str:
        """A tree that is true or false, as SQL."""
        self.terms += 1
        if depth > DEEPEST:
            _refuse(f"nested deeper than {DEEPEST}")
        if self.terms > TERMS_MOST:
            _refuse(f"more than {TERMS_MOST} terms")
        if isinstance(tree, bool):
            return "true" if tree else "false"
        operator, args = _node(tree)
        if operator in ("and", "or"):
            _enough(args, 1, TERMS_MOST)
            return "(" + f" {operator.upper()} ".join(self.condition(one, depth + 1) for one in args) + ")"
        if operator == "not":
            _enough(args, 1, 1)
            return f"NOT ({self.condition(args[0], depth + 1)})"
        if operator in _SPATIAL:
            return self._spatial(operator, args)
        return self._comparison(operator, args)

    def _comparison(self, operator: str, args: Sequence[Any]) -> str:
        if operator == "isnull":
            _enough(args, 1, 1)
            return f"{self._field(args[0])[0]} IS NULL"
        if operator in _COMPARISONS:
            _enough(args, 2, 2)
            left, right = self._pair(args[0], args[1])
            return f"{left} {_COMPARISONS[operator]} {right}"
        if operator == "like":
            _enough(args, 2, 2)
            if isinstance(args[1], str) and (len(args[1]) - len(args[1].rstrip("\\"))) % 2:
                _refuse("a pattern ends with a lone backslash")
            left, right = self._pair(args[0], args[1], kind="text")
            return f"{left} LIKE {right}"
        if operator == "between":
            _enough(args, 3, 3)
            value, low = self._pair(args[0], args[1])
            return f"{value} BETWEEN {low} AND {self._pair(args[0], args[2])[1]}"
        if operator == "in":
            _enough(args, 2, 2)
            if not isinstance(args[1], list) or not 1 <= len(args[1]) <= TERMS_MOST:
                _refuse(f"IN takes 1 to {TERMS_MOST} values")
            pairs = [self._pair(args[0], one) for one in args[1]]
            return f"{pairs[0][0]} IN ({', '.join(right for _, right in pairs)})"
        _refuse(f"the operator {operator[:30]} is not known")

    def _pair(self, left: Any, right: Any, *, kind: str | None = None) -> tuple[str, str]:
        """Both sides of a comparison: one of them names a field, whose kind the other is read as."""
        found = self._known(left) or self._known(right)
        if found is None:
            _refuse("a comparison must name a property")
        if kind is not None and found.kind != kind:
            _refuse(f"{found.name} is not {kind}")
        return self._value(left, found), self._value(right, found)

    def _known(self, tree: Any) -> Field | None:
        tree = tree["args"][0] if _is_casei(tree) else tree
        return self._field(tree)[1] if isinstance(tree, dict) and "property" in tree else None

    def _field(self, tree: Any) -> tuple[str, Field]:
        name = tree.get("property") if isinstance(tree, dict) else None
        known = self.thing.field(name) if isinstance(name, str) else None
        if known is None or known.is_personal:
            _refuse(f"there is no property {str(name)[:40]}; see the queryables")
        self.out.uses_beside |= known.is_beside
        return known.sql, known

    def _value(self, tree: Any, like: Field) -> str:
        if _is_casei(tree):
            if like.kind != "text":
                _refuse("CASEI takes text")
            return f"lower({self._value(tree['args'][0], like)})"
        if isinstance(tree, dict) and "property" in tree:
            sql, known = self._field(tree)
            if known.kind != like.kind and not {known.kind, like.kind} <= {"integer", "number"}:
                _refuse(f"{known.name} and {like.name} are of different kinds")
            return sql
        return self._bound(read_value(tree, like), like)

    def _bound(self, value: Any, like: Field) -> str:
        name = f"cql_{len(self.out.params)}"
        self.out.params[name] = value
        casts = {"integer": "numeric", "number": "float8", "time": "timestamptz", "flag": "boolean", "text": "text"}
        return f"CAST(:{name} AS {casts[like.kind]})"

    def _spatial(self, operator: str, args: Sequence[Any]) -> str:
        _enough(args, 2, 2)
        sides = [self._geometry(one) for one in args]
        if sides.count(str(self.thing.shape)) != 1:
            _refuse(f"{operator} takes {GEOMETRY} and a geometry")
        return f"{_SPATIAL[operator]}({sides[0]}, {sides[1]})"

    def _geometry(self, tree: Any) -> str:
        if isinstance(tree, dict) and tree.get("property") in _GEOMETRY_NAMES:
            return str(self.thing.shape)
        literal = _literal(tree)
        if self.flipped:
            literal = shapely.transform(literal, lambda xy: xy[:, ::-1])
        west, south, east, north = shapely.bounds(literal)
        if not (west >= -180 and east <= 180 and south >= -90 and north <= 90):
            _refuse("the geometry is empty, or not in degrees")
        name = f"cql_{len(self.out.params)}"
        self.out.params[name] = shapely.to_wkb(shapely.force_2d(literal))
        return f"ST_GeomFromWKB(:{name}, 4326)"


def read_value(value: Any, like: Field) -> Any:
    """A plain value as the kind of a field; text of numbers and times is read.

    Raises
    ------
    InvalidInput
        ``things.bad_filter``.
    """
    if isinstance(value, dict):
        value = value.get("timestamp", value.get("date"))
    if like.kind == "time" and isinstance(value, str):
        return read_time(value)
    if like.kind == "text" and isinstance(value, str) and "\0" not in value:
        return value
    if like.kind == "flag" and (isinstance(value, bool) or value in ("true", "false")):
        return value in (True, "true")
    if like.kind in ("integer", "number") and not isinstance(value, bool):
        try:
            number = float(value)
        except (TypeError, ValueError, OverflowError):
            number = math.nan
        if math.isfinite(number) and abs(number) < 1e15:
            return number
    _refuse(f"{str(value)[:40]} is no value of {like.name} ({like.kind})")


def read_time(words: str) -> datetime:
    """A time as RFC 3339 has it, or a day, which begins at midnight UTC.

    Raises
    ------
    InvalidInput
        ``things.bad_filter``.
    """
    try:
        time = datetime.fromisoformat(words.strip().upper().replace("Z", "+00:00"))
    except ValueError:
        _refuse(f"{words[:40]} is no time like 2026-03-01T08:00:00+08:00")
    if not FIRST_YEAR <= time.year <= LAST_YEAR:
        _refuse(f"the year of {words[:40]} is not of {FIRST_YEAR} to {LAST_YEAR}")
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def _node(tree: Any) -> tuple[str, list[Any]]:
    if not isinstance(tree, dict) or not isinstance(tree.get("op"), str) or not isinstance(tree.get("args"), list):
        _refuse("a condition was expected")
    return tree["op"].lower(), tree["args"]


def _is_casei(tree: Any) -> bool:
    if not isinstance(tree, dict) or str(tree.get("op")).lower() != "casei":
        return False
    args = tree.get("args")
    if not isinstance(args, list) or len(args) != 1 or (isinstance(args[0], dict) and "op" in args[0]):
        _refuse("CASEI takes one property or text")
    return True


def _enough(args: Sequence[Any], least: int, most: int) -> None:
    if not least <= len(args) <= most:
        _refuse("an operator has too few or too many arguments")


def _literal(tree: Any) -> Any:
    if isinstance(tree, shapely.Geometry):
        return tree
    if isinstance(tree, dict) and isinstance(tree.get("bbox"), list):
        box = tree["bbox"]
        if len(box) == 6:
            box = [box[0], box[1], box[3], box[4]]
        if len(box) == 4 and all(isinstance(one, int | float) and math.isfinite(one) for one in box):
            return shapely.box(*box)
        _refuse("a bbox has four or six numbers")
    if isinstance(tree, dict) and "type" in tree:
        try:
            return shape_of(tree)
        except (LookupError, AttributeError, TypeError, ValueError, RecursionError, shapely.errors.ShapelyError):
            _refuse("the geometry cannot be read")
    _refuse("a geometry was expected")
