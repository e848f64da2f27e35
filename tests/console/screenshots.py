"""Makes the pictures of the README: `make screenshots`, or python -m tests.console.screenshots FOLDER."""

from __future__ import annotations

import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from playwright.sync_api import Browser, Page

from gateway.store.interface import Transaction
from gateway.store.records import Attempt, State
from gateway.store.sqlite import SqliteStore
from tests.console.browser import Visit, chromium
from tests.console.stored import UNAVAILABLE, an_hour, attempts, events, message
from tests.sandbox.console_process import running

IMAGES = Path(__file__).parents[2] / "docs" / "images"
LARGEST_OCTETS = 200_000  # a README is read over slow lines too
WINDOW = {"width": 1120, "height": 900}


def make_all(browser: Browser, base: str, folder: Path) -> None:
    """All pictures, of a console that shows an_hour()."""
    visiting = Visit(browser, base, viewport=WINDOW)
    page = visiting.go("/overview")
    page.locator("#live.on").wait_for()
    _save(page, folder / "overview.png")
    visiting.go("/queue")
    page.get_by_role("checkbox", name="Choose:").nth(1).check()
    page.get_by_role("checkbox", name="Choose:").nth(2).check()
    page.mouse.move(0, 0)
    page.evaluate("document.activeElement.blur()")
    _save(page, folder / "queue.png")
    visiting.go("/messages?text=where+is+my")
    page.locator("ol.rows a").first.click()
    page.locator("ol.story").wait_for()
    page.mouse.move(0, 0)
    _save(page, folder / "message.png")
    visiting.context.close()
    if visiting.troubles:
        raise RuntimeError("; ".join(visiting.troubles))


def _save(page: Page, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=path, animations="disabled")


def fill(folder: Path) -> None:
    """What the pictures show."""
    store = SqliteStore(folder / "store.sqlite")
    store.open()
    an_hour(store)
    store.run(_a_story)
    store.close()


def _a_story(transaction: Transaction) -> None:
    """A message that had to wait, and was refused in the end."""
    one = message(time.time() - 190, State.REFUSED, "Where is my invoice?")
    path, at = one.recipients[0].path, one.received_at
    busy = Attempt(
        "main", at + 0.1, 0.4, {path: "deferred"}, "503: Try again later.", 60.0, (UNAVAILABLE,), gateway="gateway-1"
    )
    (last,) = attempts(one)
    transaction.add_message(one, None, [busy, replace(last, began_at=at + 72, seconds=0.1)])
    received, refused = events(one)
    waits = replace(refused, name="deferred", at=at + 0.6)
    transaction.add_events([received, waits, replace(refused, at=at + 72.2)])


def main() -> None:
    """Make the pictures anew."""
    images = Path(sys.argv[1]) if len(sys.argv) > 1 else IMAGES
    with tempfile.TemporaryDirectory() as name, chromium() as browser:
        folder = Path(name)
        with running(folder / "inbox") as process:
            fill(folder)
            make_all(browser, f"http://127.0.0.1:{process.port}", images)


if __name__ == "__main__":
    main()
