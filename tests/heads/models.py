"""Small policies with action queries for a robot that exists, with random weights."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch

from unichunk.embodiments.catalogue import load_spec
from unichunk.runtime.compile.compile import compile_checkpoint
from unichunk.runtime.compile.compile_options import CompileOptions
from unichunk.runtime.compile.heads.head_checkpoint import write_head_checkpoint
from unichunk.runtime.compile.heads.head_config import (
    DdimHead,
    FlowHead,
    HeadConfig,
    RegressionHead,
    Transformer,
    VisionSizes,
)
from unichunk.runtime.compile.sample_metadata import SAMPLE_TEXTS
from unichunk.runtime.compile.tokenizer_training import train_tokenizer
from unichunk.runtime.policy import Policy
from unichunk.runtime.train.heads.head_policy import HeadPolicy

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

ROBOT: Final = "so101"
CAMERA: Final = "third_person"
DATASET: Final = "arms"
ANGLES: Final = (0.9, 0.7)
ROWS: Final = 8
SPEC: Final = load_spec(ROBOT)
SLOTS: Final = [slot for group in SPEC.groups.values() for slot in range(*group.slots)]

HEADS: Final = {
    "flow": (FlowHead(steps=3), {"queries": 5, "fields_of_view": True}),
    "ddim": (
        DdimHead(steps=5, training_steps=100),
        {"queries": 1, "causal": True, "state_validity": True, "action_mask": True, "fields_of_view": True},
    ),
    "unguided": (DdimHead(steps=2, training_steps=50, guidance_scale=1.0), {"queries": 1}),
    "masked": (FlowHead(steps=2), {"queries": 3, "causal": True, "state_validity": True, "action_mask": True}),
    "regression": (RegressionHead(), {"queries": 2 * ROWS, "state_validity": True}),
}
"""Every head, and every option on and off."""


def head_config(kind: str, **changes: Any) -> HeadConfig:
    """A configuration of that kind."""
    head, options = HEADS[kind]
    fields: dict[str, Any] = {
        "model_type": "unichunk_head",
        "head": head,
        "vit": VisionSizes(width=16, layers=1, heads=2, mlp=24, patch=14, image_size=28),
        "context": Transformer(width=24, layers=2, heads=3, mlp=32),
        "decoder": Transformer(width=20, layers=2, heads=2, mlp=28),
        "vocabulary": 400,
        "max_text": 24,
        "rows": ROWS,
        "prompt": "do this: {task_description}",
        "locked_prefix": 5,
    }
    return HeadConfig(**fields | options | changes)


@dataclass
class Model:
    """A checkpoint, the network that it came of, and what to compile it with."""

    checkpoint: Path
    network: HeadPolicy
    options: CompileOptions

    @classmethod
    def make(cls, folder: Path, config: HeadConfig, seed: int = 0) -> Model:
        torch.manual_seed(seed)
        network = HeadPolicy(config).eval()
        return cls.of(folder, network)

    @classmethod
    def of(cls, folder: Path, network: HeadPolicy) -> Model:
        """Write a network to a folder."""
        tensors = {name: values.numpy() for name, values in network.state_dict().items()}
        tokenizer = train_tokenizer(SAMPLE_TEXTS, 400)
        write_head_checkpoint(folder, network.config, tensors, metadata=metadata(), tokenizer=tokenizer)
        data = folder.with_name(f"{folder.name}_data.json")
        data.write_text(json.dumps(data_config(network.config)))
        return cls(folder, network, CompileOptions(data, DATASET))

    def compiled(self, out: Path, **changes: Any) -> Path:
        """The bundle's folder."""
        compile_checkpoint(self.checkpoint, out, CompileOptions(**vars(self.options) | changes))
        return out


class Case:
    """A model, its bundle, and something to ask of it."""

    def __init__(self, folder: Path, kind: str) -> None:
        self.model = Model.make(folder / "checkpoint", head_config(kind), seed=3)
        self.bundle = self.model.compiled(folder / "bundle", batch=(2,))
        self.policy = Policy.load(self.bundle)
        random = np.random.default_rng(len(kind))
        self.observation = an_observation(random)
        self.noise = random.normal(size=(ROWS, 200)).astype(np.float32) if self.policy.manifest.denoises else None
        self.previous = random.normal(size=(ROWS, 200)).astype(np.float32)

    def rows(self, delay: int, **changes: Any) -> NDArray[np.float32]:
        """The chunk for its question, or for one that is changed."""
        given = {"observation": self.observation, "previous": self.previous, "noise": self.noise} | changes
        return self.policy.infer(given["observation"], given["previous"], delay, given["noise"]).unified


def an_observation(random: np.random.Generator) -> dict[str, Any]:
    """Pixels and joint positions at random."""
    observation: dict[str, Any] = {f"video.{CAMERA}": random.integers(0, 256, (28, 28, 3), np.uint8)}
    for name, group in SPEC.groups.items():
        observation[f"state.{name}"] = SPEC.rest[SPEC.joint_index(name)] + 0.004 * random.normal(size=len(group.joints))
    return observation | {"language.instruction": "follow the blue block"}


def data_config(config: HeadConfig) -> dict[str, Any]:
    """Views and keys of the robot."""
    views = [CAMERA, "wrist", "side"][: config.views]
    keys = {name: {"slots": list(group.slots), "mode": "mean_std"} for name, group in SPEC.groups.items()}
    angles = {"fields_of_view": {view: list(ANGLES) for view in views}} if config.fields_of_view else {}
    return {"name": "arm", "views": views, "noise": "own", "state": keys, "action": keys, **angles}


def metadata() -> dict[str, Any]:
    """Statistics around the robot's rest pose: a little of what it can do."""
    statistics, shapes = {}, {}
    for name, group in SPEC.groups.items():
        scale = np.abs(np.asarray(group.slot_units[1]))
        rest = (SPEC.rest[SPEC.joint_index(name)] - group.slot_units[0]) / group.slot_units[1]
        statistics[name] = {"mean": rest.tolist(), "std": (0.004 / scale * np.ones(len(rest))).tolist()}
        shapes[name] = {"shape": [len(rest)]}
    views = {view: {"fps": float(SPEC.action_hz)} for view in (CAMERA, "wrist", "side")}
    entry = {
        "statistics": {"state": statistics, "action": statistics},
        "modalities": {"video": views, "state": shapes, "action": shapes},
        "embodiment_tag": ROBOT,
    }
    return {DATASET: {DATASET: entry}}
