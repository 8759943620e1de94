"""The runtime's guided graph around a policy of the benchmark: the same chunks as its real-time chunking in numpy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import onnxruntime
import pytest

from tests.benchmarks.async_worlds import random_policy
from unichunk.benchmarks.async_control.flow import STEPS
from unichunk.benchmarks.async_control.guidance import guidance_weight, sample_guided, soft_mask
from unichunk.runtime.compile import guided
from unichunk.runtime.compile.graph import Graph
from unichunk.runtime.compile.guided import Guidance
from unichunk.runtime.compile.precision import PRECISIONS
from unichunk.runtime.compile.weight_file import WEIGHT_FILE, WeightFile

if TYPE_CHECKING:
    from pathlib import Path

    from unichunk.benchmarks.async_control.flow import FlowPolicy

T, ACTIONS, SEEN = 6, 2, 3


def velocity(graph: Graph, policy: FlowPolicy, rows: str, seen: str, time: float) -> str:
    """The policy's network on rows (B T, actions) that are all at a time."""
    count = graph.each.count
    times = graph.floats(np.full((count, T), time))
    hidden = graph.concat([graph.reshape(rows, count, T * ACTIONS), graph.reshape(seen, count, SEEN), times], axis=1)
    layers = list(zip(policy.network.weights, policy.network.biases, strict=True))
    for index, (weight, bias) in enumerate(layers):
        hidden = graph.op("Gemm", hidden, graph.floats(weight), graph.floats(bias))
        hidden = graph.swish(hidden) if index < len(layers) - 1 else hidden
    return graph.reshape(hidden, count * T, ACTIONS)


def guided_session(folder: Path, policy: FlowPolicy, batch: int) -> Any:
    with (folder / WEIGHT_FILE).open("wb") as stream:
        graph = Graph("chunk", PRECISIONS["fp32"], WeightFile(stream), batch)
        each = graph.each
        previous = each.rows(each.input("previous_chunk", (T, ACTIONS), "float32"), T, ACTIONS)
        guidance = Guidance(graph, T, ACTIONS, previous, each.input("delay", (), "int64"))
        rows = graph.reshape(each.input("noise", (T, ACTIONS), "float32"), batch * T, ACTIONS)
        seen = each.input("seen", (SEEN,), "float32")
        for step in range(STEPS):
            rows = guidance.advanced(rows, velocity(graph, policy, rows, seen, step / STEPS), step, STEPS)
        each.output("actions", each.reshape(rows, T, ACTIONS), (T, ACTIONS), "float32")
    graph.save(folder / "chunk.onnx")
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(folder / "chunk.onnx", options, providers=["CPUExecutionProvider"])


@pytest.mark.parametrize("plans", [[(0, 4)], [(2, 4)], [(0, 0), (3, 3), (1, 6), (2, 5)]])
def test_the_runtimes_guided_graph_does_what_the_benchmark_does(tmp_path: Path, plans: list[tuple[int, int]]) -> None:
    policy, random, count = random_policy(7, T), np.random.default_rng(1), len(plans)
    seen = random.normal(size=(count, SEEN)).astype(np.float32)
    noise, running = (random.normal(0.0, 0.4, (count, T, ACTIONS)).astype(np.float32) for _ in range(2))
    given = {
        "noise": noise,
        "previous_chunk": running,
        "seen": policy.scaled(seen).astype(np.float32),
        "delay": np.array([delay for delay, _ in plans]),
        "overlap": np.array([overlap for _, overlap in plans]),
    }
    session = guided_session(tmp_path, policy, count)
    if count == 1:
        given = {name: np.asarray(value[0]) for name, value in given.items()}
    (chunks,) = session.run(["actions"], given)
    for index, (delay, overlap) in enumerate(plans):
        mask, one = soft_mask(T, delay, overlap), slice(index, index + 1)
        expected = sample_guided(policy, seen[one], noise[one], running[one], mask)[0]
        found = np.clip(chunks.reshape(count, T, ACTIONS)[index], -1.0, 1.0)
        assert found == pytest.approx(expected, abs=1e-5)
        assert (np.abs(expected) < 1.0).mean() > 0.5


def test_both_weigh_the_guidance_alike() -> None:
    times = np.linspace(0.0, 0.99, 34).tolist()
    assert [guided.guidance_weight(time) for time in times] == [guidance_weight(time) for time in times]
