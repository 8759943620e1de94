"""What the processor's energy counters (RAPL) tell.

Files and units are those of the kernel's documentation, power/powercap: zones `intel-rapl:N` and `intel-rapl:N:M`
(AMD's too), each with `name`, `energy_uj` [microjoule], which begins anew after `max_energy_range_uj`. Many systems
let only root read `energy_uj`.
"""

from __future__ import annotations

from pathlib import PurePath
from typing import TYPE_CHECKING, Final

from unichunk.benchmarks.stages.reading import Reading

if TYPE_CHECKING:
    from collections.abc import Mapping

PATTERNS: Final = tuple(
    f"sys/class/powercap/intel-rapl:*/{name}" for name in ("name", "energy_uj", "max_energy_range_uj")
)


def rapl_power(before: Mapping[str, str], after: Mapping[str, str], seconds: float) -> list[Reading]:
    """The power between two looks at the counters, [W].

    Args:
        before: Path -> content of all zones' files, at the first look.
        after: The same, at the second.
        seconds: Time in between, [s]; less than a counter takes to begin anew.
    """
    readings = []
    for path, text in after.items():
        folder, name = PurePath(path).parent, PurePath(path).name
        if name != "energy_uj" or path not in before or not seconds > 0:
            continue
        try:
            used = int(text) - int(before[path])
            if used < 0:
                used += int(after[f"{folder}/max_energy_range_uj"]) + 1
        except (ValueError, KeyError):
            continue
        zone = after.get(f"{folder}/name", "").strip() or folder.name
        readings.append(Reading("power_w", f"{zone} ({folder.name})", used / 1e6 / seconds))
    return readings
