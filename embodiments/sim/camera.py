"""Off-screen cameras of the simulated world."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from unichunk.embodiments.sim.mujoco_import import RENDERING_HINT, SimulatorUnavailable, mujoco

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from unichunk.embodiments.sim.twin import Snapshot

_FLAGS_OFF = ("mjRND_SHADOW", "mjRND_REFLECTION", "mjRND_SKYBOX", "mjRND_HAZE", "mjRND_FOG")

_SPARE_GEOMS = 64
"""Room in a picture for what disturbances add."""


class Disturbance(Protocol):
    """Something that changes what a camera sees, and nothing else."""

    def apply(self, scene: Any, time: float) -> None:
        """Change a MuJoCo scene that is about to be rendered, as at a simulated time, [s]."""


class CameraRenderer:
    """Renders snapshots of a twin from one camera.

    The graphics context belongs to the thread that constructs the renderer: construct, render and close in the same
    thread, which need not be the one that steps the physics.

    Args:
        model: The twin's `model`.
        camera: The camera's name; its resolution is the model's.

    Raises:
        SimulatorUnavailable: Where off-screen rendering does not work on this host, with what to install.
    """

    def __init__(self, model: Any, camera: str) -> None:
        self._model = model
        self._data = mujoco.MjData(model)
        self._camera = mujoco.MjvCamera()
        self._camera.type = mujoco.mjtCamera.mjCAMERA_FIXED
        self._camera.fixedcamid = model.camera(camera).id
        width, height = (int(pixels) for pixels in model.cam_resolution[self._camera.fixedcamid])
        try:
            self._renderer = mujoco.Renderer(model, height, width, max_geom=model.ngeom + _SPARE_GEOMS)
        except Exception as error:  # noqa: BLE001 - graphics libraries fail in many ways, always for one reason
            cause = " ".join(f"{type(error).__name__}: {error}".split())
            raise SimulatorUnavailable(f"off-screen rendering does not work ({cause}): {RENDERING_HINT}") from None
        for flag in _FLAGS_OFF:
            self._renderer.scene.flags[getattr(mujoco.mjtRndFlag, flag)] = 0

    def render(self, snapshot: Snapshot, disturbance: Disturbance | None = None) -> NDArray[np.uint8]:
        """The picture of a snapshot.

        Args:
            snapshot: What to show.
            disturbance: What is wrong with the view at the snapshot's time.

        Returns:
            RGB, shape (H, W, 3), uint8; the caller owns it.
        """
        self._data.qpos[:] = snapshot.qpos
        self._data.mocap_pos[:] = snapshot.mocap_pos
        mujoco.mj_kinematics(self._model, self._data)
        mujoco.mj_camlight(self._model, self._data)
        self._renderer.update_scene(self._data, self._camera)
        if disturbance is not None:
            disturbance.apply(self._renderer.scene, snapshot.time)
        image: NDArray[np.uint8] = self._renderer.render()
        return image

    def close(self) -> None:
        """Release the graphics context; in the thread that made it."""
        self._renderer.close()
