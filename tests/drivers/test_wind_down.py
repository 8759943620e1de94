"""However slow a robot is, a driver that ends brakes its checked stream to rest before it lets go."""

from __future__ import annotations

from typing import Any

import numpy as np

from unichunk.embodiments.drivers.control_loop import ControlLoop
from unichunk.embodiments.drivers.counters import Counters
from unichunk.embodiments.drivers.stream_conditioner import StreamConditioner
from unichunk.runtime.limits import JointLimits

HZ = 100


def test_a_slow_robot_is_brought_to_rest_before_its_driver_ends() -> None:
    limits = JointLimits.of("a", [-99.0], [99.0], [3.0], [1.0], [100.0])
    conditioner = StreamConditioner(limits, HZ, Counters())
    q, played = np.zeros(1), []
    for step in range(3 * HZ):
        conditioner.offer([q + 0.45 * (step / HZ) ** 2])
        played.append(conditioner.sample(q, q))
    assert (played[-1] - played[-2])[0] * HZ > 2.5
    loop: Any = object.__new__(ControlLoop)
    loop._conditioner, loop._rate_hz = conditioner, HZ
    loop._run_period = lambda _: conditioner.sample(q, q)
    loop._wind_down(None)
    assert conditioner.idle
