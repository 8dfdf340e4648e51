"""What a redraw moves, as a table for people (CSV) or in full for machines (JSON, if the name ends so)."""

from __future__ import annotations

import csv
import json
from pathlib import Path

from gis.exchange.town_file import replacing
from gis.partition.moves import ROW_COLUMNS, Moves


def write(moves: Moves, path: Path) -> None:
    """Write moves; a file that is there is replaced.

    Raises
    ------
    Unavailable
        ``import.cannot_write``.
    """
    with replacing(path) as temporary:
        if path.suffix.lower() == ".json":
            temporary.write_text(json.dumps(moves.as_dict(), ensure_ascii=False, indent=1), encoding="utf-8")
        else:
            # With a byte order mark, without which spreadsheets take Chinese for Latin.
            moves.rows.to_csv(temporary, index=False, encoding="utf-8-sig", quoting=csv.QUOTE_MINIMAL)


def is_one(path: Path) -> bool:
    """Whether a file is one that `write` wrote."""
    try:
        if path.suffix.lower() == ".json":
            return set(json.loads(path.read_text(encoding="utf-8"))) == {"tiers", "moved", "lineage"}
        with path.open(encoding="utf-8-sig", newline="") as lines:
            return next(csv.reader(lines), []) == list(ROW_COLUMNS)
    except (OSError, ValueError, TypeError):
        return False
