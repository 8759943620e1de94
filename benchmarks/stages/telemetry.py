"""Power, clocks and temperatures while something is measured, as far as the machine tells them."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Final, Protocol

from unichunk.benchmarks.stages import cpufreq, hwmon, nvidia_smi, rapl, tegrastats, thermal_zones
from unichunk.benchmarks.stages.file_probe import EnergyProbe, FileProbe
from unichunk.benchmarks.stages.line_probe import LineProbe
from unichunk.benchmarks.stages.telemetry_summary import Sample, telemetry_summary

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import TracebackType
    from typing import Any, Self

    from unichunk.benchmarks.stages.reading import Reading

PERIOD_S: Final = 1.0
"""How often the machine is asked, [s]: seldom enough to be no load of its own."""


class Probe(Protocol):
    """One source of numbers."""

    @property
    def name(self) -> str:
        """The source."""
        ...

    def start(self) -> str:
        """Begin; why nothing can be told, empty where something can."""
        ...

    def read(self) -> list[Reading]:
        """The numbers now."""
        ...

    def stop(self) -> None:
        """Release what was begun."""
        ...


def all_probes() -> list[Probe]:
    """Every source that is known, whether it is there or not."""
    return [
        LineProbe([tegrastats.COMMAND], tegrastats.parse_tegrastats),
        LineProbe(nvidia_smi.COMMANDS, nvidia_smi.parse_nvidia_smi),
        EnergyProbe("RAPL", rapl.PATTERNS),
        FileProbe("hwmon", hwmon.PATTERNS, hwmon.parse_hwmon),
        FileProbe("thermal", thermal_zones.PATTERNS, thermal_zones.parse_thermal),
        FileProbe("cpufreq", cpufreq.PATTERNS, cpufreq.parse_cpufreq),
    ]


class Telemetry:
    """Asks all sources once a second, in a thread of its own, from entering to leaving.

    Args:
        probes: The sources.
        period_s: How often they are asked, [s].
    """

    def __init__(self, probes: Sequence[Probe], period_s: float = PERIOD_S) -> None:
        self._probes = probes
        self._period_s = period_s
        self._telling: list[Probe] = []
        self._silent: dict[str, str] = {}
        self._samples: list[Sample] = []
        self._spans: dict[str, list[tuple[float, float]]] = {}
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="telemetry", daemon=True)

    def __enter__(self) -> Self:
        for probe in self._probes:
            why = probe.start()
            if why:
                self._silent[probe.name] = why
            else:
                self._telling.append(probe)
        self._look()
        if self._telling:
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopping.set()
        if self._telling:
            self._thread.join()
        self._look()
        for probe in self._telling:
            probe.stop()

    def span(self, name: str, begun_s: float, ended_s: float) -> None:
        """Remember what was measured from when to when, [s], `time.monotonic`."""
        self._spans.setdefault(name, []).append((begun_s, ended_s))

    def summary(self) -> Mapping[str, Any]:
        """What was told, and by whom nothing was, as plain values; see `telemetry_summary`."""
        return telemetry_summary(self._samples, self._silent, self._spans, self._period_s)

    def _run(self) -> None:
        while not self._stopping.wait(self._period_s):
            self._look()

    def _look(self) -> None:
        for probe in self._telling:
            now_s = time.monotonic()
            self._samples += [Sample(now_s, probe.name, reading) for reading in probe.read()]
