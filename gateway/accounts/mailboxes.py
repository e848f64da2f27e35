"""Mailbox users: a full address and its mailbox's password, checked by a real login at the vendor's mail host.

IMAP over TLS from the first octet (RFC 8314), with Twisted's own client. Whom such an account may send as, and with
which key, is not said here.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from twisted.internet.defer import Deferred, TimeoutError
from twisted.internet.endpoints import HostnameEndpoint, connectProtocol, wrapClientTLS
from twisted.internet.protocol import connectionDone
from twisted.mail.imap4 import Command, IMAP4Client, IMAP4Exception
from twisted.python.failure import Failure

from gateway.accounts.account import Account
from gateway.accounts.remembered import RememberedAnswers
from gateway.errors import LoginRefused, LoginUndecided
from gateway.http_tls import VerifiedHttps

IMAPS_PORT = 993
ADDRESS = re.compile(r"[^\x00-\x20\x7f@]{1,64}@[^\x00-\x20\x7f@]{1,255}\Z")  # the lengths of RFC 5321 §4.5.3.1
PASSWORD = re.compile(r"[^\x00\r\n]{1,1024}\Z")  # none of these can be said in IMAP; no mail host takes longer ones
ANSWER_OCTETS = 65536  # a greeting, the capabilities and an answer are a few hundred
CODE = re.compile(rb"\[([A-Z]{1,40})[\] ]", re.IGNORECASE)
# Response codes with which NO says nothing of the password (RFC 5530 §3)
UNDECIDED_CODES = frozenset({"UNAVAILABLE", "LIMIT", "SERVERBUG", "INUSE", "PRIVACYREQUIRED"})


class MailboxChecker:
    """Takes an address and a password that the mail host takes.

    ask_host: what ImapLogin is. has_key: whether the vendor entry has the key that a mailbox's mail is sent with.
    """

    def __init__(
        self,
        dialect: str,
        vendor: str,
        ask_host: Callable[[str, str], Awaitable[bool | None]],
        remembered: RememberedAnswers,
        *,
        has_key: bool,
    ) -> None:
        self._dialect = dialect
        self._vendor = vendor
        self._ask_host = ask_host
        self._remembered = remembered
        self._has_key = has_key

    async def check(self, address: str, password: str) -> Account:
        """The account of this mailbox; its user name is the address. LoginRefused, or LoginUndecided."""
        if not ADDRESS.match(address) or not PASSWORD.match(password):
            raise LoginRefused
        good = await self._remembered.ask(
            "mailbox", self._vendor, address, password, question=lambda: self._ask_host(address, password)
        )
        if good is None:
            raise LoginUndecided(f"the mail host of {self._vendor} could not be asked about the mailbox")
        if not good:
            raise LoginRefused
        if not self._has_key:
            raise LoginUndecided(f"mailboxes send with the key of vendors.{self._vendor}, which has none")
        return Account(f"{self._vendor}/mailbox-{address.lower()}", self._dialect, self._vendor, user_name=address)


class ImapLogin:
    """Asks a mail host about an address and a password by logging in, and leaves at once.

    deadline_seconds is for the whole of it. undecided hears why a login could not be decided, without any secret.
    """

    def __init__(
        self,
        reactor: Any,
        policy: VerifiedHttps,
        host: str,
        port: int = IMAPS_PORT,
        *,
        deadline_seconds: float,
        undecided: Callable[[str], None],
    ) -> None:
        self._reactor = reactor
        self._policy = policy
        self._host = host
        self._port = port
        self._deadline_seconds = deadline_seconds
        self._undecided = undecided

    async def __call__(self, address: str, password: str) -> bool | None:
        """True, False, or None when the mail host could not say."""
        asking = Deferred.fromCoroutine(self._ask(address, password))
        try:
            return await asking.addTimeout(self._deadline_seconds, self._reactor)
        except TimeoutError:
            self._tell("no answer in time")
        except Exception as error:  # whatever it is, it says nothing of the password; nor may its text
            self._tell(type(error).__name__)
        return None

    async def _ask(self, address: str, password: str) -> bool | None:
        host = self._host.encode("ascii")
        # The connection is ours to time: the endpoint's own limit must not be the shorter one
        endpoint = HostnameEndpoint(self._reactor, self._host, self._port, timeout=self._deadline_seconds)
        client = LoginClient()
        await connectProtocol(wrapClientTLS(self._policy.creatorForNetloc(host, self._port), endpoint), client)
        try:
            return await self._log_in(client, address, password)
        finally:
            client.leave()

    async def _log_in(self, client: LoginClient, address: str, password: str) -> bool | None:
        await client.greeted
        # Not those of the greeting: of a greeting with another code Twisted remembers that there are none
        capabilities = await client.getCapabilities(useCache=0)  # type: ignore[no-untyped-call]  # Twisted's is untyped
        command = login_command(client, capabilities, address, password)
        if command is None:
            self._tell("it offers no login for such a password")
            return None
        try:
            await client.sendCommand(command)  # type: ignore[no-untyped-call]  # Twisted's is untyped
        except IMAP4Exception as error:
            return self._refusal(client.answer_status, error)
        return True

    def _refusal(self, status: bytes, error: IMAP4Exception) -> bool | None:
        """NO is for the password unless its code says otherwise; BAD is for the command (RFC 9051 §7.1)."""
        text = error.args[0] if error.args and isinstance(error.args[0], bytes) else b""
        match = CODE.match(text)
        code = match[1].decode().upper() if match else ""
        if status == b"NO" and code not in UNDECIDED_CODES:
            return False
        self._tell(f"it answered {'NO' if status == b'NO' else 'BAD'} {code}".rstrip())
        return None

    def _tell(self, reason: str) -> None:
        self._undecided(f"mail host {self._host}: {reason}")


class LoginClient(IMAP4Client):
    """Twisted's IMAP client, which remembers how an answer began, stops reading at some point, and logs nothing.

    greeted fires when the host is ready for a login; it and every command fail when the connection is lost.
    """

    timeout = 0  # Twisted's name; the deadline is the caller's, for the whole

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # Twisted's is untyped
        self.greeted: Deferred[None] = Deferred()
        self.answer_status = b""
        self._received_octets = 0

    def serverGreeting(self, caps: object) -> None:  # Twisted's name
        """PREAUTH would be somebody's login, but not this one's."""
        if self.state == "unauth":
            self.greeted.callback(None)
        else:
            self.leave()

    def dataReceived(self, data: bytes) -> None:  # Twisted's name
        """Read on, up to a limit; what cannot be read ends the connection."""
        self._received_octets += len(data)
        try:
            if self._received_octets > ANSWER_OCTETS:
                raise ValueError("too long an answer")
            super().dataReceived(data)  # type: ignore[no-untyped-call]  # Twisted's is untyped
        except Exception:  # Twisted would log the line, and a host may repeat the password in it
            self.leave()

    def dispatchCommand(self, tag: bytes, rest: bytes) -> None:  # Twisted's name
        """As Twisted's for a session without a login, except that errors are dataReceived's."""
        if tag not in (b"*", b"+"):
            self.answer_status = rest.split(None, 1)[0].upper() if rest else b""
        self.response_UNAUTH(tag, rest)  # type: ignore[no-untyped-call]  # Twisted's is untyped

    def connectionLost(self, reason: Failure = connectionDone) -> None:  # Twisted's name
        """The connection is gone, and with it whatever is waited for."""
        super().connectionLost(reason)  # type: ignore[no-untyped-call]  # Twisted's is untyped
        if not self.greeted.called:
            self.greeted.errback(reason)

    def leave(self) -> None:
        """Close at once: a LOGOUT would be one more answer to wait for."""
        transport: Any = self.transport  # ITransport does not know abortConnection
        if transport is not None:
            transport.abortConnection()


def login_command(
    client: LoginClient, capabilities: Mapping[bytes, object], address: str, password: str
) -> Command | None:
    """AUTHENTICATE PLAIN where it is offered, else LOGIN; None when neither can say it (RFC 9051 §6.2)."""
    mechanisms = capabilities.get(b"AUTH")
    if isinstance(mechanisms, list) and b"PLAIN" in {str(one, "latin-1").upper().encode() for one in mechanisms}:
        said = iter([base64.b64encode(f"\0{address}\0{password}".encode())])  # RFC 4616 §2; said once

        def say(_: bytes) -> None:
            client.sendLine(next(said))  # type: ignore[no-untyped-call]  # Twisted's is untyped

        return Command(b"AUTHENTICATE", b"PLAIN", (), say)
    if b"LOGINDISABLED" in capabilities or not f"{address}{password}".isascii():
        return None
    return Command(b"LOGIN", b" ".join(quoted(text) for text in (address, password)))


def quoted(text: str) -> bytes:
    """An IMAP quoted string of ASCII without line ends (RFC 9051 §4.3)."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'.encode("ascii")
