"""Policies as compiled graphs: bundles, preprocessing, engines."""

from unichunk.runtime.policy.policy import Policy
from unichunk.runtime.policy.result import PolicyResult

__all__ = ["Policy", "PolicyResult"]
