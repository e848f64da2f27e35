"""What one client may cost us. Every limit is a setting of the [limits] table and has its reason beside it."""

from __future__ import annotations

from dataclasses import dataclass

MIB = 1024 * 1024
MINUTE = 60
HOUR = 60 * MINUTE


@dataclass(frozen=True, slots=True)
class Limits:
    """The caps on a session, an address and the whole service; octets and seconds as the names say."""

    message_octets: int = 50 * MIB
    """What Postscale takes over SMTP; its own library counts a megabyte as 2^20."""
    recipients: int = 100
    """What Postscale takes, and the least a server must (RFC 5321 §4.5.3.1.8)."""
    idle_seconds: int = 60
    """Postscale's connection time-out. A command not ended by then, or mail data that stands still, gets 421."""
    data_seconds: int = 30 * MINUTE
    """The largest message over a line of 256 kbit/s; slower is a client that drips to hold a slot."""
    session_seconds: int = HOUR
    """Long enough for any pool of connections, short enough that nobody holds a slot for a day."""
    handshake_seconds: int = 30
    """A TLS handshake takes two round trips; a client that says nothing on port 465 is gone after this."""
    command_octets: int = 4096
    """512 (RFC 5321 §4.5.3.1.4) and what the extensions add, with room for VERP reverse-paths of 1,024 octets."""
    auth_response_octets: int = 12288
    """What a server must take in one SASL response line (RFC 4954 §4)."""
    text_line_octets: int = 16384
    """RFC 5321 §4.5.3.1.6 asks for 1,000; applications that write HTML in one line send more and mean no harm."""
    commands_between_messages: int = 1000
    """A transaction with 100 recipients takes about 104; a client that never sends mail is not one of ours."""
    messages_per_session: int = 10_000
    """Announced as MAILMAX (RFC 9422). A client with more to send connects again, maybe to another of our machines."""
    protocol_errors: int = 20
    """Clients probe a few unknown commands; whoever goes on speaks another protocol, or guesses."""
    failed_logins: int = 3
    """A person mistypes twice; a program with a wrong password only repeats it."""
    failed_logins_per_address: int = 100
    """Different pairs of user name and secret within the window: an office behind one address has fewer people who
    mistype, and a client that repeats its stale password counts once."""
    failed_login_window_seconds: int = 10 * MINUTE
    """With 100 guesses in each window an address has 14,400 a day, which is nothing against a key of 128 bits."""
    failed_login_delay_seconds: float = 2.0
    """The longest wait before a failed login is answered; it starts at a tenth of a second and doubles each time."""
    sessions: int = 800
    """Two sockets and a spool file each make 2,400 descriptors; the service unit allows 65,536."""
    sessions_per_address: int = 100
    """Twice what mail libraries open in their pools from one host."""
    spool_memory_octets: int = 256 * 1024
    """Most mail is smaller and never touches the disk; all sessions together hold 200 MB at the worst."""
    octets_in_flight: int = 2048 * MIB
    """What all messages being received or relayed may have together: forty of the largest. Beyond it DATA gets 452."""
    drain_seconds: int = 30
    """How long a stop waits for messages in hand; below systemd's own 90 seconds."""
