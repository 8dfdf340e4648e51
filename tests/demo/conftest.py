from __future__ import annotations

from functools import cache

import pytest

from gis.demo import make_town
from gis.town import Town


@cache
def made(seed: int) -> Town:
    return make_town(seed=seed)


@pytest.fixture(params=[1, 7])
def town(request: pytest.FixtureRequest) -> Town:
    """Two towns of different seeds, made once a process."""
    return made(request.param)


@pytest.fixture
def first_town() -> Town:
    return made(1)


@pytest.fixture
def other_town() -> Town:
    return made(7)
