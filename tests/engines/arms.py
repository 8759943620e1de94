"""Everything that can run a policy, as the contract asks it."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import onnxruntime
import pytest

from tests.engines.tensorrt_stand_in import stand_in
from unichunk.runtime.policy import EngineOptions, Policy, loaded_graphs
from unichunk.runtime.policy.engines.onnx_bound import BoundOnnxRuntimeEngine
from unichunk.runtime.policy.engines.onnx_session import CPU_PROVIDER, open_session
from unichunk.runtime.policy.engines.onnx_surroundings import OLDEST
from unichunk.server.remote.remote_policy import RemotePolicy

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from unichunk.runtime.policy import PolicyResult
    from unichunk.runtime.policy.engines.graph_file import GraphFile

BOUND = "onnxruntime-bound"
STAND_IN = "tensorrt-stand-in"

KEEPS = pytest.mark.skipif(
    tuple(int(part) for part in onnxruntime.__version__.split(".")[:2]) < OLDEST,
    reason=f"ONNX Runtime {onnxruntime.__version__} cannot copy within a device; there are no engines for GPUs with it",
)
"""Of tests of values that are copied within a device."""

LOCAL = [
    pytest.param("onnxruntime", id="onnxruntime"),
    pytest.param(BOUND, id=BOUND, marks=KEEPS),
    pytest.param(STAND_IN, id=STAND_IN),
    pytest.param("onnxruntime-cuda", id="onnxruntime-cuda", marks=pytest.mark.cuda),
    pytest.param("onnxruntime-tensorrt", id="onnxruntime-tensorrt", marks=pytest.mark.cuda("onnxruntime-tensorrt")),
    pytest.param("tensorrt", id="tensorrt", marks=pytest.mark.tensorrt),
]
"""Engines of this machine: on the CPU as it is and with IO binding, TensorRT's stand-in, and what needs a GPU."""

EXACT = {"onnxruntime", BOUND, STAND_IN}
"""Those that compute with the CPU's own kernels: bit by bit what the default engine gives."""


class OneThread:
    """The processor as a device that, as a GPU does, insists on one thread."""

    kind = "cpu"
    number = 0

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1, "device")
        self.thread = self._pool.submit(threading.get_ident).result()
        self.host_arrays = 0

    def call(self, work: Callable[[], Any]) -> Any:
        return self._pool.submit(work).result()

    def host_array(self, shape: tuple[int, ...], dtype: Any) -> NDArray[Any]:
        self.host_arrays += 1
        return np.zeros(shape, dtype)


class NotedBinding:
    """A binding that knows what it binds, which ONNX Runtime's own tells nobody before 1.31."""

    def __init__(self, binding: Any) -> None:
        self.real = binding
        self.inputs: dict[str, int] = {}
        self.outputs: dict[str, int] = {}

    def bind_ortvalue_input(self, name: str, value: Any) -> None:
        self.inputs[name] = value.data_ptr()
        self.real.bind_ortvalue_input(name, value)

    def bind_ortvalue_output(self, name: str, value: Any) -> None:
        self.outputs[name] = value.data_ptr()
        self.real.bind_ortvalue_output(name, value)


class RecordedSession:
    """A session that treats each `gpu_graph_id` as ONNX Runtime treats a recorded CUDA graph.

    The graph reads and writes where it did when it was recorded, on the thread that recorded it. What the real one
    leaves undefined fails here: another binding, another address, another thread, the number 0, a run without one.
    """

    def __init__(self, session: Any, device: OneThread) -> None:
        self._session = session
        self._device = device
        self.recorded: dict[int, tuple[Any, dict[str, int], dict[str, int]]] = {}
        self.runs = 0

    def io_binding(self) -> Any:
        return NotedBinding(self._session.io_binding())

    def run_with_iobinding(self, binding: NotedBinding, options: Any) -> None:
        assert threading.get_ident() == self._device.thread
        number = int(options.get_run_config_entry("gpu_graph_id"))
        assert number > 0
        inputs, outputs = dict(binding.inputs), dict(binding.outputs)
        assert not set(inputs.values()) & set(outputs.values()), "a graph that writes what it reads"
        assert self.recorded.setdefault(number, (binding, inputs, outputs)) == (binding, inputs, outputs)
        self.runs += 1
        self._session.run_with_iobinding(binding.real, options)


@dataclass
class BoundBuilder:
    """Builds engines with IO binding on the CPU, and keeps what they are made of."""

    device: OneThread
    sessions: list[RecordedSession]
    engines: list[BoundOnnxRuntimeEngine]

    def __call__(self, file: GraphFile, options: EngineOptions) -> BoundOnnxRuntimeEngine:
        self.sessions.append(RecordedSession(open_session(file, [(CPU_PROVIDER, {})]), self.device))
        session: Any = self.sessions[-1]
        self.engines.append(BoundOnnxRuntimeEngine(file, session, self.device))
        return self.engines[-1]


def bound_builder() -> BoundBuilder:
    return BoundBuilder(OneThread(), [], [])


def use_bound(monkeypatch: pytest.MonkeyPatch) -> BoundBuilder:
    """Have policies loaded with IO binding on the CPU until the test ends."""
    builder = bound_builder()
    monkeypatch.setattr(loaded_graphs, "build_engine", builder)
    return builder


def local_options(name: str, monkeypatch: pytest.MonkeyPatch, cache: Path) -> EngineOptions:
    """What to load a policy with to have it run by an arm."""
    if name == BOUND:
        use_bound(monkeypatch)
        # Any name but the CPU's, whose engines are not warmed up.
        return EngineOptions(name="onnxruntime-cuda")
    if name == STAND_IN:
        stand_in(monkeypatch)
        return EngineOptions(name="tensorrt", cache=cache)
    return EngineOptions(name=name, cache=cache)  # type: ignore[arg-type]


def noise_of(policy: Policy | RemotePolicy, seed: int) -> NDArray[np.float32]:
    """The noise of the first inference of a policy that was joined with a seed."""
    shape = (1 + policy.refinement_rounds, policy.chunk_length, policy.manifest.unified_width)
    return np.random.default_rng([seed, 0]).standard_normal(shape, np.float32)


@dataclass
class LocalPolicy:
    """A policy that this process has loaded."""

    policy: Policy

    def ask(self, observation: Mapping[str, Any], previous: Any, delay: int, seed: int) -> PolicyResult:
        return self.policy.infer(observation, previous, delay, noise_of(self.policy, seed))


@dataclass
class ServedPolicy:
    """A policy of a server."""

    address: str
    rounds: int = 0

    def ask(self, observation: Mapping[str, Any], previous: Any, delay: int, seed: int) -> PolicyResult:
        with closing(RemotePolicy(self.address, "so101", refinement_rounds=self.rounds, seed=seed)) as remote:
            return remote.infer(observation, previous, delay)
