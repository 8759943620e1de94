"""What the kernel tells of the processor's clocks, and how often heat held them down.

`cpu*/cpufreq/scaling_cur_freq` is in kHz (the kernel's documentation, admin-guide/pm/cpufreq). The counters
`cpu*/thermal_throttle/core_throttle_count` and `package_throttle_count` count from the start of the machine (Intel,
documentation ABI/testing/sysfs-devices-system-cpu).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from unichunk.benchmarks.stages.reading import Reading

if TYPE_CHECKING:
    from collections.abc import Mapping

PATTERNS: Final = (
    "sys/devices/system/cpu/cpu*/cpufreq/scaling_cur_freq",
    "sys/devices/system/cpu/cpu*/thermal_throttle/core_throttle_count",
    "sys/devices/system/cpu/cpu*/thermal_throttle/package_throttle_count",
)

_FILE: Final = re.compile(r".*/(cpu\d+)/(?:cpufreq|thermal_throttle)/(\w+)")


def parse_cpufreq(files: Mapping[str, str]) -> list[Reading]:
    """The numbers in these files.

    Args:
        files: Path -> content.
    """
    readings = []
    for path, text in files.items():
        found = _FILE.fullmatch(path)
        if found is None or not text.strip().isdigit():
            continue
        core, name = found.groups()
        if name == "scaling_cur_freq":
            readings.append(Reading("clock_mhz", core, int(text) / 1e3))
        else:
            readings.append(Reading("throttle_events", f"{core} {name.removesuffix('_throttle_count')}", int(text)))
    return readings
