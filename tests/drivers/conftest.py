from __future__ import annotations

import shutil
import socket
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest
import zmq
from hypothesis import settings

from tests.drivers.fake_device import FakeDevice
from tests.drivers.serving import Served, serve
from unichunk.embodiments.catalogue import load_spec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from unichunk.embodiments.drivers.device import RobotDevice
    from unichunk.embodiments.spec import EmbodimentSpec

# How long an example takes says nothing on a busy machine.
settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")


@pytest.fixture
def spec() -> EmbodimentSpec:
    """With a watchdog that does not bite because a test machine is busy."""
    return msgspec.structs.replace(load_spec("so101"), watchdog_s=0.6)


@pytest.fixture
def endpoint() -> Iterator[str]:
    """An address in a folder of its own, with a path short enough for sockets."""
    folder = Path(tempfile.mkdtemp(prefix="unichunk-"))
    yield f"ipc://{folder}/driver.ipc"
    shutil.rmtree(folder)


@pytest.fixture(params=["fake", pytest.param("simulated", marks=pytest.mark.simulator)])
def device(request: pytest.FixtureRequest, spec: EmbodimentSpec) -> RobotDevice:
    """Every device there is."""
    if request.param == "fake":
        return FakeDevice(spec)
    from unichunk.embodiments.drivers.simulated import SimulatedDevice

    return SimulatedDevice(spec, seed=0)


@pytest.fixture
def served(spec: EmbodimentSpec, device: RobotDevice, endpoint: str) -> Iterator[Served]:
    """A driver that runs."""
    with serve(spec, device, endpoint) as served:
        yield served


@pytest.fixture
def raw() -> Iterator[Callable[[int, str], zmq.Socket[bytes]]]:
    """Makes sockets that can say what no link would say."""
    with ExitStack() as stack:
        context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        stack.callback(context.term)

        def connect(kind: int, endpoint: str) -> zmq.Socket[bytes]:
            made = context.socket(kind)
            stack.callback(made.close, linger=0)
            made.connect(endpoint)
            return made

        yield connect


@pytest.fixture
def free_port() -> int:
    """A TCP port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
