"""A real Chromium for tests: the one of this machine, never one that is downloaded."""

from __future__ import annotations

import shutil
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from playwright.sync_api import sync_playwright

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, BrowserContext, Page, Route

CHROMIUM = shutil.which("chromium")
SOON_MS = 20_000
"""Nothing takes so long; a loaded machine may need some of it."""


@contextmanager
def chromium() -> Iterator[Browser]:
    """A browser that is closed in the end."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@dataclass
class Tab:
    """Somebody's page.

    Attributes:
        page: The page.
        context: Its cookies and storage.
        address: Of the server.
        faults: What the browser complained about, such as a script that the page's own policy forbids.
    """

    page: Page
    context: BrowserContext
    address: str
    faults: list[str] = field(default_factory=list)

    @classmethod
    def open(cls, browser: Browser, address: str, name: str, **options: Any) -> Tab:
        """A browser of somebody's own, who signs in."""
        context = browser.new_context(**{"viewport": {"width": 1024, "height": 768}, **options})
        context.set_default_timeout(SOON_MS)
        page = context.new_page()
        tab = cls(page, context, address)
        page.on("pageerror", lambda error: tab.faults.append(str(error)))
        page.on("console", lambda message: tab._hear(message.type, message.text))
        # As the form does it, without looking at the form.
        context.request.post(f"{address}/login", form={"key": name}, max_redirects=0)
        page.goto(f"{address}/")
        return tab

    def sign_in(self, name: str) -> None:
        """On the page that is for it."""
        self.page.fill("#key", name)
        with self.page.expect_navigation(wait_until="domcontentloaded"):
            self.page.click("button.primary")

    def _hear(self, kind: str, text: str) -> None:
        # A request that failed is what some tests are about.
        if kind in {"error", "warning"} and "Failed to load resource" not in text:
            self.faults.append(text)

    @contextmanager
    def away(self, pattern: str = "**/api/**") -> Iterator[None]:
        """The network is away for some addresses."""
        self.page.route(pattern, _lost)
        yield
        self.page.unroute(pattern, _lost)

    def says(self, selector: str, text: str) -> None:
        """Wait until an element holds a text."""
        self.page.wait_for_function(
            "([selector, text]) => document.querySelector(selector)?.textContent.includes(text)", arg=[selector, text]
        )

    def state(self, name: str) -> None:
        """Wait until the page of a trial shows a state, and its script runs."""
        self.page.wait_for_selector(f'main[data-state="{name}"]')
        self.page.wait_for_load_state("domcontentloaded")

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)


def _lost(route: Route) -> None:
    route.abort("internetdisconnected")
