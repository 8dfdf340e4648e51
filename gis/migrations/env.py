"""Runs the migrations on the connection that `gis.db.migrate` hands over."""

from __future__ import annotations

from typing import Any

from alembic import context
from geoalchemy2 import alembic_helpers

from gis.models import Base

config = context.config


def include_object(item: Any, name: str | None, kind: str, reflected: bool, compare_to: Any) -> bool:
    """Leave out what others own: PostGIS's tables, procrastinate's, and spatial indexes, which GeoAlchemy2 makes."""
    if name is not None and name.removeprefix("idx_").startswith("procrastinate_"):
        return False
    return bool(alembic_helpers.include_object(item, name, kind, reflected, compare_to))  # type: ignore[no-untyped-call]


context.configure(
    connection=config.attributes["connection"],
    target_metadata=Base.metadata,
    include_object=include_object,
    process_revision_directives=alembic_helpers.writer,
    render_item=alembic_helpers.render_item,
)
with context.begin_transaction():
    context.run_migrations()
