"""The SO-101 in MuJoCo, pushed about by its tool: forces along the table, height held; many at once, no pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from unichunk.embodiments.catalogue import load_spec
from unichunk.embodiments.sim.mujoco_import import mujoco
from unichunk.embodiments.sim.scene_robot import robot_scene

if TYPE_CHECKING:
    from numpy.typing import NDArray

ROBOT: Final = "so101"
STEP_S: Final = 0.01
"""Physics step."""
PUSHED: Final = ("shoulder_pan", "shoulder_lift", "elbow_flex")
"""Joints that have no servo here: the tool's forces move them; the others stay where they stand."""
STANDING: Final = np.array([0.0, 0.30, -0.15, 1.50, 0.0, 0.0])
"""Joint positions with the tool over the middle, pointing down, [rad]."""
HEIGHT_STIFFNESS: Final = 3000.0
"""What holds the tool's height, [N/m] ..."""
HEIGHT_DAMPING: Final = 150.0
"""... and damps it, [N s/m]."""
FORCE: Final = np.array([1.5, 0.6])
"""Largest force on the tool along each axis, [N]."""


class InterceptTwin:
    """Robots side by side. Every state is MuJoCo's whole physics state, so that it can be gone on from at will."""

    def __init__(self) -> None:
        # After mujoco_import, which refuses in one line where there is no MuJoCo.
        from mujoco import rollout  # noqa: PLC0415

        self._model = _build()
        self._data = mujoco.MjData(self._model)
        self._rollout = rollout.Rollout(nthread=0)
        self._size = mujoco.mj_stateSize(self._model, mujoco.mjtState.mjSTATE_FULLPHYSICS)
        mujoco.mj_resetDataKeyframe(self._model, self._data, 0)
        mujoco.mj_forward(self._model, self._data)
        self._height = float(self._data.sensordata[2])
        self.middle: NDArray[np.float64] = self._data.sensordata[:2].copy()
        """Where the tool stands at rest, shape (2,), [m]."""

    def begin(self, offsets: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Robots at rest.

        Args:
            offsets: Of the first three joints from where they usually stand, shape (B, 3), [rad].

        Returns:
            Physics states, shape (B, size), and the tools' positions and velocities over the table, shape (B, 4).
        """
        physics = np.empty((len(offsets), self._size))
        for i, offset in enumerate(offsets):
            mujoco.mj_resetDataKeyframe(self._model, self._data, 0)
            self._data.qpos[:3] += offset
            mujoco.mj_getState(self._model, self._data, physics[i], mujoco.mjtState.mjSTATE_FULLPHYSICS)
        # The height is not yet the one that is held: let it settle.
        return self.push(physics, np.zeros((len(offsets), 2)), seconds=0.3)

    def push(
        self, physics: NDArray[np.float64], forces: NDArray[np.float64], seconds: float
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Go on for a while under constant forces.

        Args:
            physics: Shape (B, size).
            forces: On the tool, forwards and to the left, shape (B, 2), in largest forces.
            seconds: How long.

        Returns:
            As `begin`; tools as they were a physics step ago, which is when MuJoCo's sensors measure.
        """
        steps = round(seconds / STEP_S)
        control = np.empty((len(physics), 1, self._model.nu))
        control[:] = self._data.ctrl
        control[:, 0, -3:-1] = FORCE * forces
        control[:, 0, -1] = self._height
        states, sensors = self._rollout.rollout(self._model, self._data, physics, control, nstep=steps)
        return states[:, -1].copy(), sensors[:, -1, [0, 1, 3, 4]].copy()


def _build() -> Any:
    spec = load_spec(ROBOT)
    scene = robot_scene(spec, STEP_S, gravity_compensated=True)
    scene.option.disableflags |= mujoco.mjtDisableBit.mjDSBL_CONTACT
    for actuator in list(scene.actuators):
        if actuator.name in PUSHED:
            scene.delete(actuator)
    for joint in scene.joints:
        joint.frictionloss = 0.0
    scene.worldbody.add_site(name="base")
    scene.body(spec.end_effectors["right"].frame).add_site(name="tool")
    for axis in range(3):
        gear = np.zeros(6)
        gear[axis] = 1.0
        actuator = scene.add_actuator(name="xyz"[axis], target="tool", refsite="base", gear=gear)
        actuator.trntype = mujoco.mjtTrn.mjTRN_SITE
    # `actuator` is now the height's: force = stiffness (command - height) - damping (speed upwards).
    actuator.gainprm[0] = HEIGHT_STIFFNESS
    actuator.biastype = mujoco.mjtBias.mjBIAS_AFFINE
    actuator.biasprm[1:3] = -HEIGHT_STIFFNESS, -HEIGHT_DAMPING
    for kind in (mujoco.mjtSensor.mjSENS_FRAMEPOS, mujoco.mjtSensor.mjSENS_FRAMELINVEL):
        scene.add_sensor(type=kind, objtype=mujoco.mjtObj.mjOBJ_SITE, objname="tool", name=str(kind))
    held = [position for joint, position in zip(spec.joint_names, STANDING, strict=True) if joint not in PUSHED]
    scene.add_key(name="standing", qpos=STANDING, ctrl=[*held, 0.0, 0.0, 0.0])
    return scene.compile()
