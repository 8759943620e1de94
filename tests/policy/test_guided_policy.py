"""Guided policies: which rows steer, what is refused, and how they are served."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import pytest

from tests.compile.graph_runs import RandomModel
from tests.one_line import refused
from unichunk.embodiments.link.codec import encode
from unichunk.runtime.compile.sizes import Sizes
from unichunk.runtime.errors import BundleError, ObservationError
from unichunk.runtime.policy import Policy
from unichunk.server.guided_note import guided_note
from unichunk.server.serving.bundle_policy import BundlePolicy
from unichunk.server.serving.source import PolicySource
from unichunk.server.serving.work import Work
from unichunk.server.wire.lean import REQUESTS, Infer
from unichunk.server.wire.lean_fields import SessionFields

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

ROWS = 6


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> RandomModel:
    return RandomModel.write(tmp_path_factory.mktemp("model"), Sizes(rows=ROWS, layers=1, vision_layers=1), views=1)


@pytest.fixture(scope="module")
def bundle(model: RandomModel) -> Path:
    folder = model.directory.parent / "guided"
    return model.compiled(folder, guided=True, batch=(2,), refinement_rounds=0).folder


def plan(rows: int, seed: int = 0) -> NDArray[np.float32]:
    return np.random.default_rng(seed).normal(size=(rows, 200)).astype(np.float32)


def inferred(policy: Policy, previous: Any, delay: int) -> NDArray[np.float32]:
    noise = plan(ROWS, seed=9)
    return policy.infer(policy.example_observation(), previous, delay, noise).unified


def test_all_given_rows_steer_a_guided_policy_and_only_locked_ones_another(bundle: Path) -> None:
    guided, plain = (Policy.load(bundle, guided=guided) for guided in (True, False))
    assert (guided.guided, plain.guided) == (True, False)
    running = plan(5)
    for policy, changes in ((guided, True), (plain, False)):
        short, long = (inferred(policy, running[:rows], 2) for rows in (3, 5))
        assert np.array_equal(short[:2], running[:2])
        assert np.array_equal(long[:2], running[:2])
        assert np.array_equal(short[2:], long[2:]) != changes
    free, unsteered = (inferred(policy, None, 0) for policy in (guided, plain))
    assert free == pytest.approx(unsteered, abs=1e-5)
    # Fewer rows than are locked go on with the last one, and that is all that steers.
    assert inferred(guided, running[:2], 4) == pytest.approx(inferred(guided, running[[0, 1, 1, 1]], 4), abs=1e-6)


def test_only_finite_rows_steer(bundle: Path) -> None:
    running = plan(5)
    running[3, 7] = np.nan
    assert np.isfinite(inferred(Policy.load(bundle), running, 2)).all()
    guided = Policy.load(bundle, guided=True)
    with refused(ObservationError, "previous_chunk, 5 rows to be guided by", "finite"):
        inferred(guided, running, 2)
    assert np.isfinite(inferred(guided, running[:3], 2)).all()


def test_a_bundle_without_guided_graphs_says_how_to_get_them(model: RandomModel, tmp_path: Path) -> None:
    folder = model.compiled(tmp_path / "plain", refinement_rounds=0).folder
    with refused(BundleError, "no graph with", "guided, this bundle has", "or --guided"):
        Policy.load(folder, guided=True)


def test_a_served_guided_policy_says_so_and_takes_the_running_plan(bundle: Path) -> None:
    served = BundlePolicy.load(PolicySource(name="p", source=str(bundle), guided=True))
    # The graphs for several requests are not guided.
    assert (served.describe().guided, served.max_batch) == (True, 1)
    assert not BundlePolicy.load(PolicySource(name="p", source=str(bundle))).describe().guided
    policy = Policy.load(bundle, guided=True)
    observation = policy.example_observation()
    running = plan(5)
    fields = {name: msgspec.Raw(encode(value)) for name, value in observation.items()}
    infer = Infer(id=1, number=0, fields=fields, delay=2, locked=msgspec.Raw(encode(running)), within_s=1.0)
    message = encode(infer)
    received = REQUESTS.decode(message)
    assert isinstance(received, Infer)
    payload = SessionFields(10**6).take(received, message)
    assert payload is not None
    call = served.decode(Work(dialect="lean", robot="", payload=payload, seed=(3, 0)))
    assert (int(call.inputs["delay"]), int(call.inputs["overlap"])) == (2, 5)
    (result,) = served.infer([call])
    assert not isinstance(result, Exception)
    noise = np.random.default_rng([3, 0]).standard_normal((1, ROWS, 200), np.float32)
    assert np.array_equal(result.unified, policy.infer(observation, running, 2, noise).unified)


def test_the_note_says_what_the_training_was(bundle: Path) -> None:
    note = guided_note(Policy.load(bundle).manifest)
    assert note.endswith("checkpoint says: not trained with locked prefixes")
    assert "\n" not in note
