"""What each way to randomize keeps secret and keeps in balance, by simulation of the planner's own draws.

*Predictability*: somebody who knows the method, the layout of the next trial and the policies of all trials before (so,
was told after each) guesses the policy that was tried least on this layout, the convergence strategy of Blackwell and
Hodges (1957). Who is blinded knows none of the policies and is right in one of P; the numbers say how much a leak of
the past would cost. *Balance*: how unequal cells and policies are where a campaign is broken off. *Drift*: what a
change that has nothing to do with policies (light, wear, a tired operator) adds to the difference between two policies
that are the same.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from unichunk.server.evaluation.planning.campaign import Randomization
from unichunk.server.evaluation.planning.randomization import Cell, draw_schedule
from unichunk.server.evaluation.planning.stream import Stream

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Schedule = Sequence[Cell]

SORTED: Final = "policy after policy"
"""No randomization at all, for comparison."""

STOPS: Final = (0.26, 0.51, 0.76)
"""Shares of a campaign after which it is broken off."""

FIRST, LAST = 0.7, 0.3
"""Success before and after a change."""

_CAMPAIGNS: Final = 1000
_QUICK: Final = 100


@dataclass(frozen=True)
class Size:
    """Of a campaign.

    Attributes:
        layouts: L.
        policies: P.
        replicates: K.
    """

    layouts: int
    policies: int
    replicates: int


SIZES: Final = (Size(1, 2, 20), Size(5, 2, 20), Size(5, 3, 20), Size(10, 4, 5))


def measure(*, quick: bool) -> dict[str, list[dict[str, Any]]]:
    """All tables.

    Args:
        quick: A tenth of the campaigns.

    Returns:
        Name of a table -> its rows.
    """
    tables: dict[str, list[dict[str, Any]]] = {"predictability": [], "balance": [], "drift": []}
    for size in SIZES:
        for method in Randomization:
            schedules = draw(method, size, _QUICK if quick else _CAMPAIGNS)
            tables["predictability"].append(predictability(method, size, schedules))
            tables["balance"] += balance(method, size, schedules)
            tables["drift"] += drift(method.value, size, schedules)
        tables["drift"] += drift(SORTED, size, [sorted_schedule(size)])
    return tables


def draw(method: Randomization, size: Size, campaigns: int) -> list[Schedule]:
    """The orders of many campaigns, the same ones every time."""
    return [
        draw_schedule(method, size.layouts, size.policies, size.replicates, Stream(_key(number), "schedule"))
        for number in range(campaigns)
    ]


def sorted_schedule(size: Size) -> Schedule:
    """One policy on all layouts, then the next one."""
    layouts = [layout for layout in range(size.layouts) for _ in range(size.replicates)]
    return [Cell(layout, policy) for policy in range(size.policies) for layout in layouts]


def predictability(method: Randomization, size: Size, schedules: Sequence[Schedule]) -> dict[str, Any]:
    """How often who knows the past guesses the next policy.

    Returns:
        `guessed`: share of right guesses; `certain`: share of trials for which only one policy was possible;
        `blinded`: 1/P, for who does not know the past.
    """
    right = certain = 0
    for number, schedule in enumerate(schedules):
        guesses, sure = _convergence(method, size, schedule, Stream(_key(number), "guesser"))
        right += guesses
        certain += sure
    trials = sum(map(len, schedules))
    row = {"guessed": right / trials, "certain": certain / trials, "blinded": 1 / size.policies}
    return {**asdict(size), "method": method.value, **row}


def balance(method: Randomization, size: Size, schedules: Sequence[Schedule]) -> list[dict[str, Any]]:
    """How unequal a campaign is that is broken off.

    Returns:
        For each moment `cell_gap`: trials of the cell that was tried most less those of the one that was tried least,
        mean over campaigns; `policy_gap`: the same for policies; `worst_policy_gap`: of the worst campaign.
    """
    rows = []
    for stop in STOPS:
        made = round(stop * len(schedules[0]))
        counts = np.zeros((len(schedules), size.layouts, size.policies))
        for number, schedule in enumerate(schedules):
            for cell in schedule[:made]:
                counts[number, cell.layout, cell.policy] += 1
        cells = np.ptp(counts.reshape(len(schedules), -1), axis=1)
        policies = np.ptp(counts.sum(axis=1), axis=1)
        row = {"cell_gap": cells.mean(), "policy_gap": policies.mean(), "worst_policy_gap": policies.max()}
        rows.append({**asdict(size), "method": method.value, "stopped_after": stop, **_floats(row)})
    return rows


def drift(method: str, size: Size, schedules: Sequence[Schedule]) -> list[dict[str, Any]]:
    """What a drift adds to the difference in success of the first two policies, which are the same.

    Returns:
        For each drift `bias`: mean over campaigns; `rms`: root of the mean square; `chance`: the standard deviation
        that the trials' own chance gives the difference, for comparison.
    """
    policies = np.array([[cell.policy for cell in schedule] for schedule in schedules])
    place = (np.arange(policies.shape[1]) + 0.5) / policies.shape[1]
    per_policy = size.layouts * size.replicates
    rows = []
    for name, course in DRIFTS.items():
        success = course(place)
        means = [np.where(policies == policy, success, 0.0).sum(axis=1) / per_policy for policy in (0, 1)]
        difference = means[0] - means[1]
        chance = math.sqrt(2 * success.mean() * (1 - success.mean()) / per_policy)
        row = {"bias": difference.mean(), "rms": math.sqrt(np.square(difference).mean()), "chance": chance}
        rows.append({**asdict(size), "method": method, "drift": name, **_floats(row)})
    return rows


def _falls(place: Floats) -> Floats:
    return FIRST + (LAST - FIRST) * place


def _breaks(place: Floats) -> Floats:
    return np.where(place < 0.5, FIRST, LAST)


def _swings(place: Floats) -> Floats:
    return (FIRST + LAST) / 2 + (FIRST - LAST) / 2 * np.sin(3 * math.pi * place)


DRIFTS: Final[Mapping[str, Callable[[Floats], Floats]]] = {
    f"falls from {FIRST} to {LAST}": _falls,
    f"breaks at half, {FIRST} then {LAST}": _breaks,
    f"swings between {FIRST} and {LAST}": _swings,
}
"""What happens -> probability of success, of every policy, at a place in the campaign from 0 to 1."""


def _convergence(method: Randomization, size: Size, schedule: Schedule, stream: Stream) -> tuple[int, int]:
    """How many trials somebody guesses right who is told the past, and of how many they are sure."""
    counts = [[0] * size.policies for _ in range(size.layouts)]
    right = sure = 0
    for place, cell in enumerate(schedule):
        tried = counts[cell.layout]
        # In blocks, what was tried already in this replicate is out; in the paper's draw, what is complete.
        full = size.replicates
        if method is not Randomization.INDEPENDENT_DRAW:
            full = place // (size.layouts * size.policies) + 1
        possible = [policy for policy, count in enumerate(tried) if count < full]
        least = min(tried[policy] for policy in possible)
        right += stream.choice([policy for policy in possible if tried[policy] == least]) == cell.policy
        sure += len(possible) == 1
        tried[cell.policy] += 1
    return right, sure


def _floats(row: Mapping[str, Any]) -> dict[str, float]:
    return {name: float(value) for name, value in row.items()}


def _key(number: int) -> bytes:
    return number.to_bytes(32, "big")
