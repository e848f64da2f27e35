"""The closed list of what is reported. A reporter takes these; whether it logs, counts or shows them is its affair.

Fields hold no secret: accounts are named by fingerprint, reasons have been freed of keys.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from gateway.quickly import quickly_made


@dataclass(frozen=True, slots=True)
class Listening:
    """A listener takes sessions from now on."""

    endpoint: str
    tls: str
    dialect: str


@quickly_made
@dataclass(frozen=True, slots=True)
class LoggedIn:
    """A client has proved who it is."""

    session_id: str
    peer: str
    account: str
    mechanism: str


@dataclass(frozen=True, slots=True)
class LoginFailed:
    """A login was refused, or could not be decided (temporary)."""

    session_id: str
    peer: str
    user_name: str
    temporary: bool
    reason: str
    mechanism: str = ""


@dataclass(frozen=True, slots=True)
class SessionEnded:
    """A session is over; ending says why in a word of gateway.smtp.endings.

    replies are what was answered, the code, and how often: a verb, "none" for what no command has asked for, "other"
    for what is no command of ours, "end-of-data" for the end of mail data.
    """

    session_id: str
    ending: str
    replies: tuple[tuple[str, int, int], ...]


@dataclass(frozen=True, slots=True)
class SessionsLost:
    """A worker process has ended, and so many sessions with it."""

    worker: int
    sessions: int


@dataclass(frozen=True, slots=True)
class SessionCut:
    """We ended a session before the client did: silence, too many errors, too many logins."""

    session_id: str
    peer: str
    reply: str


@dataclass(frozen=True, slots=True)
class ProxyRefused:
    """A connection to a listener behind a balancer was not taken: a foreign peer, or no good PROXY header."""

    peer: str
    reason: str


@dataclass(frozen=True, slots=True)
class Rejected:
    """A recipient or a message was not taken, without any attempt at the vendor."""

    session_id: str
    message_id: str
    account: str
    reply: str
    reason: str


@quickly_made
@dataclass(frozen=True, slots=True)
class Attempted:
    """What came of a message at one vendor. outcome: accepted, refused, deferred or unknown.

    report lists what could not be carried or had to be repaired; seconds is how long the attempt took. calls are the
    requests that it took, each with the status of its answer (0: there was none) and its seconds; a request that
    carried several messages is told with the first of them.
    """

    session_id: str
    message_id: str
    account: str
    vendor: str
    outcome: str
    reverse_path: str
    recipients: int
    size_octets: int
    seconds: float
    vendor_message_id: str
    reason: str
    retry_after_seconds: float | None
    report: tuple[str, ...]
    calls: tuple[tuple[int, float], ...] = ()


@quickly_made
@dataclass(frozen=True, slots=True)
class Answered:
    """The client has got the reply to a message. outcome: accepted (by the vendor), stored, refused or deferred.

    vendor is the entry that was asked last, or will be asked first; empty when the message came to none. seconds is
    from the end of the mail data to the reply.
    """

    listener: str
    dialect: str
    vendor: str
    outcome: str
    size_octets: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Repeated:
    """A message came again though all its recipients had been served: it was accepted, and nothing sent."""

    session_id: str
    message_id: str
    account: str
    recipients: int


@dataclass(frozen=True, slots=True)
class Stored:
    """A message is on stable storage, and the client was told that it is accepted. recipients are those that wait."""

    session_id: str
    message_id: str
    account: str
    mode: str
    lane: str
    recipients: int
    size_octets: int


@dataclass(frozen=True, slots=True)
class Waiting:
    """A stored message was not taken for so many recipients; seconds until it is attempted again."""

    session_id: str
    message_id: str
    account: str
    recipients: int
    attempts: int
    seconds: float
    reason: str


@dataclass(frozen=True, slots=True)
class Ended:
    """A stored message has come to its end for a recipient: relayed, refused or expired."""

    session_id: str
    message_id: str
    account: str
    recipient: str
    state: str
    vendor: str
    vendor_message_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class Held:
    """A stored message stays until somebody releases it."""

    session_id: str
    message_id: str
    account: str
    recipients: int
    reason: str


@dataclass(frozen=True, slots=True)
class InDoubt:
    """A stored message was being attempted when its gateway ended or fell silent: a vendor may have it."""

    session_id: str
    message_id: str
    account: str
    vendor: str


@dataclass(frozen=True, slots=True)
class Reloaded:
    """The settings were read again, and new sessions get them."""

    listeners: int


@dataclass(frozen=True, slots=True)
class ReloadRefused:
    """The settings were read again, and nothing was changed, because of these problems."""

    problems: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CertificateTaken:
    """The file of a certificate has changed, and new handshakes get what is in it now; until says when it ends."""

    certificate: str
    until: str


@dataclass(frozen=True, slots=True)
class Alarm:
    """Something only the operator can put right."""

    text: str


@dataclass(frozen=True, slots=True)
class Failed:
    """A fault of our own; trace tells where."""

    session_id: str
    trace: str


Event = (
    Listening
    | LoggedIn
    | LoginFailed
    | SessionEnded
    | SessionsLost
    | SessionCut
    | ProxyRefused
    | Rejected
    | Attempted
    | Answered
    | Repeated
    | Stored
    | Waiting
    | Ended
    | Held
    | InDoubt
    | Reloaded
    | ReloadRefused
    | CertificateTaken
    | Alarm
    | Failed
)
COUNTED_ONLY: frozenset[type[Event]] = frozenset({SessionEnded, Answered})
"""What observers are told and the log is not: other events tell the same there, with more."""
Reporter = Callable[[Event], None]
