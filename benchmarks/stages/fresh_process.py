"""`python -m unichunk.benchmarks.stages.fresh_process`: load a policy and infer, and say what that took.

A process of its own, because a first time is one: libraries, allocators and weights are cold in it. Prints one line of
JSON. Files may be in the system's cache.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Final

import msgspec

WARM: Final = 5


def main(bundle: str, embodiment: str, rounds: str, steps: str, engine: str) -> None:
    """Measure, and print the line."""
    options = msgspec.json.decode(engine)
    options["cache"] = None if options["cache"] is None else Path(options["cache"])
    moments = [time.perf_counter()]
    from unichunk.runtime.policy import EngineOptions, Policy  # noqa: PLC0415  its import is measured

    moments.append(time.perf_counter())
    memory = [_memory_mb()]
    policy = Policy.load(
        Path(bundle),
        embodiment=embodiment,
        refinement_rounds=int(rounds),
        steps=int(steps),
        engine=EngineOptions(**options),
    )
    moments.append(time.perf_counter())
    memory.append(_memory_mb())
    observation = policy.example_observation()
    begun = time.perf_counter()
    policy.infer(observation)
    first = time.perf_counter() - begun
    memory.append(_memory_mb())
    begun = time.perf_counter()
    for _ in range(WARM):
        policy.infer(observation)
    later = (time.perf_counter() - begun) / WARM
    print(
        msgspec.json.encode(
            {
                "import_s": moments[1] - moments[0],
                "load_s": moments[2] - moments[1],
                "first_inference_ms": first * 1e3,
                "next_inferences_ms": later * 1e3,
                "rss_before_load_mb": memory[0]["VmRSS"],
                "rss_loaded_mb": memory[1]["VmRSS"],
                "rss_after_first_mb": memory[2]["VmRSS"],
                "peak_rss_mb": _memory_mb()["VmHWM"],
            }
        ).decode()
    )


def memory_of(status: str) -> dict[str, float]:
    """`VmRSS` and `VmHWM` (resident memory now, and at most so far) in the content of /proc/PID/status, [MB]."""
    lines = (line.split() for line in status.splitlines())
    return {words[0][:-1]: int(words[1]) * 1024 / 1e6 for words in lines if words and words[0] in {"VmRSS:", "VmHWM:"}}


def _memory_mb() -> dict[str, float]:
    return memory_of(Path("/proc/self/status").read_text(encoding="ascii"))


if __name__ == "__main__":
    main(*sys.argv[1:])
