"""What the kernel's hardware monitors tell: temperatures and power.

Files and units are those of the kernel's documentation, hwmon/sysfs-interface: `temp*_input` [millidegree Celsius],
`power*_average` and `power*_input` [microwatt], `in*_input` [millivolt], `curr*_input` [milliampere], each with a
`*_label` where it has one. The INA3221 of Jetson boards tells voltage and current of a rail under one number.
"""

from __future__ import annotations

import re
from pathlib import PurePath
from typing import TYPE_CHECKING, Final

from unichunk.benchmarks.stages.reading import Reading

if TYPE_CHECKING:
    from collections.abc import Mapping

PATTERNS: Final = tuple(
    f"sys/class/hwmon/hwmon*/{name}"
    for name in ("name", "temp*_input", "temp*_label", "power*_average", "power*_input", "power*_label")
) + tuple(f"sys/class/hwmon/hwmon*/{name}" for name in ("in*_input", "in*_label", "curr*_input"))

_INPUT: Final = re.compile(r"(temp|power|curr)(\d+)_(input|average)")


def parse_hwmon(files: Mapping[str, str]) -> list[Reading]:
    """The numbers in these files.

    Args:
        files: Path -> content, of any number of monitors.
    """
    readings = []
    for path, text in files.items():
        found = _INPUT.fullmatch(PurePath(path).name)
        number = _number(text)
        if found is None or number is None:
            continue
        kind, index, which = found.groups()
        folder = str(PurePath(path).parent)
        if kind == "temp":
            readings.append(Reading("temperature_c", _name(files, folder, f"temp{index}"), number / 1e3))
        elif kind == "curr":
            # Power where the same rail's voltage is told; a current alone is none.
            volts = _number(files.get(f"{folder}/in{index}_input", ""))
            if volts is not None:
                readings.append(Reading("power_w", _name(files, folder, f"in{index}"), number * volts / 1e6))
        elif which == "average" or f"{folder}/power{index}_average" not in files:
            readings.append(Reading("power_w", _name(files, folder, f"power{index}"), number / 1e6))
    return readings


def _name(files: Mapping[str, str], folder: str, sensor: str) -> str:
    monitor = files.get(f"{folder}/name", "").strip() or PurePath(folder).name
    return f"{monitor} {files.get(f'{folder}/{sensor}_label', '').strip() or sensor}"


def _number(text: str) -> int | None:
    try:
        return int(text)
    except ValueError:
        return None
