"""Policies as compiled graphs: bundles, preprocessing, engines."""

from unichunk.runtime.policy.engines.options import EngineOptions
from unichunk.runtime.policy.policy import Policy
from unichunk.runtime.policy.result import PolicyResult

__all__ = ["EngineOptions", "Policy", "PolicyResult"]
