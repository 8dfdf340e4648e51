"""Codes of grids: how they are built, ordered, and kept from plan to plan.

Three schemes: ours (12-digit community + 3 = 15 digits, micro-grid + 2 or 3), CJ/T 349-2010 (20 digits), and a
template. Cells are numbered west to east, then north to south, when a community is first divided; after that a
surviving cell keeps its code, and a new one takes the next number that was never given.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from string import Formatter

from gis.errors import InvalidInput


def child_code(parent: str, number: int, *, digits: int) -> str:
    """The code of the n-th cell under a parent.

    Raises
    ------
    InvalidInput
        ``codes.exhausted`` if the number needs more digits.

    Examples
    --------
    >>> child_code(child_code("500120002001", 3, digits=3), 5, digits=2)
    '50012000200100305'
    """
    if not 0 < number < 10**digits:
        raise InvalidInput("codes.exhausted", parent=parent, digits=digits, number=number)
    return f"{parent}{number:0{digits}d}"


def cjt349(community: str, number: int, *, object_class: str = "010000") -> str:
    """A grid's 20 digits by CJ/T 349-2010: object class, county, street, community, sequence (2).

    Parameters
    ----------
    community : str
        12 digits. A grid over several communities has a community part from 601 on.
    number : int
        1-99; 0 where the community is not divided.

    Examples
    --------
    >>> cjt349("500120002001", 3)
    '01000050012000200103'
    """
    if len(community) != 12 or not community.isdigit() or len(object_class) != 6 or not 0 <= number <= 99:
        raise InvalidInput("codes.bad_cjt349", community=community, number=number, object_class=object_class)
    return f"{object_class}{community}{number:02d}"


def from_template(template: str, **values: str | int) -> str:
    """A code by a template of the place, such as ``"{community}-G{number:03d}"``."""
    try:
        _only_plain(template)
        return template.format(**values)
    except (KeyError, ValueError, IndexError) as error:
        raise InvalidInput("codes.bad_template", template=template, known=sorted(values)) from error


def _only_plain(template: str) -> None:
    """Refuse fields that reach into values (``{code.__class__}``): a template comes from outside."""
    for _, name, form, _ in Formatter().parse(template):
        if name is not None and (not name.isidentifier() or "{" in (form or "") or len(form or "") > 8):
            raise ValueError(name)


def west_to_east(points: Sequence[tuple[float, float]], *, row_m: float = 250.0) -> list[int]:
    """Order points as people number: rows from north to south, within a row from west to east.

    Parameters
    ----------
    points : sequence of (x, y)
        Metres, y to the north.
    row_m : float
        Height of a row: points nearer in y than about this are numbered from west to east.

    Examples
    --------
    >>> west_to_east([(500.0, 10.0), (0.0, 0.0), (100.0, 900.0)])
    [2, 1, 0]
    """
    if not points:
        return []
    top = max(y for _, y in points)
    return sorted(range(len(points)), key=lambda i: (int((top - points[i][1]) // row_m), points[i][0], -points[i][1]))


def number_in(code: str, parent: str, *, digits: int) -> int | None:
    """The number that a code gives a cell under its parent; ``None`` if it is not of the form parent + digits.

    Examples
    --------
    >>> number_in("500120002001003", "500120002001", digits=3), number_in("BQ-3", "500120002001", digits=3)
    (3, None)
    """
    number = code.removeprefix(parent)
    is_formed = code == parent + number and len(number) == digits and number.isascii() and number.isdecimal()
    return int(number) if is_formed and int(number) else None


SCHEMES = ("wangge", "cjt349", "template")
"""Ways to write a grid's code: as it is registered, and two that are derived from it."""


@dataclass(frozen=True, slots=True)
class Coded:
    """A cell with its registered code and what that is made of: numbers of the cell and of its parents, top first."""

    code: str
    community: str
    numbers: tuple[int, ...]


def in_scheme(cell: Coded, scheme: str, *, template: str = "", object_class: str = "010000") -> str:
    """A cell's code in another scheme.

    It is derived from the registered one, which is never given again, so the derived one is not either; no second
    registry is needed, and the two can be told from each other at any time.

    Parameters
    ----------
    scheme : str
        One of `SCHEMES`. CJ/T 349 has no code below the grid and two digits for its number.
    template : str
        For ``template``; may name ``code``, ``community``, ``county``, ``street`` (the community's first 6 and 9
        digits), ``number`` (of the cell itself) and ``grid`` (of the grid it lies in).

    Raises
    ------
    InvalidInput
        ``codes.unknown_scheme``, ``codes.grids_only``, ``codes.exhausted``, ``codes.bad_cjt349``,
        ``codes.bad_template``.

    Examples
    --------
    >>> grid = Coded("500120002001003", "500120002001", (3,))
    >>> in_scheme(grid, "cjt349"), in_scheme(grid, "template", template="BQ{street:.3}-{number:02d}")
    ('01000050012000200103', 'BQ500-03')
    """
    if scheme == "wangge":
        return cell.code
    if scheme == "cjt349":
        if len(cell.numbers) != 1:
            raise InvalidInput("codes.grids_only", scheme=scheme, code=cell.code)
        if cell.numbers[0] > 99:
            raise InvalidInput("codes.exhausted", parent=cell.community, digits=2, number=cell.numbers[0])
        return cjt349(cell.community, cell.numbers[0], object_class=object_class)
    if scheme == "template":
        return from_template(
            template,
            code=cell.code,
            community=cell.community,
            county=cell.community[:6],
            street=cell.community[:9],
            grid=cell.numbers[0],
            number=cell.numbers[-1],
        )
    raise InvalidInput("codes.unknown_scheme", scheme=scheme, known=list(SCHEMES))


@dataclass(frozen=True, slots=True)
class NewCell:
    """A cell that waits for its code: the code it was drawn with, its parent's (as drawn), and its tier's digits."""

    code: str
    parent: str
    depth: int
    digits: int


def recode(
    cells: Iterable[NewCell],
    *,
    survivors: Mapping[str, str],
    given: Set[str],
    parents: Mapping[str, str] | None = None,
    keeps_drawn: bool = False,
) -> dict[str, str]:
    """Give cells the codes that they will bear in force: survivors keep theirs, the others take the next free number.

    Parameters
    ----------
    cells : iterable of NewCell
        Of one community. ``parent`` is the community's code at depth 1.
    survivors : mapping of str to str
        From a cell's drawn code to the code of the cell in force that it continues.
    given : set of str
        All codes ever given in the community, retired ones too: none is given again.
    parents : mapping of str to str, optional
        From the code of a cell in force to that of its parent (at depth 1: its community's). A survivor under the same
        parent keeps its code then whatever its form, also where the rules give the tier other digits now. Without it
        the parent is read off the code.
    keeps_drawn : bool
        Whether a cell that continues none keeps the code it was drawn with, where that has the form of its tier and was
        never given: for plans whose codes come from a file.

    Returns
    -------
    dict
        From drawn code to final code. A survivor whose parent did not survive, or that came under another parent,
        is a new cell: its code would name the wrong parent.
    """
    final: dict[str, str] = {}
    listed = sorted(cells, key=lambda cell: (cell.depth, cell.code))
    used = set(given) | ({cell.code for cell in listed} if keeps_drawn else set())
    for cell in listed:
        parent = final.get(cell.parent, cell.parent)
        kept = survivors.get(cell.code)
        if kept is not None and _stays_under(kept, parent, cell.digits, parents):
            final[cell.code] = kept
        elif keeps_drawn and cell.code not in given and _is_formed(cell, parent):
            final[cell.code] = cell.code
        else:
            number = _highest(parent, used, cell.digits) + 1
            final[cell.code] = child_code(parent, number, digits=cell.digits)
            used.add(final[cell.code])
    return final


def _stays_under(kept: str, parent: str, digits: int, parents: Mapping[str, str] | None) -> bool:
    if parents is not None:
        return parents.get(kept) == parent
    return kept.startswith(parent) and len(kept) == len(parent) + digits


def _is_formed(cell: NewCell, parent: str) -> bool:
    return number_in(cell.code, parent, digits=cell.digits) is not None


def _highest(parent: str, codes: Set[str], digits: int) -> int:
    length = len(parent) + digits
    numbers = (code[len(parent) :] for code in codes if len(code) == length and code.startswith(parent))
    return max((int(number) for number in numbers if number.isdigit()), default=0)
