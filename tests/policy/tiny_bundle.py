"""A small, fast and valid policy bundle for tests: no training, no torch, a few kilobytes."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from tests.policy.tiny_graphs import signatures, write_chunk_graph, write_prefix_graph
from tests.policy.tiny_motion import TinyMotion
from tests.policy.tiny_tokenizer import SUFFIX, write_tiny_tokenizer
from unichunk.embodiments.catalogue import load_spec
from unichunk.runtime.policy.bundle import write_bundle
from unichunk.runtime.policy.manifest import (
    FORMAT_VERSION,
    Graphs,
    ImageInput,
    Key,
    LanguageInput,
    Manifest,
    MeanStd,
    MinMax,
    NoNormalization,
    RobotEntry,
)
from unichunk.runtime.unified import UNIFIED_WIDTH

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from unichunk.runtime.policy.manifest import Normalization

Mode = Literal["none", "mean_std", "min_max"]


def write_tiny_bundle(
    directory: Path,
    *,
    embodiment: str = "so101",
    embodiments: Sequence[str] | None = None,
    cameras: Sequence[str] | None = None,
    chunk_length: int = 8,
    denoising_steps: int = 2,
    action_hz: int | None = None,
    max_delay: int | None = None,
    image_size: int = 24,
    max_tokens: int | None = 64,
    prompt: str = "{task_description}",
    refinement_rounds: Sequence[int] = (0, 1),
    normalization: Mode = "mean_std",
    nan_row: int | None = None,
    noise: Literal["all", "own"] = "all",
) -> Path:
    """Write a policy that moves a robot gently around its rest pose, within its limits.

    Args:
        directory: Where the bundle shall be.
        embodiment: The shipped robot whose slots, limits, rate and cameras it is made for.
        embodiments: Robots it claims to drive, all with the same entry; that one where not given.
        cameras: Cameras it asks for; those of the robot where not given.
        chunk_length: T.
        denoising_steps: K.
        action_hz: Rows a second; the robot's rate where not given.
        max_delay: Longest prefix; T - 2 where not given.
        image_size: Side of the graph's images, [px].
        max_tokens: Tokens of prompt, instruction and suffix, a token a byte; None for a policy without language.
        prompt: Text around the instruction.
        refinement_rounds: A chunk graph for each of these.
        normalization: The mode of all keys.
        noise: Where the manifest says that the noise is.
        nan_row: A row that comes out as NaN unless it is locked: a policy gone wrong.

    Returns:
        The bundle's folder.
    """
    spec = load_spec(embodiment)
    action_hz = action_hz or spec.action_hz
    views = tuple(spec.cameras if cameras is None else cameras)
    motion = TinyMotion.of(spec, action_hz)
    scale, offset = _scale_and_offset(motion, normalization)
    where = {slot: i for i, slot in enumerate(motion.slots.tolist())}
    keys = {}
    for name, group in spec.groups.items():
        index = [where[slot] for slot in range(*group.slots)]
        keys[name] = Key(slots=group.slots, normalization=_mode(normalization, scale[index], offset[index]))
    prefix, chunks = signatures(
        chunk_length, denoising_steps, len(views), image_size, max_tokens, UNIFIED_WIDTH, refinement_rounds
    )
    language = None
    if max_tokens is not None:
        language = LanguageInput(tokenizer="tokenizer.json", prompt=prompt, suffix=SUFFIX, max_tokens=max_tokens)
    robot = RobotEntry(
        cameras=views,
        state=keys,
        action=keys,
        action_hz=action_hz,
        max_delay=chunk_length - 2 if max_delay is None else max_delay,
    )
    manifest = Manifest(
        format_version=FORMAT_VERSION,
        name="tiny",
        description="Turns two joints slowly around the rest pose.",
        chunk_length=chunk_length,
        unified_width=UNIFIED_WIDTH,
        denoising_steps=denoising_steps,
        image=ImageInput(size=image_size, mean=(0.5, 0.4, 0.3), std=(0.2, 0.3, 0.4)),
        language=language,
        noise=noise,
        robots=dict.fromkeys([embodiment] if embodiments is None else embodiments, robot),
        graphs=Graphs(prefix=prefix, chunks=chunks),
    )
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        paths = [write_prefix_graph(folder, manifest)]
        paths += [
            write_chunk_graph(folder, manifest, chunk, motion, scale, offset, nan_row=nan_row) for chunk in chunks
        ]
        if language is not None:
            paths.append(write_tiny_tokenizer(folder / language.tokenizer))
        write_bundle(directory, manifest, {path.name: path for path in paths})
    return directory


def _scale_and_offset(motion: TinyMotion, mode: Mode) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    if mode == "none":
        return np.ones(len(motion.slots)), np.zeros(len(motion.slots))
    if mode == "mean_std":
        return (motion.upper - motion.lower) / 4, motion.centre
    return (motion.upper - motion.lower) / 2, (motion.upper + motion.lower) / 2


def _mode(mode: Mode, scale: NDArray[np.float64], offset: NDArray[np.float64]) -> Normalization:
    if mode == "none":
        return NoNormalization()
    if mode == "mean_std":
        return MeanStd(mean=tuple(offset.tolist()), std=tuple(scale.tolist()))
    return MinMax(low=tuple((offset - scale).tolist()), high=tuple((offset + scale).tolist()))
