"""Whatever an engine is fed, in whatever order, it computes from that."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.engines.tensorrt_graphs import counter, first_of_pair, second_of_pair
from tests.engines.tensorrt_stand_in import stand_in
from unichunk.runtime.policy import EngineOptions
from unichunk.runtime.policy.engines.native_tensorrt.engine import TensorRTEngine

if TYPE_CHECKING:
    from collections.abc import Iterator

SOURCES = ("host", "own", "kept", "other")


@pytest.fixture(scope="module")
def engines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[TensorRTEngine, ...]]:
    """Two that count, and a pair that hands a feature on; used again and again, as engines are."""
    folder = tmp_path_factory.mktemp("sequences")
    options = EngineOptions(name="tensorrt", cache=folder / "cache")
    with pytest.MonkeyPatch.context() as monkeypatch:
        stand_in(monkeypatch)
        files = (counter(folder), counter(folder), first_of_pair(folder, "float16"), second_of_pair(folder, "float16"))
        yield tuple(TensorRTEngine(file, options) for file in files)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.sampled_from(SOURCES), min_size=1, max_size=10), st.integers(-100, 100))
def test_one_larger_than_what_it_was_fed(engines, sources, start):
    engine, other, *_ = engines
    host = np.full(4, start, np.float32)
    given: Any = {"host": host}
    expected = {"host": host}
    for source in sources:
        chosen = source if source in given else "host"
        outputs = engine.run({"count": given[chosen]})
        value = expected[chosen] + 1
        given |= {"own": outputs["next"], "kept": engine.kept(outputs)["next"]}
        given["other"] = other.run({"count": given["kept"]})["next"]
        expected |= {"own": value, "kept": value, "other": value + 1}
        for name in SOURCES:
            held = given[name]
            np.testing.assert_array_equal(held if name == "host" else held.numpy(), expected[name])


@settings(max_examples=20, deadline=None)
@given(st.lists(st.booleans(), min_size=1, max_size=8), st.integers(-2048, 2047))
def test_features_from_the_device_and_from_the_host(engines, from_host, start):
    first, second = engines[2:]
    for number, through_host in enumerate(from_host):
        x = np.full(4, start + number % 2, np.float32)
        features: Any = first.run({"x": x})["f"]
        given = features.numpy() if through_host else features
        np.testing.assert_array_equal(second.run({"f": given})["y"].numpy(), x)
