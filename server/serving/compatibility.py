"""Whether a policy can take another one's place while clients go on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from unichunk.runtime.policy.manifest import Manifest
from unichunk.server.serving.backend import SwapRefused

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from unichunk.runtime.policy.manifest import Key, RobotEntry
    from unichunk.server.serving.source import PolicySource
    from unichunk.server.serving.work import Description

_SHOWN: Final = 4


def successor(old: PolicySource, source: str, started_with: Collection[str]) -> PolicySource:
    """What is to be served instead, in all other ways like the old one.

    Whoever may swap bundles may not thereby run any code that can be imported here.

    Args:
        old: What is served.
        source: What comes in.
        started_with: Sources that the server was started with.

    Raises:
        SwapRefused: Python code that is not among these.
    """
    new = msgspec.structs.replace(old, source=source)
    if new.is_python and source not in started_with:
        raise SwapRefused(
            f"{source}: which Python code is run is decided when the server is started; expected a bundle"
        )
    return new


def misfit(source: str, old: Description, new: Description) -> str:
    """Why this must not replace what is served, one line; empty where it may."""
    found = differences(old, new)
    if not found:
        return ""
    more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    return f"{source} does not fit: {'; '.join(found[:_SHOWN])}{more}; force it if clients can cope with that"


def differences(old: Description, new: Description) -> list[str]:
    """What clients of one policy would get wrong with the other, one phrase each.

    Robots may be added. Weights, names, prompts and the number of denoising steps may differ: they do not change what
    a client has to send, nor how it reads what it gets.
    """
    if old.kind != new.kind:
        return [f"one is a {old.kind} policy, the other a {new.kind} policy"]
    found = []
    if old.refinement_rounds != new.refinement_rounds:
        found.append(f"refinement rounds are {new.refinement_rounds} instead of {old.refinement_rounds}")
    if old.guided != new.guided:
        found.append(f"chunks are {'' if new.guided else 'not '}guided")
    if old.robots[:1] != new.robots[:1]:
        found.append(f"clients that name no robot would drive {new.robots[0]} instead of {old.robots[0]}")
    if old.kind == "bundle":
        found += _of_manifests(_manifest(old), _manifest(new))
    return found


def _manifest(description: Description) -> Manifest:
    return msgspec.msgpack.decode(description.manifest, type=Manifest)


def _of_manifests(old: Manifest, new: Manifest) -> Iterator[str]:
    for name, before, after in (
        ("chunks have {} rows", old.chunk_length, new.chunk_length),
        ("unified vectors are {} wide", old.unified_width, new.unified_width),
        ("pictures are {} pixels wide", old.image.size, new.image.size),
        ("noise is in {} slots", old.noise, new.noise),
        ("committed rows are {}", _kept(old), _kept(new)),
        ("state is told as of the {}", old.state_time, new.state_time),
    ):
        if before != after:
            yield f"{name.format(after)} instead of {before}"
    if missing := [name for name in old.robots if name not in new.robots]:
        yield f"it does not drive {', '.join(missing)}"
    for name, entry in old.robots.items():
        if name in new.robots:
            yield from _of_robots(name, entry, new.robots[name])


def _kept(manifest: Manifest) -> str:
    return "locked" if manifest.locks else "stitched in front"


def _of_robots(robot: str, old: RobotEntry, new: RobotEntry) -> Iterator[str]:
    for name, before, after in (
        ("cameras", ", ".join(old.cameras), ", ".join(new.cameras)),
        ("rows a second", old.action_hz, new.action_hz),
        ("longest delay", old.max_delay, new.max_delay),
    ):
        if before != after:
            yield f"{robot}: {name} {after} instead of {before}"
    yield from _of_keys(f"{robot}: state", old.state, new.state)
    yield from _of_keys(f"{robot}: action", old.action, new.action)


def _of_keys(label: str, old: dict[str, Key], new: dict[str, Key]) -> Iterator[str]:
    if list(old) != list(new):
        yield f"{label} keys {', '.join(new)} instead of {', '.join(old)}"
        return
    for name, before in old.items():
        after = new[name]
        if before.slots != after.slots:
            yield f"{label}.{name} in slots {after.slots} instead of {before.slots}"
        if before.rotation != after.rotation:
            yield f"{label}.{name} as {after.rotation} instead of {before.rotation}"
        if before.normalization != after.normalization:
            yield f"{label}.{name} is normalized with other numbers"
