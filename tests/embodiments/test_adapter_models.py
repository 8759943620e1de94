"""Models that end effectors cannot be moved by: one line with the key, even where nobody checked the spec before."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import msgspec
import pytest

from tests.one_line import refused
from unichunk.embodiments.adapter import EmbodimentAdapter
from unichunk.embodiments.catalogue import load_spec
from unichunk.embodiments.errors import SpecError
from unichunk.embodiments.model import check_model, model_urdf
from unichunk.embodiments.robot_entries import end_effector_entry

if TYPE_CHECKING:
    from pathlib import Path

    from unichunk.embodiments.spec import EmbodimentSpec


def at_frame(spec: EmbodimentSpec, frame: str) -> EmbodimentSpec:
    right = msgspec.structs.replace(spec.end_effectors["right"], frame=frame)
    return msgspec.structs.replace(spec, end_effectors={**spec.end_effectors, "right": right})


@pytest.mark.parametrize(
    ("robot", "frame", "words"),
    [
        ("so101", "base_link", "none of the joints of its groups moves 'base_link'"),
        ("so101", "thumb", "unknown frame 'thumb'"),
        ("so101", "moving_jaw_so101_v1_link", "hangs on gripper"),
        ("g1_o6", "torso_link", "none of the joints of its groups moves 'torso_link'"),
    ],
)
def test_frames_that_the_end_effectors_groups_do_not_carry(robot: str, frame: str, words: str) -> None:
    spec = at_frame(load_spec(robot), frame)
    with refused(SpecError, "embodiment.end_effectors.right.frame: ", words):
        EmbodimentAdapter(spec, end_effector_entry(spec))
    with refused(SpecError, f"{robot}: embodiment.end_effectors.right.frame: ", repr(frame)):
        check_model(spec, robot)


@pytest.mark.parametrize("joint", ["shoulder_pan", "gripper"])
def test_a_continuous_joint(joint: str, tmp_path: Path) -> None:
    so101 = load_spec("so101")
    urdf = re.sub(f'(<joint name="{joint}" type=)"revolute"', r'\1"continuous"', model_urdf(so101))
    (tmp_path / "own.urdf").write_text(urdf)
    spec = msgspec.structs.replace(so101, model=str(tmp_path / "own.urdf"))
    with refused(SpecError, "embodiment.model: ", "a continuous joint has two, give it limits"):
        EmbodimentAdapter(spec, end_effector_entry(spec))
    with refused(SpecError, f"own: embodiment.model: own.urdf: joint {joint} is continuous"):
        check_model(spec, "own")
