"""Builds the receptions of each listener: the rules of its sessions, whom its dialects let in, and as what."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

from twisted.cred.portal import Portal

from gateway.accounts.account import Account
from gateway.accounts.checkers import ApiKeyChecker, CredentialChecker, DialectChecker, KeyLogin, StoredAccounts
from gateway.accounts.credentials import StoredCredentials
from gateway.accounts.last_use import LastUse
from gateway.accounts.mailboxes import ImapLogin, MailboxChecker
from gateway.accounts.mechanism_checkers import BearerChecker, CertificateChecker, VerifiedChecker
from gateway.accounts.proofs import StoredProofs
from gateway.accounts.realm import SubmissionRealm
from gateway.accounts.remembered import RememberedAnswers
from gateway.accounts.server_tokens import ServerTokenChecker
from gateway.departures import VendorEntry
from gateway.events import Alarm, Reporter
from gateway.http_tls import VerifiedHttps
from gateway.rules import session_rules, shared_rules
from gateway.settings import Listener, Settings
from gateway.smtp.reception import Reception, Receptions
from gateway.vendor import VendorAccount, load


@dataclass(frozen=True, slots=True)
class Portals:
    """Makes the portals and receptions of one service. answers are remembered for all listeners together."""

    settings: Settings
    vendors: Mapping[str, VendorEntry]
    credentials: StoredCredentials
    proofs: StoredProofs
    last_use: LastUse
    answers: RememberedAnswers
    reactor: Any
    report: Reporter
    make_delivery: Callable[[Account], Any]

    def receptions(self, listener: Listener) -> Receptions:
        """How the sessions of one listener are received, by default and by server name."""
        by_name = {
            one.name.lower(): self._reception(
                listener, (one.dialect,) if one.dialect else listener.spoken, one.stream or listener.stream
            )
            for one in listener.names
        }
        return Receptions(self._reception(listener, listener.spoken, listener.stream), by_name)

    def _reception(self, listener: Listener, spoken: tuple[str, ...], stream: str) -> Reception:
        portal = self._portal(listener, spoken, stream)
        if len(spoken) == 1:
            return Reception(session_rules(self.settings, listener, spoken[0]), portal)
        rules = shared_rules(self.settings, listener, spoken)
        by_dialect = {
            # What EHLO has promised holds to the end of the session (RFC 2034 §4)
            one: replace(session_rules(self.settings, listener, one), enhanced=rules.enhanced)
            for one in spoken
        }
        return Reception(rules, portal, by_dialect)

    def _portal(self, listener: Listener, spoken: tuple[str, ...], stream: str) -> Portal:
        """A checker for each kind of credentials that these dialects know, and the realm."""
        accounts = StoredAccounts(
            self._with_key(),
            lambda vendor: self._dialect_of(vendor, spoken),
            self.last_use.note,
        )
        key_logins = [login for one in spoken if (login := self._key_login(one)) is not None]
        twice = next((one.keys for one in key_logins if one.key_twice), None)
        mailboxes = next((self._mailboxes(one) for one in spoken if load(one).dialect.mailboxes), None)
        checkers = [
            DialectChecker(key_logins, CredentialChecker(self.credentials, accounts), mailboxes),
            VerifiedChecker(self.proofs, accounts, twice),
            BearerChecker(key_logins),
            CertificateChecker(self.proofs, accounts),
        ]
        with_mailboxes = [one for one in spoken if load(one).dialect.mailboxes]
        realm = SubmissionRealm(lambda account: self.make_delivery(_placed(account, listener, stream, with_mailboxes)))
        return Portal(realm, checkers)

    def _dialect_of(self, vendor: str, spoken: tuple[str, ...]) -> str:
        """What clients speak whose credential stands for this entry: its own dialect where it is spoken."""
        api = self.settings.vendors[vendor].api
        return api if api in spoken else spoken[0]

    def _key_login(self, dialect: str) -> KeyLogin | None:
        """None where clients have no API key to log in with, or no vendor could be asked about one."""
        spoken, keys = load(dialect).dialect, self._keys(dialect)
        if keys is None or not (spoken.user_name or spoken.key_twice):
            return None
        return KeyLogin(keys, spoken.user_name, spoken.key_twice)

    def server_tokens(self) -> ServerTokenChecker:
        """Who an application is by the one token of Postmark's HTTP API: the account that it is over SMTP."""
        accounts = StoredAccounts(self._with_key(), lambda vendor: "postmark", self.last_use.note)
        return ServerTokenChecker(self._keys("postmark"), CredentialChecker(self.credentials, accounts))

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


def _placed(account: Account, listener: Listener, stream: str, with_mailboxes: Collection[str]) -> Account:
    """The account as it came in on this listener, where messages that name no stream have this one.

    with_mailboxes: the dialects whose users may have one, and then send from it alone.
    """
    has_mailbox = account.dialect in with_mailboxes and "@" in account.user_name
    return replace(
        account,
        listener=listener.name or listener.endpoint,
        stream=account.own_stream or stream,
        own_address=account.user_name if has_mailbox else "",
    )
