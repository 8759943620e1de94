"""A campaign that runs: its records, policies, pages, and the robots' door, begun and ended in the right order."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack
from typing import TYPE_CHECKING, Final

from unichunk.server.evaluation.blinding.proxy import Proxy
from unichunk.server.evaluation.blinding.proxy_options import ProxyOptions
from unichunk.server.evaluation.blinding.robot_route import robot_route
from unichunk.server.evaluation.desk import Desk
from unichunk.server.evaluation.planning.folder import PRIVATE
from unichunk.server.evaluation.planning.load import load_secrets
from unichunk.server.evaluation.store.evaluation_store import EvaluationStore
from unichunk.server.evaluation.web.app import make_app
from unichunk.server.evaluation.web.cookie_key import cookie_key
from unichunk.server.evaluation.web.settings import WebSettings
from unichunk.server.serving.api_keys import KeyRing
from unichunk.server.serving.certificate_watch import keep_certificate
from unichunk.server.serving.http_server import HttpServer, address_of, reserve
from unichunk.server.serving.limits import ClientLimits
from unichunk.server.serving.logs import Log
from unichunk.server.serving.tls import Tls, TlsFiles

if TYPE_CHECKING:
    from pathlib import Path

    from unichunk.server.evaluation.service_options import ServiceOptions

LOOK_EVERY_S: Final = 5.0
"""How often it is looked at whether the key file can be used, [s]."""


class EvaluationService:
    """Made by `open`, which takes its address and its records; nothing is loaded before `start`.

    Attributes:
        address: Where people come to: `http://host:port`.
        store: The records.
        proxy: The robots.
        desk: What people ask of both.
        keys: Who they are.
        log: Where events go.
    """

    def __init__(
        self, store: EvaluationStore, proxy: Proxy, desk: Desk, keys: KeyRing, log: Log, http: HttpServer, address: str
    ) -> None:
        self.store = store
        self.proxy = proxy
        self.desk = desk
        self.keys = keys
        self.log = log
        self.address = address
        self._http = http
        self._tls: Tls | None = None
        self._beside: list[asyncio.Future[None]] = []

    @classmethod
    def open(cls, folder: Path, options: ServiceOptions) -> EvaluationService:
        """Take a campaign and an address.

        Args:
            folder: Of the campaign.
            options: How it is served.

        Raises:
            UnichunkError: Where the campaign cannot be run, somebody runs it, or the address is taken; one line, and
                nothing is held.
        """
        secrets = load_secrets(folder)
        keys = KeyRing(options.keys)
        tls = None
        if options.tls_cert is not None and options.tls_key is not None:
            tls = Tls(TlsFiles(options.tls_cert, options.tls_key))
        log = Log(options.log_format, options.log_level)
        settings = WebSettings(cookie_key(folder / PRIVATE), secure=tls is not None)
        with ExitStack() as stack:
            store = EvaluationStore.open(folder, secrets)
            stack.callback(store.close)
            sockets = reserve(options.host, options.port)
            for one in sockets:
                stack.callback(one.close)
            proxy = Proxy(
                store.plan,
                folder,
                ProxyOptions(sim_robots=options.sim_robots, engine=options.engine, load_s=options.load_s),
                trouble=lambda why: log.event("warning", "robots or policies", why=why),
            )
            desk = Desk(store, proxy, folder=folder, secrets=secrets, log=log)
            app = make_app(desk, keys, settings, log=log)
            app.router.routes.append(robot_route(proxy, keys))
            http = HttpServer(app, sockets, limits=ClientLimits(), tls=None if tls is None else tls.context, log=log)
            scheme = "http" if tls is None else "https"
            service = cls(store, proxy, desk, keys, log, http, f"{scheme}://{address_of(sockets[0])}")
            service._tls = tls
            stack.pop_all()
        return service

    @property
    def robots_address(self) -> str:
        """Where robots come to: `ws://host:port/robot/`, and their name."""
        return f"ws{self.address.removeprefix('http')}/robot/"

    async def start(self) -> None:
        """Load the policies, take over from a server before this one, and let people and robots in.

        Raises:
            BundleChanged: Where a policy is not the one that was frozen.
            UnichunkError: Where one cannot be loaded, or nothing can be recorded.
        """
        await self.proxy.start()
        await self.desk.start()
        await self._http.start()
        self._beside = [asyncio.ensure_future(self._look_at_keys())]
        if self._tls is not None:
            self._beside.append(asyncio.ensure_future(keep_certificate(self._tls, self.log)))

    async def close(self) -> None:
        """Hold all robots while they still listen, record what that interrupts, and end everything."""
        for task in self._beside:
            task.cancel()
        await asyncio.gather(*self._beside, return_exceptions=True)
        try:
            await self.desk.close()
        finally:
            await self._http.stop()
            await self.proxy.close()
            await self.desk.finish()
            await asyncio.to_thread(self.store.close)
            self.log.close()

    async def _look_at_keys(self) -> None:
        said = ""
        while True:
            trouble = self.keys.trouble
            if trouble != said and trouble:
                self.log.event("error", "key file", why=trouble)
            said = trouble
            await asyncio.sleep(LOOK_EVERY_S)
