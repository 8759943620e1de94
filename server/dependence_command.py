"""`unichunk dependence`: whether a policy still looks where its prefix is locked, asked of what a run recorded."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path  # noqa: TC003  (tyro reads it at run time)
from typing import TYPE_CHECKING, Final

import tyro  # noqa: TC002  (read at run time)

from unichunk.runtime.errors import UnichunkError
from unichunk.runtime.outcome import EXIT_STATUS, ExitReason
from unichunk.runtime.policy import Policy
from unichunk.runtime.policy.dependence import FEWEST, HARDLY, LEAST_CHANGE, policy_dependence
from unichunk.runtime.recorded_observations import RecordedObservations
from unichunk.server.run_command import shipped_bundle
from unichunk.server.say import say

if TYPE_CHECKING:
    from unichunk.runtime.policy.dependence import Dependence

EXIT_HARDLY: Final = 1
"""Exit status where the policy hardly looks."""


@dataclass
class DependenceCheck:
    """Ask whether a policy's rows depend on what it sees, or only on the prefix that is locked.

    A policy that was trained with delays on clean demonstrations can learn to go on from its prefix and to look past
    its pictures; its errors then feed themselves. Every recorded moment is asked again with its own pictures and with
    those of another moment, with its prefix and without: four inferences each, while no robot moves.

    Exit status: 0 it looks, or there was nothing to look at; 1 it hardly does; 3 refused, with one line on the standard
    error that says why.

    Try: unichunk run --embodiment so101 --sim --duration 20 --record-observations run.npz, then unichunk dependence
    run.npz
    """

    recording: tyro.conf.Positional[Path]
    """File of `unichunk run --record-observations`."""
    policy: Path | None = None
    """The bundle that was asked, or another one with the same keys. Without it, the one that ships for the robot."""

    def __call__(self) -> int:
        """Measure and say; return the exit status."""
        try:
            recorded = RecordedObservations.read(self.recording)
            bundle = self.policy or shipped_bundle(recorded.embodiment)
            policy = Policy.load(bundle, embodiment=recorded.embodiment)
            if not policy.locks:
                raise UnichunkError(f"{bundle}: this policy does not lock; what it predicts depends on no prefix")
            found = policy_dependence(policy, recorded.questions)
        except UnichunkError as error:
            say(f"unichunk dependence: {error}\n", sys.stderr)
            return EXIT_STATUS[ExitReason.REFUSED]
        say(f"{policy.manifest.name} on {recorded.embodiment}: {in_words(found)}\n", sys.stdout)
        return EXIT_HARDLY if found.hardly else 0


def in_words(found: Dependence) -> str:
    """What was measured and what it means, one line."""
    if found.moments < FEWEST:
        return f"{found.moments} moments with a locked prefix, expected at least {FEWEST}; record a longer run"
    changes = f"over {found.moments} moments, {found.locked:.3f} with the prefix locked, {found.alone:.3f} without"
    if found.ratio is None:
        return (
            f"other pictures hardly change its rows, prefix or not ({changes}; expected {LEAST_CHANGE:g} or more): "
            "record a run in which there is something to react to"
        )
    measured = f"dependence on what it sees {found.ratio:.2f} (change of its rows by other pictures, {changes})"
    if not found.hardly:
        return measured
    return (
        f"{measured}: WARNING, below {HARDLY:g} the rows hardly depend on the pictures where a prefix is locked; the "
        "demonstrations' actions may have been too clean: record noise with them, or put noise on the locked rows in "
        "training"
    )
