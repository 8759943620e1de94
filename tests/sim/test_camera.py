"""Off-screen rendering, in a thread that is not the one that steps."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from unichunk.embodiments.sim import camera as camera_module
from unichunk.embodiments.sim.camera import CameraRenderer
from unichunk.embodiments.sim.mujoco_import import SimulatorUnavailable
from unichunk.embodiments.sim.target_path import REGION_X, REGION_Y
from unichunk.embodiments.sim.twin import Snapshot, Twin
from unichunk.embodiments.spec import load_spec

SPEC = load_spec("so101")
CAMERA = "third_person"


def red(image: np.ndarray) -> np.ndarray:
    """Coordinates of the target's pixels, shape (N, 2)."""
    pixels = image.astype(int)
    return np.argwhere((pixels[..., 0] > 100) & (pixels[..., 1] < 60) & (pixels[..., 2] < 60))


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
def test_the_target_is_in_the_picture_wherever_it_and_the_arm_are():
    twin = Twin(SPEC, 1)
    renderer = CameraRenderer(twin.model, CAMERA)
    visible = []
    for x in np.linspace(*REGION_X, 4):
        for y in np.linspace(*REGION_Y, 5):
            for arm in ((x, y), (0.24, 0.0)):
                twin.reset(twin.task.solver.solve(np.array([*arm, 0.09])))
                snapshot = twin.snapshot()
                snapshot.mocap_pos[0, :2] = x, y
                visible.append(len(red(renderer.render(snapshot))))
    renderer.close()
    assert min(visible) > 20
    assert np.median(visible) > 100


@pytest.mark.simulator
def test_the_picture_shows_where_the_target_is():
    twin = Twin(SPEC, 1)
    renderer = CameraRenderer(twin.model, CAMERA)
    snapshot = twin.snapshot()
    centres = []
    for y in (REGION_Y[0], 0.0, REGION_Y[1]):
        snapshot.mocap_pos[0, :2] = 0.30, y
        centres.append(red(renderer.render(snapshot)).mean(axis=0)[1])
    renderer.close()
    assert centres[0] < centres[1] - 20 < centres[2] - 40


def test_a_host_without_off_screen_rendering_is_told_what_to_install(monkeypatch):
    def fail(*arguments, **options):
        raise RuntimeError("no EGL device")

    monkeypatch.setattr(camera_module.mujoco, "Renderer", fail)
    with pytest.raises(SimulatorUnavailable, match=r"no EGL device.*libegl1.*MUJOCO_GL") as error:
        CameraRenderer(Twin(SPEC).model, CAMERA)
    assert "\n" not in str(error.value)
