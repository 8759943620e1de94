"""One fixture, all robots: a new spec joins every test of this folder by being there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from unichunk.embodiments.spec import embodiment_names, load_spec

if TYPE_CHECKING:
    from unichunk.embodiments.spec import EmbodimentSpec


@pytest.fixture(params=embodiment_names())
def spec(request: pytest.FixtureRequest) -> EmbodimentSpec:
    """The spec of each embodiment that ships with the project."""
    return load_spec(request.param)
