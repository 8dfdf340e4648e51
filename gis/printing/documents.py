"""Atlas, notice boards and report as documents of pages."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from importlib.resources import files
from typing import Any

import segno
from jinja2 import Environment
from markupsafe import Markup

from gis.printing import maps
from gis.printing.gathering import Book
from gis.printing.paper import Paper
from gis.worktime import CHINA

MARGIN_MM = 8.0
HEAD_MM = 13.0
FOOT_MM = 4.0
ROW_MM = 4.6


@dataclass(frozen=True)
class Look:
    """How pages look.

    Attributes
    ----------
    paper : Paper
    language : {"zh", "en"}
    phones : bool
        Whether they are printed; the book has them only where they may be.
    place_url : str
        What a QR says of a place; ``{code}`` stands for its code.
    """

    paper: Paper
    language: str = "zh"
    phones: bool = False
    place_url: str = "wangge:place/{code}"


def pieces(kind: str, book: Book, look: Look, *, chosen: Sequence[int], together: int) -> Iterator[str]:
    """Documents that follow one another: an atlas (one page a grid, after an index map and a list), or notice boards.

    Parameters
    ----------
    kind : {"atlas", "boards"}
    chosen : sequence of int
        Numbers of the grids to print.
    together : int
        Pages a document at most; a whole town in one piece would take a gigabyte to lay out.
    """
    numbers = sorted(set(chosen))
    return _atlas(book, look, numbers, together) if kind == "atlas" else _boards(book, look, numbers, together)


def _atlas(book: Book, look: Look, numbers: list[int], together: int) -> Iterator[str]:
    frame = _Frame.of(look.paper)
    columns, rows = _list_shape(look.paper)
    lists = -(-len(numbers) // (columns * rows))
    pages = {number: 2 + lists + i for i, number in enumerate(numbers)}
    sheets: list[dict[str, Any]] = [
        {"kind": "index", "page": 1, "svg": Markup(maps.index_map(book, numbers, frame.whole, pages))}
    ]
    entries = [{"page": pages[number], "cell": book.cells[number]} for number in numbers]
    for i in range(lists):
        part = entries[i * columns * rows : (i + 1) * columns * rows]
        sheets.append(
            {"kind": "list", "page": 2 + i, "columns": [part[k : k + rows] for k in range(0, len(part), rows)]}
        )
    households = sum(book.cells[number].households for number in numbers)
    counts = {
        "zh": f"{len(numbers)}个{book.tier.name_zh}，{households:,}户",
        "en": f"{len(numbers)} cells ({book.tier.name_en}), {households:,} households",
    }
    total = len(sheets) + len(numbers)
    for at in range(0, len(numbers), together):
        for number in numbers[at : at + together]:
            cell = book.cells[number]
            svg, _ = maps.page_map(book, number, frame.map, pages)
            sheets.append({"kind": "cell", "page": pages[number], "cell": cell, "svg": Markup(svg),
                           "small": book.inside.get(cell.id, ())})  # fmt: skip
        yield _rendered("atlas.html", book, look, frame, sheets, pages=total, counts=counts)
        sheets = []


def _boards(book: Book, look: Look, numbers: list[int], together: int) -> Iterator[str]:
    """A notice board a grid: who answers for it, its map, and a QR."""
    digits = book.below.code_digits if book.below else 2
    beside = 8 if look.paper.orientation == "landscape" else 4
    for at in range(0, len(numbers), together):
        sheets = []
        for number in numbers[at : at + together]:
            cell = book.cells[number]
            small = book.inside.get(cell.id, ())
            frame = _Frame.of_board(look.paper, people=len(cell.people), lines=-(-len(small) // beside))
            leaders = [
                {"code": one.code[-digits:], "names": "、".join(who.name for who in one.people if who.name)}
                for one in small
            ]
            sheets.append({"cell": cell, "svg": Markup(maps.board_map(book, number, frame.map)), "map": frame.map,
                           "small": small, "leaders": leaders,
                           "qr": Markup(qr(look.place_url, cell.code))})  # fmt: skip
        yield _rendered("boards.html", book, look, _Frame.of(look.paper), sheets, beside=beside)


def qr(template: str, code: str) -> str:
    """A QR with what stands for a place inside the closed network."""
    out = io.BytesIO()
    segno.make(template.replace("{code}", code), error="m", micro=False).save(
        out, kind="svg", xmldecl=False, svgns=True, omitsize=True, border=2, dark="#22303a"
    )
    return out.getvalue().decode()


@dataclass(frozen=True)
class _Frame:
    """Millimetres of the parts of a page: the map, and what stands beside or below it."""

    map: tuple[float, float]
    side: tuple[float, float, float, float]
    whole: tuple[float, float]
    is_wide: bool

    @classmethod
    def of(cls, paper: Paper) -> _Frame:
        width, height = paper.size_mm
        room = (width - 2 * MARGIN_MM, height - 2 * MARGIN_MM - HEAD_MM - 2 - FOOT_MM)
        top = MARGIN_MM + HEAD_MM + 2
        if paper.orientation == "landscape":
            beside = 66.0 * paper.factor
            chart = (room[0] - beside - 5, room[1])
            return cls(chart, (MARGIN_MM + chart[0] + 5, top, beside, room[1]), room, False)
        below = 78.0 * paper.factor
        chart = (room[0], room[1] - below - 4)
        return cls(chart, (MARGIN_MM, top + chart[1] + 4, room[0], below), room, True)

    @classmethod
    def of_board(cls, paper: Paper, *, people: int, lines: int) -> _Frame:
        """The map has what is left by the title, the people in rows, and the QR or the lines of micro-grids."""
        width, height = paper.size_mm
        rows = -(-people // (int((width - 2 * MARGIN_MM) / (48 * paper.factor)) or 1))
        below = 22 + 8 + 27 * rows + max(41, 9 + 6.5 * lines)
        high = height - MARGIN_MM - FOOT_MM - 8 - below * paper.factor
        chart = (width - 2 * MARGIN_MM - 10, max(high, height * 0.36))
        return cls(chart, (0, 0, 0, 0), chart, False)


def _list_shape(paper: Paper) -> tuple[int, int]:
    """Columns and rows of a list of grids on one page."""
    width, height = paper.size_mm
    high = height - 2 * MARGIN_MM - HEAD_MM - 2 - FOOT_MM
    return max(int((width - 2 * MARGIN_MM) // (88 * paper.factor)), 1), int(high // (ROW_MM * paper.factor)) - 2


def _rendered(
    template: str, book: Book, look: Look, frame: _Frame, sheets: Sequence[Any], **more: Any
) -> str:  # fmt: skip
    width, height = look.paper.size_mm
    columns, _ = _list_shape(look.paper)
    en = look.language == "en"

    def t(zh: Any, english: Any) -> Any:
        return english if en else zh

    shape = {
        "width": width, "height": height, "margin": MARGIN_MM, "head": HEAD_MM, "factor": look.paper.factor,
        "map_w": frame.map[0], "map_h": frame.map[1], "side_x": frame.side[0], "side_y": frame.side[1],
        "side_w": frame.side[2], "side_h": frame.side[3], "qr": 30 * look.paper.factor,
        "list_w": (width - 2 * MARGIN_MM - 5 * (columns - 1)) / columns - 0.1,
    }  # fmt: skip
    css = _environment().from_string(_own("print.css")).render(**shape)
    return _environment().from_string(_own(template)).render(
        css=Markup(css), t=t, en=en, title=book.title, is_draft=book.is_waiting, sheets=sheets,
        phones=look.phones, stamp=_stamp(book, t), sources="Wangge", legend=Markup(_legend(book, t)),
        wide_side=frame.is_wide, index_w=frame.whole[0], index_h=frame.whole[1], map_w=frame.map[0],
        map_h=frame.map[1], below_zh=book.below.name_zh if book.below else "",
        below_en=book.below.name_en if book.below else "", below_digits=book.below.code_digits if book.below else 2,
        tier_zh=book.tier.name_zh, tier_en=book.tier.name_en, **more,
    )  # fmt: skip


def _stamp(book: Book, t: Any) -> str:
    day = _day(book.at)
    if book.is_waiting:
        return str(
            t(
                f"草案，尚未生效；责任人暂列所延续网格在{day}的在岗人员",
                f"Draft, not in force; people as of {day} in the cells that it continues",
            )
        )
    since = _day(book.since) if book.since else "–"
    return str(t(f"{since}起施行；人员以{day}为准", f"In force from {since}; people as of {day}"))


def _day(at: datetime) -> str:
    return f"{at.astimezone(CHINA):%Y-%m-%d}"


def _legend(book: Book, t: Any) -> str:
    lines = [
        ("g", t(book.tier.name_zh + "界", f"border of the {book.tier.name_en.lower()}")),
        ("m", t(f"{book.below.name_zh}界", book.below.name_en.lower()) if book.below else ""),
        ("c", t("社区界", "community")), ("n", t("相邻网格", "other grids")), ("k", t("小区、围墙", "compound, wall")),
        ("w", t("河流", "river")), ("r", t("铁路", "railway")),
    ]  # fmt: skip
    drawn = "".join(
        f'<li><svg viewBox="0 0 14 6">{maps.STYLE}<path class="{name}" d="M0 3H14"/></svg>{words}</li>'
        for name, words in lines
        if words
    )
    tab = (
        '<svg viewBox="0 0 14 6"><rect x="1" y=".4" width="12" height="5.2" rx=".8" fill="#1d5b62"/>'
        '<text x="7" y="4.4" font-size="4" text-anchor="middle" style="fill:#fff">▶8</text></svg>'
    )
    tab += str(t("邻格所在页", "page of neighbour"))
    return f'<h2>{t("图例", "Legend")}</h2><ul class="legend">{drawn}<li>{tab}</li></ul>'


# --- The report ------------------------------------------------------------------------------------------------------

_VARIABLE = re.compile(r"var\((--[\w-]+)\)")
_DRAWING = re.compile(r"<svg\b[^>]*>")


def report(page: str) -> str:
    """The page of a plan's report as a document for paper.

    A drawing on paper knows only the rules and patterns that stand in it.
    """
    from gis.exchange import plan_report_drawings

    css = page[page.index("<style>") + 7 : page.index("</style>")]
    values = dict(re.findall(r"(--[\w-]+):\s*([^;}]+)", css))
    start = css.index("/* Legend and maps */")
    rules = _VARIABLE.sub(lambda found: values.get(found[1], "#000").strip(), css[start : css.index("/* Scores */")]
                          if "/* Scores */" in css else css[start : css.index("@media (max-width")])  # fmt: skip
    defs = plan_report_drawings.PATTERNS
    patterns = defs[defs.index("<defs>") : defs.index("</defs>") + len("</defs>")]
    # Paper draws the halo of a label over its letters.
    font = f"text{{font-family:{maps.FONT}}}.marks text{{stroke:none}}"
    return _DRAWING.sub(lambda found: f"{found[0]}<style>{rules}{font}</style>{patterns}", page)


@cache
def _environment() -> Environment:
    return Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)


@cache
def _own(name: str) -> str:
    return (files("gis") / "printing" / name).read_text(encoding="utf-8")
