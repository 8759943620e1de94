"""The command: policies that are kept, options that are refused, tables, ratios and a whole small run."""

from __future__ import annotations

import importlib
import json
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from tests.benchmarks.async_worlds import Walk
from unichunk.benchmarks.async_control import store
from unichunk.benchmarks.async_control.cell import Cell
from unichunk.benchmarks.async_control.cost import cell_flop, parameters
from unichunk.benchmarks.async_control.latency import DelayKind, Latency
from unichunk.benchmarks.async_control.methods import METHODS
from unichunk.benchmarks.async_control.options import Options, complaints
from unichunk.benchmarks.async_control.report import (
    print_tables,
    rate_ratio,
    success_plot,
    success_ratios,
    success_table,
)
from unichunk.benchmarks.async_control.run import planned, run
from unichunk.benchmarks.async_control.training import Recipe, Variant

if TYPE_CHECKING:
    from pathlib import Path

TINY = Recipe(episodes=32, steps=20, batch=64, width=16)


def test_a_policy_is_trained_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = store.trained_policy(tmp_path, Walk(), 4, Variant.DELAYS, TINY)
    monkeypatch.setattr(store, "train", None)
    again = store.trained_policy(tmp_path, Walk(), 4, Variant.DELAYS, TINY)
    assert again.record == first.record
    for one, other in ((first.policy, again.policy), (first.weak, again.weak)):
        for left, right in zip(one.network.parameters, other.network.parameters, strict=True):
            assert left.tobytes() == right.tobytes()
            assert left.dtype == right.dtype == np.float32
        assert np.array_equal(one.mean, other.mean)
        assert np.array_equal(one.scale, other.scale)
    assert not np.array_equal(first.policy.network.weights[0], first.weak.network.weights[0])


@pytest.mark.parametrize("damage", ["flipped", "cut", "empty", "folder"])
def test_a_damaged_policy_is_trained_anew(tmp_path: Path, damage: str) -> None:
    path = store.policy_file(tmp_path, Walk(), 4, Variant.PLAIN, TINY)
    first = store.trained_policy(tmp_path, Walk(), 4, Variant.PLAIN, TINY)
    content = path.read_bytes()
    if damage == "flipped":
        middle = len(content) // 2
        path.write_bytes(content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :])
    elif damage == "folder":
        path.unlink()
        path.mkdir()
        assert store.load(path, Walk(), 4) is None
        return
    else:
        path.write_bytes(content[: len(content) // 2] if damage == "cut" else b"")
    assert store.load(path, Walk(), 4) is None
    again = store.trained_policy(tmp_path, Walk(), 4, Variant.PLAIN, TINY)
    assert np.array_equal(again.policy.network.weights[1], first.policy.network.weights[1]), "training is repeatable"
    assert store.load(path, Walk(), 4) is not None
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_whatever_decides_a_policy_is_in_its_name(tmp_path: Path) -> None:
    class Changed(Walk):
        version = 2

    names = {
        store.policy_file(tmp_path, Walk(), 4, Variant.PLAIN, TINY),
        store.policy_file(tmp_path, Changed(), 4, Variant.PLAIN, TINY),
        store.policy_file(tmp_path, Walk(), 8, Variant.PLAIN, TINY),
        store.policy_file(tmp_path, Walk(), 4, Variant.DELAYS, TINY),
        store.policy_file(tmp_path, Walk(), 4, Variant.PLAIN, Recipe(**{**_settings(TINY), "exploration": 0.0})),
    }
    assert len(names) == 5


def test_policies_lie_in_the_users_cache_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert store.default_folder() == tmp_path / "unichunk" / "async"
    monkeypatch.setenv("XDG_CACHE_HOME", "")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert store.default_folder() == tmp_path / ".cache" / "unichunk" / "async"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--tasks", "juggle"], "unknown task 'juggle': expected some of catch"),
        (["--methods", "uca"], "unknown method 'uca': expected some of oracle, synchronous"),
        (["--chunks", "8", "--delays", "5"], "--delays 5: expected 0 to 4 with chunks of 8"),
        (["--quick", "--delays", "8"], "--delays 8: expected 0 to 4 with chunks of 8"),
        (["--delays", "-1"], "--delays -1: expected 0 to 4"),
        (["--chunks", "2"], "--chunks 2: expected at least 4"),
        (["--episodes", "0"], "--episodes 0: expected at least 1"),
        (["--workers", "0"], "--workers 0: expected at least 1"),
        (["--steps", "0"], "--steps 0: expected at least 1"),
        (["--prefix-noise", "nan"], "--prefix-noise nan: expected 0 to 1"),
        (["--seed", "-3"], "--seed -3: expected 0 or more"),
        (["--cache", "/dev/null/policies"], "--cache /dev/null/policies: cannot be made"),
        (["--json", "/nowhere/async.json"], "/nowhere"),
    ],
)
def test_nonsense_is_refused_in_one_line(
    arguments: list[str],
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(sys, "argv", ["unichunk bench async", *arguments])
    command = importlib.import_module("unichunk.benchmarks.async")
    try:
        status = command.main()
    except SystemExit as ended:
        status = ended.code
    assert status == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1


def test_a_short_form_is_a_part_of_the_whole(tmp_path: Path) -> None:
    quick, full = Options(quick=True, cache=tmp_path), Options(cache=tmp_path)
    assert complaints(quick) == complaints(full) == []
    cells = planned(quick, quick.wanted_tasks())
    assert len(cells) == 27
    assert {(cell.task, cell.chunk, cell.episodes) for cell in cells} == {("catch", 8, 512)}
    cells = planned(full, ["catch"])
    for chunk, longest in ((8, 4), (16, 8)):
        own = [cell for cell in cells if cell.chunk == chunk]
        for name, method in METHODS.items():
            latencies = [cell.latency for cell in own if cell.method == name]
            fixed = [Latency(DelayKind.FIXED, delay) for delay in range(longest + 1)]
            late = [Latency(DelayKind.UNDERESTIMATED, delay) for delay in (longest // 2, longest)]
            assert latencies == [*fixed, Latency(DelayKind.SAMPLED, longest), *(late if method.locks else [])]
    assert {cell.episodes for cell in cells} == {2048}
    assert Options(demonstrations="clean", cache=tmp_path).recipe().exploration == 0.0


def test_costs_count_matrix_products() -> None:
    cell = Cell("catch", "naive", 8, Latency(DelayKind.FIXED, 4), 100)
    weights = (8 * 2 + 7) * 32 + 2 * 32 * 32 + 32 * 8
    assert parameters("catch", 8, 32) == weights
    assert cell_flop(cell, 32) == 2 * weights * 100 * 5 * 10
    assert cell_flop(Cell("catch", "bidirectional", 8, cell.latency, 100), 32) == 16 * cell_flop(cell, 32)


def _row(method: str, delay: int, success: float, kind: str = "fixed") -> dict[str, Any]:
    numbers = {"low": success, "high": success, "episodes": 400}
    return {
        "task": "catch",
        "method": method,
        "delay": delay,
        "delay_kind": kind,
        "chunk": 8,
        "success": success,
        **numbers,
    }


def test_a_table_has_a_line_a_method_and_a_column_a_delay() -> None:
    rows = [_row("naive", 0, 0.9), _row("naive", 4, 0.3), _row("uac", 0, 0.95), _row("uac", 4, 0.6, "underestimated")]
    lines = success_table([*rows, _row("uac", 4, 0.5, "sampled")]).splitlines()
    assert lines[0] == "| method | d = 0 | d = 4 | sampled | late d = 4 |"
    assert lines[2:] == ["| naive | 0.900 | 0.300 | - | - |", "| uac | 0.950 | - | 0.500 | 0.600 |"]


def test_ratios_are_taken_at_the_delay_of_the_literature() -> None:
    rows = [_row("naive", 0, 0.9), _row("naive", 4, 0.3), _row("uac", 0, 0.9), _row("uac", 4, 0.6)]
    assert list(success_ratios([*rows, _row("uac", 8, 0.1), _row("naive", 8, 0.1)])) == list(success_ratios(rows))
    short = [_row("naive", 2, 0.5), _row("uac", 2, 0.5), _row("naive", 0, 0.9)]
    assert list(success_ratios(short)) == ["catch, chunk 8, d = 2: success of uac over naive"]
    ratios = success_ratios([*rows, _row("uac", 6, 0.1, "sampled")])
    assert list(ratios) == ["catch, chunk 8, d = 4: success of uac over naive"]
    (ratio,) = ratios.values()
    assert ratio.median == pytest.approx(2.0, abs=0.01)
    # Katz: exp(log 2 -+ 1.96 sqrt(1/240 - 1/400 + 1/120 - 1/400))
    assert (ratio.low, ratio.high) == pytest.approx((1.70, 2.35), abs=0.02)
    none = rate_ratio(_row("uac", 4, 1.0), _row("naive", 4, 0.0))
    assert 0.0 < none.low < none.median < none.high < np.inf


def test_the_plot_has_a_line_for_each_method() -> None:
    pytest.importorskip("matplotlib")
    rows = [_row("naive", 0, 0.9), _row("naive", 4, 0.3), _row("uac", 0, 0.9), _row("uac", 4, 0.6)]
    drawn = success_plot([*rows, _row("rtc", 4, 0.5, "sampled")], "catch", 8)
    assert "naive" in drawn
    assert "uac" in drawn
    assert "rtc" not in drawn


@pytest.mark.processes
def test_a_small_run_from_training_to_tables(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "async.json"
    options = Options(
        tasks=("catch",),
        methods=("uac", "naive"),
        chunks=(4,),
        delays=(0, 2),
        kinds=("fixed", "underestimated"),
        episodes=24,
        steps=20,
        workers=2,
        cache=tmp_path / "policies",
        json=path,
    )
    options.cache.mkdir()
    result = run(options)
    assert json.loads(path.read_bytes())["rows"] == json.loads(json.dumps(result["rows"]))
    found = [(row["method"], row["delay_kind"], row["delay"]) for row in result["rows"]]
    fixed = [(name, "fixed", delay) for name in ("naive", "uac") for delay in (0, 2)]
    assert found == [*fixed, *(("uac", "underestimated", delay) for delay in (1, 2))]
    assert {"task", "method", "delay", "chunk", "episodes", "success", "low", "high"} <= set(result["rows"][0])
    assert [policy["variant"] for policy in result["policies"]] == ["delays", "plain"]
    printed = capsys.readouterr()
    assert "### catch, chunk 4: success of 24 episodes" in printed.out
    assert "[6/6]" in printed.err
    print_tables(result)
    assert capsys.readouterr().out == printed.out


def _settings(recipe: Recipe) -> dict[str, Any]:
    return {name: getattr(recipe, name) for name in recipe.__dataclass_fields__}
