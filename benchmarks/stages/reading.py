"""One number that a machine tells about itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["power_w", "clock_mhz", "temperature_c", "throttled", "throttle_events"]
"""What a number is: power [W], clock [MHz], temperature [deg C], whether something is slowed down now (0 or 1), or how
often something was since the machine started."""


@dataclass(frozen=True)
class Reading:
    """One number.

    Attributes:
        kind: What it is, with its unit.
        name: Of what, in the source's own words.
        value: In the kind's unit.
    """

    kind: Kind
    name: str
    value: float
