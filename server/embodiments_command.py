"""`unichunk embodiments`: which robots there are."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import tyro

from unichunk.embodiments.catalogue import embodiment_names, load_spec
from unichunk.runtime.errors import UnichunkError
from unichunk.server.say import say
from unichunk.server.shipped_bundles import shipped_bundles

if TYPE_CHECKING:
    from unichunk.embodiments.spec import EmbodimentSpec


@dataclass
class Embodiments:
    """List the robots that can be driven, or check and show the specs of your own.

    Exit status: 0, or 1 where a spec cannot be used, with one line on the standard error that says why.

    Try: unichunk embodiments ./my_arm.json
    """

    spec: Annotated[tuple[str, ...], tyro.conf.Positional] = ()
    """Names of robots, or paths of specs; without any, all robots that ship with the project."""
    json: bool = False
    """Print JSON, for programs."""

    def __call__(self) -> int:
        """Print the list; return the exit status."""
        try:
            specs = [load_spec(name) for name in self.spec or embodiment_names()]
            bundles = [[path.name for path in shipped_bundles(spec.name)] for spec in specs]
        except UnichunkError as error:
            say(f"unichunk embodiments: {error}\n", sys.stderr)
            return 1
        if self.json:
            entries = [_entry(spec, names) for spec, names in zip(specs, bundles, strict=True)]
            say(f"{msgspec.json.format(msgspec.json.encode(entries)).decode()}\n", sys.stdout)
        else:
            say("".join(_lines(spec, names) for spec, names in zip(specs, bundles, strict=True)), sys.stdout)
        return 0


def _lines(spec: EmbodimentSpec, bundles: list[str]) -> str:
    groups = "".join(
        f"  {name}: {group.kind}{f' ({group.side})' if group.side else ''}, {group.command_hz} Hz, "
        f"{len(group.joints)} joints ({', '.join(group.joint_names)})\n"
        for name, group in spec.groups.items()
    )
    driver = "no" if spec.driver is None else spec.driver.rpartition("/")[2]
    return (
        f"{spec.name}: {spec.title}\n"
        f"  {spec.action_hz} Hz actions, {spec.command_hz} Hz commands, {len(spec.joints)} joints\n"
        f"{groups}"
        f"  cameras: {', '.join(spec.cameras)}; simulated twin: {'no' if spec.twin is None else 'yes'}; "
        f"hardware driver: {driver}; shipped policies: {', '.join(bundles) or 'none'}\n"
    )


def _entry(spec: EmbodimentSpec, bundles: list[str]) -> dict[str, Any]:
    return {
        "name": spec.name,
        "title": spec.title,
        "action_hz": spec.action_hz,
        "command_hz": spec.command_hz,
        "joints": list(spec.joint_names),
        "groups": {
            name: {
                "kind": group.kind,
                "side": group.side,
                "command_hz": group.command_hz,
                "slots": group.slots,
                "unit": group.unit,
                "joints": [
                    {key: getattr(joint, key) for key in ("name", "lower", "upper", "velocity", "acceleration", "jerk")}
                    for joint in group.joints
                ],
            }
            for name, group in spec.groups.items()
        },
        "end_effectors": {side: end.frame for side, end in spec.end_effectors.items()},
        "cameras": {
            name: {"width": camera.width, "height": camera.height, "fps": camera.fps}
            for name, camera in spec.cameras.items()
        },
        "twin": spec.twin is not None,
        "driver": spec.driver is not None,
        "policies": bundles,
    }
