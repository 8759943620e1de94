"""`unichunk bench project`: what it tells of robots and cuts, that all of it is labelled, what it refuses."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unichunk.benchmarks import project
from unichunk.benchmarks.harness.document import is_measured
from unichunk.benchmarks.project import Options, asked_model, projection, sections
from unichunk.benchmarks.roofline.allowance import Allowance
from unichunk.benchmarks.roofline.cuts import cut_rows, inference_s, ranked_cuts
from unichunk.benchmarks.roofline.devices import DEVICES, device_named
from unichunk.benchmarks.roofline.robots import cuts_until, highest_action_hz, robot_row, robot_rows
from unichunk.benchmarks.roofline.sizes import named_model
from unichunk.embodiments.catalogue import embodiment_names, load_spec
from unichunk.runtime.chunking import required_delay
from unichunk.runtime.errors import BundleError

if TYPE_CHECKING:
    from collections.abc import Iterator

MODEL = named_model("being-h05-2b")
ORIN = device_named("orin-nx-16")


def rows_with_times(value: Any) -> Iterator[dict[str, Any]]:
    """Every object of a document with a time, a rate or a delay in it."""
    if isinstance(value, dict):
        if any(key.endswith(("_ms", "_hz", "_gb")) or key in {"ms", "delay"} for key in value):
            yield value
        for part in value.values():
            yield from rows_with_times(part)
    elif isinstance(value, list):
        for part in value:
            yield from rows_with_times(part)


def test_every_number_of_a_document_is_labelled() -> None:
    result = projection(Options(device="orin-nx-16", quick=True))
    assert result["prediction"] is True
    result.pop("machine")
    rows = list(rows_with_times(result))
    assert len(rows) > 40
    for row in rows:
        assert row.get("prediction") is True or row.get("assumption") is True, row
    assert not is_measured(result["validation"])
    json.dumps(result)


def test_every_table_says_that_it_is_a_prediction() -> None:
    for options in (Options(), Options(device="thor", size="pi05"), Options(policy=Path("generalist"), device="h100")):
        for section in sections(projection(options)):
            assert section.startswith("Prediction, " if "\n" not in section else "## Prediction: "), section
            tables = [line for line in section.splitlines() if line.startswith("| ")]
            assert not tables or tables[0].startswith("| predicted: ")


def test_without_a_device_all_are_in_the_table_and_with_one_all_robots() -> None:
    assert [row["device"] for row in projection(Options())["devices"]] == list(DEVICES)
    result = projection(Options(device="thor", precision="fp8"))
    assert {row["embodiment"] for row in result["robots"]} == set(embodiment_names())
    assert all("fp8" in DEVICES[row["device"]].tera for row in result["devices"])


def test_figures_that_no_published_run_supports_say_so() -> None:
    result = projection(Options())
    remarks = {row["device"]: row["unsupported"] for row in result["devices"]}
    assert {device for device, remark in remarks.items() if remark} == {"h100", "h200"}
    assert "pi0.5 on h200, is 2.7 times slower" in remarks["h100"]
    (table,) = (section for section in sections(result) if "| h200 | bf16 |" in section and "| h100 |" in section)
    assert table.count(remarks["h200"]) == 2
    assert any(remarks["h100"] in line for line in sections(projection(Options(device="h100")))[0].splitlines())


def test_what_is_asked_for_reaches_the_model() -> None:
    work = asked_model(Options(views=3, steps=7, rounds=1, precision="int8")).workload
    assert (work.views, work.steps, work.rounds, work.precision) == (3, 7, 1, "int8")
    model = asked_model(Options(policy=Path("generalist"), rounds=0))
    assert model.drives is not None
    assert (model.workload.rows, model.trained_delay, model.workload.precision) == (24, 12, "fp32")


def test_views_are_each_robots_own_unless_they_are_fixed() -> None:
    own = robot_rows(MODEL, ORIN, Allowance(), fixed_views=False)
    assert {row["embodiment"]: row["views"] for row in own}["adam_u"] == 2
    assert {row["embodiment"]: row["views"] for row in own}["so101"] == 1
    fixed = projection(Options(device="orin-nx-16", views=3))["robots"]
    assert {row["views"] for row in fixed} == {3}


def test_a_robot_row_is_what_the_runtime_would_do() -> None:
    spec = load_spec("so101")
    row = robot_row(MODEL, spec, ORIN, Allowance(whole_s=0.1))
    assert row["latency_ms"] == pytest.approx(row["inference_ms"] + 100)
    assert row["delay"] == required_delay(row["latency_ms"] / 1e3, spec.action_hz, spec.delay_margin_ticks)
    assert row["largest_delay"] == MODEL.workload.rows // 2
    assert row["fits"] == (row["delay"] <= row["largest_delay"])
    assert (row["complaint"] is None) == row["fits"]
    assert row["cautious_delay"] >= row["delay"]


@settings(deadline=None)
@given(st.floats(0.001, 2.0), st.integers(1, 3), st.integers(0, 16))
def test_the_highest_action_rate_is_the_last_that_fits(latency_s: float, margin: int, largest: int) -> None:
    hz = highest_action_hz(latency_s, margin, largest)
    if hz:
        assert required_delay(latency_s, hz, margin) <= largest
    if hz < 1000:
        assert required_delay(latency_s, hz + 1, margin) > largest


def test_cuts_are_ranked_by_what_they_gain() -> None:
    gains = [row["gain_ms"] for row in cut_rows(MODEL, ORIN)]
    assert gains == sorted(gains, reverse=True)
    assert gains[-1] > 0
    kinds = {cut.kind for cut, _ in ranked_cuts(MODEL, ORIN)}
    assert kinds == {"rounds", "steps", "views", "image", "text", "precision"}
    for cut, gain in ranked_cuts(MODEL, ORIN):
        assert inference_s(MODEL, ORIN) - inference_s(cut.model, ORIN) == pytest.approx(gain)


def test_on_orin_fewer_vision_tokens_beat_fewer_steps_without_refinement() -> None:
    gains = {cut.kind: gain for cut, gain in ranked_cuts(MODEL.asked(rounds=0), ORIN)}
    assert gains["views"] > gains["image"] > gains["steps"]


def test_cuts_are_made_until_it_is_enough() -> None:
    assert cuts_until(MODEL, ORIN, lambda _: True) == []
    assert cuts_until(MODEL, ORIN, lambda _: False) is None
    labels = cuts_until(MODEL, ORIN, lambda model: inference_s(model, ORIN) < 0.17)
    assert labels == ["MPG rounds 2 -> 0", "views 2 -> 1"]
    assert not any("int8" in label for label in labels)


def test_an_inference_longer_than_a_picture_starts_on_an_old_one() -> None:
    allowance = Allowance()
    short, long = allowance.seconds(1, 0.01, 30), allowance.seconds(1, 0.1, 30)
    assert long == pytest.approx(short + 1 / 30)
    assert allowance.seconds(2, 0.01, 30) > short
    assert replace(allowance, whole_s=0.2).seconds(3, 1.0, 30) == 0.2


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["project", *arguments])
    return project.main()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--device", "orin"], "unknown device 'orin': expected one of orin-nx-8, "),
        (["--size", "3b"], "unknown size '3b': expected one of being-h05-2b, pi05"),
        (["--device", "thor", "--precision", "int8"], "thor: no dense peak known for precision 'int8'"),
        (["--precision", "int4"], "--precision int4: expected one of fp32, "),
        (["--views", "0"], "--views 0: expected 1 to 16"),
        (["--steps", "0"], "--steps 0: expected 1 to 1000"),
        (["--rounds", "-1"], "--rounds -1: expected 0 to 16"),
        (["--size", "pi05", "--rounds", "1"], "--rounds 1: pi05 has no MPG gating"),
        (["--allowance-ms", "nan"], "--allowance-ms nan: expected 0 to 10000"),
        (
            ["--policy", "nowhere"],
            "--policy nowhere: neither a bundle (bundle.json) nor a checkpoint (config.json) there",
        ),
        (["--policy", "generalist", "--size", "pi05"], "--policy generalist and --size pi05: expected one of the two"),
    ],
)
def test_what_makes_no_sense_is_refused_in_one_line(
    arguments: list[str], said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, *arguments) == 2
    output = capsys.readouterr()
    (line,) = output.err.splitlines()
    assert line.startswith(f"unichunk bench project: {said}")
    assert output.out == ""


def test_a_damaged_policy_is_refused_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "bundle.json").write_text("{")
    assert run(monkeypatch, "--policy", str(tmp_path)) == 3
    assert len(capsys.readouterr().err.splitlines()) == 1
    with pytest.raises(BundleError):
        asked_model(Options(policy=tmp_path))


def test_the_document_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "--device", "agx-orin-64", "--json", str(tmp_path / "p.json")) == 0
    written = json.loads((tmp_path / "p.json").read_text())
    assert written["benchmark"] == "project"
    assert written["prediction"] is True
    assert written["device"] == "agx-orin-64"
    assert "## Prediction: every robot" in capsys.readouterr().out
