"""A schedule: everything that chance decides about one run, in virtual time. Durations are thousandths of a tick."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Schedule:
    """One run. Tuples are cycled, so that a handful of numbers makes a run of any length.

    Attributes:
        action_hz, command_hz, joints, chunk_length, ticks: The robot, T, and how long the run is.
        margin, window, patience, minimum_postfix, trained_delay: Of the estimator and the producer.
        spare: Rows of the ring buffer beyond 2 T.
        seeded: Resting rows granted to the first inference.
        measured: Latency that the estimator knows before the run.
        latencies: Of each inference, from its begin to its answer.
        publishing: Time that passes while a chunk is written, so that ticks begin in between.
        gaps: Idle time after each inference.
        camera_period, camera_lateness: When frames are captured, and how much later they arrive.
        wait_for_frame: Whether an inference waits for a new frame or repeats on the old one.
        control_lateness: How late within its period each control step runs.
        stalls: (tick, ticks): the control thread does nothing from a tick on for some ticks.
        broken_locks: Whether the policy changes a row of its locked prefix.
        faults: Whether the policy answers NaN.
        smooth: Chunks continue what runs in small steps; otherwise every row is a jump.
        ramp: The fallback is the ramp to rest, not hold.
        content: Seed of the rows' values.
    """

    action_hz: int
    command_hz: int
    joints: int
    chunk_length: int
    ticks: int
    margin: int = 1
    window: int = 20
    patience: int = 5
    minimum_postfix: int = 2
    trained_delay: int = 32
    spare: int = 0
    seeded: int = 4
    measured: int = 0
    latencies: tuple[int, ...] = (1000,)
    publishing: tuple[int, ...] = (0,)
    gaps: tuple[int, ...] = (0,)
    camera_period: int = 500
    camera_lateness: tuple[int, ...] = (0,)
    wait_for_frame: bool = False
    control_lateness: tuple[float, ...] = (0.0,)
    stalls: tuple[tuple[int, int], ...] = ()
    broken_locks: tuple[bool, ...] = (False,)
    faults: tuple[bool, ...] = (False,)
    smooth: bool = False
    ramp: bool = False
    content: int = 0


RATES = ((20, 100), (20, 20), (30, 50), (10, 25), (50, 75), (50, 250), (30, 250), (15, 1000))
"""Action and command rates, [Hz]: whole ratios and others."""


def random_schedule(random: np.random.Generator, steps: int) -> Schedule:
    """One schedule out of everything that can happen, for the tests that want the same ones every time."""
    length = int(random.integers(8, 33))
    action_hz, command_hz = RATES[random.choice(len(RATES), p=(0.2, 0.2, 0.2, 0.2, 0.1, 0.05, 0.03, 0.02))]
    usual = int(random.choice((200, 900, 2000, 4000)))
    stalled = int(random.choice((0, 0, length // 2, 3 * length))) * 1000
    latencies = [int(random.integers(usual // 2, usual + 1)) for _ in range(6)]
    latencies += [stalled] * bool(stalled)
    return Schedule(
        action_hz=action_hz,
        command_hz=command_hz,
        joints=int(random.integers(1, 8)),
        chunk_length=length,
        ticks=max(12, steps * action_hz // command_hz),
        margin=int(random.integers(1, 4)),
        window=int(random.choice((1, 4, 20, 100))),
        patience=int(random.integers(1, 8)),
        minimum_postfix=int(random.integers(1, 4)),
        trained_delay=int(random.choice((length // 4, length))),
        spare=int(random.integers(0, 2 * length)),
        seeded=int(random.integers(1, length + 1)),
        measured=int(random.choice((0, usual, usual))),
        latencies=tuple(latencies),
        publishing=tuple(int(value) for value in random.choice((0, 0, 0, 700, 1600), 4)),
        gaps=tuple(int(value) for value in random.choice((0, 0, 0, 1500), 3)),
        camera_period=int(random.choice((150, 500, 666, 1000, 3000))),
        camera_lateness=tuple(int(value) for value in random.choice((0, 0, 300, 2500), 4)),
        wait_for_frame=bool(random.integers(2)),
        control_lateness=tuple(float(value) for value in random.choice((0.0, 0.3, 0.9), 3)),
        stalls=((7, int(random.integers(0, length // 2))),) if random.integers(3) == 0 else (),
        broken_locks=tuple(bool(value) for value in random.random(5) < random.choice((0, 0, 0.3))),
        faults=tuple(bool(value) for value in random.random(7) < random.choice((0, 0, 0.2))),
        smooth=bool(random.integers(2)),
        ramp=bool(random.integers(4) == 0),
        content=int(random.integers(1 << 30)),
    )


def fixed_schedules(count: int, steps: int = 300, seed: int = 20) -> list[Schedule]:
    """The same schedules every time, each of about so many control steps."""
    random = np.random.default_rng(seed)
    return [random_schedule(random, steps) for _ in range(count)]
