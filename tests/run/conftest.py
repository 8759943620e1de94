from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.policy.tiny_bundle import write_tiny_bundle
from tests.run.fake_robot import FakeRobot
from unichunk.embodiments.catalogue import load_spec

if TYPE_CHECKING:
    from pathlib import Path

    from unichunk.embodiments.spec import EmbodimentSpec


@pytest.fixture
def spec() -> EmbodimentSpec:
    return load_spec("so101")


@pytest.fixture
def robot(spec: EmbodimentSpec) -> FakeRobot:
    return FakeRobot(spec)


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small policy with chunks long enough for a busy machine."""
    return write_tiny_bundle(tmp_path_factory.mktemp("bundles") / "tiny", chunk_length=24)
