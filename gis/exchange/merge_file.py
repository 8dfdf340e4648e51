"""What a merging of line networks hands on: the share matrix as a table or workbook, and gaps and overlaps as a map."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import geopandas as gpd
import pandas as pd
import pyogrio
from openpyxl import Workbook
from openpyxl.styles import Font
from openpyxl.utils import get_column_letter

from gis.errors import InvalidInput
from gis.exchange.town_file import replacing
from gis.partition.merging import Merged
from gis.partition.networks import Overview

SHARE_SUFFIXES = (".csv", ".xlsx")
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_SHEET_NAME_LONGEST = 31
_MATRIX_WIDEST = 16_000  # columns of a sheet, less a few

WORDS: Mapping[str, Mapping[str, str]] = {
    "zh": {
        "network": "条线", "old": "原网格", "new": "新网格", "households": "户数", "area_m2": "面积（平方米）",
        "old_percent": "占原网格%", "old_area_percent": "占原网格面积%", "new_percent": "占新网格%",
        "responsible": "原负责人", "others": "其余原网格数", "outside": "社区外", "none": "无网格", "total": "合计",
        "shares": "份额", "handover": "交接",
    },
    "en": {
        "network": "network", "old": "old cell", "new": "new grid", "households": "households", "area_m2": "area m²",
        "old_percent": "% of old cell", "old_area_percent": "% of old cell's area", "new_percent": "% of new grid",
        "responsible": "responsible before", "others": "other old cells", "outside": "outside", "none": "in no cell",
        "total": "total", "shares": "shares", "handover": "handover",
    },
}  # fmt: skip


def write_shares(merged: Merged, path: Path, *, language: str = "zh") -> None:
    """Write the share matrix: as a CSV file (one row a pair), or as a workbook with one matrix a network besides.

    Raises
    ------
    InvalidInput
        ``merge.unknown_table`` if the name ends in neither ``.csv`` nor ``.xlsx``.
    Unavailable
        ``import.cannot_write``.
    """
    suffix = path.suffix.lower()
    if suffix not in SHARE_SUFFIXES:
        raise InvalidInput("merge.unknown_table", path=path.name, known=list(SHARE_SUFFIXES))
    words = WORDS[language]
    table = _long(merged.shares, words)
    with replacing(path) as temporary:
        if suffix == ".csv":
            table.to_csv(temporary, index=False, encoding="utf-8-sig")  # with the mark that Excel needs
        else:
            _workbook(merged, table, words).save(temporary)


def _long(shares: pd.DataFrame, words: Mapping[str, str]) -> pd.DataFrame:
    made = pd.DataFrame(
        {
            "network": shares["network"].map(_safe),
            "old": shares["old"].fillna(words["none"]).map(_safe),
            "new": shares["new"].fillna(words["outside"]),
            "households": shares["households"],
            "area_m2": shares["area_m2"].round(1),
            "old_percent": _percent(shares["old_hundredths"]),
            "old_area_percent": _percent(shares["old_area_hundredths"]),
            "new_percent": _percent(shares["new_hundredths"]),
            "responsible": shares["responsible"].map(_safe),
        }
    )
    return made.rename(columns=dict(words))


def _percent(hundredths: pd.Series) -> pd.Series:
    return (hundredths / 100).round(2)


def _safe(value: Any) -> Any:
    """Text that a spreadsheet would take for a formula gets an apostrophe."""
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value


def _workbook(merged: Merged, table: pd.DataFrame, words: Mapping[str, str]) -> Workbook:
    book = Workbook()
    book.remove(book.active)
    _sheet(book, words["shares"], table)
    people = merged.handover.assign(new_percent=lambda f: _percent(f["new_hundredths"])).drop(columns="new_hundredths")
    people = people.assign(
        old=people["old"].fillna(words["none"]).map(_safe),
        network=people["network"].map(_safe),
        responsible=people["responsible"].map(_safe),
    )
    _sheet(book, words["handover"], people.rename(columns=dict(words)))
    for network, of in merged.shares.groupby("network", sort=False):
        _sheet(book, str(network), _matrix(of, words))
    return book


def _matrix(shares: pd.DataFrame, words: Mapping[str, str]) -> pd.DataFrame:
    """Old cells down, new grids across, percent of the old cell; each row adds up to 100."""
    cells = shares.dropna(subset=["old"])
    wide = cells.assign(new=cells["new"].fillna(words["outside"])).pivot_table(
        index="old", columns="new", values="old_hundredths", aggfunc="sum", sort=False
    )
    wide = wide.reindex(sorted(wide.columns, key=lambda name: (name == words["outside"], name)), axis=1)
    wide = wide.where(wide > 0)
    total = wide.sum(axis=1)
    wide = (wide.astype("Float64") / 100).iloc[:, :_MATRIX_WIDEST]
    wide.insert(0, words["total"], total.astype("Float64") / 100)
    wide.index = wide.index.map(_safe).rename(words["old"])
    return wide.reset_index()


def _sheet(book: Workbook, title: str, frame: pd.DataFrame) -> None:
    allowed = "".join("-" if letter in r"[]:*?/\'" else letter for letter in title)[:_SHEET_NAME_LONGEST] or "-"
    sheet = book.create_sheet(allowed)  # a title that is there already gets a number
    sheet.append([str(column) for column in frame.columns])
    for cell in sheet[1]:
        cell.font = Font(bold=True)
    for row in frame.astype(object).where(frame.notna(), None).itertuples(index=False):
        sheet.append(list(row))
    sheet.freeze_panes = "B2"
    for at, column in enumerate(frame.columns[:9], start=1):
        sheet.column_dimensions[get_column_letter(at)].width = max(12, 2 * len(str(column)))


def write_gaps(overview: Overview, path: Path) -> None:
    """Write the ground that no cell holds (``gaps``) and that two hold (``overlaps``) as a GeoPackage.

    Raises
    ------
    Unavailable
        ``import.cannot_write``.
    """
    with replacing(path) as temporary:
        for layer, frame in (("gaps", overview.gaps), ("overlaps", overview.overlaps)):
            _write_layer(frame, layer, temporary)


def _write_layer(frame: gpd.GeoDataFrame, layer: str, path: Path) -> None:
    text = [c for c in frame.columns if isinstance(frame[c].dtype, pd.StringDtype)]
    plain = frame.assign(**{c: frame[c].astype(object) for c in text})
    pyogrio.write_dataframe(
        plain, path, layer=layer, driver="GPKG", geometry_type="MultiPolygon", promote_to_multi=True,
        append=path.exists(),
    )  # fmt: skip
