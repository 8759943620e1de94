"""Off-screen rendering, in a thread that is not the one that steps, and what the picture shows."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np
import pytest

from unichunk.embodiments.catalogue import load_spec
from unichunk.embodiments.sim import camera as camera_module
from unichunk.embodiments.sim.block_paths import BLOCKS
from unichunk.embodiments.sim.camera import CameraRenderer
from unichunk.embodiments.sim.mujoco_import import SimulatorUnavailable
from unichunk.embodiments.sim.twin import Snapshot, Twin
from unichunk.runtime.policy.preprocessing import fit_image

if TYPE_CHECKING:
    from collections.abc import Iterator

SPEC = load_spec("so101")
TASK = SPEC.twin.task
CAMERA = "third_person"


@pytest.fixture(scope="module")
def twin() -> Twin:
    return Twin(SPEC, 1)


@pytest.fixture(scope="module")
def renderer(twin: Twin) -> Iterator[CameraRenderer]:
    renderer = CameraRenderer(twin.model, CAMERA)
    yield renderer
    renderer.close()


def pixels(image: np.ndarray, block: str) -> np.ndarray:
    """Coordinates of a block's pixels in what the policy sees of an image, shape (N, 2)."""
    seen = fit_image(image, 96).astype(int)
    main, others = (0, (1, 2)) if block == "red" else (2, (0, 1))
    return np.argwhere((seen[..., main] > 90) & (seen[..., others] < 70).all(axis=-1))


def with_blocks_at(snapshot: Snapshot, red: tuple[float, float], blue: tuple[float, float]) -> Snapshot:
    snapshot.mocap_pos[:, :2] = red, blue
    return snapshot


@pytest.mark.simulator
def test_a_second_thread_renders_while_the_first_steps():
    twin = Twin(SPEC, 1)

    def render_all(snapshots: list[Snapshot]) -> list[np.ndarray]:
        renderer = CameraRenderer(twin.model, CAMERA)
        images = [renderer.render(snapshot) for snapshot in snapshots]
        renderer.close()
        return images

    snapshots = []
    for _ in range(10):
        twin.advance(50)
        snapshots.append(twin.snapshot())
    stepping = threading.Event()
    with ThreadPoolExecutor(1) as thread:
        future = thread.submit(render_all, snapshots)
        while not future.done():
            twin.advance(5)
            stepping.set()
        images = future.result()
    assert stepping.is_set()
    camera = SPEC.cameras[CAMERA]
    assert all(image.shape == (camera.height, camera.width, 3) and image.dtype == np.uint8 for image in images)
    # A picture depends on its snapshot alone, not on what the physics did meanwhile.
    with ThreadPoolExecutor(1) as thread:
        again = thread.submit(render_all, snapshots).result()
    for image, repeated in zip(images, again, strict=True):
        np.testing.assert_array_equal(image, repeated)
    assert (images[0] != images[-1]).any()


@pytest.mark.simulator
@pytest.mark.parametrize("block", BLOCKS)
def test_blocks_are_in_the_policys_picture_wherever_they_and_the_arm_are(twin, renderer, block):
    visible, margins = [], []
    for x in np.linspace(*TASK.region_x, 4):
        for y in np.linspace(*TASK.region_y, 5):
            for arm in ((x, y), (0.24, 0.0)):
                twin.reset(twin.task.goals.joints(np.array(arm)))
                snapshot = with_blocks_at(twin.snapshot(), (x, y), (x, -y) if y else (x, 0.1))
                if block == "blue":
                    snapshot.mocap_pos[:] = snapshot.mocap_pos[::-1]
                found = pixels(renderer.render(snapshot), block)
                visible.append(len(found))
                margins.append(min(found.min(), 95 - found.max()))
    assert min(visible) > 20
    assert np.median(visible) > 100
    assert min(margins) >= 1, "a block touches the edge of the centre square"


@pytest.mark.simulator
def test_the_arm_seldom_hides_a_block(twin, renderer):
    visible = []
    for time in np.arange(0.0, 60.0, 1.0):
        twin.reset(twin.task.goal("red", time), time)
        image = renderer.render(twin.snapshot())
        visible.append([len(pixels(image, block)) for block in BLOCKS])
    assert np.min(visible) > 20
    assert (np.array(visible) > 80).mean() > 0.9


@pytest.mark.simulator
def test_the_picture_shows_where_each_block_is(twin, renderer):
    twin.reset()
    snapshot = twin.snapshot()
    for red_y, blue_y in ((-0.15, 0.15), (0.15, -0.15), (-0.05, 0.05)):
        image = renderer.render(with_blocks_at(snapshot, (0.30, red_y), (0.30, blue_y)))
        columns = {block: pixels(image, block).mean(axis=0)[1] for block in BLOCKS}
        # From the front, the robot's left is on the right.
        assert columns["blue"] - columns["red"] == pytest.approx((blue_y - red_y) * 260, rel=0.15)


def test_a_host_without_off_screen_rendering_is_told_what_to_install(monkeypatch):
    def fail(*arguments, **options):
        raise RuntimeError("no EGL device")

    monkeypatch.setattr(camera_module.mujoco, "Renderer", fail)
    with pytest.raises(SimulatorUnavailable, match=r"no EGL device.*libegl1.*MUJOCO_GL") as error:
        CameraRenderer(Twin(SPEC).model, CAMERA)
    assert "\n" not in str(error.value)
