"""Lighting and occlusion: they change the picture, by how much they claim, and always in the same way."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from unichunk.embodiments.catalogue import load_spec
from unichunk.embodiments.sim.block_paths import BLOCKS
from unichunk.embodiments.sim.camera import CameraRenderer
from unichunk.embodiments.sim.lighting import MILD, STRONG, ChangingLighting
from unichunk.embodiments.sim.occlusion import PERIOD_S, Occlusion
from unichunk.embodiments.sim.twin import Twin
from unichunk.runtime.policy.preprocessing import fit_image

if TYPE_CHECKING:
    from collections.abc import Iterator

    from unichunk.embodiments.sim.camera import Disturbance

SPEC = load_spec("so101")

pytestmark = pytest.mark.simulator


class Scene:
    """A twin that stands still while the blocks move, and its pictures."""

    def __init__(self) -> None:
        self.twin = Twin(SPEC, 2)
        self.renderer = CameraRenderer(self.twin.model, "third_person")

    def picture(self, time: float, disturbance: Disturbance | None = None) -> np.ndarray:
        self.twin.reset(time=time)
        return fit_image(self.renderer.render(self.twin.snapshot(), disturbance), 96)


@pytest.fixture(scope="module")
def scene() -> Iterator[Scene]:
    scene = Scene()
    yield scene
    scene.renderer.close()


def hidden_share(clean: np.ndarray, disturbed: np.ndarray) -> float:
    return float((np.abs(clean.astype(int) - disturbed).max(axis=-1) > 3).mean())


@pytest.mark.parametrize("kind", [ChangingLighting, Occlusion])
def test_a_disturbance_is_a_function_of_seed_and_time(scene, kind):
    times = (1.8, 0.9, 6.2, 1.8)
    once, again = kind(4), kind(4)
    again.apply(scene.renderer._renderer.scene, 100.0)
    pictures = [scene.picture(time, once) for time in times]
    np.testing.assert_array_equal(pictures[0], pictures[3])
    for time, picture in zip(times, pictures, strict=True):
        np.testing.assert_array_equal(scene.picture(time, again), picture)
    assert any((scene.picture(time, kind(5)) != picture).any() for time, picture in zip(times, pictures, strict=True))


@pytest.mark.parametrize("kind", [ChangingLighting, Occlusion])
def test_a_disturbance_leaves_nothing_behind_and_moves_nothing(scene, kind):
    before = scene.picture(1.5)
    truth = scene.twin.truth()
    assert (scene.picture(1.5, kind(1)) != before).any()
    np.testing.assert_array_equal(scene.picture(1.5), before)
    np.testing.assert_array_equal(scene.twin.truth().tools["right"], truth.tools["right"])


def test_mild_lighting_is_another_day_and_strong_lighting_another_world(scene):
    clean = scene.picture(3.0).astype(float)
    random = np.random.default_rng(0)
    change = {
        name: np.mean([np.abs(scene.picture(3.0, lightings.draw(random)) - clean).mean() for _ in range(30)])
        for name, lightings in (("mild", MILD), ("strong", STRONG))
    }
    assert 5 < change["mild"] < 25
    assert change["strong"] > 2.2 * change["mild"]


def test_strong_lighting_holds_every_mild_one_well_within():
    mild, strong = (np.array([lightings.lowest, lightings.highest]) for lightings in (MILD, STRONG))
    assert (strong[0] < mild[0]).all()
    assert (strong[1] >= mild[1]).all()
    assert ((strong[1] - strong[0])[:5] > 3 * (mild[1] - mild[0])[:5]).all()


def test_changing_lighting_fades_and_does_not_flash(scene):
    lighting = ChangingLighting(3)
    pictures = [scene.picture(2.0, None)]
    for time in np.arange(0.0, 10.0, 0.05):
        lighting.apply(scene.renderer._renderer.scene, float(time))
        lamp = scene.renderer._renderer.scene.lights[1]
        pictures.append(np.array([*lamp.diffuse, *lamp.pos]))
    changes = np.abs(np.diff(np.array(pictures[1:]), axis=0)).max(axis=1)
    assert changes.max() < 0.4
    assert (changes == 0).mean() > 0.6


def test_an_occlusion_hides_up_to_a_third_of_the_picture_part_of_the_time(scene):
    shares, board = [], Occlusion(6)
    for time in np.arange(0.0, 8 * PERIOD_S, 0.25):
        shares.append(hidden_share(scene.picture(time), scene.picture(time, board)))
    shares = np.array(shares)
    assert 0.25 < shares.max() < 0.40
    assert 0.3 < (shares > 0.05).mean() < 0.75
    assert (shares == 0).mean() > 0.2
    # Every pass is a big one.
    passes = shares.reshape(8, -1)
    assert (passes.max(axis=1) > 0.2).all()


def test_an_occlusion_hides_blocks_too(scene):
    hidden = 0
    for seed in range(6):
        board = Occlusion(seed)
        for time in np.arange(0.5, PERIOD_S, 0.25):
            clean, disturbed = scene.picture(time), scene.picture(time, board)
            block = (clean[..., 2] > 90) & (clean[..., :2] < 70).all(axis=-1)
            hidden += (np.abs(clean.astype(int) - disturbed).max(axis=-1) > 3)[block].mean() > 0.5
    assert BLOCKS[1] == "blue"
    assert hidden > 8
