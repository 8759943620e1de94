"""Two places with a network between them, for as long as a block lasts."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from unichunk.benchmarks.harness.patient_line import patient_line
from unichunk.benchmarks.netlab.conditions import Outage

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

    from unichunk.benchmarks.netlab.conditions import Conditions

How = Literal["auto", "relay", "netem"]

PROCESS: Final = "unichunk.benchmarks.netlab.path_process"
PATIENCE_S: Final = 20.0


class LaboratoryUnavailable(RuntimeError):
    """There can be none here; one line says why."""


@dataclass(frozen=True)
class Place:
    """A network namespace at one end of the path.

    Attributes:
        address: Of its end.
        namespace: A file of it.
        nsenter: The program that runs commands in it.
    """

    address: str
    namespace: Path
    nsenter: str

    def command(self, command: Sequence[str]) -> list[str]:
        """A command that runs another one there."""
        return [self.nsenter, f"--net={self.namespace}", *command]


class Laboratory:
    """Two places, near and far, and the path between them.

    Args:
        how: `netem` where the kernel has it, else a relay in user space (`auto`), or which of the two.
        seed: Of what the relay loses, and by how much its delays differ.

    Raises:
        LaboratoryUnavailable: Where the system does not permit it.
    """

    def __init__(self, how: How = "auto", *, seed: int = 0) -> None:
        nsenter = shutil.which("nsenter")
        if not sys.platform.startswith("linux") or nsenter is None:
            raise LaboratoryUnavailable("needs Linux and nsenter (package util-linux)")
        if os.geteuid() != 0:
            raise LaboratoryUnavailable("needs root for network namespaces; run it with sudo")
        self._process = subprocess.Popen(  # noqa: S603  our own module
            [sys.executable, "-m", PROCESS, how, str(seed)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            # Ctrl-C goes to this process, which ends that one.
            start_new_session=True,
            text=True,
        )
        try:
            ready = self._answer()
            if "unavailable" in ready:
                raise LaboratoryUnavailable(ready["unavailable"])
        except LaboratoryUnavailable:
            self.close()
            raise
        self.how: str = ready["how"]
        """`relay` or `netem`."""
        self.fifo: bool = ready["fifo"]
        """Whether the relay is preferred to other processes."""
        self.near, self.far = (
            Place(address, Path(f"/proc/{ready['pid']}/fd/{file}"), nsenter)
            for address, file in zip(ready["addresses"], ready["namespaces"], strict=True)
        )

    def __enter__(self) -> Laboratory:
        """Itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End it."""
        self.close()

    def change(self, conditions: Conditions) -> None:
        """What happens to packets in each direction from now on."""
        self._ask({"conditions": conditions.row()})

    def cut(self, after_s: float, for_s: float) -> Outage:
        """Let nothing pass for a time.

        Args:
            after_s: When it begins, from now, [s].
            for_s: How long it lasts, [s].

        Returns:
            Exactly when.
        """
        return Outage(**self._ask({"outage": {"after_s": after_s, "for_s": for_s}}))

    def statistics(self) -> dict[str, Any]:
        """What became of packets since `forget`; netem counts from the beginning."""
        return self._ask({"statistics": True})

    def forget(self) -> None:
        """Count packets anew."""
        self._ask({"forget": True})

    def close(self) -> None:
        """End the path; what still runs at its ends runs on, cut off."""
        # A second time there is nothing left to talk to.
        with contextlib.suppress(OSError, ValueError, subprocess.TimeoutExpired):
            self._process.communicate(timeout=PATIENCE_S)
        self._process.kill()
        self._process.wait()

    def _ask(self, what: dict[str, Any]) -> dict[str, Any]:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(what) + "\n")
            self._process.stdin.flush()
        except OSError:
            raise LaboratoryUnavailable("the process that carries packets ended") from None
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        line = patient_line(self._process, PATIENCE_S)
        if not line:
            raise LaboratoryUnavailable("the process that carries packets ended or did not answer")
        answer: dict[str, Any] = json.loads(line)
        return answer
