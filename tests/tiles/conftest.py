"""The served town of the API's tests."""

from tests.api.conftest import built, service, shared

__all__ = ["built", "service", "shared"]
