"""The kernel's own network emulation, `tc netem`, on both ends of a veth pair."""

from __future__ import annotations

import shutil
import subprocess
import time
from typing import TYPE_CHECKING, Any, Final

from unichunk.benchmarks.netlab.conditions import Conditions

if TYPE_CHECKING:
    from collections.abc import Sequence

    from unichunk.benchmarks.netlab.conditions import Outage

PATIENCE_S: Final = 10.0
NEVER: Final = -1


class NetemFailed(RuntimeError):
    """A command of iproute2 failed; one line says which."""


def netem_available() -> bool:
    """Whether this kernel has netem, tried on the loopback of the calling thread's namespace."""
    if shutil.which("tc") is None or shutil.which("ip") is None:
        return False
    tried = _run(["tc", "qdisc", "add", "dev", "lo", "root", "netem", "delay", "1ms"])
    _run(["tc", "qdisc", "del", "dev", "lo", "root"])
    return tried.returncode == 0


def netem_command(device: str, conditions: Conditions, *, cut: bool) -> list[str]:
    """The `tc` command that puts conditions on a device.

    Args:
        device: Its name; what leaves it is delayed.
        conditions: The rate is always given: with one, packets keep their order.
        cut: Whether everything is lost.
    """
    loss = 1.0 if cut else conditions.loss
    command = ["tc", "qdisc", "replace", "dev", device, "root", "netem", "limit", str(conditions.limit)]
    command += ["delay", f"{round(conditions.delay_s * 1e6)}us"]
    if conditions.jitter_s:
        command.append(f"{round(conditions.jitter_s * 1e6)}us")
    if loss:
        command += ["loss", "random", f"{100 * loss:g}%"]
    return [*command, "rate", f"{round(conditions.rate_bit_s)}bit"]


class Netem:
    """A `Carrier`: the kernel carries, this only changes its settings in time.

    Args:
        ends: (What runs a command in the namespace, device) of both ends.
    """

    def __init__(self, ends: Sequence[tuple[Sequence[str], str]]) -> None:
        self._ends = ends
        self._conditions = Conditions()
        self._outage: Outage | None = None
        self._is_cut = False
        self._apply()

    @property
    def files(self) -> Sequence[int]:
        """None: the kernel reads."""
        return ()

    @property
    def next_ns(self) -> int:
        """When the outage begins or ends."""
        if self._outage is None:
            return NEVER
        return self._outage.end_ns if self._is_cut else self._outage.begin_ns

    def step(self, readable: Sequence[int]) -> None:
        """Begin or end the outage where it is time."""
        del readable
        if self._outage is None:
            return
        now_ns = time.monotonic_ns()
        is_cut = self._outage.covers(now_ns)
        if now_ns >= self._outage.end_ns:
            self._outage = None
        if is_cut != self._is_cut:
            self._is_cut = is_cut
            self._apply()

    def change(self, conditions: Conditions) -> None:
        """Both ends get them."""
        self._conditions = conditions
        self._apply()

    def cut(self, outage: Outage) -> None:
        """Remember it; `step` does it."""
        self._outage = outage

    def forget(self) -> None:
        """The kernel goes on counting."""

    def statistics(self) -> dict[str, Any]:
        """What the kernel counts, by direction, as its own text."""
        texts = [_run([*enter, "tc", "-s", "qdisc", "show", "dev", device]).stdout for enter, device in self._ends]
        return {name: " ".join(text.split()) for name, text in zip(("near", "far"), texts, strict=True)}

    def _apply(self) -> None:
        for enter, device in self._ends:
            command = [*enter, *netem_command(device, self._conditions, cut=self._is_cut)]
            done = _run(command)
            if done.returncode:
                raise NetemFailed(f"{' '.join(command)}: {' '.join(done.stderr.split())}")


def _run(command: Sequence[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=PATIENCE_S)  # noqa: S603
