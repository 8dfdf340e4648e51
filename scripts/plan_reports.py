"""Writes the report of a plan to a file: a page, or JSON by the file's name."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gis import plan_report
from gis.division import Division
from gis.exchange import plan_report_page
from gis.town import Town


def write(path: Path, report: Mapping[str, Any], division: Division, town: Town, *, language: str) -> None:
    """Write a report of `gis.plan_report.collect`; ``.json`` for machines, else a page."""
    told = plan_report.told(report)
    if path.suffix == ".json":
        content = json.dumps(told, ensure_ascii=False, indent=1)
    else:
        content = plan_report_page.page(told, division, town, language=language)
    path.write_text(content + "\n", encoding="utf-8")
