"""Alembic migrations; run by `gis.db.migrate`, without an ini file."""
