"""Makes the parts that tell of mail after its acceptance, as the settings ask: notices, webhooks and their sender."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from OpenSSL import SSL

from gateway.accounts.seal import Seal
from gateway.http_client import HttpClient
from gateway.notice_settings import WebhookSettings
from gateway.notices.dsn import Sender
from gateway.notices.notices import Notices
from gateway.notices.sender import Webhooks
from gateway.notices.webhooks import Webhook, read_key
from gateway.secret import Secret, SecretError
from gateway.settings import Settings, SettingsError
from gateway.tables import Problem

CONNECT_SECONDS = 10.0  # as for vendors


def webhooks(settings: Settings) -> tuple[Webhook, ...]:
    """The webhooks of the settings, their secrets revealed. SettingsError when one cannot be had or is none."""
    return tuple(webhook(one, f"webhooks[{number}]") for number, one in enumerate(settings.webhooks))


def webhook(one: WebhookSettings, path: str) -> Webhook:
    """The webhook of the settings at this path."""
    secrets = (("secret", one.secret), ("previous_secret", one.previous_secret))
    return Webhook(
        name=one.known_as,
        url=one.url,
        format=one.format,
        keys=tuple(_key(secret, f"{path}.{name}") for name, secret in secrets if secret is not None),
        login=_login(one.login, f"{path}.login") if one.login is not None else "",
        events=frozenset(one.events),
        accounts=frozenset(one.accounts),
        timeout_seconds=one.timeout_seconds,
        give_up_after_seconds=one.give_up_after_seconds,
    )


def _key(secret: Secret, path: str) -> bytes:
    try:
        return read_key(secret.reveal())
    except (SecretError, ValueError) as error:
        raise SettingsError([Problem(path, str(error))]) from None


def _login(secret: Secret, path: str) -> str:
    try:
        login = secret.reveal()
    except SecretError as error:
        raise SettingsError([Problem(path, str(error))]) from None
    if ":" not in login:
        raise SettingsError([Problem(path, 'expected "user:password"')])
    return login


def notices(
    settings: Settings, hooks: Sequence[Webhook], seal: Seal, new_id: Callable[[], str], expiry_seconds: float
) -> Notices:
    """What the queue calls. seal is the one that client keys of the store are sealed with, each to its message id."""

    def reseal(sealed: bytes, old_id: str, other_id: str) -> bytes:
        return seal.seal(other_id, seal.open(old_id, sealed))

    sender = Sender(settings.hostname, settings.notices.sender or f"postmaster@{settings.hostname}")
    return Notices(sender, tuple(hooks), new_id, reseal, expiry_seconds)


def webhooks_with_clients(settings: Settings, hooks: Sequence[Webhook], reactor: Any) -> Webhooks:
    """The webhooks of the settings as their sender takes them. SettingsError when roots cannot be read."""
    return {
        hook.name: (hook, webhook_client(one, f"webhooks[{number}]", reactor))
        for number, (one, hook) in enumerate(zip(settings.webhooks, hooks, strict=True))
    }


def webhook_client(one: WebhookSettings, path: str, reactor: Any) -> HttpClient:
    """The HTTP client of one webhook, by its roots."""
    try:
        return HttpClient(reactor, connect_seconds=CONNECT_SECONDS, ca_file=one.ca_file)
    except SSL.Error:
        problem = Problem(f"{path}.ca_file", f"{one.ca_file}: no certificates in PEM form in it")
        raise SettingsError([problem]) from None
