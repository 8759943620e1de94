"""The benchmark of engines: its floor, its checks, its tables; one small run with stand-ins in place of a GPU."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from tests.engines.tensorrt_stand_in import stand_in
from unichunk.benchmarks.engine_runs.agreement import agreement
from unichunk.benchmarks.engine_runs.arms import ARMS, Arm, arms_of
from unichunk.benchmarks.engine_runs.bundles import Workload, compile_bundle, write_checkpoint
from unichunk.benchmarks.engine_runs.deviations import OnCpu, deviation_rows
from unichunk.benchmarks.engine_runs.floor import Yardstick, gpu_rates, graph_floor, recognized, yardstick
from unichunk.benchmarks.engine_runs.measuring import Effort, Results, Subject, measure_bundle
from unichunk.benchmarks.engine_runs.report import broken, tables
from unichunk.benchmarks.engine_runs.requests import Asked, largest_difference
from unichunk.benchmarks.engine_runs.times import measured_times
from unichunk.benchmarks.engines import Options, complaints
from unichunk.benchmarks.harness.document import document, not_measured
from unichunk.benchmarks.roofline.measure import ROWS
from unichunk.benchmarks.roofline.operations import linear
from unichunk.benchmarks.roofline.rates import PeakCurve, Rates
from unichunk.benchmarks.roofline.stages import Stage
from unichunk.benchmarks.summary.engine_tables import engines_deviations, engines_times
from unichunk.runtime.policy import EngineOptions
from unichunk.runtime.policy.batching import Held
from unichunk.runtime.policy.loaded_graphs import GraphPair

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

WORKLOAD = Workload("tiny", views=1, steps=(2,), rounds=1)


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny model in float32 and in int8."""
    folder = tmp_path_factory.mktemp("engines")
    write_checkpoint(folder / "checkpoint", WORKLOAD)
    for precision in ("fp32", "int8"):
        compile_bundle(folder / "checkpoint", folder / precision, WORKLOAD, precision)
    return folder


def test_all_numbers_of_steps_with_and_without_refinement():
    assert replace(WORKLOAD, steps=(4, 10), rounds=2).cases == [(4, 0), (4, 2), (10, 0), (10, 2)]
    assert replace(WORKLOAD, steps=(4,), rounds=0).cases == [(4, 0)]


def test_engines_on_a_gpu_come_with_recordings_and_without():
    labels = [arm.label for arm in arms_of(ARMS)]
    assert labels[:2] == ["onnxruntime", "onnxruntime-bound"]
    assert labels[-2:] == ["tensorrt, CUDA graphs", "tensorrt, no CUDA graphs"]
    assert len(labels) == len(set(labels)) == 8
    assert arms_of(["tensorrt", "tensorrt"]) == [Arm("tensorrt", True), Arm("tensorrt", False)]


@pytest.mark.parametrize("recorded", [True, False])
def test_an_arm_asks_for_its_own_engine(monkeypatch, recorded):
    asked: list[EngineOptions] = []
    monkeypatch.setattr(
        "unichunk.benchmarks.engine_runs.arms.build_engine", lambda _file, options: asked.append(options)
    )
    file: Any = None
    Arm("tensorrt", recorded).engine(file, EngineOptions(threads=3))
    assert asked == [EngineOptions(name="tensorrt", threads=3, cuda_graphs=recorded)]


@pytest.mark.parametrize(
    ("told", "name"),
    [
        ("NVIDIA H100 80GB HBM3, driver 580.65.06", "h100"),
        ("NVIDIA H200, driver 580.65.06", "h200"),
        ("NVIDIA GeForce RTX 4090, driver 550.1", "rtx-4090"),
        ("NVIDIA H100 PCIe, driver 550.1", None),
        ("NVIDIA GeForce RTX 4090 Laptop GPU, driver 550.1", None),
        ("Orin (nvgpu), driver 540.4.0", None),
        ("NVIDIA Thor, driver 580.00", None),
        ("", None),
    ],
)
def test_which_datasheet_a_gpu_has(told, name):
    assert recognized(told) == name


def test_the_floor_counts_weights_once_in_every_pass(monkeypatch):
    product = linear(rows=4, inputs=1000, outputs=1000, size=2)
    found = [Stage("language prefix", "prefix", (product,)), Stage("Euler step", "chunk", (product, product), 10)]
    monkeypatch.setattr("unichunk.benchmarks.engine_runs.floor.stages", lambda model: found)
    rates = Rates(PeakCurve.flat(1e12), bandwidth=1e9, pointwise_bandwidth=1.0, launch_s=1.0, fused=True)
    model: Any = None
    prefix = graph_floor(model, "prefix", rates)
    assert (prefix.weights_s, prefix.arithmetic_s) == pytest.approx((2e-3, 8e-6))
    chunk = graph_floor(model, "chunk", rates)
    assert chunk.weights_s == pytest.approx(4e-2)
    assert chunk.arithmetic_s == pytest.approx(1.6e-4)
    assert chunk.seconds == chunk.weights_s
    slow = replace(rates, peak=PeakCurve.flat(1e9))
    assert graph_floor(model, "chunk", slow).row()["floor_ms"] == pytest.approx(160.0)


def test_the_floor_of_the_published_size_on_an_h100():
    """By hand: 2.0e9 weights of the prefix and 0.4e9 of each Euler step, 2 bytes each, at 3.35 TB/s, within a third."""
    model = Workload("2b", views=2, steps=(4,), rounds=0).model("bf16", 4, 0)
    rates = gpu_rates("h100", "bf16")
    prefix, chunk = (graph_floor(model, graph, rates) for graph in ("prefix", "chunk"))
    assert 1e3 * prefix.weights_s == pytest.approx(2 * 2.0 / 3.35, rel=0.35)
    assert 1e3 * chunk.weights_s == pytest.approx(4 * 2 * 0.4 / 3.35, rel=0.35)
    assert prefix.arithmetic_s < prefix.weights_s
    assert gpu_rates("h100", "int8").peak == rates.peak
    assert gpu_rates("thor", "int8") == gpu_rates("thor", "fp16")
    eight = Workload("2b", views=2, steps=(4,), rounds=0).model("int8", 4, 0)
    assert graph_floor(eight, "prefix", gpu_rates("h100", "int8")).weights_s == pytest.approx(prefix.weights_s / 2)


def test_the_pace_of_a_processor_is_known_by_the_names_of_its_measurements(monkeypatch):
    monkeypatch.setattr("unichunk.benchmarks.roofline.measure.COPIED_BYTES", 1 << 10)
    against = yardstick(1, None)
    rates, row = against.processor_rates({name: [2e-3, 1e-3, 4e-3] for name in against.processor})
    assert rates.bandwidth == pytest.approx(2 * (1 << 10) / 2e-3)
    assert row["threads"] == 1


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (Options(steps=(4, 0)), "--steps 0: expected at least 1"),
        (Options(requests=1), "--requests 1: expected at least 2"),
        (Options(rounds=-1), "--rounds -1"),
        (Options(engines=()), "--engines: expected at least one"),
        (Options(seconds=0.0), "--seconds 0: expected more than 0"),
        (Options(seconds=float("nan")), "--seconds nan"),
        (Options(datasheet="orin"), "--datasheet: unknown device 'orin'"),
    ],
)
def test_options_that_make_no_sense(options, words):
    (complaint,) = complaints(options)
    assert words in complaint
    assert not complaints(Options())


class _Engine:
    """Gives what a function makes of the inputs, as an engine's own values."""

    def __init__(self, compute: Any) -> None:
        self._compute = compute

    def run(self, inputs: Mapping[str, Any]) -> dict[str, Held]:
        return {name: Held(np.asarray(value)) for name, value in self._compute(inputs).items()}

    def kept(self, outputs: Mapping[str, Any]) -> Mapping[str, Any]:
        return outputs


def chunk_as_asked(inputs: Mapping[str, Any]) -> dict[str, Any]:
    rows = np.array(inputs["noise"][0])
    delay = int(inputs["delay"])
    rows[:delay] = inputs["previous_chunk"][:delay]
    return {"actions": rows}


@pytest.mark.parametrize("fault", ["", "locked_rows", "same_again", "finite"])
@pytest.mark.parametrize("drifts", [True, False])
def test_a_broken_contract_is_seen(bundles, fault, drifts):
    asked = Asked(bundles / "fp32", 2, 0)
    requests = asked.requests(4)
    calls: list[Mapping[str, Any]] = []

    def run(inputs: Mapping[str, Any]) -> dict[str, Held]:
        before = calls[-1] if calls else inputs
        calls.append(inputs)
        outputs = chunk_as_asked(inputs)
        if fault == "locked_rows" and inputs["delay"]:
            outputs["actions"][0] += 1e-6
        if fault == "same_again" and drifts:
            outputs["actions"][-1] += 1e-3 * len(calls)
        if fault == "same_again" and inputs["delay"]:
            # Something of the request before shows, which is always the same one unless the order changes.
            outputs["actions"][-1] += before["state"].sum()
        if fault == "finite":
            outputs["actions"][-1] = np.inf
        return {name: Held(value) for name, value in outputs.items()}

    found = agreement(asked, requests, run, [])
    assert broken(found) == fault
    assert "not_measured" in found["deviation"]
    assert len(calls) == 8


def test_the_largest_difference():
    ones = [np.ones((2, 3), np.float32)] * 2
    other = [np.ones((2, 3), np.float32), np.array([[1, 1, 1], [1, 0.25, 1]], np.float32)]
    assert largest_difference(ones, other) == 0.75


def test_requests_are_the_same_every_time(bundles):
    first, second = (Asked(bundles / "fp32", 2, 1).requests(3) for _ in range(2))
    assert [len(request.locked) for request in first] == [0, 4, 0]
    for one, other in zip(first, second, strict=True):
        assert one.inputs.keys() == other.inputs.keys()
        for name in one.inputs:
            np.testing.assert_array_equal(one.inputs[name], other.inputs[name])


@pytest.mark.parametrize(("seconds", "each"), [(1.3, 2), (0.1, 1), (100.0, 4)])
def test_slow_engines_have_fewer_inferences(monkeypatch, seconds, each):
    clock = iter(np.cumsum([0.0] + [0.1] * 1000))
    monkeypatch.setattr("unichunk.benchmarks.engine_runs.times.time.perf_counter", lambda: float(next(clock)))
    engine = _Engine(lambda _inputs: {})
    times, _ = measured_times({"slow": GraphPair(engine, engine)}, {}, visits=3, repeats=12, seconds=seconds, beside={})
    assert len(times["slow"].visits_s) == 3
    assert len(times["slow"].prefix_s) == len(times["slow"].chunk_s) == 3 * each
    assert times["slow"].visits_s == pytest.approx([0.2] * 3)
    row = times["slow"].row()
    assert row["both_ms"]["n"] == 3 * each
    assert row["prefix_ms"]["max"] == pytest.approx(100.0)


def test_rounding_that_the_processor_does_not_do_itself_is_emulated(tmp_path, bundles):
    cpu = OnCpu(replace(WORKLOAD, rounds=0), EngineOptions(), 2)
    compile_bundle(bundles / "checkpoint", tmp_path / "bf16", cpu.workload, "bf16")
    (row,) = deviation_rows(cpu, tmp_path / "bf16", "bf16", cpu.chunks(bundles / "fp32"))
    assert (row["method"], row["steps"], row["rounds"]) == ("emulated", 2, 0)
    assert 0 < row["deviation"] < 0.5


def test_engines_in_turn_on_a_small_bundle(monkeypatch, tmp_path, bundles):
    """Everything but a GPU; the numbers of stand-ins are written nowhere."""
    tensorrt = stand_in(monkeypatch)
    arms = [*arms_of(["onnxruntime", "onnxruntime-bound"]), Arm("tensorrt", True), Arm("onnxruntime-cuda", True)]
    options = EngineOptions(cache=tmp_path / "cache")
    effort = Effort(visits=2, repeats=2, seconds=1.0, requests=2)
    cpu = OnCpu(WORKLOAD, options, effort.requests)
    reference = cpu.chunks(bundles / "fp32")
    pace = dict.fromkeys((*(f"product {rows}" for rows in ROWS), "copy", "pointwise", "nodes"), lambda: 1e-3)
    against = Yardstick(1, pace, None)
    results, said = Results(), list[str]()
    results.deviations = deviation_rows(cpu, bundles / "int8", "int8", reference)
    for precision in ("fp32", "int8"):
        subject = Subject(bundles / precision, WORKLOAD, precision, reference)
        measure_bundle(subject, arms, options, effort, against, results, said.append)
    found = [(row["precision"], row["engine"], row["steps"], row["rounds"]) for row in results.rows]
    of_cpu = ("onnxruntime", "onnxruntime-bound")
    assert found == [
        (precision, engine, steps, rounds)
        for precision, engines in (("fp32", (*of_cpu, "tensorrt")), ("int8", of_cpu))
        for steps, rounds in WORKLOAD.cases
        for engine in engines
    ]
    for row in results.rows:
        assert not broken(row["agreement"])
        deviation = row["agreement"]["deviation"]
        assert deviation == 0 if row["precision"] == "fp32" else 0 < deviation < 0.5
        assert ("not_measured" in row["floor"]) == (row["engine"] == "tensorrt")
    # The prefix and two chunk graphs.
    assert tensorrt.builds == 3
    assert len(results.ratios) == 2 * (2 + 1)
    assert [(row["precision"], row["rounds"]) for row in results.processor] == [
        (precision, rounds) for precision in ("fp32", "int8") for rounds in (0, 1)
    ]
    reasons = "\n".join(results.refused)
    assert "CUDAExecutionProvider" in reasons
    assert "int8 weights are for ONNX Runtime alone" in reasons
    assert str(tmp_path.parent) not in reasons
    assert [row["deviation"] for row in results.deviations] == [
        row["agreement"]["deviation"]
        for row in results.rows
        if (row["precision"], row["engine"]) == ("int8", "onnxruntime")
    ]
    parts = {"refused": results.refused, "rows": results.rows, "deviations": results.deviations}
    text = tables(document("engines", quick=True, ratios=results.ratios, **parts))
    assert text.count("| kept |") == len(results.rows)
    assert text.count("| computed |") == len(results.deviations) == 2
    assert "tiny int8: tensorrt, CUDA graphs: prefix.onnx: int8 weights" in text


def stored_row(precision: str, engine: str, steps: int, chunk_ms: Any, recorded: bool | None = None) -> dict[str, Any]:
    floor: Any = {"prefix": {"times_floor": 1.26}, "chunk": {"times_floor": 2.04}}
    return {
        "size": "2b",
        "precision": precision,
        "steps": steps,
        "rounds": 0,
        "engine": engine,
        "cuda_graphs": recorded,
        "prefix_ms": {"p50": 1.234},
        "chunk_ms": {"p50": chunk_ms},
        "floor": not_measured("no datasheet") if recorded is False else floor,
    }


def test_tables_of_stored_results():
    rows = [
        stored_row("fp16", "onnxruntime", 4, 10.0),
        stored_row("fp16", "onnxruntime", 10, not_measured("9 samples")),
        stored_row("fp16", "tensorrt", 4, 2.5, recorded=False),
    ]
    machine = {"processor": "P", "cores": 2, "python": "3.11"}
    table = engines_times({"rows": rows, "machine": machine, "date": "2026-01-01"})
    assert (
        table.splitlines()[0]
        == "| size | precision | engine | prefix [ms] | chunk, K = 4, N = 0 | chunk, K = 10, N = 0 |"
    )
    assert "| 2b | fp16 | onnxruntime | 1.23 (1.3) | 10 (2.0) | - |" in table
    assert "| 2b | fp16 | tensorrt, no CUDA graphs | 1.23 | 2.5 | - |" in table
    assert table.endswith("(P, 2 cores, CPython 3.11, 2026-01-01)")
    deviations = [
        {"size": "2b", "precision": "bf16", "method": "emulated", "steps": 4, "rounds": 2, "deviation": 0.0123}
    ]
    assert "| 2b | bf16 | emulated | 0.012 |" in engines_deviations({"deviations": deviations})
