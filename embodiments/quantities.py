"""What the numbers of a spec may be at all: more than any robot needs, and arithmetic with them stays finite."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

Length = Annotated[float, Meta(ge=-100, le=100)]
"""A coordinate, [m]; also one of a direction."""

Size = Annotated[float, Meta(gt=0, le=100)]
"""A length, [m]."""

Point = tuple[Length, Length, Length]

Range = tuple[Length, Length]
"""The lower end, then the upper one."""

Speed = Annotated[float, Meta(ge=0, le=100)]
"""Of something that moves over the table, [m/s]."""

Seconds = Annotated[float, Meta(gt=0, le=3600)]

Position = Annotated[float, Meta(ge=-1000, le=1000)]
"""Of a joint, [rad] or [m]."""

Velocity = Annotated[float, Meta(gt=0, le=1e4)]
"""Of a joint, [rad/s] or [m/s]."""

Acceleration = Annotated[float, Meta(gt=0, le=1e6)]
"""Of a joint, [rad/s^2] or [m/s^2]."""

Jerk = Annotated[float, Meta(gt=0, le=1e9)]
"""Of a joint, [rad/s^3] or [m/s^3]."""

Effort = Annotated[float, Meta(gt=0, le=1e6)]
"""Of a joint, [Nm] or [N]."""

Gain = Annotated[float, Meta(gt=0, le=1e6)]
"""Of a servo, [Nm/rad] or [Nm s/rad]."""

Inertia = Annotated[float, Meta(gt=0, le=1e3)]
"""[kg m^2], or [kg] for what slides."""

Friction = Annotated[float, Meta(ge=0, le=1e6)]
"""[Nm] or [N]."""

Mass = Annotated[float, Meta(gt=0, le=1e3)]
"""[kg]."""

Pixels = Annotated[int, Meta(gt=0, le=16_384)]

Ticks = Annotated[int, Meta(ge=1, le=10_000)]

RawNumber = Annotated[float, Meta(ge=-1e12, le=1e12)]
"""In a device's own units."""
