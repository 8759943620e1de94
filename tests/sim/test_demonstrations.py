"""Demonstrations: late, unsteady, recorded as executed, and no prefix that knows more than it could."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from unichunk.embodiments.catalogue import embodiment_names, load_spec
from unichunk.embodiments.sim.demonstrations import Demonstrations
from unichunk.embodiments.sim.expert import Expert
from unichunk.embodiments.sim.exploration import Exploration, longest_honest_delay, longest_reaction, reaction_times
from unichunk.embodiments.sim.goal_map import goal_map
from unichunk.embodiments.sim.hands import POSTURES, Hands
from unichunk.embodiments.sim.recorder import TICKS, Recorder, _told
from unichunk.embodiments.sim.twin import Twin

SPEC = load_spec("so101")
SEEDS = (3, 4, 7)


@pytest.fixture(scope="module")
def demonstrations() -> Demonstrations:
    recorder = Recorder(SPEC, "third_person", 48, 12)
    recorded = recorder.record(SEEDS)
    recorder.close()
    return recorded


@pytest.mark.simulator
def test_shapes_fit_together(demonstrations):
    observations = len(demonstrations.images)
    assert demonstrations.images.shape == (observations, 48, 48, 3)
    assert demonstrations.images.dtype == np.uint8
    assert demonstrations.q.shape == (observations, 6)
    assert demonstrations.goal.shape == (observations, 2, 6)
    assert demonstrations.followed.shape == demonstrations.posture.shape == (observations,)
    assert demonstrations.q.dtype == demonstrations.goal.dtype == np.float32
    assert demonstrations.rows.shape == (len(SEEDS), TICKS + 1, 6)
    # The row after the longest prefix of every observation exists.
    assert (demonstrations.tick + demonstrations.most_locked < demonstrations.rows.shape[1]).all()
    assert set(demonstrations.episode) == set(range(len(SEEDS)))


@pytest.mark.simulator
def test_equal_seeds_record_equal_episodes_and_files_keep_them(demonstrations, tmp_path):
    recorder = Recorder(SPEC, "third_person", 48, 12)
    again = recorder.record(SEEDS[1:2])
    recorder.close()
    np.testing.assert_array_equal(again.rows[0], demonstrations.rows[1])
    again.save(tmp_path / "demo.npz")
    loaded = Demonstrations.load(tmp_path / "demo.npz")
    of_that_episode = demonstrations.episode == 1
    np.testing.assert_array_equal(loaded.images, demonstrations.images[of_that_episode])
    np.testing.assert_array_equal(loaded.followed, demonstrations.followed[of_that_episode])
    np.testing.assert_array_equal(loaded.posture, demonstrations.posture[of_that_episode])
    np.testing.assert_array_equal(loaded.goal, demonstrations.goal[of_that_episode])


@pytest.mark.simulator
def test_goals_are_over_the_blocks_that_the_picture_shows(demonstrations):
    """The colours in the picture move as the goals do: blocks and goals are of the same instant, and not mixed up."""
    frames = goal_map(SPEC).frames
    seen = demonstrations.images.astype(int)
    for index, main in ((0, 0), (1, 2)):
        others = [channel for channel in range(3) if channel != main]
        mask = (seen[..., main] > 80) & (seen[..., others] < 75).all(axis=-1)
        enough = mask.sum(axis=(1, 2)) > 15
        assert enough.mean() > 0.8
        columns = (mask * np.arange(48)).sum(axis=(1, 2))[enough] / mask.sum(axis=(1, 2))[enough]
        y = frames.positions(demonstrations.goal[:, index])[enough, 0, 1]
        assert np.corrcoef(columns, y)[0, 1] > 0.97


@pytest.mark.simulator
def test_recorded_rows_carry_noise_and_stay_within_limits(demonstrations):
    expert = Expert(SPEC)
    rows = demonstrations.rows[0]
    assert (rows >= SPEC.limits.lower).all()
    assert (rows <= SPEC.limits.upper).all()
    # No standing goal explains a row: what is left of the expert's rule after the best goal is the noise.
    episode = demonstrations.episode == 0
    goals = demonstrations.goal[episode, demonstrations.followed[episode]]
    residual = rows[1:] - expert.next_row(rows[:-1], goals)
    assert residual.std(axis=0).min() > 0.01


@pytest.mark.simulator
def test_demonstrators_follow_what_they_are_told_by_centimetres_and_not_the_other(demonstrations):
    frames = goal_map(SPEC).frames
    tool = frames.positions(demonstrations.q)[:, 0]
    distance = np.stack(
        [np.linalg.norm(tool - frames.positions(demonstrations.goal[:, i])[:, 0], axis=1) for i in (0, 1)]
    )
    told, every = demonstrations.followed, np.arange(len(tool))
    assert 0.01 < np.median(distance[told, every]) < 0.08
    assert np.median(distance[1 - told, every]) > 1.5 * np.median(distance[told, every])
    assert set(told) == {0, 1}


@pytest.mark.simulator
def test_one_episode_switches_and_the_demonstrator_goes_over(demonstrations):
    told = demonstrations.followed.reshape(len(SEEDS), TICKS)
    switches = [np.flatnonzero(np.diff(episode)) for episode in told]
    assert {len(switch) for switch in switches} == {0, 1}, "choose seeds with and without a switch"


def test_a_quarter_of_the_episodes_switches_and_all_is_told_as_often():
    for choices in (2, 3):
        told = np.stack([_told(np.random.default_rng(seed), choices) for seed in range(1200)])
        switched = (np.diff(told, axis=1) != 0).sum(axis=1)
        assert set(switched) == {0, 1}
        assert switched.mean() == pytest.approx(0.25, abs=0.05)
        for ticks in (0, -1):
            assert np.bincount(told[:, ticks]) / len(told) == pytest.approx(1 / choices, abs=0.05)
        assert np.corrcoef(told[:, 0], switched)[0, 1] == pytest.approx(0.0, abs=0.1)


def test_reaction_times_cover_what_a_locked_prefix_needs():
    random = np.random.default_rng(0)
    for max_delay in (4, 12):
        longest = longest_reaction(max_delay)
        ages = np.stack([reaction_times(random, 160, longest) for _ in range(200)])
        assert ages.min() == 0
        assert longest - 1 <= ages.max() <= longest
        delays = [longest_honest_delay(one, tick, max_delay) for one in ages for tick in (40, 90)]
        assert set(delays) == set(range(max_delay + 1))


def test_noise_has_the_size_that_it_claims_at_every_rate_and_for_every_joint():
    random = np.random.default_rng(0)
    at_20 = Exploration(SPEC)
    np.testing.assert_allclose(at_20.scale, 0.05)
    noise = np.concatenate([at_20.noise(random, 160) for _ in range(50)])
    assert 0.025 < noise.std() < 0.05
    correlation = np.mean(noise[1:] * noise[:-1]) / noise.var()
    assert 0.5 < correlation < 0.95
    # Half the rows, twice the noise of each, as long a memory.
    at_10 = Exploration(msgspec.structs.replace(SPEC, action_hz=10))
    slower = np.concatenate([at_10.noise(random, 80) for _ in range(50)])
    assert slower.std() == pytest.approx(2.0 * noise.std(), rel=0.15)
    # What a joint can do decides where that is less.
    assert (Exploration(msgspec.structs.replace(SPEC, action_hz=100)).scale < 0.2 * at_20.scale).all()


@pytest.mark.parametrize("name", embodiment_names())
def test_noise_is_what_a_joint_can_do_and_a_waist_and_a_head_get_little(name):
    spec = load_spec(name)
    exploration = Exploration(spec)
    assert (1.2 * exploration.scale <= 0.8 * Expert(spec).max_step + 1e-12).all()
    assert (exploration.scale > 0.0).all()
    arms, still = (
        [i for group, parts in spec.groups.items() if parts.kind in kinds for i in spec.joint_index(group)]
        for kinds in (("arm",), ("waist", "head"))
    )
    assert exploration.share[still].max(initial=0.0) <= 0.2
    assert exploration.share[arms].min() > 0.9


def test_a_prefix_never_saw_what_an_older_chunk_could_not_have_seen():
    random = np.random.default_rng(5)
    for _ in range(50):
        ages = reaction_times(random, 160, longest_reaction(12))
        for tick in random.integers(0, 160, 20):
            delay = longest_honest_delay(ages, int(tick), 12)
            rows = np.arange(tick, tick + delay)
            assert rows.size == 0 or rows[-1] < 160
            assert (rows - ages[rows] <= tick - delay).all()


def test_a_prompt_demonstrator_allows_no_prefix_and_a_late_one_the_longest():
    assert longest_honest_delay(np.zeros(160, dtype=np.int64), 50, 12) == 0
    assert longest_honest_delay(np.full(160, 23), 50, 12) == 12
    assert longest_honest_delay(np.full(160, 22), 50, 12) == 11


@pytest.mark.simulator
def test_the_demonstrator_hears_a_new_instruction_as_late_as_it_sees():
    """What it aims at in tick k was told, and was so, `age` ticks before; else prefixes would know the instruction."""
    recorder = Recorder(SPEC, "third_person", 16, 12)
    twin = Twin(SPEC, 9)
    twin.reset(time=2.0)
    half, third = TICKS // 2, 3 * TICKS // 4
    followed = np.repeat([0, 1], half)
    posture = np.where(np.arange(TICKS) < third, 0, 2)
    goals = recorder._goals(twin, np.full(TICKS, 10), followed, posture)
    recorder.close()
    times = np.maximum(2.0 + (np.arange(TICKS) - 10) / SPEC.action_hz, 0.0)
    np.testing.assert_allclose(goals[: half + 10], twin.task.goal("red", times)[: half + 10])
    late = slice(half + 10, third + 10)
    np.testing.assert_allclose(goals[late], twin.task.goal("blue", times)[late])
    np.testing.assert_allclose(goals[third + 10 :], twin.task.goal("blue", times, "closed")[third + 10 :])


@pytest.mark.simulator
def test_a_robot_with_two_arms_is_recorded_too():
    spec = load_spec("g1_o6")
    recorder = Recorder(spec, "head", 32, 8)
    recorded = recorder.record((1, 2))
    recorder.close()
    n = spec.limits.size
    assert recorded.rows.shape == (2, TICKS + 1, n)
    assert recorded.goal.shape == (2 * TICKS, 2, n)
    hands, frames = Hands(spec), goal_map(spec).frames
    assert hands.error(recorded.goal[:, 0].astype(float), "half").max() < 1e-6
    assert np.median(hands.error(recorded.q.astype(float), recorded.posture)) < 0.1
    goal = recorded.goal[np.arange(2 * TICKS), recorded.followed]
    away = np.linalg.norm(frames.positions(recorded.q) - frames.positions(goal), axis=-1).max(axis=-1)
    assert 0.01 < np.median(away) < 0.1
    assert set(recorded.posture) <= set(range(len(POSTURES)))
    assert 0 < recorded.most_locked.max() <= 8
