"""A small campaign, frozen in a folder the way `unichunk eval plan` does it, for tests of what comes after."""

from __future__ import annotations

from unichunk.benchmarks.evaluated.small_campaign import ADA, ANN, BOB, EVE, RAY, Small, small, write_folder

__all__ = ["ADA", "ANN", "BOB", "EVE", "RAY", "Small", "small", "write_folder"]
