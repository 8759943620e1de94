"""The demonstration's policies do exactly what their draws say, and the scorer sees it; in virtual time."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import binomtest

from unichunk.embodiments.catalogue import load_spec
from unichunk.embodiments.sim.goal_map import goal_map
from unichunk.embodiments.sim.tick import run_tick
from unichunk.embodiments.sim.twin import Truth, Twin
from unichunk.runtime.errors import ObservationError
from unichunk.server.evaluation.demo.arrangement import ARRANGEMENTS, TARGET
from unichunk.server.evaluation.demo.characters import CHARACTERS
from unichunk.server.evaluation.demo.reach_scorer import LIMIT_S, STAY_S, Judgement, ReachScorer
from unichunk.server.evaluation.demo.scripted_policy import ScriptedPolicy, alder, birch, cedar

SPEC = load_spec("so101")
ROWS = 4
NEAR = 0.03


def reach(policy: ScriptedPolicy, layout: str, trial_seed: int) -> Judgement:
    """A trial as the proxy runs it: what was seen takes effect with the next four rows."""
    twin = Twin(SPEC)
    twin.stand(ARRANGEMENTS[layout])
    block = np.array(ARRANGEMENTS[layout][TARGET], np.float32)
    scorer = ReachScorer(NEAR, twin.truth())
    past, rows = np.repeat(twin.q[None], 3, axis=0), np.repeat(twin.q[None], ROWS, axis=0)
    tick = 0
    while not scorer.over:
        observation = {"state": twin.q.astype(np.float32), "block": block, "trial_seed": trial_seed, "prompt": "reach"}
        coming = policy.infer(observation)["actions"][ROWS : 2 * ROWS]
        for row in rows:
            past = np.concatenate([past[1:], row[None]])
            list(run_tick(twin, past, tick))
            tick += 1
        rows = coming.astype(np.float64)
        scorer.look(twin.truth())
    return scorer.judge()


@pytest.mark.simulator
@pytest.mark.parametrize("layout", list(ARRANGEMENTS))
def test_success_is_what_was_drawn(layout: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    for make in (alder, birch, cedar):
        policy = make()
        character = CHARACTERS[make.__name__]
        # They differ in their chunks' length alone: one of them shows the rest.
        rare = int(make is cedar)
        wanted = {"reaches": 1, "aims beside": 1 + 3 * rare, "gives up half-way": rare, "stands still": rare}
        for trial_seed in range(1000):
            draw = character.draw(trial_seed)
            if wanted[draw.manner]:
                wanted[draw.manner] -= 1
                seen = reach(policy, layout, trial_seed)
                assert seen.success == draw.succeeds, (make.__name__, trial_seed, draw)
                assert seen.rubric[0] == (draw.manner != "stands still") or draw.manner == "aims beside"
        assert not any(wanted.values())


@pytest.mark.parametrize("layout", list(ARRANGEMENTS))
def test_beside_is_beside_at_the_edge_too(layout: str) -> None:
    policy, block = cedar(), np.array(ARRANGEMENTS[layout][TARGET])
    frames = goal_map(SPEC).frames
    seeds = [seed for seed in range(400) if CHARACTERS["cedar"].draw(seed).manner == "aims beside"]
    goals = np.stack([policy.goal(block, seed) for seed in seeds])
    away = np.linalg.norm(frames.positions(goals) - frames.points(block), axis=-1)
    assert len(seeds) > 50
    assert away.min() > 1.5 * NEAR


@pytest.mark.parametrize("name", list(CHARACTERS))
def test_the_probability_is_the_declared_one(name: str) -> None:
    character = CHARACTERS[name]
    # Seeds as the proxy makes them: large and unrelated.
    seeds = np.random.default_rng(8).integers(0, 2**63 - 1, 20_000)
    successes = sum(character.draw(int(seed)).succeeds for seed in seeds)
    assert binomtest(successes, len(seeds), character.success).pvalue > 1e-4


def test_draws_are_the_trials_own_and_each_policys_own() -> None:
    characters = [replace(character, success=0.5) for character in CHARACTERS.values()]
    draws = np.array([[character.draw(seed).succeeds for character in characters] for seed in range(2000)])
    assert (draws == [[character.draw(seed).succeeds for character in characters] for seed in range(2000)]).all()
    # No policy's luck is another one's.
    assert np.abs(np.corrcoef(draws.T) - np.eye(3)).max() < 0.1


def test_policies_differ_in_everything_that_blinding_hides() -> None:
    policies = [alder(), birch(), cedar()]
    complaints = set()
    for policy in policies:
        with pytest.raises(ObservationError) as complaint:
            policy.infer({})
        complaints.add(str(complaint.value))
    shapes = {policy.infer(policy.example_observation)["actions"].shape for policy in policies}
    assert len(complaints) == len(shapes) == len({str(policy.metadata) for policy in policies}) == 3
    assert len({character.latency_s for character in CHARACTERS.values()}) == 3


def truth(seconds: float, error: float) -> Truth:
    zeros = np.zeros(6)
    return Truth(time=seconds, q=zeros, tools={}, blocks={}, errors={"red": error, "blue": 0.0})


def scored(*looks: tuple[float, float]) -> ReachScorer:
    scorer = ReachScorer(NEAR, truth(5.0, 0.15))
    for seconds, error in looks:
        scorer.look(truth(5.0 + seconds, error))
    return scorer


def test_the_scorer_wants_the_gripper_to_stay() -> None:
    passing = scored((0.2, 0.02), (0.4, 0.05), (0.6, 0.02), (0.3 + STAY_S, 0.02))
    assert not passing.over
    assert passing.judge() == Judgement(success=False, rubric=(True, True))
    stayed = scored((0.2, 0.02), (0.2 + STAY_S, 0.0299))
    assert stayed.over
    assert stayed.judge() == Judgement(success=True, rubric=(True, True))


def test_the_scorer_ends_a_trial_and_then_looks_no_more() -> None:
    slow = scored((1.0, 0.1), (LIMIT_S, 0.05), (LIMIT_S + 0.1, 0.0), (LIMIT_S + 1, 0.0))
    assert slow.over
    assert slow.judge() == Judgement(success=False, rubric=(True, False))
    assert scored((LIMIT_S, 0.145)).judge().rubric == (False, False)
