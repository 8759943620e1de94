"""Trained policies on disk: trained where missing, kept for the next time, trained anew where damaged."""

from __future__ import annotations

import hashlib
import io
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec
import numpy as np

from unichunk.benchmarks.async_control.flow import STEPS, FlowPolicy
from unichunk.benchmarks.async_control.network import Network
from unichunk.benchmarks.async_control.training import WEAK_SHARE, Trained, delays_trained, train
from unichunk.benchmarks.harness.document import write_whole

if TYPE_CHECKING:
    from unichunk.benchmarks.async_control.task import Task
    from unichunk.benchmarks.async_control.training import Recipe, Variant

FORMAT: Final = 3
"""Raised with every change of how policies are trained or stored."""
LAYERS: Final = 4
DIGEST: Final = hashlib.sha256().digest_size
"""Bytes in front of a stored policy that tell whether the rest is whole."""


def default_folder() -> Path:
    """The user's cache folder."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(base) if base else Path.home() / ".cache") / "unichunk" / "async"


def policy_file(folder: Path, task: Task[Any], chunk_length: int, variant: Variant, recipe: Recipe) -> Path:
    """Where a policy lies; its name tells everything that decides how it comes out."""
    delays = delays_trained(task.action_hz, chunk_length)
    shape = (task.version, task.ticks, task.action_hz, task.actions, task.observations, chunk_length)
    settings = msgspec.json.encode([FORMAT, STEPS, WEAK_SHARE, shape, variant.value, recipe.of(variant), delays])
    digest = hashlib.sha256(settings).hexdigest()[:16]
    return folder / f"{task.name}_{chunk_length}_{variant.value}_{digest}.policy"


def trained_policy(folder: Path, task: Task[Any], chunk_length: int, variant: Variant, recipe: Recipe) -> Trained:
    """The policy from the folder, or trained now and put there."""
    path = policy_file(folder, task, chunk_length, variant, recipe)
    found = load(path, task, chunk_length)
    if found is None:
        found = train(task, chunk_length, variant, recipe.of(variant))
        folder.mkdir(parents=True, exist_ok=True)
        write_whole(path, _packed(found))
    return found


def load(path: Path, task: Task[Any], chunk_length: int) -> Trained | None:
    """A policy from a file; None where there is none or it is damaged."""
    try:
        content = path.read_bytes()
    except OSError:
        return None
    digest, body = content[:DIGEST], content[DIGEST:]
    if hashlib.sha256(body).digest() != digest:
        return None
    with np.load(io.BytesIO(body), allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    policies = [
        FlowPolicy(
            Network(
                [arrays[f"{name}_weight_{layer}"] for layer in range(LAYERS)],
                [arrays[f"{name}_bias_{layer}"] for layer in range(LAYERS)],
            ),
            arrays["mean"],
            arrays["scale"],
            chunk_length,
            task.actions,
        )
        for name in ("policy", "weak")
    ]
    record = msgspec.json.decode(arrays["record"].tobytes())
    return Trained(policies[0], policies[1], record)


def _packed(trained: Trained) -> bytes:
    """A digest and an archive of arrays."""
    arrays: dict[str, Any] = {"mean": trained.policy.mean, "scale": trained.policy.scale}
    for name, policy in (("policy", trained.policy), ("weak", trained.weak)):
        for layer, (weight, bias) in enumerate(zip(policy.network.weights, policy.network.biases, strict=True)):
            arrays[f"{name}_weight_{layer}"] = weight
            arrays[f"{name}_bias_{layer}"] = bias
    record = np.frombuffer(msgspec.json.encode(trained.record), np.uint8)
    body = io.BytesIO()
    np.savez(body, record=record, **arrays)
    return hashlib.sha256(body.getvalue()).digest() + body.getvalue()
