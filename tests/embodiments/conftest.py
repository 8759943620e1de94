"""One fixture, all robots: a new spec joins every test of this folder by being there."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from unichunk.embodiments.catalogue import embodiment_names, load_spec

if TYPE_CHECKING:
    from unichunk.embodiments.spec import EmbodimentSpec


OWN = os.environ.get("UNICHUNK_SPECS", "").split()
"""Paths of specs that shall pass the same tests."""


@pytest.fixture(params=[*embodiment_names(), *OWN], scope="session")
def spec(request: pytest.FixtureRequest) -> EmbodimentSpec:
    """The spec of each embodiment that ships with the project, and of those that `UNICHUNK_SPECS` names."""
    return load_spec(request.param)
