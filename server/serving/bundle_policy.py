"""A policy bundle as a worker runs it: loaded once, for all the robots that it drives."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec
import numpy as np

from unichunk.runtime.errors import BundleError
from unichunk.runtime.policy import Policy
from unichunk.runtime.policy.bundle import file_hash, robots_of
from unichunk.runtime.policy.manifest import MANIFEST_NAME
from unichunk.server.serving import calls
from unichunk.server.serving.handshake import handshake, modality
from unichunk.server.serving.robot_keys import robot_keys
from unichunk.server.serving.work import Description
from unichunk.server.wire.mapping import load_mapping

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from unichunk.runtime.policy import PolicyResult
    from unichunk.server.serving.calls import Call
    from unichunk.server.serving.served_policy import Timing
    from unichunk.server.serving.source import PolicySource
    from unichunk.server.serving.work import Work

_WARM_UPS: Final = 3


@dataclass(frozen=True, eq=False)
class PreparedCall:
    """A request, ready for the graphs.

    Attributes:
        call: What was asked, and how to answer it.
        policy: The robot's.
        inputs: Of both graphs, by name.
    """

    call: Call
    policy: Policy
    inputs: dict[str, NDArray[Any]]


class BundlePolicy:
    """A loaded, warm bundle; see `ServedPolicy`. Use `BundlePolicy.load`.

    Args:
        policy: The loaded bundle, for any of its robots.
        digest: SHA-256 of its `bundle.json`, hexadecimal.
        source: How it is served.
    """

    def __init__(self, policy: Policy, digest: str, source: PolicySource) -> None:
        manifest = policy.manifest
        if manifest.reasoning is not None:
            raise BundleError(
                f"policy {manifest.name!r} writes text before it acts, which is not done over a network: run it on the "
                f"robot's own machine with `unichunk run --policy`"
            )
        mapping = load_mapping(source.mapping) if source.mapping else None
        self._policy = policy
        self._digest = digest
        self._keys = robot_keys(
            manifest, mapping, first=policy.embodiment, digest=digest, refinement_rounds=policy.refinement_rounds
        )
        # The default comes first.
        self._robots = tuple(self._keys)
        self._policies = {name: policy.for_embodiment(name) for name in self._robots}
        self._noise_shape = (1 + policy.refinement_rounds, manifest.chunk_length, manifest.unified_width)
        self.max_batch = max(1, min(source.max_batch, policy.max_batch))
        self._service_s = self._warm_up()

    @classmethod
    def load(cls, source: PolicySource) -> BundlePolicy:
        """Load a bundle and warm it up.

        Raises:
            BundleError, MappingError: Where it cannot be loaded, or the mapping does not fit; one line.
        """
        path = Path(source.source)
        policy = Policy.load(
            path,
            embodiment=source.robot or _first_robot(path),
            refinement_rounds=source.refinement_rounds,
            guided=source.guided,
            steps=source.steps,
            engine=source.engine_options,
            max_batch=source.max_batch,
        )
        return cls(policy, file_hash(path / MANIFEST_NAME), source)

    def describe(self) -> Description:
        """See `ServedPolicy`."""
        return Description(
            name=self._policy.manifest.name,
            kind="bundle",
            digest=self._digest,
            robots=self._robots,
            manifest=msgspec.msgpack.encode(self._policy.manifest),
            max_batch=self.max_batch,
            refinement_rounds=self._policy.refinement_rounds,
            handshake={name: handshake(keys) for name, keys in self._keys.items()},
            modality={name: modality(keys) for name, keys in self._keys.items()},
            service_s=self._service_s,
            guided=self._policy.guided,
        )

    def decode(self, work: Work) -> PreparedCall:
        """See `ServedPolicy`."""
        robot = work.robot or self._robots[0]
        policy = self._policies.get(robot)
        if policy is None:
            raise BundleError(f"policy {self._policy.manifest.name!r} drives {', '.join(self._robots)}, not {robot}")
        call = calls.decode(work, self._keys[robot])
        noise = None
        if policy.manifest.denoises:
            noise = np.random.default_rng(list(work.seed)).standard_normal(self._noise_shape, np.float32)
        inputs = policy.preprocess(call.observation, call.previous_chunk, call.delay, noise)
        return PreparedCall(call, policy, inputs)

    def infer(self, batch: Sequence[PreparedCall]) -> Sequence[PolicyResult | Exception]:
        """See `ServedPolicy`."""
        outputs = self._policy.infer_batch([prepared.inputs for prepared in batch])
        results: list[PolicyResult | Exception] = []
        for prepared, output in zip(batch, outputs, strict=True):
            try:
                results.append(prepared.policy.decode(prepared.inputs, output))
            except Exception as error:  # noqa: BLE001  one request's trouble must not become the whole batch's
                results.append(error)
        return results

    def encode(self, call: PreparedCall, result: PolicyResult, timing: Timing) -> bytes:
        """See `ServedPolicy`."""
        return calls.encode(call.call, result, timing)

    def _warm_up(self) -> float:
        """Run every graph, so that no client waits for what only the first time takes; what an inference takes, [s]."""
        policy = self._policies[self._robots[0]]
        inputs = policy.preprocess(policy.example_observation())
        for size in range(self.max_batch, 1, -1):
            policy.infer_batch([inputs] * size)
        service_s = 0.0
        for _ in range(_WARM_UPS):
            began_s = time.perf_counter()
            policy.infer_batch([inputs])
            service_s = time.perf_counter() - began_s
        return service_s


def _first_robot(path: Path) -> str | None:
    """The bundle's first robot; None where it cannot be read, which loading it says better."""
    robots = robots_of(path)
    return robots[0] if robots else None
