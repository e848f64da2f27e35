"""The replies the SMTP side gives on its own, each with the section that asks for it, and how a reply is written."""

from __future__ import annotations

import re
from functools import lru_cache

from gateway.outcome import Reply

OK = Reply(250, "OK", "2.0.0")  # RFC 5321 §4.2.3
RESET = Reply(250, "Reset", "2.0.0")  # RFC 5321 §4.1.1.5
REVERSE_PATH_OK = Reply(250, "Sender OK", "2.1.0")  # RFC 5321 §4.1.1.2
FORWARD_PATH_OK = Reply(250, "Recipient OK", "2.1.5")  # RFC 5321 §4.1.1.3
CLOSING = Reply(221, "Bye", "2.0.0")  # RFC 5321 §4.1.1.10
READY_FOR_TLS = Reply(220, "Ready to start TLS", "2.0.0")  # RFC 3207 §4
AUTHENTICATED = Reply(235, "Authentication succeeded", "2.7.0")  # RFC 4954 §6
START_MAIL_INPUT = Reply(354, "Start mail input; end with <CRLF>.<CRLF>")  # RFC 5321 §4.1.1.4
CHUNK_OK = Reply(250, "Chunk OK", "2.0.0")  # RFC 3030 §2
CANNOT_VERIFY = Reply(252, "Cannot VRFY user, but will take mail for it", "2.5.0")  # RFC 5321 §3.5.3
HELP = Reply(
    214, "EHLO HELO STARTTLS AUTH MAIL RCPT DATA BDAT RSET NOOP VRFY HELP QUIT\nSee RFC 6409", "2.0.0"
)  # RFC 5321 §4.1.1.8

LINE_TOO_LONG = Reply(500, "Line too long", "5.5.6")  # RFC 5321 §4.5.3.1.4
BARE_LINE_END = Reply(500, "Lines end with CRLF; bare CR or LF refused", "5.5.2")  # RFC 5321 §2.3.8
UNKNOWN_COMMAND = Reply(500, "Command not recognized", "5.5.1")  # RFC 5321 §4.2.4
NOT_IMPLEMENTED = Reply(502, "Command not implemented", "5.5.1")  # RFC 5321 §4.2.4
SYNTAX_ERROR = Reply(501, "Syntax error in arguments", "5.5.4")  # RFC 5321 §4.2.2
NO_ARGUMENT_ALLOWED = Reply(501, "No argument allowed", "5.5.4")  # RFC 5321 §4.1.1.4, RFC 3207 §4
PARAMETER_UNKNOWN = Reply(555, "MAIL or RCPT parameter not recognized", "5.5.4")  # RFC 5321 §4.1.1.11
HELLO_FIRST = Reply(503, "Send EHLO first", "5.5.1")  # RFC 5321 §4.1.4
MAIL_FIRST = Reply(503, "Send MAIL first", "5.5.1")  # RFC 5321 §4.1.4
NESTED_MAIL = Reply(503, "A mail transaction is already open", "5.5.1")  # RFC 5321 §4.1.1.2
NO_VALID_RECIPIENTS = Reply(554, "No valid recipients", "5.5.1")  # RFC 2920 §3.1
TLS_FIRST = Reply(530, "Must issue a STARTTLS command first", "5.7.0")  # RFC 3207 §4
TLS_NOT_OFFERED = Reply(502, "STARTTLS not offered here", "5.5.1")  # RFC 3207 §4
TLS_ALREADY = Reply(503, "TLS already active", "5.5.1")  # RFC 3207 §4.2
PIPELINED_STARTTLS = Reply(554, "Nothing may follow STARTTLS before TLS is up", "5.5.0")  # RFC 3207 §4, RFC 2920 §3.1
MECHANISM_UNKNOWN = Reply(504, "Authentication mechanism not offered", "5.5.4")  # RFC 4954 §4
AUTHENTICATED_ALREADY = Reply(503, "Already authenticated", "5.5.1")  # RFC 4954 §4
AUTH_IN_TRANSACTION = Reply(503, "AUTH not allowed during a mail transaction", "5.5.1")  # RFC 4954 §4
AUTH_CANCELLED = Reply(501, "Authentication cancelled", "5.7.0")  # RFC 4954 §4
AUTH_MALFORMED = Reply(501, "Authentication response cannot be decoded", "5.5.2")  # RFC 4954 §4
TOO_MANY_RECIPIENTS = Reply(452, "Too many recipients", "4.5.3")  # RFC 5321 §4.5.3.1.10
DECLARED_TOO_LARGE = Reply(552, "Message size exceeds the limit", "5.3.4")  # RFC 1870 §6.1
TOO_LARGE = Reply(552, "Message size exceeds the limit", "5.3.4")  # RFC 1870 §6.3
CHUNK_SIZE_UNKNOWN = Reply(421, "Size of the chunk not recognized", "4.5.0")  # RFC 3030 §2, RFC 5321 §3.8
CHUNKS_BEGUN = Reply(503, "The message has begun with BDAT; go on with BDAT, or RSET", "5.5.1")  # RFC 3030 §2
BINARY_NEEDS_BDAT = Reply(503, "BODY=BINARYMIME needs BDAT", "5.5.1")  # RFC 3030 §3
REQUIRETLS_REFUSED = Reply(550, "REQUIRETLS cannot be kept: the message leaves by HTTP", "5.7.30")  # RFC 8689 §4.2.1
TOO_MANY_MESSAGES = Reply(452, "Too many messages in this session, connect again", "4.5.3")  # RFC 9422 §4
NEEDS_SMTPUTF8 = Reply(553, "Address needs SMTPUTF8", "5.6.7")  # RFC 6531 §3.5
BARE_LINE_END_IN_DATA = Reply(554, "Bare CR or LF in the message; lines end with CRLF", "5.6.0")  # RFC 5321 §2.3.8
NUL_IN_DATA = Reply(554, "NUL octet in the message", "5.6.0")  # RFC 5322 §4, RFC 6532 §3.1
LOCAL_ERROR = Reply(451, "Local error in processing", "4.3.0")  # RFC 5321 §4.2.2

TIMED_OUT = Reply(421, "Timed out waiting for the client", "4.4.2")  # RFC 5321 §4.5.3.2.7
SESSION_TOO_LONG = Reply(421, "Session lasted too long, connect again", "4.4.2")  # RFC 5321 §3.8
SHUTTING_DOWN = Reply(421, "Service shutting down, try again later", "4.3.2")  # RFC 5321 §3.8
TOO_MANY_ERRORS = Reply(421, "Too many errors", "4.7.0")  # RFC 5321 §3.8
TOO_MANY_COMMANDS = Reply(421, "Too many commands without a message", "4.7.0")  # RFC 5321 §3.8
TOO_MANY_LOGINS = Reply(421, "Too many failed logins", "4.7.0")  # RFC 4954 §9
TOO_MANY_SESSIONS = Reply(421, "Too many sessions, try again later", "4.7.0")  # RFC 5321 §3.8
NOT_SMTP = Reply(421, "This is an SMTP server", "4.7.0")  # RFC 5321 §3.8
PLAIN_ON_TLS_PORT = Reply(
    554, "This port speaks TLS from the first octet; set the client to SSL/TLS and not to STARTTLS", "5.7.0"
)  # RFC 8314 §3.3; before a greeting: RFC 5321 §3.1
TLS_ON_PLAIN_PORT = Reply(421, "Plain SMTP here; use STARTTLS, or a port with TLS from the first octet", "4.7.0")

_NOT_PRINTABLE = re.compile(rb"[^ -~\t]")  # RFC 5321 §4.2: textstring; whatever a text was made from, it stays one line

KEPT_REPLIES = 128
"""How many written replies are remembered: more than there are of those that are always the same."""

LINE_OCTETS = 512
"""The longest reply line with its CRLF (RFC 5321 §4.5.3.1.5)."""


def text_line_too_long(octets: int) -> Reply:
    """For a line of mail data over the limit (RFC 5321 §4.5.3.1.6), told once, after the end of the data."""
    return Reply(554, f"A line of the message has more than {octets} octets", "5.6.0")


@lru_cache(KEPT_REPLIES)
def write_reply(reply: Reply, *, enhanced: bool) -> bytes:
    """The octets of a reply, one line for each line of its text (RFC 5321 §4.2.1).

    The enhanced status code is written on every line (RFC 2034 §4) where the dialect allows it and the reply's class
    has one.
    """
    prefix = f"{reply.enhanced} " if enhanced and reply.enhanced else ""
    lines = reply.text.split("\n")
    out = []
    for number, line in enumerate(lines, 1):
        mark = " " if number == len(lines) else "-"
        octets = _NOT_PRINTABLE.sub(b"?", f"{reply.code}{mark}{prefix}{line}".encode("ascii", "replace"))
        out.append(octets[: LINE_OCTETS - 2] + b"\r\n")
    return b"".join(out)
