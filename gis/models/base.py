"""What all tables share: the naming convention, the ltree type, and short forms for columns."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from geoalchemy2 import Geometry
from sqlalchemy import BigInteger, DateTime, Identity, MetaData, Text
from sqlalchemy.dialects.postgresql import INT4RANGE, JSONB, TSTZRANGE, Range
from sqlalchemy.orm import DeclarativeBase, mapped_column
from sqlalchemy.types import UserDefinedType

SRID = 4326

NAMES = {
    "pk": "pk_%(table_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
}


class Ltree(UserDefinedType[str]):
    """PostgreSQL's label tree: a path such as ``210681.210681001.210681001001``."""

    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        """The type's name in DDL."""
        return "LTREE"


class Base(DeclarativeBase):
    """Parent of all tables."""

    metadata = MetaData(naming_convention=NAMES)
    type_annotation_map = {  # noqa: RUF012 - SQLAlchemy reads it as a class attribute
        str: Text(),
        datetime: DateTime(timezone=True),
        dict[str, Any]: JSONB(),
        Range[datetime]: TSTZRANGE(),
        Range[int]: INT4RANGE(),
    }


# MVT feature ids are integers and MapLibre's feature-state needs them: bigint identity everywhere.
Id = Annotated[int, mapped_column(BigInteger, Identity(always=False), primary_key=True)]
Ref = Annotated[int, mapped_column(BigInteger)]


def geometry(kind: str, *, index: bool = True) -> Geometry:
    """A geometry column's type: EPSG:4326 and one kind, never open."""
    return Geometry(kind, srid=SRID, spatial_index=index)


def one_of(column: str, words: tuple[str, ...] | list[str]) -> str:
    """The text of a CHECK that limits a text column to some words."""
    return f"{column} IN ({', '.join(repr(word) for word in words)})"
