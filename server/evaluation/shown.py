"""Makes what people see from the book: nothing that goes in depends on a policy, so nothing that comes out does."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from unichunk.server.evaluation.ledger.trial import TrialState
from unichunk.server.evaluation.views import Afterwards, Progress, Proposal, RatingView, RobotStatus, TrialView

if TYPE_CHECKING:
    from collections.abc import Iterable

    from unichunk.server.evaluation.driven_robots import DrivenRobot
    from unichunk.server.evaluation.drives import Drives
    from unichunk.server.evaluation.leases import Leases
    from unichunk.server.evaluation.ledger.book import Book
    from unichunk.server.evaluation.ledger.trial import Trial
    from unichunk.server.evaluation.recorded_video import RecordedVideo

SAID: Final = {
    "policy lost": "stopped by the server",
    "server ended": "stopped by the server",
    "robot lost": "the robot was lost",
    "emergency stop": "emergency stop",
}
"""What is said of an interruption: a policy that dies looks like a server that ended, for whoever knows which one
dies often."""


@dataclass(frozen=True)
class Shown:
    """Views of one moment.

    Args:
        book: The campaign; nobody changes it meanwhile.
        drives: What runs.
        leases: What is taken.
    """

    book: Book
    drives: Drives
    leases: Leases

    def trial(self, trial: Trial) -> TrialView:
        """A trial, for its operator."""
        task = self.book.task_of(trial)
        layout = next(layout for layout in self.book.plan.campaign.layouts if layout.name == trial.layout)
        elapsed_s = self.drives.elapsed_s(trial.id)
        waits = trial.state in {TrialState.LEASED, TrialState.ARMED}
        return TrialView(
            trial=trial.id,
            number=self.number(trial),
            total=len(self.book.plan.slots),
            state=trial.state.value,
            task=task.name,
            instruction=task.instruction,
            success=task.success,
            rubric=task.rubric,
            layout=layout.name,
            description=layout.description,
            photo=layout.photo_sha256,
            robot=trial.robot,
            operator=trial.operator,
            timeout_s=task.timeout_s,
            elapsed_s=trial.duration_s if elapsed_s is None else elapsed_s,
            lease_left_s=self.leases.left_s(trial.id) if waits else None,
            # What somebody gave as the reason of a void is shown as it is; all else is a code.
            reason=trial.reason if trial.state is TrialState.VOID else SAID.get(trial.reason, ""),
            version=trial.version,
        )

    def number(self, trial: Trial) -> int:
        """A trial's place among those that count or will, from 1; of a void one: where it would stand."""
        return 1 + sum(
            one.position < trial.position and one.state is not TrialState.VOID for one in self.book.trials.values()
        )

    def layouts(self) -> tuple[Progress, ...]:
        """How far each layout is."""
        total = Counter(slot.layout for slot in self.book.plan.slots)
        scored = Counter(self.book.trials[trial].layout for trial in self.book.judged)
        return tuple(Progress(name=name, scored=scored[name], total=total[name]) for name in total)

    def tasks(self) -> tuple[Progress, ...]:
        """How far each task is."""
        campaign = self.book.plan.campaign
        task_of = {layout.name: layout.task for layout in campaign.layouts}
        scored: Counter[str] = Counter()
        total: Counter[str] = Counter()
        for layout in self.layouts():
            scored[task_of[layout.name]] += layout.scored
            total[task_of[layout.name]] += layout.total
        return tuple(
            Progress(name=task.name, scored=scored[task.name], total=total[task.name]) for task in campaign.tasks
        )

    def robots(self, robots: Iterable[DrivenRobot]) -> tuple[RobotStatus, ...]:
        """All robots, as they are."""
        return tuple(
            RobotStatus(
                name=robot.name,
                connected=robot.connected,
                last_seen_s=robot.last_seen_s,
                mode=robot.mode,
                at_home=robot.at_home,
                operator=held.operator if (held := self.book.held_on(robot.name)) is not None else "",
                cameras=robot.cameras,
            )
            for robot in sorted(robots, key=lambda robot: robot.name)
        )

    def afterwards(self, operator: str) -> Afterwards | None:
        """What an operator may be asked about the trial judged last; None where nothing."""
        judged = [one for trial in self.book.judged if (one := self.book.trials[trial]).operator == operator]
        if not judged or self.book.opened:
            return None
        campaign = self.book.plan.campaign
        last = judged[-1]
        guess = campaign.blinding.guesses and last.id not in self.book.guesses
        other = self._comparable(judged) if campaign.rules.preferences else None
        if not guess and other is None:
            return None
        return Afterwards(
            trial=last.id,
            number=self.number(last),
            policies=tuple(sorted(policy.name for policy in campaign.policies)) if guess else (),
            other="" if other is None else other.id,
            other_number=0 if other is None else self.number(other),
        )

    def proposals(self) -> tuple[Proposal, ...]:
        """Unblindings that nobody has confirmed."""
        return tuple(
            Proposal(
                trial=one.trial, number=self.number(self.book.trials[one.trial]), by=one.proposed_by, reason=one.reason
            )
            for one in self.book.unblindings.values()
            if not one.confirmed_by
        )

    def to_rate(self, rater: str) -> list[Trial]:
        """What a second rater has not judged, and may."""
        if not self.book.plan.campaign.rules.second_rater or self.book.opened:
            return []
        judged = (self.book.trials[trial] for trial in self.book.judged)
        return [trial for trial in judged if trial.operator != rater and (trial.id, rater) not in self.book.ratings]

    def video(self, trial: Trial, video: str, recorded: RecordedVideo) -> RatingView:
        """A recorded trial, for a second rater."""
        shown = self.trial(trial)
        return RatingView(
            video=video,
            task=shown.task,
            instruction=shown.instruction,
            success=shown.success,
            rubric=shown.rubric,
            layout=shown.layout,
            description=shown.description,
            photo=shown.photo,
            cameras=recorded.cameras,
            frames=recorded.frames,
            fps=recorded.fps,
        )

    def _comparable(self, judged: list[Trial]) -> Trial | None:
        """The operator's trial before the last one, if it is of the same task and the two were not compared."""
        last = judged[-1]
        task = self.book.task_of(last)
        before = next((one for one in reversed(judged[:-1]) if self.book.task_of(one) == task), None)
        if before is None or frozenset({before.id, last.id}) in self.book.preferences:
            return None
        return before
