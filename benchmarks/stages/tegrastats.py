"""What NVIDIA's `tegrastats` tells on Jetson boards.

The format is that of the Jetson Linux Developer Guide, "tegrastats Utility" (releases 35 and 36, Orin): one line an
interval, of which are read here

- `CPU [X%@Z,off,...]`: load and clock of each core, [MHz], `off` where it is powered down;
- `GR3D_FREQ X%@Y`, `X%@[Y,Y]` or `X%`: load and clock of the graphics processor, [MHz], told only to root on some
  releases; `EMC_FREQ X%@Y`: of the memory;
- `name@XC`: temperatures, [deg C]; a sensor of a part that is powered down says -256;
- `NAME XmW/YmW`, on older releases without the unit: power of a rail, now and on average since tegrastats began, [mW].
  Rails: `VDD_IN` the whole module (Orin Nano and NX), `VDD_GPU_SOC`, `VDD_CPU_CV`, `VIN_SYS_5V0` (AGX Orin); `NC` is
  connected to nothing.

It does not tell whether clocks are held down.
"""

from __future__ import annotations

import re
from typing import Final

from unichunk.benchmarks.stages.reading import Reading

COMMAND: Final = ("tegrastats", "--interval", "1000")

_CORES: Final = re.compile(r"\bCPU \[([^\]]*)\]", re.IGNORECASE)
_CORE: Final = re.compile(r"\d+%@(\d+)")
_CLOCK: Final = re.compile(r"\b(GR3D|EMC)_FREQ \d+%@\[?(\d+)")
_TEMPERATURE: Final = re.compile(r"\b(\w+)@(-?\d+(?:\.\d+)?)C\b")
_POWER: Final = re.compile(r"\b((?:VDD|VIN|POM|VDDQ)_\w+) (-?\d+)(?:mW)?/-?\d+")

ABSENT_C: Final = -200.0
"""Temperatures below this are no temperatures."""


def parse_tegrastats(line: str) -> list[Reading]:
    """The numbers of one line; nothing for a line of another kind."""
    readings = []
    cores = _CORES.search(line)
    for number, core in enumerate(cores.group(1).split(",") if cores else ()):
        if clock := _CORE.fullmatch(core.strip()):
            readings.append(Reading("clock_mhz", f"cpu{number}", float(clock.group(1))))
    readings += [Reading("clock_mhz", name, float(clock)) for name, clock in _CLOCK.findall(line)]
    for name, degrees in _TEMPERATURE.findall(line):
        if float(degrees) > ABSENT_C:
            readings.append(Reading("temperature_c", name, float(degrees)))
    readings += [Reading("power_w", name, float(milliwatts) / 1e3) for name, milliwatts in _POWER.findall(line)]
    return readings
