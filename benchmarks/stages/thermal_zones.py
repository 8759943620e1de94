"""What the kernel's thermal zones and cooling devices tell.

Files and units are those of the kernel's documentation, driver-api/thermal/sysfs-api: `thermal_zone*/type` and `temp`
[millidegree Celsius]; `cooling_device*/type` and `cur_state`, 0 where it does nothing. A processor as a cooling device
cools by being slower; a fan does not.
"""

from __future__ import annotations

from pathlib import PurePath
from typing import TYPE_CHECKING, Final

from unichunk.benchmarks.stages.reading import Reading

if TYPE_CHECKING:
    from collections.abc import Mapping

PATTERNS: Final = tuple(
    f"sys/class/thermal/{name}"
    for name in ("thermal_zone*/type", "thermal_zone*/temp", "cooling_device*/type", "cooling_device*/cur_state")
)

SLOWING: Final = ("processor", "cpu", "devfreq", "gpu", "powerclamp", "throttle")
"""In the type of a cooling device: it slows something down."""

ABSENT_C: Final = -200.0
"""Temperatures below this are no temperatures: the part is powered down."""


def parse_thermal(files: Mapping[str, str]) -> list[Reading]:
    """The numbers in these files.

    Args:
        files: Path -> content.
    """
    readings = []
    for path, text in files.items():
        folder, name = PurePath(path).parent, PurePath(path).name
        try:
            number = int(text)
        except ValueError:
            continue
        kind = files.get(f"{folder}/type", "").strip() or folder.name
        if name == "temp" and number / 1e3 > ABSENT_C:
            readings.append(Reading("temperature_c", f"{kind} ({folder.name})", number / 1e3))
        elif name == "cur_state" and any(word in kind.lower() for word in SLOWING):
            readings.append(Reading("throttled", f"{kind} ({folder.name})", float(number > 0)))
    return readings
