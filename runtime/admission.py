"""The admission check: can this policy's chunks cover this latency at all? Asked before the robot moves."""

from __future__ import annotations

from unichunk.runtime.chunking import largest_delay, postfix_needed
from unichunk.runtime.errors import AdmissionError


def admit(
    *, delay: int, latency_s: float, chunk_length: int, minimum_postfix: int, trained_delay: int, action_hz: int
) -> None:
    """Refuse a delay that does not fit the chunk.

    Args:
        delay: d that the measured latency asks for, margin included.
        latency_s: The latency it was computed from, [s].
        chunk_length: T.
        minimum_postfix: Fewest rows a chunk must keep after its prefix.
        trained_delay: Longest prefix the policy was trained to continue.
        action_hz: Ticks a second.

    Raises:
        AdmissionError: With the numbers and the ways out.
    """
    largest = largest_delay(chunk_length, minimum_postfix, trained_delay)
    if delay <= largest:
        return
    postfix = postfix_needed(delay, minimum_postfix)
    if delay + postfix > chunk_length:
        reason = f"d + postfix = {delay} + {postfix} = {delay + postfix} exceeds the chunk length T = {chunk_length}"
    else:
        reason = f"the policy was trained with prefixes of at most {trained_delay} rows"
    raise AdmissionError(
        f"a latency of {1e3 * latency_s:.0f} ms at {action_hz} Hz needs d = {delay} ticks, and {reason}; "
        f"the largest d is {largest} ({1e3 * largest / action_hz:.0f} ms with margin): use a faster engine or device, "
        "fewer denoising steps, a policy with longer chunks, or a lower action rate"
    )
