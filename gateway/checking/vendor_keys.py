"""Whether the keys of the settings are good: the vendors are asked, as at a login."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gateway.check import is_left_to_systemd
from gateway.checking.finding import Finding, good, note, problem
from gateway.parts import vendor_entry
from gateway.settings import Settings
from gateway.vendor import VendorAccount


def keys_to_ask_about(settings: Settings) -> list[str]:
    """The vendor entries whose keys can be seen here."""
    return [name for name, one in settings.vendors.items() if one.key is not None and not is_left_to_systemd(one.key)]


async def look_at_key(settings: Settings, name: str, reactor: Any) -> Finding:
    """Ask the vendor about the key of this entry, within its login_seconds. SettingsError when it cannot be had."""
    entry = vendor_entry(name, settings.vendors[name], reactor, _at_once)
    path = f"vendors.{name}.key"
    assert entry.key is not None
    try:
        answer = await entry.relay.check_key(entry.vendor, VendorAccount(entry.url, entry.key))
    finally:
        await entry.relay.close()
    if answer is None:
        return problem(path, f"{entry.url} gave no answer", "see that this machine reaches it, or use --offline")
    if not answer:
        return problem(path, f"{entry.url} refuses it", "put a good key in its place, then: mailgateway reload")
    return good(path, f"{entry.url} takes it")


def not_asked(settings: Settings) -> list[Finding]:
    """For --offline."""
    return [note(f"vendors.{name}.key", "the vendor was not asked about it") for name in keys_to_ask_about(settings)]


def _at_once(call: Callable[[], Any]) -> Any:
    """A question about a key has no large body that would need a thread."""
    return call()
