"""What one control step costs, and what publishing one chunk costs.

    python -m unichunk.benchmarks.control_tick [--json FILE] [--quick]

A step reads the ring buffer, interpolates, passes the guard, sends over the real link (ZeroMQ, ipc, a receiver in this
process) and is recorded; it is measured whole and part by part, 1 ms apart, as the control thread runs it: with the
runtime's real-time settings, while nothing else runs and while another thread computes. A fixed piece of plain
arithmetic next to it tells how unsteady the machine itself is. The aim is 100 microseconds at the 99th percentile.
Repetitions of all cases alternate, so that a busy moment of the machine hits none alone.
"""

from __future__ import annotations

import tempfile
import threading
import time
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path  # noqa: TC003  tyro reads the annotations
from typing import Annotated, Any, Final

import msgspec
import numpy as np
import tyro
import zmq

from unichunk.benchmarks.background_load import numpy_load
from unichunk.benchmarks.harness.document import check_writable, document, write_json
from unichunk.benchmarks.harness.markdown import markdown_table
from unichunk.benchmarks.harness.ratio import Ratio, paired_ratio
from unichunk.benchmarks.samples import Samples
from unichunk.embodiments.catalogue import load_spec
from unichunk.embodiments.link.command_sender import CommandSender
from unichunk.embodiments.link.connection import Connection, Route
from unichunk.runtime.control_loop import ControlLoop
from unichunk.runtime.delay import DelayEstimator
from unichunk.runtime.fallback import HoldFallback
from unichunk.runtime.guard import Guard
from unichunk.runtime.limits import JointLimits
from unichunk.runtime.motion import RingMotion
from unichunk.runtime.producer import Producer
from unichunk.runtime.realtime import prefer_this_thread, realtime_process
from unichunk.runtime.ring_buffer import RingBuffer
from unichunk.runtime.ticks import NANOSECONDS, Timebase
from unichunk.runtime.unified import UNIFIED_WIDTH

NAME: Final = "control_tick"
AIM_US: Final = 100.0
ACTION_HZ: Final = 20
COMMAND_HZ: Final = 100
CHUNK_LENGTH: Final = 16
TICK_NS: Final = NANOSECONDS // ACTION_HZ
PAUSE_S: Final = 0.001
JOINTS: Final = (6, 26)
ARITHMETIC: Final = "plain arithmetic, for comparison"


@dataclass
class Options:
    """Measures one control step and one publication.

    Attributes:
        json: Write the result to this file too.
        quick: An eighth of the repetitions.
    """

    json: Annotated[Path | None, tyro.conf.arg(metavar="FILE")] = None
    quick: bool = False


class Robot:
    """The core for one number of joints, with a driver's socket that nobody reads.

    Args:
        joints: n.
        folder: Where the socket is made.
    """

    def __init__(self, joints: int, folder: str) -> None:
        limits = JointLimits.of(
            [f"joint{i}" for i in range(joints)], [-2.0] * joints, [2.0] * joints, [3.0] * joints, [38.0] * joints
        )
        self.joints = joints
        self.random = np.random.default_rng(joints)
        self.ring = RingBuffer(4 * CHUNK_LENGTH, CHUNK_LENGTH, joints, HoldFallback())
        rest = np.zeros(joints)
        self.ring.start(0, CHUNK_LENGTH, np.zeros(UNIFIED_WIDTH, np.float32), rest)
        timebase = Timebase(0, ACTION_HZ, COMMAND_HZ)
        self.motion = RingMotion(self.ring, timebase, 0, rest)
        self.producer = Producer(
            self.ring,
            DelayEstimator(ACTION_HZ, 1),
            timebase,
            encode=lambda rows, _: np.zeros((len(rows), UNIFIED_WIDTH), np.float32),
            joint_step=limits.velocity / ACTION_HZ,
            minimum_postfix=2,
            trained_delay=CHUNK_LENGTH,
            chunk_length=CHUNK_LENGTH,
        )
        endpoint = f"ipc://{folder}/commands-{joints}"
        self._connection = _connection(joints, endpoint)
        self._receiver = self._connection.context.socket(zmq.PULL)
        self._receiver.setsockopt(zmq.CONFLATE, 1)
        self._receiver.bind(endpoint)
        self.sender = CommandSender(self._connection)
        if not self.sender.open(5.0):
            raise RuntimeError(f"no connection over {endpoint}")
        self.loop = ControlLoop(Guard(limits, COMMAND_HZ), self.sender, timebase)
        self.loop.restart(rest, self.motion)
        self.step = 0

    def close(self) -> None:
        """Close the sockets."""
        self.sender.close()
        self._receiver.close(linger=0)
        self._connection.end()

    def produce(self, samples: Samples) -> None:
        """One chunk, 100 ms after its observation: what `begin` and `finish` cost."""
        stamp_ns = self.ring.cursor * TICK_NS + 1
        readable_ns = stamp_ns + 2 * TICK_NS
        begun = time.perf_counter_ns()
        commitment = self.producer.begin(stamp_ns, stamp_ns)
        committed = time.perf_counter_ns()
        rows = commitment.previous_chunk.copy()
        joints = np.cumsum(self.random.uniform(-0.05, 0.05, (CHUNK_LENGTH, self.joints)), axis=0)
        answered = time.perf_counter_ns()
        self.producer.finish(commitment, rows, joints, lambda: readable_ns)
        samples.add(f"{self.joints} joints: begin (commit)", committed - begun)
        samples.add(f"{self.joints} joints: finish (publish)", time.perf_counter_ns() - answered)

    def whole_step(self) -> int:
        """One control step as the thread runs it; its cost, [ns]."""
        due_ns = self.step * NANOSECONDS // COMMAND_HZ
        begun = time.perf_counter_ns()
        self.loop.step(self.step, due_ns, due_ns)
        cost = time.perf_counter_ns() - begun
        self.step += 1
        return cost

    def step_in_parts(self) -> tuple[int, int, int, int]:
        """The same, taken apart: read and interpolate, guard, send, record, [ns]."""
        guard, target = self.loop.guard, np.zeros(self.joints)
        due_ns = self.step * NANOSECONDS // COMMAND_HZ
        begun = time.perf_counter_ns()
        status = self.motion.sample(self.step, target)
        sampled = time.perf_counter_ns()
        intervened = guard.filter(target)
        guarded = time.perf_counter_ns()
        sent = self.sender.send(self.step, guard.command)
        left = time.perf_counter_ns()
        self.loop.telemetry.record(
            self.step, due_ns, 0, status, self.motion.seam_chunk, guard, intervened=intervened, sent=sent
        )
        recorded = time.perf_counter_ns()
        self.step += 1
        return sampled - begun, guarded - sampled, left - guarded, recorded - left


def main() -> None:
    """Entry point."""
    options = tyro.cli(Options, prog=f"unichunk bench {NAME}", description=__doc__)
    check_writable(options.json)
    rows, ratios, missing = measure(6, 250 if options.quick else 2000)
    _print(rows, missing)
    parts = {"missing_permissions": missing, "unit": "us", "rows": rows}
    write_json(options.json, document(NAME, quick=options.quick, ratios=ratios, **parts))


def measure(rounds: int, steps: int) -> tuple[list[dict[str, Any]], dict[str, Ratio], list[str]]:
    """Measure every case, `rounds` times in turn, `steps` control steps each.

    Returns:
        Times of each part by load; the median of a whole step over that of the plain arithmetic in the same round; and
        permissions that the process lacks.
    """
    counted: dict[str, list[Samples]] = {"idle": [], "loaded": []}
    with tempfile.TemporaryDirectory(prefix="unichunk-") as folder, realtime_process(lock_memory=False) as missing:
        robots = [Robot(joints, folder) for joints in JOINTS]
        for round_ in range(rounds + 1):
            # The first round warms up, briefly, and is not counted.
            for load, kept in counted.items():
                samples = Samples()
                for robot in robots:
                    with numpy_load() if load == "loaded" else nullcontext():
                        _in_a_control_thread(robot, steps if round_ else steps // 10, samples)
                if round_:
                    kept.append(samples)
        for robot in robots:
            robot.close()
    rows, ratios = [], {}
    for load, kept in counted.items():
        together = Samples()
        for samples in kept:
            together.extend(samples)
        rows += [{"load": load, "part": part, **times} for part, times in together.summary().items()]
        for joints in JOINTS:
            step = f"{joints} joints: whole step"
            ratios[f"{step} / plain arithmetic, {load}"] = paired_ratio(
                [samples.median(step) for samples in kept],
                [samples.median(ARITHMETIC) for samples in kept],
                better="lower",
            )
    return rows, ratios, missing


def _in_a_control_thread(robot: Robot, steps: int, samples: Samples) -> None:
    def run() -> None:
        prefer_this_thread()
        name = f"{robot.joints} joints"
        for i in range(steps):
            time.sleep(PAUSE_S)
            if i % 2:
                samples.add(f"{name}: whole step", robot.whole_step())
            else:
                parts = zip(("read, interpolate", "guard", "send", "record"), robot.step_in_parts(), strict=True)
                for part, cost in parts:
                    samples.add(f"{name}:   {part}", cost)
            if i % 20 == 0:
                robot.produce(samples)
                samples.add(ARITHMETIC, _arithmetic())

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()


def _arithmetic() -> int:
    """Time of a fixed piece of work that waits for nothing: how unsteady the machine itself is, [ns]."""
    begun = time.perf_counter_ns()
    sum(range(3000))
    return time.perf_counter_ns() - begun


def _connection(joints: int, endpoint: str) -> Connection:
    spec = load_spec("so101")
    some = (spec.joints * (1 + joints // len(spec.joints)))[:joints]
    # Not a robot that exists: only the number of joints matters here.
    first = next(iter(spec.groups.values()))
    spec = msgspec.structs.replace(spec, groups={"all": msgspec.structs.replace(first, joints=some)})
    connection = Connection(spec=spec, session="benchmark")
    connection.route = Route(boot="benchmark", command=endpoint, state="", cameras={})
    return connection


def _print(rows: list[dict[str, Any]], missing: list[str]) -> None:
    for line in missing:
        print(f"{line}\n")
    print(
        markdown_table(
            ("part", "load", "n", "p50 [us]", "p99 [us]", "max [us]"),
            [
                (
                    " ".join(row["part"].split()),
                    row["load"],
                    row["n"],
                    *(f"{row[name]:.1f}" for name in ("p50", "p99", "max")),
                )
                for row in rows
            ],
        )
    )
    worst = max(row["p99"] for row in rows if row["part"].endswith("whole step"))
    print(f"\nworst p99 of a whole step: {worst:.1f} us (aim: {AIM_US:.0f} us)")


if __name__ == "__main__":
    main()
