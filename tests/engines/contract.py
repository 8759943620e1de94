"""What every engine owes a policy, whoever runs it: the checks of the contract suite."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from tests.engines.arms import LocalPolicy
from tests.one_line import refused
from unichunk.runtime.errors import ObservationError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from unichunk.runtime.policy import Policy, PolicyResult


class Asked(Protocol):
    """A policy, wherever it runs."""

    def ask(self, observation: Mapping[str, Any], previous: Any, delay: int, seed: int) -> PolicyResult: ...


def an_observation(policy: Policy, seed: int) -> dict[str, Any]:
    """One that is unlike those of other seeds."""
    random = np.random.default_rng(seed)
    observation = policy.example_observation()
    for name, value in observation.items():
        if name.startswith("video."):
            observation[name] = random.integers(0, 256, value.shape, np.uint8)
        elif name.startswith("state."):
            observation[name] = value + random.uniform(-0.1, 0.1, value.shape).astype(np.float32)
    observation["language.instruction"] = f"task {seed}"
    return observation


def a_chunk(policy: Policy, seed: int) -> NDArray[np.float32]:
    return np.random.default_rng(seed).standard_normal((policy.chunk_length, 200), np.float32)


def bits(result: PolicyResult) -> list[bytes]:
    """All numbers of a result."""
    values = [result.unified, result.gates, result.discrepancies, *result.actions.values()]
    return [b"" if value is None else np.ascontiguousarray(value).tobytes() for value in values]


def check_locked_rows(asked: Asked, reference: Policy) -> None:
    """Rows before `delay` are those of the previous chunk, bit by bit, whatever is in them."""
    previous = a_chunk(reference, 1)
    previous[0, :4] = (-0.0, 1e-42, -3.4e38, 1 / 3)
    observation = an_observation(reference, 1)
    for delay in range(reference.chunk_length + 1):
        result = asked.ask(observation, previous, delay, seed=delay)
        assert result.unified[:delay].tobytes() == previous[:delay].tobytes()
        assert np.isfinite(result.unified).all()


def check_numbers(asked: Asked, reference: Policy, *, exact: bool) -> None:
    """The same numbers as the default engine: its bits, or within the rounding of float32 sums in another order."""
    ours = LocalPolicy(reference)
    for seed in range(3):
        request = (an_observation(reference, seed), a_chunk(reference, seed), 2 * seed, seed)
        theirs, expected = asked.ask(*request), ours.ask(*request)
        if exact:
            assert bits(theirs) == bits(expected)
        else:
            np.testing.assert_allclose(theirs.unified, expected.unified, rtol=1e-4, atol=1e-5)
        assert list(theirs.actions) == list(expected.actions)


def check_requests_leave_nothing(asked: Asked, reference: Policy) -> None:
    """The same request gives the same bits, whatever was asked in between; results stay as they are."""
    first = (an_observation(reference, 1), a_chunk(reference, 1), 3, 7)
    kept = asked.ask(*first)
    before = bits(kept)
    asked.ask(an_observation(reference, 2), a_chunk(reference, 2), 5, 8)
    asked.ask(an_observation(reference, 3), None, 0, 9)
    assert bits(kept) == before, "a result changed when another request came"
    assert kept.unified.flags.writeable
    kept.unified[:] = 0
    assert bits(asked.ask(*first)) == before


def check_refusals_leave_nothing(asked: Asked, reference: Policy) -> None:
    """After a request that is refused, the next one is answered."""
    request = (an_observation(reference, 1), a_chunk(reference, 1), 3, 7)
    before = bits(asked.ask(*request))
    with refused(ObservationError, "previous_chunk"):
        asked.ask(an_observation(reference, 1), None, 3, 7)
    assert bits(asked.ask(*request)) == before


def check_any_thread(asked: Asked, reference: Policy) -> None:
    """It was loaded by one thread, and infers in another."""
    request = (an_observation(reference, 1), a_chunk(reference, 1), 3, 7)
    results = [bits(asked.ask(*request))]
    thread = threading.Thread(target=lambda: results.append(bits(asked.ask(*request))))
    thread.start()
    thread.join()
    assert len(results) == 2
    assert results[0] == results[1]
