"""One bundle, several robots: which one is meant, what is each one's own, what they share."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import pytest

from tests.one_line import refused
from tests.policy.damage import manifest_of, put_manifest, set_value
from tests.policy.tiny_bundle import write_tiny_bundle
from unichunk.runtime.errors import BundleError, ObservationError
from unichunk.runtime.key_path import with_key_path
from unichunk.runtime.policy import Policy
from unichunk.runtime.policy.bundle import read_manifest, robots_of
from unichunk.runtime.policy.manifest import Manifest

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

T = 8
ARM = [*range(50, 55), 18]
LEGS = [*range(60, 63), 66]

WALKER: dict[str, Any] = {
    "cameras": ["head"],
    "state": {"legs": {"slots": [60, 63], "normalization": {"mode": "none"}}},
    "action": {
        "legs": {"slots": [60, 63], "normalization": {"mode": "mean_std", "mean": [1, 2, 3], "std": [2, 2, 2]}},
        "waist": {"slots": [66, 67], "normalization": {"mode": "none"}},
    },
    "action_hz": 50,
    "max_delay": 3,
}


def with_walker(bundle: Path, noise: str = "all") -> Path:
    """Another robot for a bundle, with slots, camera, rate and delay of its own."""
    document = manifest_of(bundle)
    document["robots"]["walker"] = copy.deepcopy(WALKER)
    document["noise"] = noise
    put_manifest(bundle, document)
    return bundle


@pytest.fixture(scope="module", params=["all", "own"])
def pair(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle for two robots that nobody damages."""
    folder = tmp_path_factory.mktemp("pair") / "tiny"
    return with_walker(write_tiny_bundle(folder, denoising_steps=1), request.param)


class Recording:
    """An engine that keeps what it was given."""

    def __init__(self, engine: Any) -> None:
        self.engine = engine
        self.given: dict[str, Any] = {}

    def run(self, inputs: Mapping[str, Any]) -> Any:
        self.given = dict(inputs)
        return self.engine.run(inputs)


def recorded(policy: Policy) -> Recording:
    """Watches what a policy sends to its chunk graph."""
    engine = Recording(policy._engines.chunk)
    policy._engines.chunk = engine
    return engine


def test_one_robot_need_not_be_named(bundle: Path) -> None:
    assert Policy.load(bundle).embodiment == Policy.load(bundle, embodiment="so101").embodiment == "so101"


def test_of_several_robots_one_is_named(pair: Path) -> None:
    with refused(BundleError, str(pair), "drives so101, walker", "name one"):
        Policy.load(pair)


@pytest.mark.parametrize("name", ["wheels", "", "SO101"])
def test_a_robot_that_the_bundle_does_not_drive(pair: Path, bundle: Path, name: str) -> None:
    words = (f"drives so101, walker, not {name};", "choose another bundle or another embodiment")
    with refused(BundleError, str(pair), *words):
        Policy.load(pair, embodiment=name)
    with refused(BundleError, *words):
        Policy.load(pair, embodiment="walker").for_embodiment(name)
    with refused(BundleError, str(bundle), f"drives so101, not {name};"):
        Policy.load(bundle, embodiment=name)


def test_each_robot_has_keys_cameras_rate_and_delay_of_its_own(pair: Path) -> None:
    policy = Policy.load(pair, embodiment="walker")
    assert policy.manifest.embodiments == ("so101", "walker")
    assert policy.robot is policy.manifest.robots["walker"]
    assert (policy.max_delay, policy.robot.action_hz) == (3, 50)
    observation = policy.example_observation()
    assert set(observation) == {"video.head", "state.legs", "language.instruction"}
    result = policy.infer(observation)
    assert set(result.actions) == {"action.legs", "action.waist"}
    np.testing.assert_allclose(result.actions["action.legs"], result.unified[:, 60:63] * 2 + [1, 2, 3], rtol=1e-6)
    rows = policy.encode_actions({"action.legs": np.ones((2, 3)), "action.waist": np.ones((2, 1))})
    np.testing.assert_allclose(rows[0, LEGS], [0, -0.5, -1, 1])
    with refused(ObservationError, "video.third_person", "missing"):
        policy.for_embodiment("so101").infer(observation)


def test_robots_share_engines_and_nothing_else(pair: Path) -> None:
    walker = Policy.load(pair, embodiment="walker", refinement_rounds=1, seed=3)
    shared = walker.for_embodiment("so101", seed=5)
    assert (shared._engines, shared._tokenizer) == (walker._engines, walker._tokenizer)
    assert (shared.embodiment, shared.refinement_rounds) == ("so101", 1)
    alone = [Policy.load(pair, embodiment=n, refinement_rounds=1, seed=s) for n, s in (("walker", 3), ("so101", 5))]
    for _ in range(2):
        for policy, other in zip((walker, shared), alone, strict=True):
            observation = policy.example_observation()
            expected = other.infer(observation)
            result = policy.infer(observation)
            assert result.unified.tobytes() == expected.unified.tobytes()
            assert set(result.actions) == set(expected.actions)


def test_the_same_robot_again_draws_noise_of_its_own(pair: Path) -> None:
    first = Policy.load(pair, embodiment="walker")
    second = first.for_embodiment("walker")
    noise = []
    for policy in (first, first, second):
        engine = recorded(policy)
        policy.infer(policy.example_observation())
        noise.append(engine.given["noise"])
    assert (noise[0] == noise[2]).all()
    assert not (noise[0] == noise[1]).all()
    with refused(BundleError, "seed: expected a whole number", "-1"):
        first.for_embodiment("walker", seed=-1)


@pytest.mark.parametrize(("name", "slots"), [("so101", ARM), ("walker", LEGS)])
@pytest.mark.parametrize("given", [False, True])
@pytest.mark.parametrize("rounds", [0, 1])
def test_noise_is_in_all_slots_or_in_those_of_the_robots_actions(
    pair: Path, name: str, slots: list[int], *, given: bool, rounds: int
) -> None:
    policy = Policy.load(pair, embodiment=name, refinement_rounds=rounds, seed=4)
    engine = recorded(policy)
    drawn = np.random.default_rng(4).standard_normal((1 + rounds, T, 200), np.float32)
    before = drawn.copy()
    policy.infer(policy.example_observation(), noise=drawn if given else None)
    noise: NDArray[np.float32] = engine.given["noise"]
    assert (noise[..., slots] == drawn[..., slots]).all()
    others = np.delete(np.arange(200), slots)
    expected = drawn[..., others] if policy.manifest.noise == "all" else 0
    assert (noise[..., others] == expected).all()
    assert (drawn == before).all(), "what was given is not written to"


class Leaking:
    """A chunk graph that leaves something in every slot of its rows."""

    def __init__(self, engine: Any) -> None:
        self.engine = engine

    def run(self, inputs: Mapping[str, Any]) -> Any:
        outputs = dict(self.engine.run(inputs))
        outputs["actions"] = Leak(outputs["actions"].numpy() + 0.25)
        return outputs


class Leak:
    def __init__(self, values: NDArray[np.float32]) -> None:
        self.values = values

    def numpy(self) -> NDArray[np.float32]:
        return self.values


def test_what_is_left_in_other_slots_does_not_come_back(pair: Path) -> None:
    policy = Policy.load(pair, embodiment="walker")
    policy._engines.chunk = Leaking(policy._engines.chunk)
    unified = policy.infer(policy.example_observation()).unified
    own = [slot for key in policy.robot.action.values() for slot in range(*key.slots)]
    assert unified[:, own].any()
    assert np.delete(unified, own, axis=1).any() == (policy.manifest.noise == "all")


def test_a_state_only_key_has_no_noise(bundle: Path) -> None:
    set_value(with_walker(bundle, "own"), "robots.walker.state.legs.slots", [80, 83])
    policy = Policy.load(bundle, embodiment="walker")
    engine = recorded(policy)
    policy.infer(policy.example_observation())
    assert np.flatnonzero(engine.given["noise"].any((0, 1))).tolist() == LEGS


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        ("cameras", ["left", "right"], "robots.walker.cameras: expected 1, one for each view of prefix.onnx, got 2"),
        ("max_delay", 8, "robots.walker.max_delay: expected less than chunk_length (8), got 8"),
        ("action.waist.slots", [62, 63], "robots.walker.action.waist.slots: 62-63 overlaps another key"),
        ("action.legs.slots", [60, 62], "robots.walker.action.legs.normalization.mean: expected 2 values, got 3"),
        ("action.waist.rotation", "matrix", "robots.walker.action.waist.rotation: expected 'axis_angle'"),
        ("state.legs.slots", [199, 202], "robots.walker.state.legs.slots: expected a slice within 0-200, got 199-202"),
        ("state.legs.slots", ["60", 63], "Expected `int`, got `str` - at `bundle.robots.walker.state.legs.slots[0]`"),
        ("action.legs.normalization.std", 2, "`bundle.robots.walker.action.legs.normalization.std`"),
        ("action_hz", 0, "Expected `int` >= 1 - at `bundle.robots.walker.action_hz`"),
        ("state.legs.unit", "rad", "unknown field `unit` - at `bundle.robots.walker.state.legs`"),
    ],
)
def test_what_is_wrong_with_a_robot_names_it(bundle: Path, path: str, value: Any, words: str) -> None:
    set_value(with_walker(bundle), f"robots.walker.{path}", value)
    with refused(BundleError, str(bundle / "bundle.json"), words, "fetch or build the bundle again"):
        Policy.load(bundle, embodiment="so101")


def test_a_robot_may_use_the_slots_of_another(bundle: Path) -> None:
    set_value(with_walker(bundle), "robots.walker.action.waist.slots", [18, 19])
    assert Policy.load(bundle, embodiment="walker").encode_actions(
        {"action.legs": np.ones((1, 3)), "action.waist": np.full((1, 1), 7.0)}
    )[0, 18] == pytest.approx(7.0)


class Leaf(msgspec.Struct):
    number: int


class Tree(msgspec.Struct):
    branches: list[dict[str, dict[str, Leaf]]]
    height: int


def test_key_paths_through_lists_and_dictionaries() -> None:
    good, bad = {"x": {"number": 1}}, {"x": {"number": 1}, "y z": {"number": "1"}}
    document = {"branches": [{"a": good}, {"a": good, "b": bad, "c": bad}], "height": "and another mistake"}
    with pytest.raises(msgspec.ValidationError) as caught:
        msgspec.convert(document, Tree)
    message = with_key_path(caught.value, document, Tree, "tree")
    assert message == "Expected `int`, got `str` - at `tree.branches[1].b.y z.number`"


def test_which_robots_a_bundle_drives_is_known_without_its_files(bundle: Path) -> None:
    (with_walker(bundle) / "prefix.onnx").unlink()
    assert robots_of(bundle) == ("so101", "walker")
    for content in ("", "[]", '{"robots": 3}', '{"format_version": 2, "robots": {"so101": {}}}'):
        (bundle / "bundle.json").write_text(content)
        assert robots_of(bundle) == ()
    assert robots_of(bundle / "nowhere") == ()


def test_the_robots_of_a_manifest_are_its_embodiments(pair: Path) -> None:
    manifest = read_manifest(pair)
    assert manifest.embodiments == robots_of(pair)
    assert msgspec.json.decode(msgspec.json.encode(manifest), type=Manifest) == manifest
