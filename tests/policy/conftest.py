"""Fixtures of the policy tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.policy.tiny_bundle import write_tiny_bundle
from unichunk.runtime.policy import Policy

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """A valid bundle of the test's own, to read or to damage."""
    return write_tiny_bundle(tmp_path / "tiny")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A valid bundle that nobody damages."""
    return write_tiny_bundle(tmp_path_factory.mktemp("policy") / "tiny")


@pytest.fixture
def policy(folder: Path) -> Policy:
    """A policy of its own for each test."""
    return Policy.load(folder)
