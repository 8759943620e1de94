"""`unichunk bench wire`: every message goes round unharmed, in every case."""

from __future__ import annotations

import pytest

from unichunk.benchmarks.harness.ratio import Ratio
from unichunk.benchmarks.wire import kinds, measure
from unichunk.embodiments.link.codec import encode


@pytest.mark.parametrize("name", kinds())
def test_the_messages_are_those_of_the_link(name: str) -> None:
    kind = kinds()[name]
    data = encode(kind.message)
    again = kind.decoder.decode(data)
    assert type(again) is type(kind.message)
    assert encode(again) == data


@pytest.mark.processes
def test_every_case_is_measured_and_compared_with_its_floor() -> None:
    rows, ratios = measure(rounds=2, count=5)
    assert {(row["message"], row["transport"], row["how"]) for row in rows} == {
        (name, transport, how) for name in kinds() for transport in ("ipc", "tcp") for how in ("bytes", "link")
    }
    assert all(row["n"] == 10 and row["per_s"] > 0 for row in rows)
    assert set(ratios) == {f"{name}, {transport}" for name in kinds() for transport in ("ipc", "tcp")}
    assert all(isinstance(ratio, Ratio) and ratio.pairs == 2 for ratio in ratios.values())
