"""The page that says how to add a robot is followed to the letter."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
import numpy as np
import pytest

from tests.one_line import refused
from tests.policy.tiny_bundle import write_tiny_bundle
from tests.pyproject import ROOT
from tests.run.processes import eventually, start
from unichunk.embodiments.catalogue import load_spec
from unichunk.embodiments.drivers.errors import DriverError
from unichunk.embodiments.drivers.hardware import hardware_device
from unichunk.embodiments.errors import SpecError
from unichunk.embodiments.link.driver_link import DriverLink
from unichunk.embodiments.model import model_urdf, spec_model

if TYPE_CHECKING:
    from collections.abc import Iterator

    from unichunk.embodiments.drivers.device import CameraSource, RobotDevice
    from unichunk.embodiments.spec import EmbodimentSpec

PAGE = ROOT / "embodiments" / "ADD_YOUR_ROBOT.md"
BLOCK = re.compile(r"^```(\w+)(?: ([\w.]+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)


class Session(NamedTuple):
    arguments: list[str]
    expected: list[str]


def sessions() -> list[Session]:
    """The commands of the page, and the first lines of what each prints."""
    found = []
    for language, _, text in BLOCK.findall(PAGE.read_text()):
        if language == "console":
            command, *expected = text.splitlines()
            assert command.startswith("$ unichunk ")
            found.append(Session(shlex.split(command)[2:], expected))
    return found


def session(*beginning: str) -> Session:
    (found,) = (one for one in sessions() if " ".join(one.arguments).startswith(" ".join(beginning)))
    return found


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """The page's files, in a folder whose path is short enough for sockets, and a policy."""
    folder = Path(tempfile.mkdtemp(prefix="unichunk-"))
    for _, name, text in BLOCK.findall(PAGE.read_text()):
        if name:
            (folder / name).write_text(text)
    (folder / "tmp").mkdir()
    write_tiny_bundle(
        folder / "policy", embodiment=str(folder / "bench_arm.json"), embodiments=["bench_arm"], chunk_length=24
    )
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def spec(folder: Path) -> EmbodimentSpec:
    return load_spec(folder / "bench_arm.json")


@contextmanager
def served(folder: Path, command: Session) -> Iterator[str]:
    """A driver's process, started as the page says; its address."""
    with start(*command.arguments, folder=folder) as process:
        try:
            assert process.stderr is not None
            line = process.stderr.readline()
            (expected,) = command.expected
            assert line.startswith(expected), line + process.stderr.read()
            yield line.removeprefix(expected).split(",")[0].strip()
        finally:
            process.terminate()
            process.communicate(timeout=10)
    assert process.returncode == 0


def check_that_it_is_driven(endpoint: str, spec: EmbodimentSpec) -> None:
    with closing(DriverLink(endpoint, spec, connect_timeout_s=20)) as link:
        link.connect()
        target = spec.rest + 0.1
        begun = time.monotonic()
        # A stream begins where the robot stands, or not at all.
        while (elapsed := time.monotonic() - begun) < 1.2:
            assert link.commands.send(0, spec.rest + min(1.0, elapsed / 0.5) * 0.1)
            time.sleep(0.01)
        state = link.states.newest()
        assert state is not None
        assert link.states.commanding
        np.testing.assert_allclose(state.q, target, atol=0.05)
        eventually(lambda: link.sensors.newest() is not None)
        observation = link.sensors.newest()
        assert observation is not None
        assert observation.frames["front"].image.shape == (120, 160, 3)
        counters = link.control.status().counters
        assert counters["accepted"] > 0
        # Then nothing comes any more, and it is brought to rest.
        eventually(lambda: link.states.newest().watchdog)


def test_every_block_is_a_file_or_a_command(folder: Path) -> None:
    names = [name for _, name, _ in BLOCK.findall(PAGE.read_text()) if name]
    assert names == ["bench_arm.json", "bench_arm.urdf", "bench_arm_driver.py"]
    assert len(sessions()) == 4


def test_links_and_files_that_the_page_names_exist() -> None:
    for name in re.findall(r"`((?:embodiments|tests|specs)/[\w/]+\.\w+)`", PAGE.read_text()):
        assert (ROOT / name).exists() or (ROOT / "embodiments" / name).exists(), name
    assert "embodiments/ADD_YOUR_ROBOT.md" in (ROOT / "README.md").read_text()


@pytest.mark.processes
def test_check_it(folder: Path) -> None:
    command = session("embodiments")
    with start(*command.arguments, folder=folder) as process:
        output, errors = process.communicate(timeout=30)
    assert process.returncode == 0, errors
    assert output.splitlines()[: len(command.expected)] == command.expected
    assert "hardware driver: bench_arm_driver.py:BenchArm" in output


@pytest.mark.processes
@pytest.mark.simulator
def test_the_twin(folder: Path, spec: EmbodimentSpec) -> None:
    with served(folder, session("driver", "./bench_arm.json", "--sim")) as endpoint:
        check_that_it_is_driven(endpoint, spec)


@pytest.mark.processes
@pytest.mark.simulator
def test_the_policy(folder: Path) -> None:
    command = session("run")
    with start(*command.arguments, folder=folder) as process:
        output, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    assert output.splitlines()[: len(command.expected)] == command.expected


@pytest.mark.processes
def test_the_driver(folder: Path, spec: EmbodimentSpec) -> None:
    (hardware,) = (one for one in sessions() if one.arguments == ["driver", "./bench_arm.json"])
    with served(folder, hardware) as endpoint:
        check_that_it_is_driven(endpoint, spec)


def test_the_drivers_class_does_what_a_device_must(spec: EmbodimentSpec) -> None:
    device: RobotDevice = hardware_device(spec)
    device.start()
    target = spec.rest + 0.1
    device.command(target)
    q, dq = device.step()
    np.testing.assert_array_equal(q, target)
    assert q.dtype == dq.dtype == np.float64
    assert q.shape == dq.shape == (5,)
    # The caller's own: what is done to it is not done to the robot.
    q[:] = 9.0
    device.rest()
    np.testing.assert_array_equal(device.step()[0], target)
    assert set(device.cameras()) == set(spec.cameras)
    camera: CameraSource = device.cameras()["front"]
    camera.open()
    first, second = camera.capture(), camera.capture()
    assert first is not None
    assert second is not None
    assert first.image.shape == (120, 160, 3)
    assert (first.image != second.image).any()
    assert first.stamp_ns < second.stamp_ns <= time.monotonic_ns()
    camera.close()
    assert device.task_begin("wave") == ""
    assert device.task_end() == {}
    device.stop()


def test_the_model_is_the_file_beside_the_spec(spec: EmbodimentSpec, folder: Path) -> None:
    assert spec.model == str(folder / "bench_arm.urdf")
    assert 'discardvisual="false"' in model_urdf(spec)
    model = spec_model(spec)
    assert list(model.names)[1:] == ["turn", "shoulder", "elbow", "wrist", "jaw"]


def test_a_path_relative_to_where_one_is(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    assert load_spec("./bench_arm.json").model == str(folder / "bench_arm.urdf")
    assert load_spec("bench_arm.json").driver == f"{folder / 'bench_arm_driver.py'}:BenchArm"


@pytest.fixture
def changed(folder: Path, tmp_path: Path) -> Path:
    """A copy to change."""
    for name in ("bench_arm.json", "bench_arm.urdf"):
        shutil.copy(folder / name, tmp_path)
    return tmp_path


def replace(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


TABLE_SHAPE = '<visual name="table"><geometry><cylinder radius="0.05"'


def loose(name: str) -> str:
    """A twin with a loose object."""
    thing = {"half_size": [0.02] * 3, "position": [0.3, 0.0, 0.02], "mass": 0.1, "colour": [1.0, 0.0, 0.0, 1.0]}
    return f'"twin": {json.dumps({"objects": [{"name": name, **thing}]})}'


def task(frame: str) -> str:
    """A twin with a task for a frame."""
    region = {"region_x": [0.2, 0.35], "region_y": [-0.1, 0.1], "height": 0.02, "half_size": 0.02, "clearance": 0.06}
    hands = {"right": {"frame": frame, "offset": [0.0, 0.0, 0.1]}}
    return f'"twin": {json.dumps({"task": {**region, "speed": [0.03, 0.1], "near": 0.03, "hands": hands}})}'


@pytest.mark.parametrize(("old", "new"), [('"twin": {}', task("tool")), ('"twin": {}', loose("cube"))])
def test_what_fits(changed: Path, old: str, new: str) -> None:
    replace(changed / "bench_arm.json", old, new)
    assert load_spec(changed / "bench_arm.json").twin is not None


def test_without_a_twin_nothing_need_weigh_anything(changed: Path) -> None:
    weightless = re.sub("<inertial>.*</inertial>", "", (changed / "bench_arm.urdf").read_text())
    (changed / "bench_arm.urdf").write_text(weightless)
    with refused(SpecError, "embodiment.twin: link turret"):
        load_spec(changed / "bench_arm.json")
    replace(changed / "bench_arm.json", '"twin": {}', '"twin": null')
    assert load_spec(changed / "bench_arm.json").twin is None


def test_a_link_without_a_mass_of_its_own_may_carry_one(changed: Path) -> None:
    """What is fixed to it is what moves with it; and a shape to collide with is one, too, for the simulator."""
    urdf, inertial = changed / "bench_arm.urdf", '<inertial><mass value="0.1"/><inertia {}/></inertial>'
    text = re.sub('(<link name="hand">).*?<visual>', r"\1<visual>", urdf.read_text(), flags=re.DOTALL)
    urdf.write_text(text)
    load_spec(changed / "bench_arm.json")
    urdf.write_text(re.sub('(<link name="hand">).*?</link>', r"\1</link>", text, flags=re.DOTALL))
    with refused(SpecError, "embodiment.twin: link hand"):
        load_spec(changed / "bench_arm.json")
    moments = 'ixx="1e-4" iyy="1e-4" izz="1e-4" ixy="0" ixz="0" iyz="0"'
    replace(urdf, '<link name="tool"/>', f'<link name="tool">{inertial.format(moments)}</link>')
    load_spec(changed / "bench_arm.json")


@pytest.mark.parametrize(
    ("file", "old", "new", "words"),
    [
        ("json", "bench_arm.urdf", "other.urdf", ("embodiment.model", "other.urdf", "No such file", "so101")),
        ("json", '"name": "turn"', '"name": "trun"', ("groups.arm.joints[0].name", "'trun'", "did you mean turn?")),
        ("json", '"frame": "tool"', '"frame": "tip"', ("end_effectors.right.frame", "no link 'tip'", "expected one")),
        ("json", '"upper": 2.3', '"upper": 132.0', ("groups.arm.joints[2].upper", "-0.5 to 2.3", "132", "radians")),
        (
            "json",
            '"velocity": 3.0',
            '"velocity": 8.0',
            ("arm.joints[3].velocity", "at most 3.03", "has 3, got 8"),
        ),
        (
            "urdf",
            'velocity="2.0" effort="2"',
            'velocity="0.2" effort="2"',
            (
                "gripper.joints[0].velocity",
                "at most 1.6",
            ),
        ),
        ("json", '"fps": 20,', '"fps": 20, "mount": "head",', ("cameras.front.mount", "no link 'head'")),
        (
            "urdf",
            '<limit lower="0" upper="0.8"',
            '<mimic joint="wrist"/><limit lower="0" upper="0.8"',
            ("mimics wrist",),
        ),
        ("urdf", "<robot", "<robut", ("embodiment.model", "no XML")),
        ("urdf", '<child link="tool"/>', '<child link="tol"/>', ("embodiment.model", "unknown child link 'tol'")),
        ("json", '"format": 2', '"format": 1', ("embodiment.format: expected 2, got 1",)),
        (
            "json",
            '"frame": "tool"',
            '"frame": "base_link"',
            ("end_effectors.right.frame: expected a link", "groups (arm) move, got 'base_link'"),
        ),
        (
            "json",
            '"frame": "tool"',
            '"frame": "jaw_link"',
            ("end_effectors.right.frame: expected a link", "(arm) carry, got 'jaw_link', which hangs on jaw as well"),
        ),
        (
            "urdf",
            'name="turn" type="revolute"',
            'name="turn" type="continuous"',
            ("embodiment.model: bench_arm.urdf: joint turn is continuous, expected joints with limits",),
        ),
        (
            "urdf",
            '<joint name="tool_joint" type="fixed">',
            '<joint name="tool_joint" type="continuous">',
            ("joint tool_joint is continuous",),
        ),
        (
            "urdf",
            '<mass value="0.8"/>',
            '<mass value="1e-16"/>',
            ("embodiment.twin: link turret of bench_arm.urdf moves and has no mass, expected an <inertial>",),
        ),
        (
            "urdf",
            '<mass value="0.15"/>',
            '<mass value="0"/>',
            ("embodiment.twin: link hand of bench_arm.urdf moves and has no mass",),
        ),
        ("json", '"twin": {}', task("base_link"), ("twin.task.hands.right.frame", "right arm moves, got 'base_link'")),
        ("json", '"twin": {}', loose("hand"), ("twin.objects[0].name", "nothing else has, got 'hand', as a link")),
        ("json", '"twin": {}', loose("tool"), ("twin.objects[0].name", "got 'tool'")),
        ("json", '"twin": {}', loose("jaw"), ("twin.objects[0].name", "got 'jaw'", "joint")),
        ("json", '"twin": {}', loose("world"), ("twin.objects[0].name", "got 'world'")),
        ("urdf", '<visual><geometry><cylinder radius="0.05"', TABLE_SHAPE, ("no link or shape called 'table'",)),
    ],
)
def test_what_does_not_fit(changed: Path, file: str, old: str, new: str, words: tuple[str, ...]) -> None:
    replace(changed / f"bench_arm.{file}", old, new)
    with refused(SpecError, str(changed / "bench_arm.json"), *words):
        load_spec(changed / "bench_arm.json")


def test_a_spec_that_is_not_there(tmp_path: Path) -> None:
    with refused(SpecError, "my_arm.json: cannot be read (No such file or directory)"):
        load_spec(tmp_path / "my_arm.json")


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (None, "there is no module own_driver_0; expected one beside the spec"),
        ("import no_such_library", "it needs no_such_library, which is not installed"),
        ("x = ", "cannot be imported (SyntaxError"),
        ("1 / 0", "cannot be imported (ZeroDivisionError: division by zero)"),
        ("", "expected a class by that name in the module, found nothing"),
        ("def Arm(spec): ...", "expected a class by that name in the module, found a function"),
        ("class Arm: ...", "cannot be made from the spec (TypeError"),
        ("class Arm:\n def __init__(self, spec): raise OSError('no\\nport')", "(OSError: no port)"),
        ("class Arm:\n def __init__(self, spec): ...\n def start(self): ...", "it lacks description, simulated, stop"),
    ],
)
def test_drivers_that_cannot_be_used(
    changed: Path, source: str | None, words: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Modules are imported once: each gets a name of its own.
    name = f"own_driver_{request.node.callspec.indices['source']}"
    monkeypatch.setattr("sys.path", list(sys.path))
    replace(changed / "bench_arm.json", "bench_arm_driver:BenchArm", f"{name}:Arm")
    if source is not None:
        (changed / f"{name}.py").write_text(source)
    with refused(DriverError, f"{name}", ":Arm: ", words):
        hardware_device(load_spec(changed / "bench_arm.json"))


WHOLE = """
import helper_beside_the_driver
class Arm:
    simulated = False
    asked = []
    def __init__(self, spec):
        self.start = self.stop = self.command = self.rest = self.step = self.cameras = print
        self.task_begin = self.task_end = print
    @property
    def description(self):
        self.asked.append(1)
        raise OSError("the port is not open yet")
"""


def test_a_driver_may_have_the_name_of_a_standard_module(changed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.path", list(sys.path))
    replace(changed / "bench_arm.json", "bench_arm_driver:BenchArm", "signal:Arm")
    (changed / "signal.py").write_text(WHOLE)
    (changed / "helper_beside_the_driver.py").write_text("")
    device: Any = hardware_device(load_spec(changed / "bench_arm.json"))
    assert type(device).__name__ == "Arm"
    assert sys.modules["signal"].__name__ == "signal"
    assert hasattr(sys.modules["signal"], "SIGTERM")
    assert device.asked == [], "the check ran a property"


def test_the_pages_driver_holds_where_the_robot_stands_and_measures_velocities(
    spec: EmbodimentSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.path", list(sys.path))
    device: Any = hardware_device(spec)
    written: list[Any] = []
    bus = sys.modules[type(device).__module__].Bus
    write = bus.write
    monkeypatch.setattr(bus, "write", lambda self, q: (written.append(np.array(q)), write(self, q)))
    device.start()
    np.testing.assert_array_equal(written, [spec.rest])
    time.sleep(0.001)
    q, dq = device.step()
    np.testing.assert_array_equal(dq, 0.0)
    device.command(q + 0.1)
    time.sleep(0.01)
    moved, dq = device.step()
    np.testing.assert_allclose(moved, q + 0.1)
    assert (dq > 0.0).all()
    assert (dq <= 0.1 / 0.01 + 1e-6).all()
    device.rest()
    np.testing.assert_array_equal(written[-1], moved)
    device.stop()


def test_no_driver_at_all() -> None:
    with refused(DriverError, "there is no hardware driver for so101", "--sim"):
        hardware_device(msgspec.structs.replace(load_spec("so101"), driver=None))


@pytest.mark.processes
def test_the_contract(folder: Path) -> None:
    (command,) = re.findall(r"^UNICHUNK_SPECS=\S+ (pytest .*)$", PAGE.read_text(), re.MULTILINE)
    environment = {**os.environ, "UNICHUNK_SPECS": str(folder / "bench_arm.json")}
    ended = subprocess.run(
        [sys.executable, "-m", *shlex.split(command), "-q", "-p", "no:cacheprovider"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout
    assert " passed" in ended.stdout
