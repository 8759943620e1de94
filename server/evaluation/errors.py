"""What can go wrong in an evaluation; every message is one line that says what, which value, and what to do."""

from __future__ import annotations

from unichunk.runtime.errors import UnichunkError


class EvaluationError(UnichunkError):
    """Anything of an evaluation."""


class BadCampaign(EvaluationError):
    """A campaign that cannot be planned as it is written: the key path, the value, what was expected."""


class BundleChanged(EvaluationError):
    """A policy is not the one whose hash was frozen."""


class NotNow(EvaluationError):
    """A command that does not fit what a trial or the campaign is in: a score for a trial that does not run."""


class NotAllowed(EvaluationError):
    """Somebody asked for what their role may not."""


class NotFound(EvaluationError):
    """No such trial, robot or campaign."""


class StoreUnavailable(EvaluationError):
    """The database took nothing: full disk, lost connection. Nothing was recorded."""


class Tampered(EvaluationError):
    """The records contradict each other, the signatures or the commitment."""


class Sealed(EvaluationError):
    """What is asked for is sealed until the plan is complete, or without the admin key."""
