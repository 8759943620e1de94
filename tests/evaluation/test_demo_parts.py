"""The parts of the demonstration that need no service."""

from __future__ import annotations

import stat
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from unichunk.embodiments.catalogue import load_spec
from unichunk.embodiments.sim.goal_map import goal_map
from unichunk.server.eval_demo_command import EvalDemo
from unichunk.server.evaluation.demo.arrangement import ARRANGEMENTS, TARGET
from unichunk.server.evaluation.demo.campaign_files import write_campaign
from unichunk.server.evaluation.demo.characters import CHARACTERS
from unichunk.server.evaluation.demo.examples import take_examples
from unichunk.server.evaluation.demo.outcome import outcome_lines
from unichunk.server.evaluation.demo.people import KEYS, RATER, STATIONS, invite
from unichunk.server.evaluation.planning.campaign_file import read_campaign
from unichunk.server.evaluation.statistics.intervals import rate_of
from unichunk.server.serving.api_keys import KeyRing
from unichunk.server.serving.identity import Role

if TYPE_CHECKING:
    from pathlib import Path

PHOTO = np.zeros((4, 4, 3), np.uint8)


def test_the_campaign_is_the_one_that_the_parts_are_made_for(tmp_path: Path) -> None:
    campaign = read_campaign(write_campaign(tmp_path, dict.fromkeys(ARRANGEMENTS, PHOTO)))
    assert {policy.name for policy in campaign.policies} == set(CHARACTERS)
    assert {layout.name for layout in campaign.layouts} == set(ARRANGEMENTS)
    assert all((tmp_path / layout.photo).is_file() for layout in campaign.layouts)
    assert campaign.trials_per_cell == 20
    assert len(campaign.layouts) >= 2
    # The rows of an answer are what every policy's chunks reach, twice over.
    assert campaign.blinding.equalized_ticks is not None
    assert min(character.rows for character in CHARACTERS.values()) >= 2 * campaign.blinding.equalized_ticks


def test_another_number_of_trials(tmp_path: Path) -> None:
    assert read_campaign(write_campaign(tmp_path, {}, 3)).trials_per_cell == 3


def test_layouts_leave_no_doubt() -> None:
    spec = load_spec("so101")
    frames = goal_map(spec).frames
    for places in ARRANGEMENTS.values():
        goal = goal_map(spec).joints(np.array(places[TARGET]))
        for pose in (spec.rest, 0.5 * (spec.rest + goal)):
            away = np.linalg.norm(frames.positions(pose) - frames.points(np.array(places[TARGET])))
            assert away > 1.5 * frames.task.near


@pytest.mark.simulator
def test_the_rater_sees_what_happened_in_pictures_alone() -> None:
    examples = take_examples(load_spec("so101"))
    assert set(examples) == set(ARRANGEMENTS)
    for layout, example in examples.items():
        assert example.judge(example.goal) == (True, True)
        assert example.judge(example.rest) == (False, False)
        noise = np.random.default_rng(0).normal(0, 1, example.goal.shape)
        assert example.judge(np.clip(example.goal + noise, 0, 255).astype(np.uint8)) == (True, True)
        other = next(name for name in examples if name != layout)
        assert not example.judge(examples[other].goal)[1]


def test_keys_are_everybodys_own(tmp_path: Path) -> None:
    people = invite(tmp_path)
    ring = KeyRing(tmp_path / KEYS)
    for name, key in people.keys.items():
        assert ring.identify(key) == people.identities[name]
        assert (tmp_path / f"{name}.key").read_text().strip() == key
        assert stat.S_IMODE((tmp_path / f"{name}.key").stat().st_mode) == 0o600
        assert key not in repr(people)
    assert people.identities[RATER].role is Role.RATER
    for robot, operator in STATIONS.items():
        assert people.identities[robot].role is Role.ROBOT
        assert people.identities[operator].role is Role.OPERATOR


def test_what_is_true_stands_beside_what_was_found() -> None:
    cell = SimpleNamespace(policy="cedar", success=rate_of(9, 40, 0.95))
    omnibus = SimpleNamespace(name="Cochran-Mantel-Haenszel", p=0.00001)
    pair = SimpleNamespace(
        first="alder",
        second="cedar",
        cmh=SimpleNamespace(adjusted=0.031, rejects=True),
        difference=SimpleNamespace(estimate=0.625),
    )
    analysis = SimpleNamespace(trials=120, confidence=0.95, success=[cell], omnibus=omnibus, pairs=[pair])
    lines = outcome_lines(analysis)  # type: ignore[arg-type]
    assert lines == [
        "success of 120 trials, 95% intervals (Wilson)",
        "  policy      true  found  interval            of   true value",
        "  cedar       0.30   0.23  0.12 to 0.38      9/40   inside",
        "all the same (Cochran-Mantel-Haenszel): p < 0.0001",
        "  alder - cedar      true +0.60, found +0.62, p = 0.031 after Holm: differ",
    ]
    cell.success = rate_of(0, 0, 0.95)
    pair.cmh = SimpleNamespace(adjusted=None, rejects=False)
    lines = outcome_lines(analysis)  # type: ignore[arg-type]
    assert lines[2].split() == ["cedar", "0.30", "-", "-", "0/0"]
    assert lines[-1].endswith("p not computed after Holm: not told apart")
    for successes in (0, 30):
        cell.success = rate_of(successes, 40, 0.95)
        assert outcome_lines(analysis)[2].endswith("outside")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("demo", "said"),
    [({"trials": 0}, "--trials: expected 1 to 1000, got 0"), ({"port": 70000}, "--port: expected 0 to 65535")],
)
def test_a_wrong_command_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], demo: dict[str, Any], said: str
) -> None:
    assert EvalDemo(tmp_path / "demo", **demo)() == 2
    assert said in capsys.readouterr().err


@pytest.mark.simulator
def test_a_folder_in_use_is_refused_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "something").write_text("of somebody")
    assert EvalDemo(tmp_path)() == 3
    said = capsys.readouterr().err
    assert said.startswith("unichunk eval demo: ")
    assert said.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["something"]
