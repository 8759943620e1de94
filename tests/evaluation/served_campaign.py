"""A frozen campaign of python policies, and `unichunk eval serve` on it as a process that can be killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from tests.evaluation.page_client import PageClient
from tests.evaluation.wire_robot import ROBOT, WireRobot
from unichunk.server.evaluation.planning.freeze import freeze
from unichunk.server.serving.identity import Role
from unichunk.server.serving.key_file import write_keys
from unichunk.server.serving.key_record import new_key

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from unichunk.server.evaluation.planning.freeze import Frozen

ROLES = {
    "ann": Role.OPERATOR,
    "bob": Role.OPERATOR,
    "ada": Role.ADMIN,
    "aud": Role.AUDITOR,
    "arm-1": Role.ROBOT,
}

CAMPAIGN = """
name = "served"
robot = "{robot}"
trials_per_cell = {per_cell}

[[policies]]
name = "waving"
source = "python:{module}:Waving"

[[policies]]
name = "told"
source = "python:{module}:Told"

[[tasks]]
name = "wave"
instruction = "wave"
success = "it waved"
timeout_s = 300.0

[[layouts]]
name = "table"
task = "wave"

[blinding]
rows = 4
equalized_ticks = 4
answer_ms = 2.0

[rules]
policy_death = "{policy_death}"
"""


@dataclass(frozen=True)
class Served:
    """A campaign that can be served.

    Attributes:
        frozen: What was planned.
        folder: Of the campaign.
        keys: API keys, by name.
    """

    frozen: Frozen
    folder: Path
    keys: dict[str, str]

    @contextmanager
    def serving(self, *options: str, port: int = 0) -> Iterator[Running]:
        """The process; killed at the end if it still runs."""
        command = [sys.executable, "-m", "unichunk.server.command_line", "eval", "serve", str(self.folder)]
        command += ["--port", str(port), "--sim-robots", *options]
        said = self.folder.parent / "said.txt"
        with said.open("a") as file:
            process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=file, text=True)
        try:
            assert process.stdout is not None
            lines = [process.stdout.readline().split() for _ in range(3)]
            assert lines[0][:1] == ["serving"], said.read_text()
            yield Running(self, process, lines[1][0].rstrip("/"), said)
        finally:
            process.kill()
            process.wait()
            assert process.stdout is not None
            process.stdout.close()

    def refused(self, *options: str) -> tuple[int, str]:
        """Exit status and standard error of a process that does not come up."""
        command = [
            sys.executable,
            "-m",
            "unichunk.server.command_line",
            "eval",
            "serve",
            str(self.folder),
            "--port",
            "0",
        ]
        ended = subprocess.run([*command, *options], capture_output=True, text=True, timeout=100, check=False)
        return ended.returncode, ended.stderr


@dataclass(frozen=True)
class Running:
    """A service that runs.

    Attributes:
        served: Its campaign.
        process: Its process.
        address: Of its pages.
        said: What it wrote to its standard error.
    """

    served: Served
    process: subprocess.Popen[str]
    address: str
    said: Path

    @property
    def port(self) -> int:
        return int(self.address.rpartition(":")[2])

    def person(self, name: str) -> PageClient:
        client = PageClient(self.address, self.served.keys[name])
        client.sign_in()
        return client

    def robot(self, name: str = "arm-1") -> WireRobot:
        return WireRobot(f"ws{self.address.removeprefix('http')}/robot/{name}", self.served.keys[name])

    def kill(self) -> None:
        """As a power cut would."""
        self.process.kill()
        self.process.wait()

    def end(self) -> int:
        """As somebody would who ends it; its exit status."""
        os.kill(self.process.pid, signal.SIGTERM)
        return self.process.wait(30.0)


def make_served(folder: Path, *, per_cell: int = 1, policy_death: str = "void", module: str = "") -> Served:
    """Freeze a campaign and make everybody a key."""
    text = CAMPAIGN.format(
        robot=ROBOT,
        per_cell=per_cell,
        policy_death=policy_death,
        module=module or "tests.evaluation.blinding_policies",
    )
    (folder / "campaign.toml").write_text(text)
    now = datetime.now(timezone.utc).replace(microsecond=0)
    frozen = freeze(folder / "campaign.toml", folder / "campaign", now=now, admin_key=folder / "admin.key")
    made = {name: new_key(name, role, now) for name, role in ROLES.items()}
    write_keys(folder / "campaign" / "private" / "keys.json", [record for _, record in made.values()])
    return Served(frozen, folder / "campaign", {name: text for name, (text, _) in made.items()})
