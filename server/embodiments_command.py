"""`unichunk embodiments`: which robots there are."""

from __future__ import annotations

import sys
from dataclasses import dataclass

import msgspec

from unichunk.embodiments.spec import EmbodimentSpec, embodiment_names, load_spec
from unichunk.server.say import say


@dataclass
class Embodiments:
    """List the robots that can be driven."""

    json: bool = False
    """Print JSON, for programs."""

    def __call__(self) -> int:
        """Print the list; return the exit status."""
        specs = [load_spec(name) for name in embodiment_names()]
        if self.json:
            entries = msgspec.json.format(msgspec.json.encode([_entry(spec) for spec in specs]))
            say(f"{entries.decode()}\n", sys.stdout)
            return 0
        for spec in specs:
            say(
                f"{spec.name}: {spec.title}\n"
                f"  {spec.action_hz} Hz actions, {spec.command_hz} Hz commands, {len(spec.joints)} joints "
                f"({', '.join(spec.joint_names)})\n"
                f"  cameras: {', '.join(spec.cameras)}; simulated twin: yes; hardware driver: not yet\n",
                sys.stdout,
            )
        return 0


def _entry(spec: EmbodimentSpec) -> dict[str, object]:
    return {
        "name": spec.name,
        "title": spec.title,
        "action_hz": spec.action_hz,
        "command_hz": spec.command_hz,
        "joints": list(spec.joint_names),
        "cameras": sorted(spec.cameras),
        "twin": True,
        "driver": False,
    }
