"""What NVIDIA's `nvidia-smi` tells of graphics cards.

`--query-gpu=... --format=csv,noheader,nounits` prints a line for each card and interval, its values in the order asked
for; what a card does not tell stands there as `[N/A]`, `[Not Supported]` or `[Unknown Error]` (manual page nvidia-smi,
`nvidia-smi --help-query-gpu`). A program that does not know one of the fields prints none of them. What slows a card
down is `clocks_event_reasons.active` in newer drivers, `clocks_throttle_reasons.active` in older ones; its bits are
those of NVML's nvmlClocksEventReasons.
"""

from __future__ import annotations

from typing import Final

from unichunk.benchmarks.stages.reading import Kind, Reading

FIELDS: Final = ("index", "power.draw", "clocks.sm", "clocks.mem", "temperature.gpu")
REASONS: Final = (("clocks_event_reasons.active",), ("clocks_throttle_reasons.active",), ())
COMMANDS: Final = tuple(
    ("nvidia-smi", f"--query-gpu={','.join(FIELDS + last)}", "--format=csv,noheader,nounits", "--loop-ms=1000")
    for last in REASONS
)
"""To be tried in turn, until one tells something."""

SLOWED: Final = {
    0x04: "power cap",
    0x08: "hardware slowdown",
    0x20: "software thermal slowdown",
    0x40: "hardware thermal slowdown",
    0x80: "hardware power brake",
}
"""Bits that mean: held down by heat or power. Idle, clocks chosen by somebody and boosts in step are not among them."""

_KINDS: Final[tuple[tuple[Kind, str], ...]] = (
    ("power_w", ""),
    ("clock_mhz", " SM"),
    ("clock_mhz", " memory"),
    ("temperature_c", ""),
)


def parse_nvidia_smi(line: str) -> list[Reading]:
    """The numbers of one line; nothing for a line of another kind."""
    cells = [cell.strip() for cell in line.split(",")]
    if len(cells) not in {len(FIELDS), len(FIELDS) + 1} or not cells[0].isdigit():
        return []
    card = f"GPU {cells[0]}"
    readings = []
    for (kind, of), cell in zip(_KINDS, cells[1:5], strict=True):
        try:
            readings.append(Reading(kind, card + of, float(cell)))
        except ValueError:
            continue
    try:
        reasons = int(cells[len(FIELDS)], 16)
    except (IndexError, ValueError):
        return readings
    readings += [Reading("throttled", f"{card} {why}", float(bool(reasons & bit))) for bit, why in SLOWED.items()]
    return readings
