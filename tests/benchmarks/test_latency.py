"""The parts of the benchmark of latency: its cases, policies and robots, what is derived, what is compared."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unichunk.benchmarks.harness.document import is_measured
from unichunk.benchmarks.stages import stage
from unichunk.benchmarks.stages.case import Case, cases_of_bundle, combinations
from unichunk.benchmarks.stages.comparison import comparison_page, comparison_parts, read_documents
from unichunk.benchmarks.stages.derived import derived_rows, paired_difference
from unichunk.benchmarks.stages.driver_at_hand import choose_source, no_twin
from unichunk.benchmarks.stages.first_commands import FirstCommands
from unichunk.benchmarks.stages.fresh_process import memory_of
from unichunk.benchmarks.stages.fresh_starts import summary_of_starts
from unichunk.benchmarks.stages.graph_times import graph_times
from unichunk.benchmarks.stages.measurement import LEAST_CHUNKS, Amount
from unichunk.benchmarks.stages.options import Options, complaints
from unichunk.benchmarks.stages.places import Sweep, main_robot, places_of_bundle, random_places
from unichunk.benchmarks.stages.robots import STAND_IN, with_stand_in, with_views, write_spec
from unichunk.benchmarks.stages.rows import CURVE, curves, drift, ratios, stage_rows
from unichunk.benchmarks.stages.stand_in import StandInRobot
from unichunk.benchmarks.stages.subject import Shelf, Subject, available_bytes
from unichunk.benchmarks.stages.visit import Visit, counts
from unichunk.benchmarks.stages.warm_up import LEAST, WINDOW, is_steady, warm_up
from unichunk.embodiments.catalogue import load_spec
from unichunk.embodiments.drivers.hardware import hardware_device
from unichunk.runtime.errors import UnichunkError
from unichunk.runtime.policy import EngineOptions, Policy
from unichunk.runtime.policy.bundle import read_manifest
from unichunk.server.engine_flags import EngineFlags
from unichunk.server.run_command import shipped_bundle

if TYPE_CHECKING:
    from collections.abc import Sequence

    from unichunk.benchmarks.stages.random_bundles import Form
    from unichunk.embodiments.drivers.device import RobotDevice

SPEC = load_spec("so101")
BUNDLE = shipped_bundle("so101")
MANIFEST = read_manifest(BUNDLE)


def visit(denoise: Sequence[float], *, chunk: Sequence[float] = (10.0,), sent: int = 1, lost: int = 0) -> Visit:
    times = {name: list(chunk) for name in stage.MEANING if name != stage.HOST_TO_DEVICE}
    times |= {name: [5.0] * sent for name in (stage.WAIT, stage.SEND, stage.FIRST_COMMAND, stage.REACTION)}
    if not sent:
        del times[stage.WAIT], times[stage.SEND], times[stage.FIRST_COMMAND], times[stage.REACTION]
    return Visit({**times, stage.DENOISE: list(denoise)}, len(chunk), 0, lost, 50.0, 0.0, 1.0, ())


# Cases


@given(*[st.lists(st.integers(1, 5), min_size=1, max_size=4)] * 3)
def test_combinations_are_each_there_once_and_side_by_side(
    views: list[int], steps: list[int], rounds: list[int]
) -> None:
    cases = combinations(views, steps, rounds)
    assert len(cases) == len(set(cases)) == len(set(views)) * len(set(steps)) * len(set(rounds))
    assert [case.views for case in cases] == sorted(case.views for case in cases)


def test_a_bundle_measures_what_it_has_graphs_for_and_says_why_not_the_rest() -> None:
    robot, k = "so101", MANIFEST.denoising_steps
    rounds = [graph.refinement_rounds for graph in MANIFEST.graphs.chunks]
    assert cases_of_bundle(MANIFEST, robot, (), (), ()) == ([Case(1, k, n) for n in sorted(rounds)], {})
    possible, refused = cases_of_bundle(MANIFEST, robot, (1, 2), (k, k + 1), (0, 15))
    assert possible == [Case(1, k, 0)]
    assert len(refused) == 7
    assert "takes 1 view" in refused[f"V=2 K={k} N=0"]
    assert f"unrolled with {k} Euler" in refused[f"V=1 K={k + 1} N=0"]
    assert "refinement rounds" in refused[f"V=1 K={k} N=15"]
    assert "Euler" not in refused[f"V=1 K={k} N=15"]


def test_places_of_a_bundle_refuse_a_robot_it_does_not_drive_and_a_sweep_without_a_case(tmp_path: Path) -> None:
    places, refused = places_of_bundle(BUNDLE, "so101", Sweep((1, 3), (), ()), "stand-in", tmp_path)
    assert len(places) == len(MANIFEST.graphs.chunks) == len(refused)
    assert {load_spec(place.spec_path).driver for place in places} == {STAND_IN}
    with pytest.raises(UnichunkError, match="not sharpa"):
        places_of_bundle(BUNDLE, "sharpa", Sweep((), (), ()), "twin", tmp_path)
    with pytest.raises(UnichunkError, match="nothing to measure"):
        places_of_bundle(BUNDLE, "so101", Sweep((3,), (), ()), "twin", tmp_path)
    assert main_robot(BUNDLE) == "so101"


# Robots


@pytest.mark.parametrize("name", ["so101", "adam_u"])
@pytest.mark.parametrize("views", [1, 2, 3, 5])
def test_a_robot_has_as_many_cameras_as_views_and_its_own_first(name: str, views: int, tmp_path: Path) -> None:
    spec = load_spec(name)
    robot = load_spec(write_spec(with_stand_in(with_views(spec, views)), tmp_path))
    assert len(robot.cameras) == views
    own = list(spec.cameras)[:views]
    assert list(robot.cameras)[: len(own)] == own
    device: RobotDevice = hardware_device(robot)
    assert isinstance(device, StandInRobot)
    cameras = device.cameras()
    assert list(cameras) == list(robot.cameras)
    for name, camera in robot.cameras.items():
        source = cameras[name]
        first, second = source.capture(), source.capture()
        assert first is not None
        assert second is not None
        assert first.image.shape == (camera.height, camera.width, 3)
        assert first.stamp_ns <= second.stamp_ns
        assert not np.array_equal(first.image, second.image)


def test_the_stand_in_is_where_it_was_told_to_be() -> None:
    device = StandInRobot(SPEC)
    q, dq = device.step()
    assert np.array_equal(q, SPEC.rest)
    assert not dq.any()
    device.command(SPEC.rest + 0.01)
    q, dq = device.step()
    assert np.array_equal(q, SPEC.rest + 0.01)
    assert dq == pytest.approx(np.full(len(q), 0.01 * SPEC.command_hz))
    assert not device.step()[1].any()


def test_the_twin_is_taken_where_there_is_one() -> None:
    def broken() -> None:
        raise UnichunkError("no rendering")

    assert choose_source(None, "", lambda: None) == ("twin", "")
    assert choose_source(None, "not installed", lambda: None) == ("stand-in", "not installed")
    assert choose_source(None, "", broken) == ("stand-in", "no rendering")
    assert choose_source("stand-in", "", broken) == ("stand-in", "asked for")
    with pytest.raises(UnichunkError, match="not installed"):
        choose_source("twin", "not installed", lambda: None)
    with pytest.raises(UnichunkError, match="no rendering"):
        choose_source("twin", "", broken)
    assert "no twin" in no_twin(msgspec.structs.replace(SPEC, twin=None))


# Policies


@pytest.mark.parametrize(("robot", "form"), [("so101", "joints"), ("fr3_inspire", "poses")])
def test_random_weights_drive_a_robot_with_any_views_steps_and_rounds(robot: str, form: Form, tmp_path: Path) -> None:
    said: list[str] = []
    places = random_places("tiny", robot, form, Sweep((1, 2), (2,), (0, 1, 2)), "stand-in", tmp_path, said.append)
    assert [place.case for place in places] == combinations((1, 2), (2,), (0, 1, 2))
    # A bundle with refinement rounds has the graph without any too.
    assert len({place.bundle for place in places}) == 4
    assert len([line for line in said if line.startswith("compiling")]) == 4
    for place in places:
        subject = Subject.load(place, EngineOptions())
        assert len(subject.policy.robot.cameras) == place.case.views
        assert subject.policy.manifest.denoising_steps == place.case.steps
        result = subject.policy.infer(subject.policy.example_observation())
        assert (result.gates is None) == (place.case.rounds == 0)
        before = place.spec.rest
        joints = subject.adapter.joints(result.actions, before)
        assert np.isfinite(joints).all()
    assert bool(len(subject.adapter.displacement_slots)) == (form == "poses")


def test_policies_stay_loaded_while_they_fit(tmp_path: Path) -> None:
    places, _ = places_of_bundle(BUNDLE, "so101", Sweep((), (), ()), "stand-in", tmp_path)
    roomy, narrow = Shelf(EngineOptions(), 1e12), Shelf(EngineOptions(), 1.0)
    first = roomy.subject(places[0])
    assert roomy.subject(places[1]).place is places[1]
    assert roomy.subject(places[0]) is first
    first = narrow.subject(places[0])
    assert narrow.subject(places[0]) is first
    narrow.subject(places[1])
    assert narrow.subject(places[0]) is not first


def test_graph_times_are_those_of_both_graphs() -> None:
    policy = Policy.load(BUNDLE, embodiment="so101")
    for delay in (0, 2):
        times = graph_times(policy, 3, delay=delay)
        assert set(times) == {"prefix_s", "chunk_s"}
        assert all(len(values) == 3 and min(values) > 0 for values in times.values())


def test_memory_is_read_from_the_kernels_words() -> None:
    status = "Name:\tpython\nVmHWM:\t  200000 kB\nVmRSS:\t  100000 kB\nVmSwap:\t 0 kB\n"
    assert memory_of(status) == {"VmHWM": 204.8, "VmRSS": 102.4}
    assert available_bytes("MemTotal: 9 kB\nMemAvailable:   1000 kB\n") == 1024e3
    assert available_bytes("nothing") == float("inf")


# Times


def test_steady_is_what_takes_as_long_as_before() -> None:
    assert not is_steady([1.0] * (2 * WINDOW - 1))
    assert is_steady([1.0] * 2 * WINDOW)
    assert is_steady([9.0] * 5 + [1.0] * WINDOW + [1.04] * WINDOW)
    assert not is_steady([1.0] * WINDOW + [1.06] * WINDOW)
    assert not is_steady([1.0] * WINDOW + [0.9] * WINDOW)
    assert is_steady([1.0] * (WINDOW - 1) + [50.0] + [1.0] * (WINDOW - 1) + [70.0])


def test_warming_up_ends_when_steady_or_when_the_time_is_up() -> None:
    clock = [0.0]

    def infer(times: Any) -> Any:
        def one() -> float:
            clock[0] += 1.0
            return float(next(times))

        return one

    result = warm_up(infer(iter([9.0, 5.0, *[1.0] * 50])), 100.0, lambda: clock[0])
    # The two slow ones do not move the median of the first ten.
    assert (result.inferences, result.steady, result.first_ms, result.last_ms) == (2 * WINDOW, True, 9.0, 1.0)
    slow = warm_up(infer(iter(range(1, 1000))), 30.0, lambda: clock[0])
    assert (slow.inferences, slow.seconds, slow.steady) == (30, 30.0, False)
    assert warm_up(infer(iter(range(1, 1000))), 0.0, lambda: clock[0]).inferences == LEAST


@given(st.integers(1, 2000), st.integers(1, 30), st.floats(0.1, 1000), st.floats(0.01, 1e5))
def test_a_slow_policy_gets_fewer_chunks_but_never_too_few(
    repeats: int, visits: int, seconds: float, chunk_ms: float
) -> None:
    amount = Amount(repeats, visits, seconds, 1.0)
    chunks = amount.chunks(chunk_ms)
    assert chunks * visits >= LEAST_CHUNKS
    assert chunks <= max(-(-repeats // visits), -(-LEAST_CHUNKS // visits))
    assert amount.chunks(2 * chunk_ms) <= chunks


def test_a_round_is_the_difference_of_graphs_with_and_without_it() -> None:
    visits = {
        Case(1, 4, 0): [visit([10.0, 11.0, 12.0])] * 6,
        Case(1, 4, 1): [visit([15.0])] * 6,
        Case(1, 4, 3): [visit([25.0])] * 6,
        Case(1, 8, 0): [visit([19.0])] * 6,
        Case(1, 8, 1): [visit([31.0])] * 6,
        Case(2, 4, 0): [visit([99.0])] * 6,
    }
    rows = {(row["case"], row["stage"]): row for row in derived_rows(visits)}
    assert {key: row["p50"] for key, row in rows.items()} == {
        ("V=1 K=4 N=1", "refinement round 1"): 4.0,
        ("V=1 K=4 N=3", "refinement rounds 2 to 3, each"): 5.0,
        ("V=1 K=8 N=0", "Euler step 5 to 8, each"): 2.0,
        ("V=1 K=8 N=1", "refinement round 1"): 12.0,
        ("V=1 K=8 N=1", "Euler step 5 to 8, each"): 2.0,
    }
    row = rows["V=1 K=4 N=1", "refinement round 1"]
    assert row["derived_from"] == ["V=1 K=4 N=1", "V=1 K=4 N=0"]
    assert not any(is_measured(row[name]) for name in ("p95", "p99", "max"))


@given(st.lists(st.tuples(st.floats(-1e3, 1e3), st.floats(-1e3, 1e3)), min_size=1, max_size=30), st.integers(1, 8))
def test_differences_are_paired_and_shared_among_the_parts(pairs: list[tuple[float, float]], parts: int) -> None:
    high, low = zip(*pairs, strict=True)
    found = paired_difference(high, low, parts)
    differences = sorted((a - b) / parts for a, b in pairs)
    assert found["p50"] == pytest.approx(np.median(differences))
    assert differences[0] <= found["low"] <= found["p50"] <= found["high"] <= differences[-1]
    assert found["n"] == len(pairs)
    assert (found["confidence"] >= 0.95) == (len(pairs) >= 6)


def test_rows_have_every_stage_of_every_case_and_say_what_does_not_apply() -> None:
    visits = {Case(1, 4, 0): [visit([1.0] * 20, chunk=[10.0] * 20, sent=20)] * 5, Case(1, 4, 1): [visit([2.0])] * 5}
    rows = stage_rows(visits)
    found = {(row["case"], row["stage"]): row for row in rows}
    assert set(stage.PARTS) < set(stage.MEANING)
    for case in visits:
        assert {name for label, name in found if label == case.label} >= set(stage.MEANING)
    first = found["V=1 K=4 N=0", stage.PREFIX]
    assert (first["n"], first["p50"], first["p95"], first["max"]) == (100, 10.0, 10.0, 10.0)
    assert not is_measured(first["p99"])
    assert "does not apply" in found["V=1 K=4 N=0", stage.HOST_TO_DEVICE]["p50"]["not_measured"]
    # Where a refinement round was derived, it stands behind the graph it was derived from.
    order = [row["stage"] for row in rows if row["case"] == "V=1 K=4 N=1"]
    assert order.index("refinement round 1") == order.index(stage.DENOISE) + 1


def test_a_policy_too_slow_for_any_of_its_rows_has_no_first_command() -> None:
    visits = [visit([1.0], sent=0, lost=1)] * 10
    rows = {row["stage"]: row for row in stage_rows({Case(1, 4, 0): visits})}
    assert not is_measured(rows[stage.FIRST_COMMAND]["p50"])
    assert is_measured(rows[stage.CHUNK]["p50"])
    assert counts(visits) == {"chunks": 10, "late": 0, "lost": 10, "overtaken": 0}
    overtaken = [visit([1.0], chunk=[1.0] * 5, sent=3, lost=1)] * 2
    assert counts(overtaken) == {"chunks": 10, "late": 0, "lost": 2, "overtaken": 2}


def test_ratios_are_to_the_smallest_case_that_differs_in_one_number() -> None:
    cases = combinations((1, 2), (4,), (0, 2))
    visits = {case: [visit([1.0], chunk=[case.views * (1.0 + case.rounds)])] * 6 for case in cases}
    found = {label: ratio.median for label, ratio in ratios(visits).items()}
    assert found == {
        "whole chunk, N=2 / N=0, V=1 K=4": 3.0,
        "whole chunk, V=2 / V=1, K=4 N=0": 2.0,
        "whole chunk, V=2 / V=1, K=4 N=2": 2.0,
        "whole chunk, N=2 / N=0, V=2 K=4": 3.0,
    }
    curve = curves(visits)
    assert len(curve["percent"]) == len(CURVE) == len(curve["ms"]["V=1 K=4 N=0"])
    assert drift([visit([1.0], chunk=[10.0]), visit([1.0], chunk=[15.0])]) == 1.5


def test_the_first_command_of_a_chunk_is_noted_once_and_only_if_it_was_sent() -> None:
    class Sink:
        works = False

        def send(self, tick: int, q: Any) -> bool:
            return self.works

    class Motion:
        seam_chunk = -1

    sink, motion = Sink(), Motion()
    noted = FirstCommands(sink)
    q = np.zeros(1)
    assert not noted.send(0, q)
    noted.motion = motion  # type: ignore[assignment]
    motion.seam_chunk = 0
    noted.send(1, q)
    assert noted.sent_ns == {}
    sink.works = True
    assert noted.send(2, q)
    first = dict(noted.sent_ns)
    noted.send(3, q)
    motion.seam_chunk = -2
    noted.send(4, q)
    assert noted.sent_ns == first
    assert set(first) == {0}


def test_fresh_starts_are_summed_up_and_one_that_died_is_told() -> None:
    starts = [{"load_s": value, "peak_rss_mb": 10.0} for value in (3.0, 1.0, 2.0)]
    assert summary_of_starts(starts) == {
        "processes": 3,
        "load_s": {"p50": 2.0, "min": 1.0, "max": 3.0},
        "peak_rss_mb": {"p50": 10.0, "min": 10.0, "max": 10.0},
    }
    assert summary_of_starts([*starts, {"died": "killed"}]) == {"not_measured": "killed"}


# Words


@pytest.mark.parametrize(
    ("changed", "word"),
    [
        ({"engines": EngineFlags(device=1)}, "--device"),
        ({"random": "tiny", "policy": Path("x")}, "--random"),
        ({"form": "poses"}, "--form"),
        ({"views": (1, 0)}, "--views 0"),
        ({"steps": (0,)}, "--steps 0"),
        ({"rounds": (-1,)}, "--rounds -1"),
        ({"threads": 0}, "--threads 0"),
        ({"repeats": 0}, "--repeats 0"),
        ({"visits": 0}, "--visits 0"),
        ({"processes": 0}, "--processes 0"),
        ({"seconds": float("nan")}, "--seconds nan"),
        ({"html": Path("/nowhere/x.html")}, "/nowhere/x.html"),
        ({"folder": Path("/nowhere")}, "/nowhere"),
        ({"compare": (Path("x"),), "json": Path("y")}, "--json"),
    ],
)
def test_wrong_options_are_refused_in_one_line_each(changed: dict[str, Any], word: str) -> None:
    assert complaints(Options()) == []
    (line,) = complaints(replace(Options(), **changed))
    assert word in line
    assert "\n" not in line


DOCUMENT: dict[str, Any] = {
    "benchmark": "latency",
    "quick": False,
    "date": "2026-01-01",
    "machine": {"processor": "p", "cores": 2},
    "settings": {"policy": "x", "threads": 1},
    "rows": [
        {"case": "V=1 K=4 N=0", "stage": stage.CHUNK, "p50": 7.5, "p99": {"not_measured": "few"}, "n": 3},
        {"case": "V=1 K=4 N=2", "stage": stage.CHUNK, "p50": 9, "p99": 12.0},
    ],
}


def test_documents_of_several_machines_stand_side_by_side(tmp_path: Path) -> None:
    other = {**DOCUMENT, "settings": {"policy": "y", "threads": 1}, "rows": DOCUMENT["rows"][:1], "quick": True}
    (tmp_path / "b").mkdir()
    paths = [tmp_path / "orin.json", tmp_path / "b" / "orin.json"]
    for path, content in zip(paths, (DOCUMENT, other), strict=True):
        path.write_text(json.dumps(content))
    documents = read_documents(paths)
    assert list(documents) == ["orin", "orin (2)"]
    machines, stages = comparison_parts(documents)
    assert machines.notes == [
        "orin (2): short form, few repetitions",
        "policy differs: what is compared is not the machine alone",
    ]
    assert [row[0] for row in stages.rows] == ["V=1 K=4 N=0, whole chunk", "V=1 K=4 N=2, whole chunk"]
    assert list(stages.rows[0][1:]) == [7.5, {"not_measured": "few"}] * 2
    assert list(stages.rows[1][1:]) == [9.0, 12.0, None, None]
    page = comparison_page(documents)
    assert "<svg" in page
    assert "V=1 K=4 N=2" in page


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "{",
        "\xff",
        json.dumps({**DOCUMENT, "benchmark": "ik"}),
        json.dumps({**DOCUMENT, "rows": [{"case": 1}]}),
        json.dumps({key: DOCUMENT[key] for key in ("benchmark", "rows")}),
    ],
)
def test_a_foreign_or_damaged_document_is_refused_in_one_line(content: str, tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_text(content, encoding="latin-1")
    with pytest.raises(UnichunkError) as refused:
        read_documents([path])
    assert str(path) in str(refused.value)
    assert "\n" not in str(refused.value)
    with pytest.raises(UnichunkError, match="cannot be read"):
        read_documents([tmp_path / "missing"])
