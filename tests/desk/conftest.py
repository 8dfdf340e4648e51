"""The served town of the tests of the API."""

from tests.api.conftest import built

__all__ = ["built"]
