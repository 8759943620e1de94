"""A replica of a Ray cluster: several policies in one process, each with its pipeline."""

from __future__ import annotations

import asyncio
import gc
import os
import sys
from typing import TYPE_CHECKING, Any, Final

import msgspec

from unichunk.runtime.errors import UnichunkError
from unichunk.runtime.kept_memory import keep_freed_memory
from unichunk.server.serving.faults import answer_to
from unichunk.server.serving.pipeline import SWITCH_S
from unichunk.server.serving.ray_calls import Loaded, Reply
from unichunk.server.serving.ray_edition import Editions, edition_of, newest, pack, unpack
from unichunk.server.serving.ray_extra import serve
from unichunk.server.serving.ray_policy import Closed, Place
from unichunk.server.serving.ray_view import LOADED
from unichunk.server.serving.work import Work

if TYPE_CHECKING:
    from unichunk.server.serving.ray_policy import RayPolicy
    from unichunk.server.serving.work import Answer

HUNG_S: Final = 120.0
"""A replica that has had a request for so long is taken for dead, [s]: Ray ends it and starts another one."""

_WORK: Final = msgspec.msgpack.Decoder(Work)


class PolicyReplica:
    """What Ray starts as often as it is told to. Between two requests it keeps nothing but loaded policies.

    Only bytes come in and go out: the message of a client is first looked at where it is decoded.

    Args:
        editions: What was served first, packed.
        most: Policies that it keeps loaded.
        names: The deployment that knows what is served by now.
    """

    async def __init__(self, editions: bytes, most: int, names: Any) -> None:  # type: ignore[misc]
        # Ray awaits this.
        sys.setswitchinterval(SWITCH_S)
        keep_freed_memory()
        self._replica = str(serve.get_replica_context().replica_id.unique_id)
        self._places: dict[str, Place] = {}

        async def place(model_id: str) -> Place:
            made = Place(edition_of(model_id))
            await made.policy()
            self._places = {known: at for known, at in self._places.items() if at.loaded}
            return made

        # One more than it keeps: what comes in with a swap is warm before the other one goes.
        self._place = serve.multiplexed(max_num_models_per_replica=most + 1)(place)
        # After a swap, a new replica begins with what is served by now.
        current = newest(unpack(editions), unpack(await names.exchange.remote(pack({}))))
        await self._load_first(current, most, names)
        gc.collect()
        gc.freeze()

    async def answer(self, work: bytes) -> bytes:
        """Answer one request with the policy that the call is for.

        Args:
            work: A `Work`, msgpack.

        Returns:
            A `Reply`, msgpack.
        """
        try:
            answer, digest = await self._answer(_WORK.decode(work))
        except Exception as error:  # noqa: BLE001  one request's trouble must not become every request's
            answer, digest = answer_to(error), ""
        return msgspec.msgpack.encode(Reply(answer=answer, digest=digest, replica=self._replica, pid=os.getpid()))

    async def load(self, model_id: str) -> bytes:
        """Load an edition, if it is not.

        Returns:
            A `Loaded`, msgpack.
        """
        try:
            loaded = Loaded(description=(await self._policy(model_id)).description)
        except Exception as error:  # noqa: BLE001  whatever it is, whoever asked for it has to hear it in one line
            loaded = Loaded(error=answer_to(error).error)
        return msgspec.msgpack.encode(loaded)

    async def retire(self, model_id: str) -> None:
        """Nobody will ask for an edition any more: give back its memory."""
        place = self._places.pop(model_id, None)
        if place is not None:
            await asyncio.to_thread(place.close)

    def record_routing_stats(self) -> dict[str, list[str]]:
        """Called by Ray now and then, and told to all who send requests: what is loaded.

        What its multiplexing says of that by itself is lost where a replica loads before it is up.
        """
        return {LOADED: sorted(model_id for model_id, place in self._places.items() if place.loaded)}

    def check_health(self) -> None:
        """Called by Ray now and then.

        Raises:
            RuntimeError: Where a request has been here far too long.
        """
        oldest_s = max((place.oldest_s() for place in self._places.values()), default=0.0)
        if oldest_s > HUNG_S:
            raise RuntimeError(f"a request has had no answer for {oldest_s:.0f} s")

    async def _answer(self, work: Work) -> tuple[Answer, str]:
        while True:
            policy = await self._policy(serve.get_multiplexed_model_id())
            try:
                return await policy.answer(work), policy.description.digest
            except Closed:
                # Dropped between two lines for one that was asked for more lately.
                continue

    async def _policy(self, model_id: str) -> RayPolicy:
        place: Place = await self._place(model_id)
        self._places[model_id] = place
        return await place.policy()

    async def _load_first(self, editions: Editions, most: int, names: Any) -> None:
        """Load as many as there is room for; a replica that cannot is none."""
        for edition in list(editions.values())[:most]:
            try:
                await self._policy(edition.model_id)
            except UnichunkError as error:
                await names.failed.remote(str(error))
                raise
