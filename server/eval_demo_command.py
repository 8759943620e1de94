"""`unichunk eval demo`: a whole campaign on simulated robots, with policies whose quality is known."""

from __future__ import annotations

import asyncio
import sys
import time
from dataclasses import dataclass
from pathlib import Path  # noqa: TC003  (tyro reads it at run time)
from typing import TYPE_CHECKING, Final

from unichunk.runtime.errors import UnichunkError
from unichunk.runtime.outcome import EXIT_STATUS, ExitReason
from unichunk.server.eval_extra import need_evaluation
from unichunk.server.say import say
from unichunk.server.usage_error import EXIT_USAGE, UsageError

if TYPE_CHECKING:
    from unichunk.server.evaluation.demo.demonstration import Demonstration

NAME: Final = "unichunk eval demo"

MOST_TRIALS: Final = 1000


@dataclass
class EvalDemo:
    """Run a whole campaign: plan, trials on two simulated SO-101 arms, unblinding, report, verification.

    Three scripted policies succeed with probability 0.9, 0.6 and 0.3. Two automatic operators judge by the simulator's
    truth, blind to the policies, void some trials and guess at random; a second rater judges videos. Everything goes
    through the service, the proxy and the records that campaigns with real robots go through, but for time, which is
    the simulators'. It can be watched in a browser meanwhile.

    Exit status: 0 done and verified; 2 a wrong command line; 3 refused (no simulator, a folder in use), with one line
    on the standard error that says why; 130 interrupted.

    Try: unichunk eval demo --out demo
    """

    out: Path
    """Folder of the campaign; not there yet, or empty."""
    trials: int | None = None
    """K, trials for each policy and layout; 20 where not given."""
    port: int = 0
    """For the campaign's pages and robots; 0: any free one."""
    serve: bool = False
    """Go on showing the campaign's pages when everything is done, until Ctrl-C."""
    seed: int = 0
    """Of the operators' guesses and the rater's slips. Which policy drives when, and how it fares, is drawn anew each
    time."""

    def __call__(self) -> int:
        """Run it; return the exit status."""
        try:
            self._check()
            need_evaluation()
            return self._run()
        except UnichunkError as error:
            say(f"{NAME}: {error}\n", sys.stderr)
            return EXIT_USAGE if isinstance(error, UsageError) else EXIT_STATUS[ExitReason.REFUSED]
        except KeyboardInterrupt:
            say(f"{NAME}: interrupted\n", sys.stderr)
            return EXIT_STATUS[ExitReason.INTERRUPTED]

    def _check(self) -> None:
        if self.trials is not None and not 1 <= self.trials <= MOST_TRIALS:
            raise UsageError(f"--trials: expected 1 to {MOST_TRIALS}, got {self.trials}")
        if not 0 <= self.port <= 65535:
            raise UsageError(f"--port: expected 0 to 65535, got {self.port}")

    def _run(self) -> int:
        from unichunk.server.evaluation.demo.demonstration import demonstrate, keep_serving  # noqa: PLC0415  (an extra)

        began = time.monotonic()
        done = asyncio.run(demonstrate(self.out, trials=self.trials, port=self.port, seed=self.seed, say=_line))
        _line(f"{done.seconds:.0f} s for all trials, {done.rated} of them scored again from their videos")
        self._conclude(done)
        _line(f"{time.monotonic() - began:.0f} s in all; unichunk eval verify {self.out} checks it again")
        if self.serve:
            asyncio.run(keep_serving(self.out, self.port, _line))
        return 0

    def _conclude(self, done: Demonstration) -> None:
        """What follows when every trial is scored: as `eval unblind`, `eval report` and `eval verify` do it."""
        from unichunk.server.evaluation.demo.outcome import outcome_lines, read_analysis  # noqa: PLC0415  (an extra)
        from unichunk.server.evaluation.planning.opening import unblind  # noqa: PLC0415  (an extra)
        from unichunk.server.evaluation.reporting import make_report  # noqa: PLC0415  (an extra)
        from unichunk.server.evaluation.store.verify import verify  # noqa: PLC0415  (an extra)

        unblind(self.out, done.frozen.admin_key)
        _line("unblinded with the admin's key")
        written = make_report(self.out)
        for path in written:
            _line(f"  {path}")
        verified = verify(self.out)
        _line(
            f"verified: {verified.scored} of {verified.total} trials scored, {verified.voids} void and done again, "
            f"head of the log {verified.head}"
        )
        for line in outcome_lines(read_analysis(self.out)):
            _line(line)


def _line(text: str) -> None:
    say(f"{text}\n", sys.stdout)
