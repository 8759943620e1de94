"""One checkpoint for several robots: `--robot`, and everything that does not fit together."""

from __future__ import annotations

import json
import shutil
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from tests.compile.golden_files import GOLDEN, golden_metadata
from tests.one_line import refused
from unichunk.runtime.compile.checkpoint_writer import random_checkpoint
from unichunk.runtime.compile.compile_options import CompileOptions
from unichunk.runtime.compile.compile_plan import plan_compilation
from unichunk.runtime.compile.data_config import read_data_config
from unichunk.runtime.compile.robots import RobotSource
from unichunk.runtime.compile.sizes import Sizes
from unichunk.runtime.errors import CheckpointError
from unichunk.runtime.policy import Policy
from unichunk.runtime.policy.bundle import read_manifest
from unichunk.server import command_line

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

RATES = {"so101": 20, "fr3_inspire": 15, "g1_o6": 50, "adam_u": 30, "d1": 20}
DATASET = "generalist"


def entry(name: str, fps: float, mean: float) -> dict[str, Any]:
    """Metadata of a robot with the keys of its data configuration."""
    config = read_data_config(f"generalist_{name}")
    keys = {
        section: {key: value.width for key, value in getattr(config, section).items()}
        for section in ("state", "action")
    }
    return {
        "embodiment_tag": name,
        "stats_level": "embodiment",
        "modalities": {
            "video": {config.views[0]: {"fps": fps, "resolution": [64, 64]}},
            **{section: {key: {"shape": [width]} for key, width in widths.items()} for section, widths in keys.items()},
        },
        "statistics": {
            section: {key: {"mean": [mean] * width, "std": [0.5] * width} for key, width in widths.items()}
            for section, widths in keys.items()
        },
    }


def generalist_metadata() -> dict[str, dict[str, Any]]:
    """Content of `generalist_metadata.json`: entries by robot in one dataset."""
    return {DATASET: {name: entry(name, rate, i) for i, (name, rate) in enumerate(RATES.items())}}


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("generalist") / "checkpoint"
    random_checkpoint(folder, Sizes(), metadata={DATASET: generalist_metadata()})
    return folder


def argument(name: str) -> str:
    return f"{name}=generalist_{name}:{DATASET}:{name}"


def run(arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(sys, "argv", ["unichunk", "compile", *arguments])
    with pytest.raises(SystemExit) as ended:
        command_line.main()
    assert isinstance(ended.value.code, int)
    return ended.value.code


def test_one_bundle_for_five_robots(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    robots = [word for name in RATES for word in ("--robot", argument(name))]
    options = ["--out", str(tmp_path / "bundle"), "--steps", "1", "--max-delay", "5"]
    assert run([str(checkpoint), *robots, *options], monkeypatch) == 0
    said = capsys.readouterr()
    assert said.err == ""
    assert "robot adam_u: views head_left, 30 Hz, d up to 5" in said.out
    manifest = read_manifest(tmp_path / "bundle")
    assert manifest.noise == "own"
    assert {name: robot.action_hz for name, robot in manifest.robots.items()} == RATES
    assert {robot.max_delay for robot in manifest.robots.values()} == {5}
    assert manifest.provenance["robot.d1"] == "generalist_d1, dataset generalist, statistics d1"
    assert manifest.description.endswith("compiled for so101, fr3_inspire, g1_o6, adam_u, d1.")
    policy = Policy.load(tmp_path / "bundle", embodiment="so101")
    for i, name in enumerate(RATES):
        config = read_data_config(f"generalist_{name}")
        robot = manifest.robots[name]
        assert (robot.cameras, set(robot.action)) == (config.views, set(config.action))
        assert all(key.normalization.mean == (i,) * key.width for key in robot.state.values())  # type: ignore[union-attr]
        own = policy.for_embodiment(name)
        result = own.infer(own.example_observation())
        assert {key: value.shape[1] for key, value in result.actions.items()} == {
            f"action.{key}": value.width for key, value in config.action.items()
        }
        assert all(np.isfinite(value).all() for value in result.actions.values())


def test_the_robots_name_is_the_one_given_or_the_tag() -> None:
    source = ("libero_nonorm", "uni_posttrain", "libero")
    given = CompileOptions(robots=(RobotSource(*source, name="panda"),), action_hz=7)
    assert [(robot.name, robot.action_hz) for robot in plan_compilation(GOLDEN, given).robots] == [("panda", 7)]
    assert [robot.name for robot in plan_compilation(GOLDEN, CompileOptions(*source)).robots] == ["libero"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("panda=libero_nonorm:uni_posttrain", ("libero_nonorm", "uni_posttrain", "merged")),
        ("panda=my/config.json:data:panda", ("my/config.json", "data", "panda")),
    ],
)
def test_how_a_robot_is_written(text: str, expected: tuple[str, ...]) -> None:
    source = RobotSource.parse(text)
    assert (source.name, source.data_config, source.dataset, source.stats) == ("panda", *expected)


@pytest.mark.parametrize(
    "text", ["panda", "panda=", "=a:b", "panda=a", "panda=a:", "panda=:b", "panda=a:b:", "p=a:b:c:d"]
)
def test_how_a_robot_is_not_written(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    with refused(CheckpointError, repr(text), "NAME=DATA_CONFIG:DATASET[:STATS]"):
        RobotSource.parse(text)
    assert run([str(GOLDEN), "--robot", text, "--out", str(tmp_path / "bundle")], monkeypatch) == 2
    said = capsys.readouterr().err
    assert said.startswith("unichunk compile: ")
    assert said.count("\n") == 1


def source(name: str, **changes: Any) -> RobotSource:
    fields = {"data_config": f"generalist_{name}", "dataset": DATASET, "stats": name, "name": name}
    return RobotSource(**(fields | changes))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"robots": ()}, ["no robot", "--data-config and --dataset", "--robot NAME="]),
        ({"robots": (), "data_config": "libero_nonorm"}, ["no robot", "--dataset"]),
        ({"dataset": DATASET}, ["either --data-config", "or --robot", "not both"]),
        ({"data_config": "generalist_d1"}, ["either", "not both"]),
        ({"stats": "so101"}, ["either", "not both"]),
        ({"action_hz": 20}, ["--action-hz 20", "one robot", "there are 2"]),
        ({"robots": (source("d1"), source("so101"), source("d1"))}, ["robot d1 is named twice"]),
        (
            {"robots": (source("d1"), source("so101", stats="merged"))},
            ["robot so101: ", "no statistics 'merged'", "d1"],
        ),
        ({"robots": (source("d1"), source("so101", data_config="x"))}, ["robot so101: ", "unknown data configuration"]),
        ({"robots": (source("d1", stats="g1_o6"),)}, ["robot d1: ", "7 values", "slots 50-56 take 6"]),
    ],
)
def test_what_is_refused(checkpoint: Path, changes: dict[str, Any], words: list[str]) -> None:
    asked: dict[str, Any] = {"robots": (source("so101"), source("d1"))} | changes
    with refused(CheckpointError, *words):
        plan_compilation(checkpoint, CompileOptions(**asked))


def configured(folder: Path, name: str, change: Mapping[str, Any]) -> RobotSource:
    """The golden's robot again, with another data configuration."""
    content = {"views": ["top_view", "wrist_view"], "state": {}, "action": {"eef_position": {"slots": [0, 3]}}}
    (folder / f"{name}.json").write_text(json.dumps({"name": name, **content, **change}))
    return RobotSource(folder / f"{name}.json", "uni_posttrain", name=name)


def test_robots_that_do_not_fit_together(tmp_path: Path) -> None:
    robots = (configured(tmp_path, "panda", {}), configured(tmp_path, "other", {"noise": "own"}))
    with refused(CheckpointError, "data configuration other has noise 'own', panda has 'all'", "expected the same"):
        plan_compilation(GOLDEN, CompileOptions(robots=robots))


def test_each_robot_may_have_a_dataset_of_its_own(tmp_path: Path) -> None:
    folder = tmp_path / "checkpoint"
    shutil.copytree(GOLDEN, folder, ignore=shutil.ignore_patterns("golden.npz"))
    metadata = golden_metadata()
    metadata["slow"] = metadata.pop("uni_posttrain")
    for view in metadata["slow"]["modalities"]["video"].values():
        view["fps"] = 10
    (folder / "slow_metadata.json").write_text(json.dumps(metadata))
    robots = tuple(map(RobotSource.parse, ("a=libero_nonorm:uni_posttrain", "b=libero_nonorm:slow")))
    plan = plan_compilation(folder, CompileOptions(robots=robots))
    assert [(robot.name, robot.action_hz) for robot in plan.robots] == [("a", 20), ("b", 10)]
