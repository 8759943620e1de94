"""Fixtures of the policy tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.policy.tiny_bundle import write_tiny_bundle

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """A valid bundle of the test's own, to read or to damage."""
    return write_tiny_bundle(tmp_path / "tiny")
