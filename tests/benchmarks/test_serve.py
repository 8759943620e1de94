"""`unichunk bench serve`: what it counts, what it compares, and one real server with real clients."""

from __future__ import annotations

import itertools
import json
import sys
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unichunk.benchmarks.harness.document import is_measured
from unichunk.benchmarks.serving import measuring
from unichunk.benchmarks.serving.empty_bundle import CAMERAS, ROWS, write_empty_bundle
from unichunk.benchmarks.serving.felt import Felt
from unichunk.benchmarks.serving.load import Group, LoadFailed, LoadGenerator, hang_up, run, spread
from unichunk.benchmarks.serving.measuring import Bench, Measured, Others
from unichunk.benchmarks.serving.observations import SIDE, droid_observation, filled
from unichunk.benchmarks.serving.plan import (
    COMPARED,
    ECHO,
    FLOOR,
    FULL,
    OPENPI,
    OPENPI_SLEEPING,
    QUICK,
    UNICHUNK,
    UNICHUNK_SLEEPING,
    Cell,
    Plan,
)
from unichunk.benchmarks.serving.policies import FACTORIES, PAUSE_S
from unichunk.benchmarks.serving.report import make_document, markdown
from unichunk.benchmarks.serving.servers import (
    Ports,
    ServerFailed,
    ServerProcess,
    Servers,
    free_port,
    is_listening,
    serve_command,
)
from unichunk.benchmarks.serving.statistics import Round, round_of, unfairness
from unichunk.runtime.policy import Policy
from unichunk.server.wire.openpi import pack, unpack

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from unichunk.benchmarks.serving.plan import Case

PLAN = Plan((Cell(1, (OPENPI, UNICHUNK), 1.0, 2), Cell(64, (OPENPI, UNICHUNK), 1.0, 2, felt=True)), 1, 1.0)


def even(latency_ms: float, clients: int, trips: int) -> Round:
    latencies = [np.full(trips, latency_ms) + np.arange(trips) / 1e6 for _ in range(clients)]
    return Round(latencies, 1e3 * clients / latency_ms, [])


@given(st.integers(1, 200), st.integers(1, 8))
def test_clients_are_spread_evenly(count: int, most: int) -> None:
    shares = spread(count, most)
    assert sum(shares) == count
    assert len(shares) == min(count, most)
    assert max(shares) - min(shares) <= 1


def test_a_round_counts_what_begins_in_its_time_and_the_rate_what_ends_in_it() -> None:
    first, end = 10_000_000, 20_000_000
    trips = [
        [(5_000_000, 11_000_000), (11_000_000, 13_000_000), (13_000_000, 25_000_000)],
        [(9_999_999, 10_000_001), (20_000_000, 21_000_000)],
    ]
    found = round_of(trips, ["why"], first, end)
    assert [latencies.tolist() for latencies in found.latencies_ms] == [[2.0, 12.0], []]
    assert found.per_s == pytest.approx(3 / 0.01)
    assert found.failures == ["why"]


def test_unfairness_is_the_worst_client_s_mean_over_the_best_s_of_all_rounds() -> None:
    one = Round([np.array([1.0, 3.0]), np.array([4.0])], 1.0, [])
    other = Round([np.array([2.0]), np.array([8.0])], 1.0, [])
    assert unfairness([one, other]) == pytest.approx(6.0 / 2.0)
    assert unfairness([even(1.0, 1, 5)]) is None
    assert unfairness([]) is None
    assert unfairness([Round([np.array([1.0]), np.array([])], 1.0, [])]) is None


def test_rows_and_ratios_of_what_was_measured_and_reasons_for_the_rest() -> None:
    measured = Measured(request_bytes=300_000, answer_bytes=600)
    for clients, trips in ((1, 600), (64, 3)):
        measured.rounds[UNICHUNK, clients] = [even(1.0, clients, trips), even(1.2, clients, trips)]
        measured.rounds[OPENPI, clients] = [even(2.0, clients, trips), even(2.4, clients, trips)]
    measured.others[UNICHUNK, 64] = Others([1.0] * 20, [2.0] * 20)
    measured.beside["unichunk"] = [even(1.5, 1, 20)]
    result = make_document(PLAN, measured, quick=True, peers=["a==1"])
    ratios = {label: value["median"] for label, value in result["ratios"].items()}
    assert ratios == {
        "p50, noop: unichunk / openpi, 1 client": pytest.approx(0.5, rel=1e-3),
        "p99, noop: unichunk / openpi, 1 client": pytest.approx(0.5, rel=1e-3),
        "throughput, noop: unichunk / openpi, 1 client": pytest.approx(2.0),
        # 192 round trips a round are too few for a p99.
        "p50, noop: unichunk / openpi, 64 clients": pytest.approx(0.5, rel=1e-3),
        "throughput, noop: unichunk / openpi, 64 clients": pytest.approx(2.0),
    }
    assert {label: value["better"] for label, value in result["ratios"].items()} == {
        label: "higher" if label.startswith("throughput") else "lower" for label in ratios
    }
    found = {(row["server"], row["clients"]): row for row in result["rows"]}
    assert found["unichunk", 1]["p99_ms"] == pytest.approx(1.2, rel=0.01)
    assert not is_measured(found["unichunk", 64]["p99_ms"])
    assert found["unichunk", 64]["ping_p50_ms"] == 2.0
    assert "ping_p50_ms" not in found["openpi", 64]
    assert "| noop | 64 | unichunk | openpi-client |" in markdown(result)
    json.dumps(result)


def test_without_openpi_its_rows_say_why_and_nothing_is_compared() -> None:
    measured = Measured(rounds={(UNICHUNK, 1): [even(1.0, 1, 600)]}, failures={(OPENPI, 1): "no network"})
    result = make_document(PLAN, measured, quick=True, peers=[])
    found = {(row["server"], row["clients"]): row for row in result["rows"]}
    assert found["openpi", 1]["p50_ms"] == {"not_measured": "no network"}
    assert found["openpi", 64]["per_s"] == {"not_measured": "not asked"}
    assert not result["ratios"]
    assert "| noop | 1 | openpi | openpi-client | 0 | - | - |" in markdown(result)


def test_the_plans_are_short_enough_and_ask_for_what_is_compared() -> None:
    assert QUICK.seconds() < 45
    assert FULL.seconds() < 380
    for clients in (1, 8, 64):
        cases = {case for cell in FULL.cells if cell.clients == clients for case in cell.cases}
        assert {OPENPI, UNICHUNK, FLOOR, OPENPI_SLEEPING, UNICHUNK_SLEEPING} <= cases
    assert all(any({*pair} <= {*cell.cases} for cell in FULL.cells) for pair in COMPARED)
    for cell in FULL.cells:
        # A ratio has its 95 % interval from six rounds on; p99 takes 500 round trips.
        assert cell.rounds == 6
        if cell.pause_s:
            assert cell.rounds * cell.seconds / PAUSE_S > 500


@pytest.mark.parametrize("name", FACTORIES)
def test_the_policies_answer_what_clients_expect(name: str) -> None:
    policy: Any = FACTORIES[name]()
    results = [policy.infer(droid_observation())]
    results += policy.infer_batch([droid_observation()] * 2) if hasattr(policy, "infer_batch") else []
    for result in results:
        actions = unpack(pack(result))["actions"]
        assert (actions.shape, actions.dtype) == ((10, 8), np.float32)
    assert results[0] is not policy.infer({})


def test_an_example_is_filled_where_it_has_pictures() -> None:
    example = {"image": np.zeros((SIDE, SIDE, 3), np.uint8), "state": np.zeros(3), "prompt": ""}
    found = filled(example)
    assert found["image"].any()
    assert found["state"] is example["state"]
    assert found["prompt"] == ""


def test_the_empty_bundle_keeps_locked_rows_and_does_nothing_else(tmp_path: Path) -> None:
    write_empty_bundle(tmp_path / "empty")
    policy = Policy.load(tmp_path / "empty")
    assert policy.robot.cameras == CAMERAS
    observation = policy.example_observation()
    assert observation["video.left"].shape == (SIDE, SIDE, 3)
    previous = np.random.default_rng(0).normal(size=(ROWS, 200)).astype(np.float32)
    result = policy.infer(observation, previous, 3)
    assert np.array_equal(result.unified[:3], previous[:3])
    assert not result.unified[3:].any()


@pytest.fixture
def echo(tmp_path: Path) -> Iterator[int]:
    port = free_port()
    command = [sys.executable, "-m", "unichunk.benchmarks.serving.echo", str(port)]
    server = ServerProcess("echo", command, tmp_path / "echo.txt", lambda: is_listening(port))
    yield port
    held = server.footprint()
    assert held["processes"] == 1
    assert held["resident_mib"] > 1
    server.close()


@pytest.mark.processes
def test_clients_ask_at_the_same_time_and_every_trip_is_there(echo: int) -> None:
    generator = LoadGenerator()
    try:
        many = generator.connect(Group("echo", f"tcp://127.0.0.1:{echo}#1000,1000", 6, warm=True))
        one = generator.connect(Group("echo", f"tcp://127.0.0.1:{echo}#1000,10", 1, warm=True), beside=many)
        assert (len(many), len(one)) == (4, 1)
        found, first_ns, end_ns = run([many, one], 0.05, 0.3)
        assert end_ns - first_ns == 300_000_000
        assert [len(trips.by_client) for trips in found] == [6, 1]
        for trips in found:
            assert not trips.failures
            for client in trips.by_client:
                assert client
                # One request at a time.
                assert all(a[1] <= b[0] for a, b in itertools.pairwise(client))
        hang_up([*many, *one])
        # The processes are there for the next group.
        assert generator.connect(Group("echo", f"tcp://127.0.0.1:{echo}#1000,10", 2, warm=True)) == many[:2]
    finally:
        generator.close()


@pytest.mark.processes
def test_a_client_that_cannot_connect_says_why() -> None:
    generator = LoadGenerator()
    try:
        with pytest.raises(LoadFailed, match="ModuleNotFoundError"):
            generator.connect(Group("openpi", "ws://127.0.0.1:1", 1, warm=False))
    finally:
        generator.close()


@pytest.mark.processes
def test_a_server_that_does_not_come_up_says_why(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "print('no luck'); raise SystemExit(3)"]
    with pytest.raises(ServerFailed, match=r"^broken ended with status 3: no luck$"):
        ServerProcess("broken", command, tmp_path / "said.txt", lambda: False)


def test_ours_is_started_as_anybody_would() -> None:
    command = serve_command({"noop": "python:m:f", "b": "/b"}, Ports(1, 2, "ipc:///i"))
    assert command[3:] == [
        *("serve", "--policy", "noop=python:m:f", "--policy", "b=/b"),
        *("--port", "1", "--zmq-port", "2", "--ipc", "/i", "--until-stdin-closes"),
    ]


@pytest.mark.processes
def test_bare_bytes_are_measured_and_a_client_that_fails_costs_its_case_alone(echo: int) -> None:
    nowhere = Ports(1, 1, "ipc:///nowhere")
    with ExitStack() as stack:
        bench = Bench(Servers({}, nowhere, nowhere, {"noop": 1}, echo), None, stack)
        cases: list[Case] = [FLOOR, OPENPI, ECHO]
        bench.cell(Cell(2, tuple(cases), 0.1, 2), cases)
    assert set(bench.measured.rounds) == {(FLOOR, 2), (ECHO, 2)}
    assert all(len(rounds) == 2 for rounds in bench.measured.rounds.values())
    assert "ModuleNotFoundError" in bench.measured.failures[OPENPI, 2]


def test_a_server_that_takes_nobody_in_costs_its_case_alone() -> None:
    with pytest.raises(LoadFailed, match="the connection for pings"):
        Felt(free_port())


def test_what_cannot_be_asked_has_a_reason() -> None:
    assert measuring._impossible(OPENPI, False, "no network", bundle=True) == "no network"
    assert measuring._impossible(OPENPI, True, "", bundle=False) == ""
    assert "unichunk[compile]" in measuring._impossible(FULL.cells[3].cases[1], True, "", bundle=False)
    assert measuring._impossible(FLOOR, False, "no network", bundle=False) == ""
