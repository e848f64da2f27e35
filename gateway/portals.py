"""Builds cred's portal of each listener: whom its dialect lets in, and as what."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from twisted.cred.portal import Portal

from gateway.accounts.account import Account
from gateway.accounts.checkers import ApiKeyChecker, CredentialChecker, DialectChecker
from gateway.accounts.credentials import StoredCredentials
from gateway.accounts.mailboxes import ImapLogin, MailboxChecker
from gateway.accounts.mechanism_checkers import BearerChecker, CertificateChecker, VerifiedChecker
from gateway.accounts.proofs import StoredProofs
from gateway.accounts.realm import SubmissionRealm
from gateway.accounts.remembered import RememberedAnswers
from gateway.accounts.server_tokens import ServerTokenChecker
from gateway.departures import VendorEntry
from gateway.events import Alarm, Reporter
from gateway.http_tls import VerifiedHttps
from gateway.settings import Listener, Settings
from gateway.vendor import Dialect, VendorAccount, load


@dataclass(frozen=True, slots=True)
class Portals:
    """Makes the portals of one service. answers are remembered for all listeners together."""

    settings: Settings
    vendors: Mapping[str, VendorEntry]
    credentials: StoredCredentials
    proofs: StoredProofs
    answers: RememberedAnswers
    reactor: Any
    report: Reporter
    make_delivery: Callable[[Account], Any]

    def portal(self, listener: Listener) -> Portal:
        """The portal of one listener: a checker for each kind of credentials, and the realm."""
        name, dialect = listener.dialect, load(listener.dialect).dialect
        keys = self._keys(name)
        with_key = self._with_key()
        checkers = [
            DialectChecker(
                dialect.user_name,
                keys,
                CredentialChecker(name, self.credentials, with_key),
                key_twice=dialect.key_twice,
                mailboxes=self._mailboxes(name) if dialect.mailboxes else None,
            ),
            VerifiedChecker(name, self.proofs, with_key, keys if dialect.key_twice else None),
            BearerChecker(keys),
            CertificateChecker(name, self.proofs, with_key),
        ]
        realm = SubmissionRealm(lambda account: self.make_delivery(_placed(account, listener, dialect)))
        return Portal(realm, checkers)

    def server_tokens(self) -> ServerTokenChecker:
        """Who an application is by the one token of Postmark's HTTP API: the account that it is over SMTP."""
        return ServerTokenChecker(
            self._keys("postmark"), CredentialChecker("postmark", self.credentials, self._with_key())
        )

    def _with_key(self) -> frozenset[str]:
        """The vendor entries that a credential can stand for."""
        return frozenset(vendor for vendor, entry in self.vendors.items() if entry.key is not None)

    def _keys(self, dialect: str) -> ApiKeyChecker | None:
        name = self.settings.key_vendor(dialect)
        if name is None:
            return None
        entry = self.vendors[name]
        return ApiKeyChecker(
            dialect,
            name,
            lambda key: entry.relay.check_key(entry.vendor, VendorAccount(entry.url, key)),
            self.answers,
        )

    def _mailboxes(self, dialect: str) -> MailboxChecker | None:
        """The mail host of the dialect's vendor, where the settings name one."""
        name = self.settings.key_vendor(dialect)
        if name is None or not self.settings.vendors[name].mailbox_host:
            return None
        vendor = self.settings.vendors[name]
        ask_host = ImapLogin(
            self.reactor,
            VerifiedHttps(self.reactor.seconds, vendor.ca_file),
            vendor.mailbox_host,
            vendor.mailbox_port,
            deadline_seconds=vendor.login_seconds,
            undecided=lambda reason: self.report(Alarm(reason)),
        )
        has_key = self.vendors[name].key is not None
        return MailboxChecker(dialect, name, ask_host, self.answers, has_key=has_key)


def _placed(account: Account, listener: Listener, dialect: Dialect) -> Account:
    """The account as it came in on this listener."""
    own_address = account.user_name if dialect.mailboxes and "@" in account.user_name else ""
    return replace(
        account,
        listener=listener.name or listener.endpoint,
        stream=account.stream or listener.stream,
        own_address=own_address,
    )
