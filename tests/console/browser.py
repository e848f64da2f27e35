"""A real Chromium, and what nothing on the console's pages may ever do in it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

PROGRAM = shutil.which("chromium")
PHONE = {"width": 360, "height": 740}
DESK = {"width": 1180, "height": 860}
WAIT_MILLISECONDS = 15_000


@contextmanager
def chromium() -> Iterator[Browser]:
    """Debian's Chromium. Its own sandbox needs rights that root in a container has not; the pages are ours."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=PROGRAM, args=["--no-sandbox"])
        try:
            yield browser
        finally:
            browser.close()


class Visit:
    """One browser session at one console. troubles is what went wrong meanwhile, whatever the test looked at."""

    def __init__(self, browser: Browser, base: str, **options: Any) -> None:
        self.base = base
        self.troubles: list[str] = []
        self.context: BrowserContext = browser.new_context(**{"viewport": DESK, "base_url": base, **options})
        self.context.set_default_timeout(WAIT_MILLISECONDS)
        self.page: Page = self.context.new_page()
        self.page.on("dialog", self._dialog)
        self.page.on("pageerror", lambda error: self.troubles.append(f"error in a script: {error}"))
        self.page.on("console", lambda message: self._console(message.type, message.text))
        self.page.on("request", lambda request: self._request(request.url))

    def go(self, path: str) -> Page:
        """Open a page of the console."""
        self.page.goto(path)
        return self.page

    def scrolls_sideways(self) -> bool:
        """Whether the page is wider than the window."""
        width = "document.documentElement.scrollWidth > document.documentElement.clientWidth"
        return bool(self.page.evaluate(width))

    def _dialog(self, dialog: Any) -> None:
        self.troubles.append(f"a dialog: {dialog.message}")
        dialog.dismiss()

    def _console(self, kind: str, text: str) -> None:
        if kind == "error" and "Failed to load resource" not in text:  # those are answers, which tests look at
            self.troubles.append(f"the browser says: {text}")

    def _request(self, url: str) -> None:
        if not url.startswith((self.base, "data:", "about:", "blob:")):
            self.troubles.append(f"a request elsewhere: {url}")
