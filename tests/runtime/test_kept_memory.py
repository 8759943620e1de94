"""Freed memory that stays with the process."""

from __future__ import annotations

import subprocess
import sys

PICTURES = """
import resource
import numpy as np
from unichunk.runtime.kept_memory import keep_freed_memory

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(100):
        # Received, decoded, encoded, sent: freed together, they are more than glibc keeps.
        [np.ones((480, 640, 3), np.uint8) for _ in range(4)]
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

if {keep}:
    assert keep_freed_memory()
faults()
print(faults())
"""


def faults_of_a_hundred_pictures(*, keep: bool) -> int:
    # Where glibc is told by the environment what to keep, there would be nothing to see.
    command = [sys.executable, "-c", PICTURES.replace("{keep}", str(keep))]
    return int(subprocess.run(command, capture_output=True, text=True, check=True, env={}, timeout=60).stdout)


def test_pictures_are_not_paid_for_again_and_again() -> None:
    assert faults_of_a_hundred_pictures(keep=True) < 1000
    assert faults_of_a_hundred_pictures(keep=False) > 10_000
