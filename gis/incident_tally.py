"""Upkeep of what triggers write beside the incidents: counts summed up, old news cleared away."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import text
from sqlalchemy.orm import Session

NEWS_KEPT = timedelta(days=3)


def sum_up(session: Session) -> int:
    """Put the rows of each count together; gives how many rows were put together.

    Readers see the rows before or after, the sums are the same. Rows that come meanwhile stay for the next time.
    """
    session.execute(text("SELECT pg_advisory_xact_lock(7306815)"))
    gone = session.execute(
        text(
            """
            WITH many AS (
                SELECT kind, month, area_id, key FROM incident_tally GROUP BY 1, 2, 3, 4 HAVING count(*) > 1
            ), gone AS (
                DELETE FROM incident_tally AS t USING many AS m
                WHERE t.kind = m.kind AND t.month = m.month AND t.area_id IS NOT DISTINCT FROM m.area_id
                    AND t.key IS NOT DISTINCT FROM m.key
                RETURNING t.*
            ), put AS (
                INSERT INTO incident_tally (kind, month, area_id, key, total, open)
                SELECT kind, month, area_id, key, sum(total), sum(open) FROM gone GROUP BY 1, 2, 3, 4
                HAVING sum(total) <> 0 OR sum(open) <> 0
            )
            SELECT count(*) FROM gone
            """
        )
    )
    return int(gone.scalar_one())


def clear_news(session: Session, *, now: datetime) -> None:
    """Clear news away that nobody will ask for any more; the last one stays, for its number."""
    session.execute(
        text("DELETE FROM live_event WHERE at < :before AND id < (SELECT max(id) FROM live_event)"),
        {"before": now - NEWS_KEPT},
    )
