"""cred's realm: turns an account into its avatar, the IMessageDelivery that takes its mail."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.cred.portal import IRealm
from twisted.mail.smtp import IMessageDelivery
from zope.interface import Interface, implementer

from gateway.accounts.account import Account


@implementer(IRealm)
class SubmissionRealm:
    """Gives each login a delivery of its own, made by the callable it was given."""

    def __init__(self, make_delivery: Callable[[Account], Any]) -> None:
        self._make_delivery = make_delivery

    def requestAvatar(
        self, avatarId: Any, mind: object, *interfaces: type[Interface]
    ) -> tuple[type[Interface], Any, Callable[[], None]]:
        """The avatar of an account. cred passes the avatar id through untouched, so the id is the account itself."""
        if IMessageDelivery not in interfaces:
            raise NotImplementedError("only IMessageDelivery can be had here")  # as IRealm asks
        return IMessageDelivery, self._make_delivery(avatarId), _nothing_to_do


def _nothing_to_do() -> None:
    """A delivery holds nothing beyond its session."""
