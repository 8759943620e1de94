"""The adapter between a robot's joints and a policy's keys, driven by the spec."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from unichunk.runtime.errors import BundleError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from unichunk.embodiments.spec import EmbodimentSpec
    from unichunk.runtime.observation import Observation
    from unichunk.runtime.policy.manifest import Manifest


REMEDY: Final = "choose another bundle, or build this one again for this robot"


class JointAdapter:
    """Joint positions as state, absolute joint targets as actions.

    Groups in `rad` pass as they are; groups in `open_fraction` map the joint's lower limit to 0 and its upper to 1.

    Args:
        spec: The embodiment.
    """

    def __init__(self, spec: EmbodimentSpec) -> None:
        self._spec = spec
        self._groups: list[tuple[str, list[int], NDArray[np.float64], NDArray[np.float64]]] = []
        for name, group in spec.groups.items():
            index = spec.joint_index(name)
            offset, scale = np.zeros(len(index)), np.ones(len(index))
            if group.unit == "open_fraction":
                offset = spec.limits.lower[index]
                scale = spec.limits.upper[index] - offset
            self._groups.append((name, index, offset, scale))

    def check_policy(self, manifest: Manifest, origin: str) -> None:
        """Refuse a bundle that does not drive this robot.

        Args:
            manifest: The bundle's description.
            origin: What to call it in messages.

        Raises:
            BundleError: With what does not fit.
        """
        spec = self._spec
        if spec.name not in manifest.embodiments:
            raise BundleError(
                f"{origin}: policy {manifest.name!r} drives {', '.join(manifest.embodiments)}, not {spec.name}; "
                "choose another bundle or another embodiment"
            )
        for camera in manifest.cameras:
            if camera not in spec.cameras:
                raise BundleError(
                    f"{origin}: needs camera {camera!r}, {spec.name} has {', '.join(spec.cameras)}; {REMEDY}"
                )
        if manifest.action_hz != spec.action_hz:
            raise BundleError(
                f"{origin}: its rows are {manifest.action_hz} Hz, {spec.name} runs at {spec.action_hz} Hz; {REMEDY}"
            )
        for section in ("state", "action"):
            self._check_keys(section, manifest, origin)

    def policy_input(self, observation: Observation, instruction: str) -> dict[str, Any]:
        """`video.<camera>` (H, W, 3) uint8, `state.<group>` (width,), `language.instruction`."""
        q = observation.state.q
        inputs: dict[str, Any] = {f"video.{name}": frame.image for name, frame in observation.frames.items()}
        inputs.update({f"state.{name}": (q[index] - offset) / scale for name, index, offset, scale in self._groups})
        inputs["language.instruction"] = instruction
        return inputs

    def joints(self, actions: Mapping[str, NDArray[np.float32]]) -> NDArray[np.float64]:
        """`action.<group>` -> (T, width) to joint targets (T, n), [rad], in command order."""
        rows = len(next(iter(actions.values())))
        joints: NDArray[np.float64] = np.zeros((rows, len(self._spec.joints)))
        for name, index, offset, scale in self._groups:
            joints[:, index] = actions[f"action.{name}"] * scale + offset
        return joints

    def actions(self, joints: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
        """Joint targets (m, n) [rad] to `action.<group>` -> (m, width)."""
        return {f"action.{name}": (joints[:, index] - offset) / scale for name, index, offset, scale in self._groups}

    def _check_keys(self, section: str, manifest: Manifest, origin: str) -> None:
        keys = getattr(manifest, section)
        for name, key in keys.items():
            group = self._spec.groups.get(name)
            if group is None or group.slots != key.slots:
                found = "does not have it" if group is None else f"has it in {group.slots[0]}-{group.slots[1]}"
                raise BundleError(
                    f"{origin}: {section}.{name} in slots {key.slots[0]}-{key.slots[1]}, but {self._spec.name} {found}"
                    f"; {REMEDY}"
                )
        missing = sorted(set(self._spec.groups) - set(keys)) if section == "action" else []
        if missing:
            raise BundleError(f"{origin}: no action for {', '.join(missing)} of {self._spec.name}; {REMEDY}")
