"""The report of a plan as a page that a planner reads: self-contained HTML, both languages in it, printable on A4.

The page has no script and asks for nothing from outside; its language is chosen by radio buttons that CSS alone
obeys. The figures are those of `gis.plan_report`; maps and histograms are drawn by `plan_report_drawings`.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import shapely
from jinja2 import Environment
from markupsafe import Markup, escape

from gis import messages
from gis.division import Division
from gis.exchange import plan_report_drawings as drawings
from gis.town import Town

MOST_MAPS = 24  # communities drawn in detail
SHOWN_FINDINGS = 200
FOLDER = "exchange"
MARK = "wangge plan report"
"""Near the beginning of every report."""

PROOF_WORDS: Mapping[str, tuple[str, str]] = {
    "none": ("未证明", "not proven"),
    "unproven": ("未证明", "not proven"),
    "bounded": ("有下界", "bounded from below"),
    "optimal": ("已证明最优", "proven optimal"),
}
"""What the kinds of `gis.partition.proof` are called; others are shown as they are."""
PROVEN_KINDS = ("optimal",)


def page(report: Mapping[str, Any], division: Division, town: Town, *, language: str = "zh") -> str:
    """Make the page.

    Parameters
    ----------
    report : mapping
        Of `gis.plan_report.told`: with its sentences.
    division : Division
        The cells that the report is about, for the maps.
    town : Town
        The ground below; what is absent is not drawn.
    language : {"zh", "en", "both"}
        What is shown first; the reader can change it.
    """
    shown = language if language in ("zh", "en", "both") else "zh"
    return _environment().from_string(_own("plan_report_page.html")).render(
        report=report,
        asked=report["asked"],
        got=report["got"],
        proof=report["proof"],
        principles=report["principles"],
        facts=_facts(report),
        css=Markup(_own("plan_report_page.css")),
        patterns=Markup(drawings.PATTERNS),
        overview=Markup(_overview(report, division, town)),
        details=_details(report, division, town),
        histograms=_histograms(report),
        lowest=_lowest(report),
        proof_words=PROOF_WORDS,
        unproven=_unproven(report),
        shown=shown,
        shown_findings=SHOWN_FINDINGS,
    )  # fmt: skip


def is_one(path: Path) -> bool:
    """Whether a file is a report that Wangge wrote, as a page or as JSON, and so may be replaced."""
    try:
        with path.open(encoding="utf-8") as file:
            return MARK in file.read(2_000)
    except (OSError, UnicodeDecodeError):
        return False


@cache
def _own(name: str) -> str:
    return (files("gis") / FOLDER / name).read_text(encoding="utf-8")


@cache
def _environment() -> Environment:
    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.globals |= {"t": both, "word": _word, "told": _told, "noted": _noted}
    environment.filters |= {"num": number, "pct": percent, "said": _said, "way": _way, "reason": _reason}
    return environment


def both(zh: Any, en: Any) -> Markup:
    """A text in both languages; the page shows one, or both."""
    return Markup('<span class="zh" lang="zh">{}</span><span class="en" lang="en">{}</span>').format(zh, en)


def number(value: Any, decimals: int = 0) -> str:
    """A number as people read it; what is missing is a dash."""
    return "–" if value is None else f"{value:,.{decimals}f}"


def percent(value: Any, decimals: int = 1) -> str:
    """A ratio as a percentage."""
    return "–" if value is None else f"{100 * value:.{decimals}f} %"


def _said(text: Mapping[str, str]) -> Markup:
    """A sentence that is there in both languages."""
    return both(text.get("zh", ""), text.get("en", ""))


def _told(code: str, default: str) -> Markup:
    """A sentence of the catalogue in both languages, or what stands for it."""
    known = messages.catalogue("zh")
    return both(*(messages.text(code, {}, language=name) if code in known else default for name in ("zh", "en")))


def _noted(row: Mapping[str, Any]) -> Markup:
    """What a proof says of itself, if it says anything."""
    code = str(row.get("note") or "")
    if code not in messages.catalogue("zh"):
        return Markup("")
    return both(*(messages.text(code, {"key": row["community"], **row}, language=name) for name in ("zh", "en")))


def _reason(row: Mapping[str, Any]) -> Markup:
    """Why a cell is out of band, without its code, which stands beside it."""
    zh, en = row["text"].get("zh", ""), row["text"].get("en", "")
    en = en.removeprefix(f"{row['code']}: ")
    return both(zh.removeprefix(f"{row['code']}："), en[:1].upper() + en[1:])


def _way(relaxation: Mapping[str, Any] | None) -> Markup:
    if not relaxation:
        return escape("–")
    zh, en = (messages.text(relaxation["code"], relaxation["params"], language=name) for name in ("zh", "en"))
    return both(zh, en[:1].upper() + en[1:])


def _word(words: Mapping[str, tuple[str, str]], key: str) -> Markup:
    return both(*words.get(key, (key, key)))


def _unproven(report: Mapping[str, Any]) -> int:
    depth = report["got"]["cells"]["depth"]
    return sum(row["depth"] == depth and not row["is_proven"] for row in report["got"]["out_of_band"])


def _facts(report: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The figures at the head of the page."""
    got, proof = report["got"], report["proof"]
    facts = [
        {
            "figure": percent(tier["passing_ratio"]),
            "zh": f"{tier['name_zh']}户数合规",
            "en": f"{tier['name_en']}: in band",
            "note": f"{tier['in_band'] + tier['tolerated']:,} / {tier['cells']:,}",
        }
        for tier, asked in zip(got["tiers"], report["asked"]["tiers"], strict=True)
        if asked["passes_to"] is not None
    ]
    proven = sum(count for kind, count in proof["counts"].items() if kind in PROVEN_KINDS)
    return [
        *facts,
        {"figure": number(_unproven(report)), "zh": "不合规且未证明原因", "en": "out of band, reason not proven"},
        {
            "figure": number(got["households"]),
            "zh": "户",
            "en": "households",
            "note": both(f"{got['buildings']:,}栋楼", f"{got['buildings']:,} buildings"),
        },
        {"figure": f"{proven} / {got['communities']}", "zh": "社区已证明最优", "en": "communities proven optimal"},
    ]


# --- Drawings --------------------------------------------------------------------------------------------------------


def _layer(town: Town, name: str) -> gpd.GeoDataFrame | None:
    frame = town[name]
    return frame if isinstance(frame, gpd.GeoDataFrame) and len(frame) else None


def _own_communities(division: Division, town: Town) -> gpd.GeoDataFrame | None:
    frame = _layer(town, "communities")
    return (
        None
        if frame is None
        else frame[frame["code"].astype(str).isin(set(division.cells[0]["community"].astype(str)))]
    )


def _tier_cells(report: Mapping[str, Any], division: Division) -> tuple[gpd.GeoDataFrame, list[Mapping[str, Any]]]:
    """The cells of the tier that is shown, and their rows, in the same order."""
    cells = division.cells[report["got"]["cells"]["depth"] - 1]
    rows = {row["code"]: row for row in report["got"]["cells"]["rows"]}
    known = cells[cells["code"].astype(str).isin(set(rows))]
    return known, [rows[code] for code in known["code"].astype(str)]


def _overview(report: Mapping[str, Any], division: Division, town: Town) -> str:
    cells, rows = _tier_cells(report, division)
    if not len(cells):
        return ""
    communities = _own_communities(division, town)
    shapes = np.empty(0, dtype=object) if communities is None else np.asarray(communities.geometry, dtype=object)
    tier = report["asked"]["tiers"][report["got"]["cells"]["depth"] - 1]
    barriers = _layer(town, "barriers")
    if barriers is not None and len(cells) > 400:
        barriers = barriers[barriers["kind"].isin(["arterial", "secondary", "river", "rail"])]
    return drawings.overview(cells, rows, tier, shapes, barriers, label="各网格户数 households of each grid")


def _details(report: Mapping[str, Any], division: Division, town: Town) -> dict[str, Any]:
    """A map of every community with cells out of band, those of the upper tier first."""
    depth = report["got"]["cells"]["depth"]
    out = [row for row in report["got"]["out_of_band"] if row["reason"] != "none_lives"]  # nothing to be seen there
    upper = sorted({row["community"] for row in out if row["depth"] == depth})
    lower = sorted({row["community"] for row in out if row["depth"] > depth} - set(upper))
    names = {row["code"]: row for row in report["got"]["by_community"]}
    maps = [
        {
            "community": names.get(code, {"code": code}),
            "out": [row for row in out if row["community"] == code],
            "svg": Markup(_detail(report, division, town, code)),
        }
        for code in [*upper, *lower][:MOST_MAPS]
    ]
    return {"maps": maps, "left_out": max(len(upper) + len(lower) - MOST_MAPS, 0)}


def _detail(report: Mapping[str, Any], division: Division, town: Town, code: str) -> str:
    depth = report["got"]["cells"]["depth"]
    cells, rows = _tier_cells(report, division)
    here = (cells["community"].astype(str) == code).to_numpy()
    below = None
    if len(division.cells) > depth:
        frame = division.cells[depth]
        below = frame[frame["community"].astype(str) == code]
    below_out = {row["code"]: row for row in report["got"]["out_of_band"] if row["depth"] == depth + 1}
    buildings = _layer(town, "buildings")
    shapes = np.empty(0, dtype=object)
    if buildings is not None:
        shapes = np.asarray(buildings[buildings["community"].astype(str) == code].geometry, dtype=object)
        shapes = shapes[~(shapely.is_missing(shapes) | shapely.is_empty(shapes))]
    return drawings.detail(
        cells[here], [row for row, own in zip(rows, here, strict=True) if own], report["asked"]["tiers"][depth - 1],
        below=below, below_out=below_out, buildings=shapes, barriers=_layer(town, "barriers"), label=code,
    )  # fmt: skip


def _histograms(report: Mapping[str, Any]) -> list[dict[str, Any]]:
    got, drawn = report["got"], []
    for tier, asked in zip(got["tiers"], report["asked"]["tiers"], strict=True):
        if asked["passes_to"] is None:
            continue
        band = (round(asked["passes_from"] or 0), round(asked["passes_to"]))
        drawn.append(
            {
                "title": both(f"{tier['name_zh']}户数", f"Households of each {tier['name_en'].lower()}"),
                "note": both(
                    f"标准 {band[0]}-{band[1]}；斜纹在标准之外", f"Band {band[0]}-{band[1]}; hatched bars are outside"
                ),
                "svg": Markup(drawings.histogram(tier["households_histogram"], band=band, label="households")),
            }
        )
    top = got["tiers"][got["cells"]["depth"] - 1]
    drawn.append(
        {
            "title": both(f"{top['name_zh']}紧凑度", f"Compactness of each {top['name_en'].lower()}"),
            "note": both("4πA/P²；圆为1，正方形为.79", "4πA/P²; a disc has 1, a square .79"),
            "svg": Markup(drawings.histogram(top["compactness_histogram"], band=None, label="compactness", decimals=1)),
        }
    )
    reach = got["cells"]["reach_histogram"]
    if reach:
        drawn.append(
            {
                "title": both(f"{top['name_zh']}步行半径（米）", f"Walking reach of each {top['name_en'].lower()} (m)"),
                "note": both("从最合适的一栋楼到最远住户楼", "from the best building to the farthest inhabited one"),
                "svg": Markup(drawings.histogram(reach, band=None, label="walking reach", unit=" m")),
            }
        )
    return drawn


def _lowest(report: Mapping[str, Any]) -> dict[str, list[Mapping[str, Any]]]:
    """For each principle the three grids that score least, where any scores below 60."""
    rows = report["got"]["cells"]["rows"]
    found = {}
    for principle in report["principles"]["table"]:
        code = principle["code"]
        known = [row for row in rows if row["scores"].get(code) is not None and row["scores"][code] < 60]
        found[code] = sorted(known, key=lambda row: (row["scores"][code], row["code"]))[:3]
    return found
