"""The web application of a server: health, metrics, administration, and the door for WebSockets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final

import msgspec
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, PlainTextResponse, Response
from msgspec import Meta
from starlette.routing import WebSocketRoute as Route

from unichunk.runtime.errors import UnichunkError
from unichunk.server.serving.addresses import is_address
from unichunk.server.serving.api_keys import key_from_headers
from unichunk.server.serving.identity import Identity, Right
from unichunk.server.serving.refusals import NotAllowed
from unichunk.server.serving.websocket_route import WebSocketRoute, headers_of, status_of

if TYPE_CHECKING:
    from unichunk.server.serving.service import Service
    from unichunk.server.serving.work import Description

LONGEST_BODY: Final = 64 * 1024
"""Bytes of a request's body."""


class SwapRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What `POST /v1/policies/{name}/swap` is told.

    Attributes:
        bundle: Folder of the bundle, as the server sees it.
        force: Take one whose robots, keys, slots, normalization or chunk length differ.
    """

    bundle: Annotated[str, Meta(min_length=1, max_length=4096)]
    force: bool = False


def build_app(service: Service, metrics_page: Any = None) -> FastAPI:
    """The application of a server. It holds nothing global and starts nothing: the service's owner does.

    Args:
        service: The server.
        metrics_page: Makes the text of `/metrics`, see `PrometheusMetrics.page`; None: there is no such page.
    """
    # No page describes the interface to whoever has no key.
    app = FastAPI(title="unichunk", docs_url=None, redoc_url=None, openapi_url=None)

    @app.exception_handler(UnichunkError)
    async def refused(_: Request, error: Exception) -> Response:
        assert isinstance(error, UnichunkError)
        return JSONResponse({"error": str(error)}, status_of(error), dict(headers_of(error)))

    @app.get("/healthz")
    async def healthz() -> Response:
        return PlainTextResponse("OK\n")

    @app.get("/readyz")
    async def readyz() -> Response:
        why = service.ready()
        return PlainTextResponse(f"{why or 'OK'}\n", 503 if why else 200)

    if metrics_page is not None:

        @app.get("/metrics")
        async def metrics(request: Request) -> Response:
            identify(service, request, Right.READ)
            text, kind = metrics_page()
            return Response(text, media_type=kind)

    _add_policies(app, service)
    route = WebSocketRoute(service)
    app.router.routes += [Route(path, route, name="policy") for path in ("/", "/{policy}", "/{policy}/{robot}")]
    return app


def identify(service: Service, request: Request, right: Right | None) -> Identity:
    """Who asks, once it is known that this one may.

    Args:
        service: The server.
        request: What came.
        right: To do what; None: whoever has a key.

    Raises:
        KeyRefused, NotAllowed: Where it may not.
    """
    if not service.access.asks_for_keys:
        if "origin" in request.headers:
            raise NotAllowed("this server asks for no keys, so web pages may not use it: start it with --keys")
        if "." in (host := request.headers.get("host", "")) and not is_address(host):
            # A page may give its own name this machine's address, and then the browser takes the two for one.
            raise NotAllowed("this server asks for no keys: ask it by its address, or start it with --keys")
    address = request.client.host if request.client else ""
    identity = service.identify(key_from_headers(request.headers), address)
    if right is not None:
        service.access.check(identity, right)
    return identity


def _add_policies(app: FastAPI, service: Service) -> None:
    @app.get("/v1/policies")
    async def policies(request: Request) -> Response:
        identity = identify(service, request, None)
        service.access.check(identity, Right.INFER if identity.may(Right.INFER) else Right.READ)
        return JSONResponse({"policies": [described(service, name) for name in service.backend.policies]})

    @app.post("/v1/policies/{name}/swap")
    async def swap(request: Request, name: str) -> Response:
        identity = identify(service, request, Right.ADMINISTER)
        asked = read_swap(await body(request))
        service.policy(name)
        await service.swap(identity, name, asked.bundle, force=asked.force)
        return JSONResponse(described(service, name))

    @app.post("/v1/drain")
    async def drain(request: Request) -> Response:
        service.drain(identify(service, request, Right.ADMINISTER))
        return JSONResponse({"draining": True, "in_flight": service.in_flight}, 202)


async def body(request: Request) -> bytes:
    """A request's body; read only once it is known who sent it.

    Raises:
        UnichunkError: Where it is too long.
    """
    data = b""
    async for part in request.stream():
        data += part
        if len(data) > LONGEST_BODY:
            raise UnichunkError(f"body: expected at most {LONGEST_BODY} bytes")
    return data


def read_swap(data: bytes) -> SwapRequest:
    """Read the body of a swap.

    Raises:
        UnichunkError: Where it is something else.
    """
    try:
        return msgspec.json.decode(data, type=SwapRequest)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UnichunkError(f'body: expected {{"bundle": "FOLDER"}}, got something else: {error}') from None


def described(service: Service, name: str) -> dict[str, Any]:
    """What is served under a name, for people and programs."""
    description: Description = service.backend.describe(name)
    load = service.backend.load(name)
    return {
        "name": name,
        "policy": description.name,
        "kind": description.kind,
        "digest": description.digest,
        "robots": list(description.robots),
        "refinement_rounds": description.refinement_rounds,
        "guided": description.guided,
        "max_batch": description.max_batch,
        "workers": load.workers,
        "waiting": load.waiting,
        "running": load.running,
        "service_ms": round(load.service_s * 1e3, 3),
    }
