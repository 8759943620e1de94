"""What each layout of the demonstration looks like, before a trial and when it succeeded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from unichunk.embodiments.sim.camera import CameraRenderer
from unichunk.embodiments.sim.goal_map import goal_map
from unichunk.embodiments.sim.twin import Twin
from unichunk.server.evaluation.demo.arrangement import ARRANGEMENTS, TARGET

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from unichunk.embodiments.spec import EmbodimentSpec

SAME: Final = 0.6
"""A picture that differs from the goal's by less than this share of what the rest pose differs by shows the goal. What
JPEG makes of the goal itself is 0.35, and 0.8 and more is beside it."""

MOVED: Final = 0.3
"""A picture that differs from the rest pose's by more than this share shows an arm that approached something."""


@dataclass(frozen=True)
class Examples:
    """Pictures of a layout, RGB, each (h, w, 3).

    Attributes:
        rest: With the arm in its rest pose: its reference photo.
        goal: With the gripper over the block.
    """

    rest: NDArray[np.uint8]
    goal: NDArray[np.uint8]

    def judge(self, last: NDArray[np.uint8]) -> tuple[bool, bool]:
        """Whether the arm approached the block, and whether it is over it, in a video's last picture."""
        whole = _difference(self.rest, self.goal)
        over = _difference(last, self.goal) < SAME * whole
        return over or _difference(last, self.rest) > MOVED * whole, over


def take_examples(spec: EmbodimentSpec) -> dict[str, Examples]:
    """Render them with the robot's first camera, in the calling thread."""
    goals = goal_map(spec)
    twin = Twin(spec)
    camera = CameraRenderer(twin.model, next(iter(spec.cameras)))
    examples = {}
    try:
        for layout, places in ARRANGEMENTS.items():
            twin.stand(places)
            twin.reset()
            rest = camera.render(twin.snapshot())
            twin.reset(goals.joints(np.array(places[TARGET])))
            examples[layout] = Examples(rest, camera.render(twin.snapshot()))
    finally:
        camera.close()
    return examples


def _difference(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
    return float(np.abs(one.astype(np.float64) - other).mean())
