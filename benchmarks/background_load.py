"""A thread that keeps the processor as busy as an inference does."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def numpy_load() -> Iterator[None]:
    """Matrix products, which run without the interpreter's lock, between small steps that need it."""
    done = threading.Event()
    thread = threading.Thread(target=_work, args=(done,), daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def _work(done: threading.Event) -> None:
    random = np.random.default_rng(0)
    features = random.standard_normal((192, 256), np.float32)
    layer = random.standard_normal((256, 256), np.float32) / 16
    while not done.is_set():
        for _ in range(20):
            features = np.tanh(features @ layer)
        sum(float(value) for value in features[0])
