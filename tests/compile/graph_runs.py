"""Compiled graphs run in ONNX Runtime, and the same weights in the plain reference model."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import onnxruntime

from tests.compile.reference_model import Sequence
from unichunk.runtime.compile.checkpoint import Checkpoint
from unichunk.runtime.compile.checkpoint_writer import random_checkpoint
from unichunk.runtime.compile.compile import compile_checkpoint
from unichunk.runtime.compile.compile_options import CompileOptions
from unichunk.runtime.compile.prompt import Prompt
from unichunk.runtime.compile.sample_metadata import DATASET, LIBERO_METADATA
from unichunk.runtime.policy.bundle import read_manifest

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from unichunk.runtime.compile.sizes import Sizes


def session(path: Path) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def run(graph: Any, values: dict[str, Any]) -> dict[str, NDArray[Any]]:
    """Only the values that the graph takes are given to it."""
    names = [item.name for item in graph.get_inputs()]
    outputs = [item.name for item in graph.get_outputs()]
    return dict(zip(outputs, graph.run(outputs, {name: values[name] for name in names}), strict=True))


@dataclass
class Bundle:
    """The graphs of a compiled bundle."""

    folder: Path
    sessions: dict[str, Any] = field(default_factory=dict)

    def session(self, file: str) -> Any:
        if file not in self.sessions:
            self.sessions[file] = session(self.folder / file)
        return self.sessions[file]

    def sample(self, values: dict[str, Any], *, guided: bool = False) -> dict[str, NDArray[Any]]:
        """Prefix and chunk graph; the number of rounds is that of the noise."""
        manifest = read_manifest(self.folder)
        rounds = len(values["noise"]) - 1
        kinds = {(graph.refinement_rounds, graph.guided): graph.file for graph in reversed(manifest.graphs.chunks)}
        chunk = kinds[rounds, guided]
        return run(self.session(chunk), values | run(self.session(manifest.graphs.prefix.file), values))

    def padded(self, ids: tuple[int, ...]) -> NDArray[np.int64]:
        language = read_manifest(self.folder).language
        assert language is not None
        tokens = np.full((1, language.max_tokens), -1, np.int64)
        tokens[0, : len(ids)] = ids
        return tokens


@dataclass
class RandomModel:
    """A checkpoint with random weights, and inputs for it."""

    directory: Path
    data_config: Path
    views: int
    checkpoint: Checkpoint
    prompt: Prompt

    @classmethod
    def write(cls, folder: Path, sizes: Sizes, views: int, *, expert_eps: float | None = None) -> RandomModel:
        folder.mkdir(parents=True, exist_ok=True)
        entry = json.loads(json.dumps(LIBERO_METADATA[DATASET][DATASET]))
        names = [f"view_{index}" for index in range(views)]
        entry["modalities"]["video"] = {name: {"fps": 10.0, "resolution": [64, 64], "channels": 3} for name in names}
        random_checkpoint(folder / "checkpoint", sizes, metadata={DATASET: {DATASET: entry}})
        if expert_eps is not None:
            document = json.loads((folder / "checkpoint" / "config.json").read_bytes())
            document["llm_config"]["expert_config"]["rms_norm_eps"] = expert_eps
            (folder / "checkpoint" / "config.json").write_text(json.dumps(document))
        config = {
            "name": "test",
            "views": names,
            "state": {"eef_position": {"slots": [0, 3]}},
            "action": {"eef_position": {"slots": [0, 3]}},
        }
        (folder / "data.json").write_text(json.dumps(config))
        checkpoint = Checkpoint.open(folder / "checkpoint")
        prompt = Prompt.read(checkpoint.config, checkpoint.tokenizer_file)
        return cls(folder / "checkpoint", folder / "data.json", views, checkpoint, prompt)

    def options(self, **options: Any) -> CompileOptions:
        return CompileOptions(self.data_config, DATASET, **options)

    def compiled(self, out: Path, **options: Any) -> Bundle:
        compile_checkpoint(self.directory, out, self.options(**options))
        return Bundle(out)

    def inputs(self, rounds: int, seed: int = 0) -> dict[str, Any]:
        """Images, state, noise and previous chunk."""
        config, rng = self.checkpoint.config, np.random.default_rng(seed)
        size = config.image_size
        return {
            "images": rng.normal(size=(self.views, 3, size, size)).astype(np.float32),
            "state": rng.normal(size=(1, 200)).astype(np.float32),
            "noise": rng.normal(size=(1 + rounds, config.rows, 200)).astype(np.float32),
            "previous_chunk": rng.normal(size=(config.rows, 200)).astype(np.float32),
        }

    def sequence(self, text: tuple[int, ...]) -> Sequence:
        """Where everything stands, counted token by token."""
        config, prompt = self.checkpoint.config, self.prompt
        kinds: list[int | str] = [*prompt.head]
        kinds += ["image"] * (self.views * config.image_tokens)
        kinds += [*prompt.between, "state", *prompt.after_state, *text]
        kinds += ["action"] * config.rows
        kinds += [0]  # the closing token; any, since nothing sees it
        places = {
            kind: np.array([at for at, found in enumerate(kinds) if found == kind])
            for kind in ("image", "state", "action")
        }
        positions = np.array([at for at, found in enumerate(kinds) if isinstance(found, int)])
        ids = np.array([kind for kind in kinds if isinstance(kind, int)])
        return Sequence(ids, positions, places["image"], int(places["state"][0]), places["action"])


def unit_directions(count: int, width: int, seed: int = 7) -> NDArray[np.float32]:
    drawn = np.random.default_rng(seed).normal(size=(count, width))
    return (drawn / np.linalg.norm(drawn, axis=1, keepdims=True)).astype(np.float32)
