"""Runs a whole SQL script within a migration."""

from __future__ import annotations

from typing import Any

from alembic import op


def run_sql(script: str) -> None:
    """Run statements as they stand: no parameters, so that ``%`` in trigger text needs no doubling."""
    connection: Any = op.get_bind().connection
    with connection.cursor() as cursor:
        cursor.execute(script)
