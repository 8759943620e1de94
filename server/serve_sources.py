"""Which policies a command line names, and how each is to be served."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

from unichunk.runtime.errors import UnichunkError
from unichunk.server.engine_flags import EngineFlags
from unichunk.server.serving.source import PYTHON, PolicySource
from unichunk.server.shipped_bundles import shipped_bundles
from unichunk.server.usage_error import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)
MOST_REPLICAS: Final = 256
CPU_ENGINE: Final = EngineFlags()


def policy_sources(
    policies: Sequence[str],
    *,
    robot: Sequence[str] = (),
    mapping: Sequence[str] = (),
    replicas: Sequence[str] = (),
    refinement_rounds: int = 0,
    steps: int | None = None,
    guided: bool = False,
    engines: EngineFlags = CPU_ENGINE,
    threads: int = 1,
    max_batch: int = 8,
) -> list[PolicySource]:
    """The policies to serve, the default first.

    Args:
        policies: NAME=SOURCE each; nothing for the first shipped bundle.
        robot: NAME=ROBOT each, or ROBOT for all of them.
        mapping: NAME=MAPPING each, or MAPPING for all of them.
        replicas: NAME=N each, or N for all of them.
        refinement_rounds: N of MPG.
        steps: K; None for each bundle's own.
        guided: Whether chunks are steered towards the running plan.
        engines: What runs the graphs.
        threads: Inside one operator.
        max_batch: Most requests inferred together.

    Raises:
        UsageError: Where something is said twice, of a policy that is not there, or of a wrong form.
        UnichunkError: Where no bundle ships.
    """
    sources = _named_sources(policies) if policies else _shipped()
    engines.check()
    for option, number, least in (
        ("--refinement-rounds", refinement_rounds, 0),
        ("--steps", 1 if steps is None else steps, 1),
        ("--threads", threads, 1),
        ("--max-batch", max_batch, 1),
    ):
        if number < least:
            raise UsageError(f"{option}: expected {least} or more, got {number}")
    robots = named("--robot", robot, list(sources))
    mappings = named("--mapping", mapping, list(sources))
    counts = {name: _count(text) for name, text in named("--replicas", replicas, list(sources)).items()}
    return [
        PolicySource(
            name=name,
            source=source,
            robot=robots.get(name, ""),
            mapping=mappings.get(name, ""),
            refinement_rounds=refinement_rounds,
            steps=steps,
            guided=guided,
            engine=engines.engine,
            device=engines.device,
            cuda_graphs=engines.cuda_graphs,
            engine_cache="" if engines.engine_cache is None else str(engines.engine_cache.absolute()),
            gpu_memory=engines.gpu_memory,
            threads=threads,
            max_batch=max_batch,
            replicas=counts.get(name, 1),
        )
        for name, source in sources.items()
    ]


def named(option: str, texts: Sequence[str], names: Sequence[str]) -> dict[str, str]:
    """What an option says of each policy: NAME=VALUE, or VALUE alone for all that nothing else is said of.

    Args:
        option: For messages.
        texts: What stands on the command line.
        names: The policies.

    Raises:
        UsageError: Where something is said twice or of a policy that is not there.
    """
    said: dict[str, str] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals:
            name, value = "", text
        if equals and name not in names:
            raise UsageError(f"{option} {text}: no policy is called {name!r}; expected one of {', '.join(names)}")
        if not value:
            raise UsageError(f"{option} {text}: expected a value after the =")
        if name in said:
            raise UsageError(f"{option} {text}: it was said before, {said[name]}")
        said[name] = value
    for_all = said.pop("", None)
    return said if for_all is None else {name: said.get(name, for_all) for name in names}


def _named_sources(policies: Sequence[str]) -> dict[str, str]:
    sources: dict[str, str] = {}
    for text in policies:
        name, equals, source = text.partition("=")
        if not equals:
            source = text
            name = "policy" if text.startswith(PYTHON) else Path(text).resolve().name
        if not _NAME.fullmatch(name):
            raise UsageError(
                f"--policy {text}: expected NAME=BUNDLE, the name of letters, digits, dots, dashes and underscores"
            )
        if not source:
            raise UsageError(f"--policy {text}: expected a bundle's folder, or python:package.module:factory")
        if name in sources:
            raise UsageError(f"--policy {text}: there is a policy {name} already; give each another name")
        sources[name] = source
    return sources


def _shipped() -> dict[str, str]:
    for bundle in shipped_bundles():
        return {bundle.name: str(bundle)}
    raise UnichunkError("no policy bundle ships with this installation; give one with --policy NAME=BUNDLE")


def _count(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= MOST_REPLICAS:
        raise UsageError(f"--replicas {text}: expected a number from 1 to {MOST_REPLICAS}")
    return int(text)
