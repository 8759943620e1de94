"""Addresses: which exist, where a driver is by default, how its streams' addresses reach a client."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.one_line import refused
from unichunk.embodiments.errors import LinkError
from unichunk.embodiments.link import default_endpoint
from unichunk.embodiments.link.endpoints import check_endpoint, check_peer, reachable, stream_endpoint

if TYPE_CHECKING:
    from pathlib import Path


def test_by_default_a_driver_is_in_the_users_runtime_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/tmp")
    assert default_endpoint("so101") == "ipc:///tmp/unichunk-so101.ipc"
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "missing"))
    monkeypatch.setattr("os.getuid", lambda: 1234)
    monkeypatch.setattr("tempfile.tempdir", "/tmp")
    assert default_endpoint("so101") == "ipc:///tmp/unichunk-1234-so101.ipc"


def test_a_long_runtime_folder_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    long = tmp_path / ("x" * 100)
    long.mkdir()
    monkeypatch.setattr("tempfile.tempdir", "/tmp")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(long))
    assert default_endpoint("so101").startswith("ipc:///tmp/unichunk-")
    monkeypatch.setattr("tempfile.tempdir", str(long))
    with refused(LinkError, "longer than 95 bytes"):
        default_endpoint("so101")


@pytest.mark.parametrize("endpoint", ["ipc:///tmp/a.ipc", "tcp://127.0.0.1:5600", "tcp://robot-1.local:1"])
def test_addresses_to_connect_to(endpoint: str) -> None:
    assert check_peer(endpoint) == endpoint


@pytest.mark.parametrize(
    "endpoint",
    [
        "",
        "/tmp/a.ipc",
        "ipc://relative.ipc",
        "ipc://@abstract",
        "tcp://host",
        "tcp://host:x",
        "tcp://host:65536",
        "a\nb",
    ],
)
def test_what_is_no_address_is_refused(endpoint: str) -> None:
    with refused(LinkError, repr(endpoint), "expected ipc:///absolute/path or tcp://host:port"):
        check_endpoint(endpoint)


@pytest.mark.parametrize("endpoint", ["tcp://*:5600", "tcp://host:*"])
def test_wildcards_are_for_listening(endpoint: str) -> None:
    assert check_endpoint(endpoint) == endpoint
    with refused(LinkError, "expected the driver's host and port"):
        check_peer(endpoint)


def test_streams_are_beside_the_control_socket_or_on_free_ports() -> None:
    assert stream_endpoint("ipc:///tmp/a.ipc", "state") == "ipc:///tmp/a.ipc.state"
    assert stream_endpoint("tcp://0.0.0.0:5600", "state") == "tcp://0.0.0.0:*"


def test_announced_ports_are_reached_on_the_host_that_the_client_uses() -> None:
    assert reachable("tcp://0.0.0.0:41234", "tcp://robot:5600") == "tcp://robot:41234"
    assert reachable("ipc:///tmp/a.ipc.state", "ipc:///tmp/a.ipc") == "ipc:///tmp/a.ipc.state"
    with refused(LinkError, "nonsense"):
        reachable("nonsense", "tcp://robot:5600")
