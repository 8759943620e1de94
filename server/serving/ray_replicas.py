"""The replicas of a Ray cluster, as a front calls them."""

from __future__ import annotations

import asyncio
from contextvars import Context
from typing import TYPE_CHECKING, Any, Final

import msgspec

from unichunk.runtime.errors import PolicyError
from unichunk.server.serving.ray_calls import Loaded, ReplicaLost, Reply
from unichunk.server.serving.ray_edition import pack, unpack
from unichunk.server.serving.ray_extra import ray, serve
from unichunk.server.serving.ray_view import forget_room, note_room, replicas_up

if TYPE_CHECKING:
    from collections.abc import Coroutine, Sequence

    from unichunk.server.serving.ray_edition import Edition, Editions
    from unichunk.server.serving.work import Description, Work

_REPLY: Final = msgspec.msgpack.Decoder(Reply)
_LOADED: Final = msgspec.msgpack.Decoder(Loaded)


class ServeReplicas:
    """The same over the handles of Ray Serve.

    Requests travel by value from this process to the replica's: through Ray's object store a picture takes twice as
    long, and its bytes would be in shared memory where every process of the cluster can read them.

    Args:
        app: The application of Ray Serve that both belong to.
        replicas: What the deployment of `PolicyReplica` is called.
        names: What that of `Names` is called.
    """

    def __init__(self, app: str, replicas: str, names: str) -> None:
        self._key = (app, replicas)
        self._named = names

    async def open(self) -> None:
        """See `Replicas`."""
        app, replicas = self._key
        self._replicas = serve.get_deployment_handle(replicas, app).options(_by_reference=False)
        self._names = serve.get_deployment_handle(self._named, app).options(_by_reference=False)

    async def close(self) -> None:
        """See `Replicas`."""

    @property
    def count(self) -> int:
        """See `Replicas`."""
        return replicas_up(*self._key)

    def expect(self, edition: Edition, description: Description) -> None:
        """See `Replicas`."""
        note_room(edition.model_id, description.max_batch)

    async def answer(self, edition: Edition, work: Work, session: str) -> Reply:
        """See `Replicas`."""
        handle = self._replicas.options(method_name="answer", multiplexed_model_id=edition.model_id, session_id=session)
        return _REPLY.decode(await called(handle, msgspec.msgpack.encode(work)))

    async def load(self, edition: Edition) -> Loaded:
        """See `Replicas`."""
        return _LOADED.decode(await called(self._replicas.options(method_name="load"), edition.model_id))

    async def load_everywhere(self, edition: Edition) -> Sequence[Loaded]:
        """See `Replicas`."""
        results = await _apart(self._broadcast("load", edition))
        return [_LOADED.decode(result) for result in results if isinstance(result, bytes)]

    async def retire(self, edition: Edition) -> None:
        """See `Replicas`."""
        forget_room(edition.model_id)
        await _apart(self._broadcast("retire", edition))

    async def exchange(self, editions: Editions) -> Editions:
        """See `Replicas`."""
        return unpack(await called(self._names.options(method_name="exchange"), pack(editions)))

    async def _broadcast(self, method: str, edition: Edition) -> list[Any]:
        response = self._replicas.broadcast(method, edition.model_id)
        # A replica that dies meanwhile has nothing to say, and its successor begins with what is served by then.
        results: list[Any] = await response.results_async(return_exceptions=True)
        return results


async def called(handle: Any, *arguments: bytes | str) -> Any:
    """What a deployment answers; cancelling cancels it there as well.

    Raises:
        ReplicaLost: Where nothing came back.
        PolicyError: Where it failed.
    """
    return await _apart(_call(handle, arguments))


async def _call(handle: Any, arguments: tuple[bytes | str, ...]) -> Any:
    response = handle.remote(*arguments)
    try:
        return await response
    except asyncio.CancelledError:
        response.cancel()
        raise
    except serve.exceptions.DeploymentUnavailableError as error:
        raise PolicyError(f"the Ray cluster could not start the policies: {error.message}") from None
    except ray.exceptions.RayTaskError as error:
        raise PolicyError(f"a replica failed: {error.cause}") from None
    except Exception as error:  # noqa: BLE001  Ray's errors and its transport's: what they share is that nothing came back
        # The replica died, could not be reached, went with its node, or was ended by Ray meanwhile.
        raise ReplicaLost(str(error).partition("\n")[0]) from None


async def _apart(call: Coroutine[Any, Any, Any]) -> Any:
    """Run a call in a context of its own.

    Ray keeps in the context which HTTP request is being answered, and would take this call for a part of it: end it
    with the connection, and leave its answer packed.
    """
    task = Context().run(asyncio.get_running_loop().create_task, call)
    try:
        await asyncio.wait([task])
    finally:
        task.cancel()
    if task.cancelled():
        raise ReplicaLost("Ray gave up the call")
    return task.result()
