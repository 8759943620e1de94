"""The errors of the runtime, one root for the whole package."""

from __future__ import annotations


class UnichunkError(Exception):
    """Root of every error this project raises on purpose.

    The message is one line that a person can act on: what happened, with which value, what was expected, what to do.
    """


class BundleError(UnichunkError):
    """A policy bundle that is missing something, was changed, or does not fit."""


class EngineError(UnichunkError):
    """An engine that cannot run a policy's graphs here: not installed, without its device, or out of its memory."""


class CheckpointError(UnichunkError):
    """A checkpoint, or what was asked of it, that cannot become a policy: missing, damaged, or of another kind."""


class ObservationError(UnichunkError, ValueError):
    """An observation that the policy cannot take: a missing key, a wrong shape or type."""


class PolicyError(UnichunkError):
    """A policy that failed or answered something that must not reach a robot."""


class PolicyLate(PolicyError):
    """No answer from a policy somewhere else, in time or at all: nothing was wrong with it, and the next may come."""


class AdmissionError(UnichunkError):
    """A latency that the policy's chunk length cannot cover: refused before the robot moves."""


class ReportError(UnichunkError):
    """A report that cannot be written where it was asked for."""
