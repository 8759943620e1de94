"""The benchmark of pacing: what it counts, what it refuses, and that what cannot be measured gets no number."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unichunk.benchmarks import jitter
from unichunk.benchmarks.harness import environments
from unichunk.benchmarks.harness.document import is_measured
from unichunk.benchmarks.harness.environments import EnvironmentUnavailable, cache_folder, environment
from unichunk.benchmarks.pacing import measuring
from unichunk.benchmarks.pacing.loops import LOOPS, OURS, UNPRIVILEGED, Peer
from unichunk.benchmarks.pacing.measuring import Measured
from unichunk.benchmarks.pacing.own_pacer import unprivileged_pacer
from unichunk.benchmarks.pacing.pacers import PACERS
from unichunk.benchmarks.pacing.plan import LOADS, ROUNDS, SECONDS, BadPlan, Plan, make_plan
from unichunk.benchmarks.pacing.report import make_document, markdown, ratios, rows
from unichunk.benchmarks.pacing.stamps import Stamps
from unichunk.benchmarks.pacing.steadiness import achieved_hz, interval_errors_us, lateness_us, missed
from unichunk.benchmarks.pacing.subject import Run, Subject, SubjectFailed
from unichunk.runtime.realtime import NICENESS
from unichunk.runtime.ticks import Timebase

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

KEYS = {"loop", "rate_hz", "load", "p50_us", "p99_us", "p999_us", "max_us", "achieved_hz"}
PEER = Peer("some-loop==1.0", "some_loop")
RATES = st.integers(1, 2000)


def grid(rate: int, count: int, epoch_ns: int = 0) -> list[int]:
    timebase = Timebase(epoch_ns, 1, rate)
    return [timebase.start_of_step(step) for step in range(count)]


def options(**changed: Any) -> Plan:
    left_out: dict[str, Any] = {"loops": (), "loads": (), "rates": (), "rounds": None, "duration_s": None}
    return make_plan(**{**left_out, "quick": False, **changed})


@given(RATES, st.integers(2, 50), st.integers(0, 10**15))
def test_a_perfect_grid_is_perfect(rate: int, count: int, epoch_ns: int) -> None:
    stamps = grid(rate, count, epoch_ns)
    # A deadline is a whole nanosecond.
    assert interval_errors_us(stamps, rate).max() <= 1e-3
    assert np.all(lateness_us(stamps, epoch_ns, rate) == 0)
    assert achieved_hz([stamps]) == pytest.approx(rate, rel=1e-5)
    assert missed(stamps, rate) == 0


def test_a_drifting_loop_shows_its_drift_in_the_rate() -> None:
    late_ns = 500_000  # half a millisecond after each sleep of 2 ms
    stamps = [i * (2_000_000 + late_ns) for i in range(1001)]
    assert achieved_hz([stamps, stamps]) == pytest.approx(400.0)
    assert np.all(interval_errors_us(stamps, 500) == 500.0)
    assert missed(stamps, 500) == 250


def test_too_early_is_as_bad_as_too_late() -> None:
    assert interval_errors_us([0, 1_000_000, 4_000_000], 500).tolist() == [1000.0, 1000.0]


@given(RATES, st.integers(0, 10**12), st.data())
def test_constant_lateness_is_lateness_and_no_interval_error(rate: int, epoch_ns: int, data: st.DataObject) -> None:
    late_ns = data.draw(st.integers(0, 10**9 // rate - 1))
    stamps = [stamp + late_ns for stamp in grid(rate, 20, epoch_ns)]
    assert np.allclose(lateness_us(stamps, epoch_ns, rate), late_ns / 1000.0)
    assert interval_errors_us(stamps, rate).max() <= 1e-3


@given(st.integers(1, 30), st.integers(1, 8))
def test_steps_left_out_are_missed_and_the_next_one_is_late_for_the_oldest(before: int, left_out: int) -> None:
    stamps = grid(100, before + left_out + 5)
    del stamps[before : before + left_out]
    assert missed(stamps, 100) == left_out
    assert lateness_us(stamps, 0, 100).max() == 10_000 * left_out
    assert interval_errors_us(stamps, 100).max() == 10_000 * left_out


@pytest.mark.parametrize("stamps", [[], [5]])
def test_too_few_steps_are_nothing(stamps: list[int]) -> None:
    assert (achieved_hz([stamps]), missed(stamps, 100), len(interval_errors_us(stamps, 100))) == (None, 0, 0)


@pytest.mark.parametrize(("period_ns", "steps"), [(10_000_000, 40), (15_000_000, 37), (30_000_000, 24), (0, 1030)])
def test_a_run_ends_when_its_steps_were_taken_or_took_twice_as_long(
    monkeypatch: pytest.MonkeyPatch, period_ns: int, steps: int
) -> None:
    """Also of a loop that does not sleep at all: there the clock goes on by 0.1 ms at every look."""
    now = iter(range(0, 10**12, period_ns or 100_000))
    monkeypatch.setattr(time, "monotonic_ns", lambda: next(now))
    stamps = Stamps(100, warm_up_s=0.1, seconds=0.3)
    taken = sum(1 for _ in iter(stamps.step, False)) + 1
    assert stamps.finished
    assert (stamps.step(), taken) == (False, steps)
    stamps_ns = stamps.taken_ns()
    assert min(stamps_ns) >= 100_000_000
    assert len(stamps_ns) == 31 or 700_000_000 <= stamps_ns[-1] < 700_000_000 + period_ns
    assert np.ptp(np.diff(stamps_ns)) == 0


class FakeRuntime:
    """Calls in the order of openpi-client's `Runtime`."""

    def __init__(self, environment: Any, agent: Any, subscribers: list[Any], max_hz: float) -> None:
        self.environment, self.agent, self.max_hz = environment, agent, max_hz

    def run(self) -> None:
        self.environment.reset()
        self.agent.reset()
        while not self.environment.is_episode_complete():
            self.environment.apply_action(self.agent.get_action(self.environment.get_observation()))
            time.sleep(1.0 / self.max_hz)
        self.environment.reset()


PACKAGES = {
    "lerobot": SimpleNamespace(precise_sleep=time.sleep),
    "openpi": SimpleNamespace(Runtime=FakeRuntime),
    "rate_limiter": SimpleNamespace(
        RateLimiter=lambda frequency, warn: SimpleNamespace(sleep=lambda: time.sleep(1 / frequency))
    ),
    "sleep": None,
}


@pytest.mark.parametrize("name", PACERS)
def test_every_loop_steps_until_it_was_the_last(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr(time, "sleep", slept.append)
    package = PACKAGES[name]
    if name == "lerobot":
        package = SimpleNamespace(precise_sleep=slept.append)
    steps = iter([True] * 9 + [False])
    PACERS[name](package, lambda: next(steps), 100)
    assert next(steps, None) is None
    assert len(slept) >= 9
    assert max(slept) <= 0.01


def test_every_loop_has_a_pacer() -> None:
    assert set(PACERS) | {OURS, UNPRIVILEGED} == set(LOOPS)


class Pip:
    """Stands in for `subprocess.run`: makes what venv makes, and fails where it is told to."""

    def __init__(self, failing: str = "", complaint: str = "") -> None:
        self.failing, self.complaint = failing, complaint
        self.calls: list[list[str]] = []

    def __call__(self, command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        self.calls.append(command)
        if "venv" in command:
            environments.Path(command[-1], "bin").mkdir(parents=True)
        failed = bool(self.failing) and self.failing in command
        return subprocess.CompletedProcess(command, int(failed), "a==1\nb==2\n", self.complaint if failed else "")


@pytest.fixture(autouse=True)
def _cache(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


def test_an_environment_is_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    pip = Pip()
    monkeypatch.setattr(subprocess, "run", pip)
    first = environment("some", PEER.installs(), limit_s=60)
    made = len(pip.calls)
    assert first.installed == ("a==1", "b==2")
    assert first.python.parent.parent.parent == cache_folder()
    assert any("some-loop==1.0" in call and ":all:" in call for call in pip.calls)
    assert environment("some", PEER.installs(), limit_s=60) == first
    assert len(pip.calls) == made
    environment("some", Peer("some-loop==1.1", "some_loop").installs(), limit_s=60)
    assert len(pip.calls) == 2 * made, "another version is another environment"


def test_a_half_made_environment_is_made_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subprocess, "run", Pip("install", "ERROR: No matching distribution found for some-loop"))
    with pytest.raises(EnvironmentUnavailable, match=r"^its environment could not be made: ERROR: No matching"):
        environment("some", PEER.installs(), limit_s=60)
    assert list(cache_folder().iterdir()) == []
    monkeypatch.setattr(subprocess, "run", Pip())
    folder = environment("some", PEER.installs(), limit_s=60).python.parent.parent
    (folder / environments.READY).unlink()
    pip = Pip()
    monkeypatch.setattr(subprocess, "run", pip)
    environment("some", PEER.installs(), limit_s=60)
    assert any("venv" in call for call in pip.calls)


def test_an_environment_that_takes_too_long_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    def run(command: list[str], timeout: float, **_: Any) -> None:
        raise subprocess.TimeoutExpired(command, timeout)

    monkeypatch.setattr(subprocess, "run", run)
    with pytest.raises(EnvironmentUnavailable, match="not made in time"):
        environment("some", PEER.installs(), limit_s=-1)


def test_packages_of_others_do_not_leak_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", "/somewhere")
    assert "PYTHONPATH" not in environments.clean_variables()


class FakeSubject:
    """Keeps a grid but for a microsecond; one loop ends in its third run."""

    broken = ""

    def __init__(self, name: str, loop: Any, load: str, bundle: Path, environment: Any) -> None:
        self.name, self.measured = name, 0
        self.ready = {"missing_permissions": ["no SCHED_FIFO"] * (name == OURS), "python": "3", "imported": ""}

    def measure(self, rate_hz: int, warm_up_s: float, seconds: float) -> Run:
        self.measured += 1
        if self.name == self.broken and self.measured > 2:
            raise SubjectFailed("its process ended: out of luck")
        random = np.random.default_rng(self.measured)
        stamps = np.array(grid(rate_hz, 1 + round(rate_hz * seconds), 10**9)) + random.integers(0, 9**5, 1)
        return Run([int(stamp) for stamp in stamps + random.integers(1, 999, stamps.size)], 10**9, seconds, 7)

    def close(self) -> None:
        pass


@pytest.fixture
def subjects(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[FakeSubject]]:
    def unavailable(name: str, installs: list[list[str]], *, limit_s: float) -> None:
        raise EnvironmentUnavailable("its environment could not be made: no network")

    monkeypatch.setattr(measuring, "Subject", FakeSubject)
    monkeypatch.setattr(measuring, "environment", unavailable)
    yield FakeSubject
    FakeSubject.broken = ""


def test_without_environments_peers_say_why_and_ours_goes_on(subjects: type[FakeSubject]) -> None:
    plan = options(rates=(500,), loads=("idle",), rounds=2, duration_s=1.2)
    said: list[str] = []
    measured = measuring.measure(plan, limit_s=1, say=said.append)
    result = make_document(plan, measured, quick=True)
    found = {row["loop"]: row for row in result["rows"]}
    assert set(found) == set(LOOPS)
    for name, row in found.items():
        assert set(row) >= KEYS
        if LOOPS[name].peer is None:
            assert row["p99_us"] < 2
            assert row["n"] == 1200
            assert row["p999_us"] == {"not_measured": "1200 samples; it takes 5000"}
        else:
            whys = {row[key]["not_measured"] for key in ("p50_us", "p99_us", "max_us", "achieved_hz", "late_p99_us")}
            assert whys == {"its environment could not be made: no network"}
    ratio = "p99 of interval error, idle, 500 Hz: unichunk / "
    assert list(result["ratios"]) == [f"{ratio}{UNPRIVILEGED}", f"{ratio}sleep"]
    assert result["missing_permissions"] == ["no SCHED_FIFO"]
    assert "| idle | 500 | lerobot | - | - |" in markdown(result)
    assert any("lerobot" in line and "no network" in line for line in said)
    json.dumps(result)


def test_a_process_that_ends_costs_its_loop_and_no_other(subjects: type[FakeSubject]) -> None:
    FakeSubject.broken = "sleep"
    plan = options(rates=(100, 500), loads=("idle",), loops=(OURS, "sleep"), rounds=3, duration_s=1.0)
    measured = measuring.measure(plan, limit_s=1, say=lambda _: None)
    found = rows(plan, measured)
    assert [is_measured(row["p50_us"]) for row in found] == [True, False, True, False]
    assert {row["p50_us"]["not_measured"] for row in found[1::2]} == {"its process ended: out of luck"}
    assert not ratios(plan, measured)


def test_ratios_need_enough_intervals_in_every_round() -> None:
    plan = options(rates=(500,), loads=("idle",), loops=(OURS, "sleep"), rounds=2)
    enough, short = grid(500, 502), grid(500, 400)
    for stamps, expected in ((short, 0), (enough, 1)):
        # A nanosecond now and then: a ratio takes positive errors.
        runs = {
            (name, "idle", 500): [Run([s + i % 2 for i, s in enumerate(r)], 0, 1.0, 0) for r in (enough, stamps)]
            for name in plan.loops
        }
        assert len(ratios(plan, Measured(runs=runs))) == expected


def test_a_loop_that_drifts_has_no_lateness() -> None:
    plan = options(rates=(500,), loads=("idle",), loops=("sleep",), rounds=1)
    (row,) = rows(plan, Measured(runs={("sleep", "idle", 500): [Run(grid(500, 600), None, 1.2, 0)]}))
    assert row["late_p99_us"] == {"not_measured": "it paces relative to now and keeps no grid"}
    assert is_measured(row["p99_us"])


def test_the_chosen_times_give_the_quantiles_that_they_promise() -> None:
    for rate, quantile_needs in ((500, 5000), (1000, 5000), (100, 500), (250, 500)):
        assert ROUNDS * rate * SECONDS[rate] >= 1.01 * quantile_needs
    runs = len(LOOPS) * len(LOADS) * ROUNDS
    assert runs * sum(seconds + 0.1 for seconds in SECONDS.values()) < 14 * 60
    quick = options(quick=True)
    assert quick.rates == (500,)
    assert len(LOOPS) * len(LOADS) * quick.rounds * (quick.seconds[500] + 0.1) < 110


@pytest.mark.parametrize(
    ("changed", "complaint"),
    [
        (
            {"loops": ("ours",)},
            r"--loops: unknown name 'ours'; expected some of unichunk, ",
        ),
        ({"loads": ("idle", "heavy")}, r"--loads: unknown name 'heavy'; expected some of idle, inference, "),
        ({"rates": (500, 0)}, r"--rates: expected rates from 1 to 2000 Hz, got 0"),
        ({"rates": (5000,)}, r"--rates: expected rates from 1 to 2000 Hz, got 5000"),
        ({"rounds": 0}, r"--rounds: expected at least 1, got 0"),
        ({"duration_s": 0.0}, r"--duration: expected more than 0 and at most 3600 s, got 0"),
        ({"duration_s": float("nan")}, r"--duration: expected more than 0 and at most 3600 s, got nan"),
    ],
)
def test_what_makes_no_sense_is_refused(changed: dict[str, Any], complaint: str) -> None:
    with pytest.raises(BadPlan, match=complaint):
        options(**changed)


@pytest.mark.parametrize("arguments", [["--loops", "ours"], ["--loads", "heavy"], ["--rates", "0"]])
def test_a_refusal_is_one_line(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["jitter", *arguments])
    with pytest.raises(SystemExit) as ended:
        jitter.main()
    assert ended.value.code == 2
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.processes
def test_ours_and_a_bare_loop_are_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "jitter.json"
    arguments = ["--rates", "200", "--rounds", "1", "--duration", "0.3", "--json", str(path)]
    arguments += ["--loops", OURS, "sleep", "--loads", "inference_python", "foreign"]
    monkeypatch.setattr(sys, "argv", ["jitter", *arguments])
    jitter.main()
    result = json.loads(path.read_bytes())
    assert [(row["loop"], row["load"]) for row in result["rows"]] == [
        (name, load) for load in ("inference_python", "foreign") for name in (OURS, "sleep")
    ]
    assert all(row["achieved_hz"] > 0 and row["max_us"] >= row["p50_us"] for row in result["rows"])
    assert [row["inferences_hz"] > 0 for row in result["rows"]] == [True, True, False, False]
    assert "| inference_python | 200 | unichunk |" in capsys.readouterr().out


@pytest.mark.processes
def test_a_process_that_does_not_come_up_says_why(tmp_path: Path) -> None:
    with pytest.raises(SubjectFailed, match=r"its process ended: .*no-such-folder"):
        Subject("sleep", LOOPS["sleep"], "inference", tmp_path / "no-such-folder", None)


def test_an_environment_without_its_interpreter_says_so(tmp_path: Path) -> None:
    gone = environments.Environment(tmp_path / "bin" / "python", ())
    with pytest.raises(SubjectFailed, match="its process did not start: "):
        Subject("lerobot", LOOPS["lerobot"], "idle", tmp_path, gone)


def test_without_privileges_nothing_is_preferred_and_it_says_so() -> None:
    before = os.sched_getscheduler(0), os.getpriority(os.PRIO_PROCESS, 0)
    pacer = unprivileged_pacer()
    stamps = Stamps(200, 0.0, 0.05)
    with pacer.surroundings as missing:
        assert {line.partition(" for ")[0] for line in missing} >= {"no SCHED_FIFO", f"no niceness {NICENESS}"}
        assert (os.sched_getscheduler(0), os.getpriority(os.PRIO_PROCESS, 0)) == before
        pacer.pace(stamps, 200)
    assert stamps.finished
