"""A whole campaign from its plan to its last trial, on a simulated robot, through the service that real ones use."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
import time
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from unichunk.embodiments.catalogue import load_spec
from unichunk.embodiments.errors import SpecError
from unichunk.server.evaluation.demo.automatic_operator import AutomaticOperator
from unichunk.server.evaluation.demo.campaign_files import write_campaign
from unichunk.server.evaluation.demo.examples import take_examples
from unichunk.server.evaluation.demo.people import KEYS, RATER, STATIONS, invite
from unichunk.server.evaluation.demo.robot_thread import RobotThread
from unichunk.server.evaluation.demo.simulated_robot import SimulatedRobot
from unichunk.server.evaluation.demo.video_rater import VideoRater
from unichunk.server.evaluation.planning.folder import PRIVATE
from unichunk.server.evaluation.planning.freeze import freeze
from unichunk.server.evaluation.robots.proxy_address import parse_proxy_address
from unichunk.server.evaluation.service import EvaluationService
from unichunk.server.evaluation.service_options import ServiceOptions
from unichunk.server.remote.credentials import Credentials
from unichunk.server.remote.websocket_connection import WebSocketDialer
from unichunk.server.serving.lifecycle import Stop

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping

    from unichunk.embodiments.spec import EmbodimentSpec
    from unichunk.server.evaluation.demo.examples import Examples
    from unichunk.server.evaluation.demo.people import People
    from unichunk.server.evaluation.planning.freeze import Frozen

EMBODIMENT: Final = "so101"

TOLD_EVERY: Final = 20
"""How many trials are scored between two lines that say so."""


@dataclass(frozen=True)
class Demonstration:
    """What came of it, before anything was opened.

    Attributes:
        frozen: The plan.
        people: Who took part.
        rated: How many trials were scored again.
        seconds: How long it took, [s].
    """

    frozen: Frozen
    people: People
    rated: int
    seconds: float


async def demonstrate(
    folder: Path,
    *,
    trials: int | None = None,
    port: int = 0,
    seed: int = 0,
    say: Callable[[str], None] = lambda _: None,
) -> Demonstration:
    """Plan a campaign, serve it, run every trial of it.

    Args:
        folder: Of the campaign; not there yet, or empty.
        trials: K, for each policy and layout; None: as the campaign says.
        port: For pages and robots; 0: any free one.
        seed: Of the operator's guesses. Everything that matters is drawn by the campaign itself.
        say: Told what happens, a line at a time.

    Raises:
        UnichunkError: One line.
    """
    began = time.monotonic()
    spec = load_spec(EMBODIMENT)
    examples = await asyncio.to_thread(take_examples, spec)
    with tempfile.TemporaryDirectory(prefix="unichunk-demo-") as declared:
        photos = {layout: example.rest for layout, example in examples.items()}
        campaign = write_campaign(Path(declared), photos, trials)
        frozen = await asyncio.to_thread(freeze, campaign, folder, now=datetime.now(timezone.utc))
    people = invite(folder / PRIVATE)
    say(f"frozen: {len(frozen.plan.slots)} trials, commitment {frozen.plan.commitment}")
    async with _serving(folder, port) as service:
        say(f"serving on {service.address}")
        rated = await _run_trials(service, spec, people, examples, seed, say)
    return Demonstration(frozen, people, rated, time.monotonic() - began)


@contextlib.asynccontextmanager
async def _serving(folder: Path, port: int) -> AsyncIterator[EvaluationService]:
    options = ServiceOptions(keys=folder / PRIVATE / KEYS, port=port, sim_robots=True, log_level="warning")
    service = EvaluationService.open(folder, options)
    try:
        await service.start()
        yield service
    finally:
        await service.close()


async def _run_trials(
    service: EvaluationService,
    spec: EmbodimentSpec,
    people: People,
    examples: Mapping[str, Examples],
    seed: int,
    say: Callable[[str], None],
) -> int:
    """Run all trials, then score them again from their videos; how many."""
    shown = 0

    def told(scored: int, total: int) -> None:
        nonlocal shown
        if scored >= shown + TOLD_EVERY or scored == total:
            shown = scored
            say(f"{scored} of {total} trials scored")

    seeds = np.random.SeedSequence(seed).spawn(len(STATIONS) + 1)
    stations = [
        _station(service, spec, people, robot, np.random.default_rng(own), told)
        for robot, own in zip(STATIONS, seeds, strict=False)
    ]
    await asyncio.gather(*stations)
    rater = VideoRater(service.desk, people.identities[RATER], examples, np.random.default_rng(seeds[-1]))
    return await rater.rate()


async def _station(
    service: EvaluationService,
    spec: EmbodimentSpec,
    people: People,
    robot: str,
    random: np.random.Generator,
    told: Callable[[int, int], None],
) -> None:
    """One robot and its operator, until no trial is left."""
    address = parse_proxy_address(f"{service.robots_address}{robot}")
    credentials = Credentials(key=people.keys[robot])

    def make() -> SimulatedRobot:
        return SimulatedRobot(spec, WebSocketDialer(address, credentials, subprotocol=None), address.text)

    thread = RobotThread(make)
    try:
        operator = people.identities[STATIONS[robot]]
        await AutomaticOperator(service.desk, operator, robot, thread, _near(spec), random, told).run()
    finally:
        await thread.close()


def _near(spec: EmbodimentSpec) -> float:
    """Within this distance the gripper is over a block, [m]."""
    if spec.twin is None or spec.twin.task is None:
        raise SpecError(f"embodiment.twin.task of {spec.name}: expected an object, got null")
    return spec.twin.task.near


async def keep_serving(folder: Path, port: int, say: Callable[[str], None]) -> None:
    """Show a campaign's pages until somebody interrupts, or SIGTERM comes.

    Args:
        folder: Of the campaign.
        port: For pages; 0: any free one.
        say: Told where they are.
    """
    stop = Stop()
    stop.on_signals()
    async with _serving(folder, port) as service:
        say(f"pages on {service.address}/ until Ctrl-C; keys to log in with are in {folder / PRIVATE}/*.key")
        await stop.wait()
