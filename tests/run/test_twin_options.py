"""What is asked of a simulated robot gets there, from every command that takes it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

import pytest
import tyro
from hypothesis import given, settings
from hypothesis import strategies as st

from unichunk.embodiments.drivers import __main__ as driver_module
from unichunk.embodiments.drivers.twin_options import TwinOptions
from unichunk.runtime.errors import UnichunkError
from unichunk.server import run_command
from unichunk.server.driver_command import Driver
from unichunk.server.run_command import Run

if TYPE_CHECKING:
    from pathlib import Path

ASKED = TwinOptions(0.01, 0.1, 12.5, 0.05, 4.0, objects=True)
ARGUMENTS = [
    *("--position-noise", "0.01", "--velocity-noise", "0.1", "--command-delay-ms", "12.5"),
    *("--command-loss", "0.05", "--image-noise", "4.0", "--objects"),
]


def test_only_what_is_asked_for_is_on_the_command_line() -> None:
    assert TwinOptions().arguments() == []
    assert ASKED.arguments() == ARGUMENTS


@settings(max_examples=8, deadline=None)
@given(
    options=st.builds(
        TwinOptions,
        *(st.floats(0, 1) for _ in range(5)),
        objects=st.booleans(),
    )
)
def test_every_command_reads_them_alike(options: TwinOptions) -> None:
    arguments = options.arguments()
    assert tyro.cli(Run, args=["--embodiment", "so101", *arguments]).twin == options
    assert tyro.cli(Driver, args=["so101", *arguments]).twin == options


def test_the_drivers_module_reads_them(monkeypatch: pytest.MonkeyPatch) -> None:
    given_: dict[str, Any] = {}
    monkeypatch.setattr(driver_module, "run_driver", lambda *_, **options: given_.update(options) or 0)
    assert tyro.cli(driver_module.main, args=["--embodiment", "so101", "--sim", *ARGUMENTS]) == 0
    assert given_["conditions"] == ASKED.conditions()
    assert given_["objects"] is True


def test_a_run_hands_them_to_its_simulated_robot_and_reports_them(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    handed: list[Any] = []

    def started(*arguments: Any) -> NoReturn:
        handed.extend(arguments[-1])
        raise UnichunkError("enough")

    monkeypatch.setattr(run_command, "simulated_driver", started)
    asked = Run("so101", sim=True, duration=1.0, report=tmp_path / "report.json", twin=ASKED)
    assert asked() == 3
    assert capsys.readouterr().err == "unichunk run: enough\n"
    assert handed == ARGUMENTS
    reported = asked._asked("bundle")["twin"]
    assert reported == {
        "position_noise": 0.01,
        "velocity_noise": 0.1,
        "command_delay_ms": 12.5,
        "command_loss": 0.05,
        "image_noise": 4.0,
        "objects": True,
    }


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (
            {"driver": "ipc:///tmp/a", "twin": TwinOptions(objects=True)},
            "--objects: only a simulated robot (--sim) has it",
        ),
        (
            {"driver": "ipc:///tmp/a", "twin": TwinOptions(image_noise=1.0)},
            "--image-noise: only a simulated robot (--sim) has it",
        ),
        (
            {"sim": True, "twin": TwinOptions(command_loss=2.0)},
            "command loss 2: expected from 0 to 1 as a probability",
        ),
    ],
)
def test_what_a_run_refuses(capsys: pytest.CaptureFixture[str], arguments: dict[str, Any], line: str) -> None:
    assert Run("so101", **arguments)() == 2
    assert capsys.readouterr().err == f"unichunk run: {line}\n"
