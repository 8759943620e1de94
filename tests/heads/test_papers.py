"""Policies as the papers have them, from a data configuration to a moving twin.

VITRA: a DDIM head whose rows are wrist displacements in the camera's frame and the joints of a human hand. METIS: a
regression whose rows are wrist poses (position and two rows of a rotation matrix) and fingertips in the wrist's frame.
"""

from __future__ import annotations

import json
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final

import msgspec
import numpy as np
import pytest
import torch

from tests.heads.models import DATASET, Model, head_config
from unichunk.embodiments.adapter import EmbodimentAdapter
from unichunk.embodiments.catalogue import load_spec
from unichunk.embodiments.robot_entries import joint_entry
from unichunk.runtime.compile.compile_options import CompileOptions
from unichunk.runtime.compile.data_config import parse_data_config
from unichunk.runtime.compile.heads.head_checkpoint import write_head_checkpoint
from unichunk.runtime.compile.sample_metadata import SAMPLE_TEXTS
from unichunk.runtime.compile.tokenizer_training import train_tokenizer
from unichunk.runtime.policy import Policy
from unichunk.runtime.policy.manifest import Key, NoNormalization
from unichunk.runtime.train.heads.head_policy import HeadPolicy

if TYPE_CHECKING:
    from pathlib import Path

SPEC: Final = load_spec("fr3_inspire")
CAMERA: Final = "front"

ACTIONS: Final = {
    "ddim": {
        "wrist": {"slots": [0, 6], "frame": CAMERA},
        "hand": {"slots": [110, 155], "form": "human_joints"},
    },
    "regression": {
        "wrist": {"slots": [0, 9], "form": "pose", "rotation": "rotation_6d"},
        "tips": {"slots": [110, 125], "form": "fingertips"},
    },
}
STATES: Final = {
    "ddim": {"arm": {"slots": [50, 57]}, "hand": {"slots": [110, 155], "form": "human_joints"}},
    "regression": {"arm": {"slots": [50, 57]}, "fingers": {"slots": [20, 26]}},
}
SPREAD: Final = {"ddim": 1e-4, "regression": 3e-4}
"""Of the values that random weights may make, [m] and [rad]: what the arm can follow."""


def keys(section: dict[str, Any]) -> dict[str, Key]:
    return {
        name: msgspec.convert({**fields, "normalization": {"mode": "none"}}, Key) for name, fields in section.items()
    }


def at_rest(kind: str) -> dict[str, list[float]]:
    """What says to stay at the rest pose, and what the state is there, by section and key."""
    entry = msgspec.structs.replace(joint_entry(SPEC), action=keys(ACTIONS[kind]), state=keys(STATES[kind]))
    adapter = EmbodimentAdapter(SPEC, entry)
    values = adapter.actions(SPEC.rest[None], SPEC.rest)
    states = EmbodimentAdapter(SPEC, msgspec.structs.replace(joint_entry(SPEC), state=keys(STATES[kind])))
    from tests.embodiments.robots import observation_at

    seen = states.policy_input(observation_at(SPEC, SPEC.rest), "")
    return {name: rows[0].tolist() for name, rows in values.items()} | {
        name: np.asarray(value).tolist() for name, value in seen.items() if name.startswith("state.")
    }


def model(folder: Path, kind: str) -> Model:
    """A network of random weights, whose rows are a little more or less than to stay."""
    torch.manual_seed(1)
    network = HeadPolicy(head_config(kind)).eval()
    sections = {"state": STATES[kind], "action": ACTIONS[kind]}
    means = at_rest(kind)
    statistics = {
        section: {
            name: {"mean": means[f"{section}.{name}"], "std": [SPREAD[kind]] * len(means[f"{section}.{name}"])}
            for name in names
        }
        for section, names in sections.items()
    }
    modalities = {
        section: {name: {"shape": [len(means[f"{section}.{name}"])]} for name in names}
        for section, names in sections.items()
    }
    video = {CAMERA: {"fps": float(SPEC.action_hz)}}
    entry = {"statistics": statistics, "modalities": {"video": video, **modalities}, "embodiment_tag": SPEC.name}
    tensors = {name: values.numpy() for name, values in network.state_dict().items()}
    tokenizer = train_tokenizer(SAMPLE_TEXTS, 400)
    write_head_checkpoint(
        folder / "checkpoint",
        network.config,
        tensors,
        metadata={DATASET: {DATASET: entry}},
        tokenizer=tokenizer,
    )
    data = folder / "data.json"
    angles = {"fields_of_view": {CAMERA: [0.6, 0.45]}} if network.config.fields_of_view else {}
    named = {
        section: {name: {**fields, "mode": "mean_std"} for name, fields in names.items()}
        for section, names in sections.items()
    }
    data.write_text(json.dumps({"name": "paper", "views": [CAMERA], "noise": "own", **angles, **named}))
    return Model(folder / "checkpoint", network, CompileOptions(data, DATASET))


@pytest.mark.simulator
@pytest.mark.skipif(find_spec("mujoco") is None, reason="the twin needs MuJoCo: pip install 'unichunk[sim]'")
@pytest.mark.parametrize("kind", ["ddim", "regression"])
def test_what_the_paper_predicts_moves_the_robot(tmp_path: Path, kind: str) -> None:
    from unichunk.embodiments.sim.camera import CameraRenderer
    from unichunk.embodiments.sim.closed_loop import ClosedLoop
    from unichunk.embodiments.sim.twin import Twin

    torch.set_num_threads(1)
    policy = Policy.load(model(tmp_path, kind).compiled(tmp_path / "bundle"))
    for name, fields in ACTIONS[kind].items():
        key = policy.robot.action[name]
        assert (key.form, key.frame) == (fields.get("form", "unified"), fields.get("frame", "base"))
    adapter, twin = EmbodimentAdapter(SPEC, policy.robot), Twin(SPEC, 3)
    renderer = CameraRenderer(twin.model, CAMERA)
    try:
        result = ClosedLoop(twin, (CAMERA, renderer), adapter, policy).run(["follow the red block"] * 8, 2)
    finally:
        renderer.close()
    assert result.chunks == (8 - 1) // 2
    assert result.violations == 0
    counts = adapter.statistics()
    assert counts["rows"] > 0
    assert counts["invalid"] == 0
    assert 1e-4 < np.abs(twin.q - SPEC.rest).max() < 0.5
    assert np.isfinite(twin.q).all()


def test_a_data_configuration_says_what_rows_are_and_in_which_frame() -> None:
    named = {"name": "paper", "views": [CAMERA], "state": {}, "action": ACTIONS["regression"]}
    config = parse_data_config(json.dumps(named).encode(), "paper")
    assert config.action["wrist"].form == "pose"
    assert config.action["wrist"].rotation == "rotation_6d"
    assert isinstance(keys(ACTIONS["ddim"])["wrist"].normalization, NoNormalization)
