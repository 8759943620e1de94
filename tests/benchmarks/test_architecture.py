"""The comparison of architectures: what it runs, what it times, what it refuses."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.one_line import refused
from unichunk.benchmarks import architecture
from unichunk.benchmarks.architecture import Options, complaints, jobs, parse_arm
from unichunk.benchmarks.architecture_cost import BASE, TOP_K, kinds, measured_costs
from unichunk.benchmarks.harness.document import is_measured
from unichunk.benchmarks.past_locking_plan import Arm, Episode, Job
from unichunk.benchmarks.stages.random_bundles import SIZES
from unichunk.runtime.errors import UnichunkError
from unichunk.server.shipped_bundles import shipped_bundles

if TYPE_CHECKING:
    from collections.abc import Sequence

ARMS = (Arm("plain", "locked", Path("a")), Arm("both", "locked", Path("b")))


def test_every_robot_meets_every_path_arm_and_delay() -> None:
    planned = jobs(Options(paths=2, delays=(2, 4), duration=10.0), ARMS)
    assert planned == [Job(robot, ARMS, seed, 10.0, (2, 4), 0) for robot in ("so101", "d1") for seed in (201, 202)]
    assert jobs(Options(quick=True, robots=("d1",)), ARMS) == [Job("d1", ARMS, 201, 8.0, (2,), 0)]


@pytest.mark.parametrize("text", ["", "a", "a=", "=b"])
def test_an_arm_is_a_label_and_a_bundle(text: str) -> None:
    with refused(UnichunkError, repr(text), "LABEL=BUNDLE"):
        parse_arm(text)


def test_an_arm_is_told_what_is_committed() -> None:
    assert parse_arm("plain=some/where=else") == Arm("plain", "locked", Path("some/where=else"))


@pytest.mark.parametrize(
    ("options", "word"),
    [
        (Options(delays=(2, -1)), "--delays -1"),
        (Options(delays=()), "--delays"),
        (Options(robots=()), "--robots"),
        (Options(paths=0), "--paths 0"),
        (Options(repetitions=0), "--repetitions 0"),
        (Options(duration=4.9), "--duration 4.9"),
        (Options(arms=("a=x", "a=y")), "a, a"),
    ],
)
def test_options_that_make_no_sense_are_refused_in_a_line_each(options: Options, word: str) -> None:
    (line,) = complaints(options)
    assert word in line
    assert "expected" in line


def test_a_mixtures_acting_experts_are_as_wide_as_the_block_that_they_replace() -> None:
    base = SIZES["small"]
    sizes = kinds(base)
    assert sizes[BASE] == base
    assert sizes["mixture"].experts_mlp * TOP_K == base.expert_mlp
    assert replace(sizes["both"], adapter_rank=0) == sizes["mixture"]
    assert replace(sizes["adapters"], adapter_rank=0) == base


def test_all_kinds_are_timed_beside_the_plain_one(tmp_path: Path) -> None:
    costs, ratios = measured_costs(tmp_path, quick=True, repetitions=1)
    assert [row["kind"] for row in costs] == ["plain", "adapters", "mixture", "both"]
    assert costs[0]["parameters"] < min(row["parameters"] for row in costs[1:])
    assert {label.partition(":")[0] for label in ratios} == {"prefix", "chunk"}
    assert len(ratios) == 6


def test_documents_with_and_without_policies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def measured(*_: Any, **__: Any) -> tuple[list[Any], dict[str, Any]]:
        return [], {}

    def ran(planned: Sequence[Job], _: int) -> dict[str, list[Episode]]:
        return {
            job.robot: [
                Episode(arm.label, 2, block, seed, success=True, on_target=0.9, error_mm=15.0 + number + seed - 201,
                        seam_kink_rad=0.02, inside_kink_rad=0.01, chunks=9, violations=0)
                for seed in range(201, 208)
                for block in ("red", "blue")
                for number, arm in enumerate(job.arms)
            ]
            for job in planned
        }  # fmt: skip

    monkeypatch.setattr(architecture, "measured_costs", measured)
    monkeypatch.setattr(architecture, "_run", ran)
    told = tmp_path / "told.json"
    monkeypatch.setattr("sys.argv", ["architecture", "--json", str(told)])
    assert architecture.main() == 0
    assert not is_measured(json.loads(told.read_text())["twins"])
    (bundle,) = shipped_bundles("so101")[:1]
    arms = ["--arms", f"plain={bundle}", f"other={bundle}", "--delays", "2", "--robots", "so101"]
    monkeypatch.setattr("sys.argv", ["architecture", *arms, "--json", str(told)])
    assert architecture.main() == 0
    assert "| 2 | other |" in capsys.readouterr().out
    document = json.loads(told.read_text())
    assert str(bundle) not in told.read_text(), "no paths of this machine"
    assert [one["label"] for one in document["twins"]["policies"]] == ["plain", "other"]
    assert document["twins"]["so101"]["experts"] == []
    assert "so101, error, d = 2: other / plain" in document["ratios"]
    monkeypatch.setattr("sys.argv", ["architecture", "--arms", "a=/nowhere"])
    assert architecture.main() == 3
    assert "/nowhere" in capsys.readouterr().err
