"""What workers run, in this process: bundles and Python policies."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import msgspec
import numpy as np
import pytest

from tests.one_line import refused
from tests.policy.tiny_bundle import write_tiny_bundle
from unichunk.runtime.errors import BundleError, ObservationError, PolicyError
from unichunk.runtime.policy import Policy
from unichunk.runtime.policy.bundle import file_hash
from unichunk.runtime.policy.manifest import Manifest
from unichunk.server.serving.bundle_policy import BundlePolicy
from unichunk.server.serving.load_policy import load_policy
from unichunk.server.serving.python_policy import PythonPolicy
from unichunk.server.serving.served_policy import Timing
from unichunk.server.serving.source import PolicySource
from unichunk.server.serving.work import Work
from unichunk.server.wire.errors import MappingError
from unichunk.server.wire.openpi import pack, unpack

if TYPE_CHECKING:
    from pathlib import Path

ROBOTS = ("so101", "fr3_inspire")
TIMING = Timing(decode_s=0.001, infer_s=0.002)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_bundle(tmp_path_factory.mktemp("served") / "tiny", embodiments=ROBOTS, noise="own")


@pytest.fixture(scope="module")
def served(folder: Path) -> BundlePolicy:
    policy = load_policy(PolicySource(name="p", source=str(folder), robot=ROBOTS[1], refinement_rounds=1))
    assert isinstance(policy, BundlePolicy)
    return policy


def observation_of(served: BundlePolicy, robot: str = ROBOTS[1]) -> dict[str, Any]:
    return dict(unpack(served.describe().handshake[robot])["example_observation"])


def work(observation: dict[str, Any], *seed: int, robot: str = "") -> Work:
    return Work(dialect="openpi", robot=robot, payload=pack(observation), seed=seed)


def test_the_front_is_told_everything_it_needs(served: BundlePolicy, folder: Path) -> None:
    description = served.describe()
    assert description.kind == "bundle"
    assert description.digest == file_hash(folder / "bundle.json")
    # Who names no robot drives the one that was asked for, not the bundle's first.
    assert description.robots == (ROBOTS[1], ROBOTS[0])
    assert set(description.handshake) == set(description.modality) == set(ROBOTS)
    assert msgspec.msgpack.decode(description.manifest, type=Manifest).chunk_length == 8
    assert description.refinement_rounds == 1
    assert description.service_s > 0
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(description), type=type(description)) == description


def test_a_request_has_the_answer_that_the_policy_gives_with_the_noise_of_its_seed(
    served: BundlePolicy, folder: Path
) -> None:
    for robot in ROBOTS:
        policy = Policy.load(folder, embodiment=robot, refinement_rounds=1)
        observation = observation_of(served, robot)
        for seed in ((0,), (7, 2, 5)):
            noise = np.random.default_rng(list(seed)).standard_normal((2, 8, 200), np.float32)
            expected = policy.infer(observation, noise=noise)
            call = served.decode(work(observation, *seed, robot=robot))
            found = served.infer([call])[0]
            assert not isinstance(found, Exception)
            np.testing.assert_array_equal(found.unified, expected.unified)
            answer = unpack(served.encode(call, found, TIMING))
            for name, values in expected.actions.items():
                np.testing.assert_array_equal(answer[name], values)


def test_what_came_before_changes_nothing(served: BundlePolicy) -> None:
    def answer(*seed: int) -> Any:
        call = served.decode(work(observation_of(served), *seed))
        return served.infer([call])[0].unified.tobytes()

    first = answer(1, 2)
    assert answer(1, 3) != first
    assert answer(1, 2) == first


def test_several_robots_are_answered_together(served: BundlePolicy) -> None:
    calls = [served.decode(work(observation_of(served, robot), 3, robot=robot)) for robot in (*ROBOTS, *ROBOTS)]
    together = served.infer(calls)
    for call, result in zip(calls, together, strict=True):
        assert not isinstance(result, Exception)
        np.testing.assert_allclose(result.unified, served.infer([call])[0].unified, atol=1e-5)


def test_whose_fault_it_is_can_be_told(served: BundlePolicy) -> None:
    observation = observation_of(served)
    with refused(BundleError, "tiny", ROBOTS[0], "not g1_o6"):
        served.decode(work(observation, 0, robot="g1_o6"))
    with refused(ObservationError, "delay", "99"):
        served.decode(work({**observation, "inference_delay": 99}, 0))
    del observation[next(key for key in observation if "state" in key)]
    with refused(ObservationError, "state"):
        served.decode(work(observation, 0))


def test_bundles_that_cannot_be_served_are_refused(folder: Path, tmp_path: Path) -> None:
    with refused(BundleError, "g1_o6"):
        load_policy(PolicySource(name="p", source=str(folder), robot="g1_o6"))
    with refused(BundleError, "bundle.json"):
        load_policy(PolicySource(name="p", source=str(tmp_path)))
    with refused(MappingError, "'nobody'"):
        load_policy(PolicySource(name="p", source=str(folder), mapping="nobody"))


class Takes:
    """A Python policy that takes things out of what it is given, and fails for several at once."""

    max_batch = 2

    def infer(self, observation: dict[str, Any]) -> dict[str, Any]:
        return {"actions": np.full((2, 1), observation.pop("x").sum(), np.float32)}

    def infer_batch(self, observations: list[dict[str, Any]]) -> list[dict[str, Any]]:
        for observation in observations:
            observation.clear()
        raise MemoryError("too much together")


def test_a_request_is_tried_alone_with_all_that_it_came_with() -> None:
    served = PythonPolicy.load(PolicySource(name="takes", source=f"python:{__name__}:Takes"))
    calls = [served.decode(work({"x": np.full(2, value, np.float32)}, 0)) for value in (1, 2)]
    with pytest.raises(MemoryError):
        served.infer(calls)
    alone = [served.infer([call])[0] for call in calls]
    assert [result["actions"][0, 0] for result in alone] == [2, 4]


class Sums:
    """A Python policy with everything that one may have."""

    max_batch = 3

    def __init__(self) -> None:
        self.seen: list[Any] = []
        self.resets = 0
        self.metadata = {"kind": "sums"}

    def example_observation(self) -> dict[str, Any]:
        return {"x": np.ones(3, np.float32)}

    def infer(self, observation: dict[str, Any]) -> dict[str, Any]:
        self.seen.append(1)
        return {"actions": np.full((2, 1), observation["x"].sum(), np.float32)}

    def infer_batch(self, observations: list[dict[str, Any]]) -> list[dict[str, Any]]:
        self.seen.append(len(observations))
        results = [{"actions": np.full((2, 1), one["x"].sum(), np.float32)} for one in observations]
        return results[:1] if observations[0].get("short") else results

    def reset(self) -> None:
        self.resets += 1


class OddMetadata(Sums):
    def __init__(self) -> None:
        super().__init__()
        self.metadata = {"kind": object()}


class NothingToSay(Sums):
    """As openpi's policies that were given none."""

    metadata = modality_config = None

    def __init__(self) -> None:
        self.seen = []
        self.resets = 0


class OddModality(Sums):
    modality_config: ClassVar = {"video": {"delta_indices": np.arange(2), "modality_keys": ["front"]}}


class NoKeys(Sums):
    modality_config: ClassVar = {"video": {"delta_indices": [0]}}


SOURCE = PolicySource(name="sums", source=f"python:{__name__}:Sums")


def test_a_python_policy_is_warmed_up_reset_and_served() -> None:
    served = PythonPolicy.load(SOURCE)
    policy = served._policy
    assert (policy.seen, policy.resets) == ([1, 1, 1, 3], 1)
    description = served.describe()
    assert (description.kind, description.robots, description.max_batch) == ("python", (), 3)
    handshake = unpack(description.handshake[""])
    assert handshake["kind"] == "sums"
    assert handshake["example_observation"]["x"].tolist() == [1, 1, 1]
    calls = [served.decode(work({"x": np.full(2, value, np.float32)}, 0)) for value in (1, 2, 3)]
    results = served.infer(calls)
    sums = [unpack(served.encode(call, one, TIMING))["actions"][0, 0] for call, one in zip(calls, results, strict=True)]
    assert sums == [2, 4, 6]
    with refused(PolicyError, "infer_batch", "2 results", "got 1"):
        served.infer([served.decode(work({"short": True, "x": np.ones(1)}, 0))] * 2)


def test_a_python_policy_takes_neither_mapping_nor_robot() -> None:
    with refused(PolicyError, "mapping droid", "expected none"):
        PythonPolicy.load(msgspec.structs.replace(SOURCE, mapping="droid"))
    with refused(PolicyError, "robot so101", "expected none"):
        PythonPolicy.load(msgspec.structs.replace(SOURCE, robot="so101"))


def test_what_a_python_policy_says_nothing_of_is_left_out() -> None:
    description = load_policy(PolicySource(name="quiet", source=f"python:{__name__}:NothingToSay")).describe()
    assert list(unpack(description.handshake[""])) == ["example_observation"]
    assert description.modality == {"": {}}


def test_a_python_policy_without_infer_batch_takes_one_at_a_time() -> None:
    served = PythonPolicy.load(PolicySource(name="noop", source="python:tests.serving.python_policies:Noop"))
    assert served.max_batch == 1
    assert served.describe().service_s == 0.0


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("python:json", "package.module:factory"),
        ("python:no.such:thing", "no module 'no'"),
        (f"python:{__name__}.deeper:thing", "no module 'tests.serving.test_worker_policies.deeper'"),
        (f"python:{__name__}:nothing", "no function 'nothing', it has "),
        (f"python:{__name__}:ROBOTS", "no function 'ROBOTS'"),
        ("python:tests.serving.python_policies:broken", "the weights are not there"),
        ("python:builtins:dict", "infer"),
        (f"python:{__name__}:OddMetadata", "metadata"),
        (f"python:{__name__}:OddModality", "modality_config"),
        (f"python:{__name__}:NoKeys", "modality_keys"),
    ],
)
def test_what_is_no_python_policy_is_refused(source: str, words: str, capsys: pytest.CaptureFixture[str]) -> None:
    with refused(PolicyError, words):
        load_policy(PolicySource(name="p", source=source))
    # What went wrong in somebody's own code is shown, a name that is not there needs no more than a line.
    assert ("Traceback" in capsys.readouterr().err) == ("broken" in source)
