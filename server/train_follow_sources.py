"""One robot's part of the training of the policies that follow: its demonstrations, its values, its metadata."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from unichunk.embodiments.sim.demonstrations import Demonstrations
from unichunk.embodiments.sim.expert import Expert
from unichunk.embodiments.sim.hands import POSTURES, Hands
from unichunk.embodiments.sim.policy_values import PolicyValues
from unichunk.runtime.state_forward import expected_joints
from unichunk.runtime.train.batches import Source
from unichunk.runtime.train.delays import DelayDistribution
from unichunk.runtime.train.samples import TrainingData
from unichunk.server.train_follow_phrases import phrases

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from unichunk.embodiments.spec import EmbodimentSpec
    from unichunk.runtime.compile.prompt import Prompt
    from unichunk.runtime.policy.manifest import StateTime

CAMERAS: Final = {
    "so101": "third_person",
    "fr3_inspire": "front",
    "g1_o6": "head",
    "adam_u": "head_left",
    "d1": "head",
}
"""The view of each robot's policy; the first camera of a robot that is not named here."""


@dataclass(frozen=True)
class RobotDemonstrations:
    """A robot and its demonstrations.

    Attributes:
        spec: The robot.
        camera: The view that was recorded.
        demonstrations: What was recorded.
        share: Of the observations of a batch, relative to the other robots'.
    """

    spec: EmbodimentSpec
    camera: str
    demonstrations: Demonstrations
    share: float = 1.0

    @property
    def executed(self) -> NDArray[np.float64]:
        """All executed rows, shape (N, n), [rad]."""
        return self.demonstrations.rows.reshape(-1, len(self.spec.joints))


def camera_of(spec: EmbodimentSpec) -> str:
    """Which camera a robot's policy sees through."""
    return CAMERAS.get(spec.name, next(iter(spec.cameras)))


def source(
    robot: RobotDemonstrations, prompt: Prompt, rows: int, max_delay: int, state_time: StateTime = "observation"
) -> Source:
    """A robot's part of the training.

    Args:
        robot: The robot.
        prompt: Of the policy.
        rows: T of a chunk.
        max_delay: Longest prefix to lock.
        state_time: Tick whose state the policy is told.
    """
    spec, demonstrations = robot.spec, robot.demonstrations
    values, expert = PolicyValues(spec, robot.executed), Expert(spec)

    def plan(last: NDArray[np.float32], goal: NDArray[np.float32]) -> NDArray[np.float32]:
        return values.encode(expert.continuation(values.decode(last), values.decode(goal), rows))

    def expected(index: NDArray[np.int64], delay: NDArray[np.int64]) -> NDArray[np.float32]:
        episode, tick = demonstrations.episode[index], demonstrations.tick[index]
        # Tick k executed row k + 1.
        ran, last = demonstrations.rows[episode, tick], demonstrations.rows[episode, tick + delay]
        return values.encode(expected_joints(demonstrations.q[index].astype(np.float64), ran, last, spec.limits))

    data = TrainingData(
        slots=values.slots,
        images=demonstrations.images,
        state=values.encode(demonstrations.q.astype(np.float64)),
        goals=values.encode(_in_all_postures(spec, demonstrations.goal.astype(np.float64))),
        followed=np.stack([demonstrations.followed, demonstrations.posture], axis=1),
        rows=values.encode(demonstrations.rows),
        episode=demonstrations.episode,
        tick=demonstrations.tick,
        most_locked=demonstrations.most_locked,
        tokens=instruction_tokens(spec, prompt),
        plan=plan,
        expected=expected if state_time == "takeover" else None,
    )
    delays = DelayDistribution(
        action_hz=spec.action_hz,
        median_latency_s=spec.expected_latency_s,
        margin_ticks=spec.delay_margin_ticks,
        max_delay=max_delay,
    )
    return Source(spec.name, data, delays, robot.share)


def instruction_tokens(spec: EmbodimentSpec, prompt: Prompt) -> NDArray[np.int64]:
    """Token ids after the state of all instructions, shape (blocks, postures, instructions, L), padded with -1."""
    said = phrases(spec)
    ids = [[prompt.text_ids(text) for text in texts] for texts in said.values()]
    longest = max(len(text) for texts in ids for text in texts)
    padded = [[[*text, *[-1] * (longest - len(text))] for text in texts] for texts in ids]
    return np.array(padded, dtype=np.int64).reshape(-1, len(POSTURES), len(ids[0]), longest)


def metadata(robot: RobotDemonstrations) -> dict[str, Any]:
    """The robot's entry of the dataset's metadata; state and action have the same statistics."""
    spec = robot.spec
    camera = spec.cameras[robot.camera]
    statistics = PolicyValues(spec, robot.executed).statistics(robot.executed)
    shapes = {
        name: {"absolute": True, "rotation_type": None, "shape": [len(group.joints)], "continuous": True}
        for name, group in spec.groups.items()
    }
    # The rate of the recorded observations, one a tick: `unichunk compile` takes it for the actions' rate.
    view = {"resolution": [camera.width, camera.height], "channels": 3, "fps": float(spec.action_hz)}
    return {
        "statistics": {"state": statistics, "action": statistics},
        "modalities": {"video": {robot.camera: view}, "state": shapes, "action": shapes},
        "embodiment_tag": spec.name,
        "stats_level": "embodiment",
    }


def save_demonstrations(demonstrations: Demonstrations, folder: Path) -> None:
    """One .npy file for each field; the folder appears when all are written."""
    staged = folder.with_name(f".{folder.name}.writing")
    shutil.rmtree(staged, ignore_errors=True)
    staged.mkdir(parents=True)
    for field in fields(demonstrations):
        np.save(staged / f"{field.name}.npy", getattr(demonstrations, field.name), allow_pickle=False)
    staged.rename(folder)


def load_demonstrations(folder: Path) -> Demonstrations:
    """What was saved; the images stay on disk and in the system's cache, the rest is read."""
    arrays = {
        field.name: np.load(
            folder / f"{field.name}.npy", allow_pickle=False, mmap_mode="r" if field.name == "images" else None
        )
        for field in fields(Demonstrations)
    }
    return Demonstrations(**arrays)


def _in_all_postures(spec: EmbodimentSpec, goal: NDArray[np.float64]) -> NDArray[np.float64]:
    """Goals (N, A, n) with the hands in every posture, shape (N, A, P, n), [rad]."""
    hands = Hands(spec)
    goals = np.repeat(goal[:, :, None], len(POSTURES), axis=2)
    for number, posture in enumerate(POSTURES):
        goals[:, :, number, hands.index] = hands.values(posture)
    return goals
