"""Renewed certificates are taken while a server runs."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from unichunk.runtime.errors import UnichunkError

if TYPE_CHECKING:
    from unichunk.server.serving.logs import Log
    from unichunk.server.serving.tls import Tls

RENEW_EVERY_S: Final = 60.0
"""How often the certificate's file is looked at, [s]."""


async def keep_certificate(tls: Tls, log: Log) -> None:
    """Look for a renewed certificate once a minute, for ever.

    Args:
        tls: What connections are made with.
        log: Told of a new one, and why one cannot be used.
    """
    while True:
        await asyncio.sleep(RENEW_EVERY_S)
        try:
            if tls.renew():
                log.event("info", "certificate renewed")
        except UnichunkError as error:
            log.event("error", "certificate not renewed", why=str(error))
