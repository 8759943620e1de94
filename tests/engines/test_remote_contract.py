"""The contract of engines for policies of a server: over WebSocket, ZeroMQ, and a Unix socket with shared memory."""

from __future__ import annotations

import re
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.engines import contract
from tests.engines.arms import ServedPolicy
from tests.policy.tiny_bundle import write_tiny_bundle
from tests.run.processes import start
from unichunk.runtime.policy import Policy

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.processes

ROUNDS = 1


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_bundle(tmp_path_factory.mktemp("contract") / "tiny")


@pytest.fixture(scope="module")
def reference(bundle: Path) -> Policy:
    return Policy.load(bundle, refinement_rounds=ROUNDS)


@pytest.fixture(scope="module")
def addresses(bundle: Path) -> Iterator[dict[str, str]]:
    """Scheme -> address of one server."""
    # Short: a Unix socket's path has 107 characters.
    with tempfile.TemporaryDirectory(prefix="unichunk-") as folder:
        arguments = [
            "serve",
            "--policy",
            f"tiny={bundle}",
            "--port",
            "0",
            "--zmq-port",
            "0",
            "--ipc",
            f"{folder}/p.ipc",
        ]
        arguments += ["--refinement-rounds", str(ROUNDS), "--log-level", "error"]
        with start(*arguments, folder=Path(folder), stderr=subprocess.DEVNULL) as server:
            try:
                assert server.stdout is not None
                assert server.stdout.readline().startswith("serving tiny")
                said = [server.stdout.readline().split()[0] for _ in range(4)]
                yield {where.partition(":")[0]: re.sub("^tcp", "zmq", where) for where in said}
            finally:
                server.terminate()


@pytest.fixture(params=["ws", "tcp", "ipc"])
def served(request: pytest.FixtureRequest, addresses: dict[str, str]) -> ServedPolicy:
    return ServedPolicy(addresses[request.param], ROUNDS)


def test_it_answers_as_every_engine_does(served: ServedPolicy, reference: Policy) -> None:
    contract.check_locked_rows(served, reference)
    contract.check_numbers(served, reference, exact=True)
    contract.check_requests_leave_nothing(served, reference)
    contract.check_refusals_leave_nothing(served, reference)
    contract.check_any_thread(served, reference)
