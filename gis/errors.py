"""Errors of the domain: a stable code and its parameters, never a sentence.

::

    GridError(code, **params)
    ├─ InvalidInput     the caller's data or words are wrong
    │  ├─ InvalidGeometry
    │  ├─ UnknownCrs
    │  └─ InvalidPlan       carries ``violations``
    ├─ NotSignedIn      nobody, or a session that has ended
    ├─ NotAllowed       the grant is missing
    ├─ NotFound
    ├─ Conflict         the world has moved on
    │  ├─ StaleRevision
    │  ├─ WrongState
    │  └─ Overlap
    ├─ Infeasible       no partition satisfies the demands; names the binding one
    └─ Unavailable      database away, PostGIS missing, time-out

The text for people is found under the code in ``gis/locale`` (see `gis.messages`); the HTTP status under the
class in ``api/errors.py``; the exit code of the command line under the class in ``scripts/cli.py``.
"""

from __future__ import annotations

from typing import Any


class GridError(Exception):
    """Base of all errors that Wangge raises on purpose.

    Parameters
    ----------
    code : str
        Stable dotted name such as ``"plan.overlaps_published"``; also the key of the message.
    **params
        Plain values (str, int, float, bool, list, None) that the message quotes.
    """

    def __init__(self, code: str, /, **params: Any) -> None:
        super().__init__(code, params)
        self.code = code
        self.params = params

    def __str__(self) -> str:
        detail = ", ".join(f"{key}={value!r}" for key, value in self.params.items())
        return f"{self.code}({detail})"

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self.code, self.params)


def _rebuild(kind: type[GridError], code: str, params: dict[str, Any]) -> GridError:
    return kind(code, **params)


class InvalidInput(GridError): ...


class InvalidGeometry(InvalidInput): ...


class UnknownCrs(InvalidInput): ...


class InvalidPlan(InvalidInput): ...


class NotSignedIn(GridError): ...


class NotAllowed(GridError): ...


class NotFound(GridError): ...


class Conflict(GridError): ...


class StaleRevision(Conflict): ...


class WrongState(Conflict): ...


class Overlap(Conflict): ...


class Infeasible(GridError): ...


class Unavailable(GridError): ...
