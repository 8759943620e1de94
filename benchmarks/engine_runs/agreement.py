"""Whether an engine keeps the contract of engines, and how far its numbers are from float32 on the CPU."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from unichunk.benchmarks.engine_runs.requests import largest_difference
from unichunk.benchmarks.harness.document import not_measured

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from unichunk.benchmarks.engine_runs.requests import Asked, Request
    from unichunk.runtime.policy.engines.contract import Value


def chunks_of(
    asked: Asked,
    requests: Sequence[Request],
    run: Callable[[Mapping[str, NDArray[Any]]], Mapping[str, Value]],
) -> list[NDArray[np.float32]]:
    """What both graphs make of requests, one after the other."""
    return [asked.chunk(request, run(request.inputs)) for request in requests]


def agreement(
    asked: Asked,
    requests: Sequence[Request],
    run: Callable[[Mapping[str, NDArray[Any]]], Mapping[str, Value]],
    reference: Sequence[NDArray[np.float32]],
) -> dict[str, Any]:
    """What holds, and how far numbers are off.

    Args:
        asked: Decodes.
        requests: At least two.
        run: Both graphs on an engine.
        reference: Chunks of the same requests in float32 on the CPU; none where that was not computed.

    Returns:
        `locked_rows`: whether locked rows came back bit by bit. `same_again`: whether the same requests in the other
        order gave the same bits. `finite`. `deviation`: the largest difference from float32, in normalized units.
    """
    forwards = chunks_of(asked, requests, run)
    backwards = chunks_of(asked, requests[::-1], run)[::-1]
    return {
        "requests": len(requests),
        "locked_rows": all(
            np.array_equal(chunk[: len(request.locked)].view(np.uint32), request.locked.view(np.uint32))
            for chunk, request in zip(forwards, requests, strict=True)
        ),
        "same_again": all(np.array_equal(a, b) for a, b in zip(forwards, backwards, strict=True)),
        "finite": all(bool(np.isfinite(chunk).all()) for chunk in forwards),
        "deviation": largest_difference(forwards, reference)
        if reference
        else not_measured("float32 on the CPU was not asked for"),
    }
