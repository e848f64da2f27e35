"""Fuzz targets over gateway.smtp. Each takes any octets and fails only where its invariant, its first line, fails."""

from __future__ import annotations

import re
from collections.abc import Callable

from gateway.outcome import Reply
from gateway.scram import make_verifier
from gateway.smtp.grammar import (
    GrammarError,
    PathArgument,
    parse_chunk,
    parse_command,
    parse_forward_path,
    parse_hello,
    parse_reverse_path,
)
from gateway.smtp.maildata import ChunkedData, MailData, TextRules
from gateway.smtp.mechanisms.exchange import Circumstances, Lookup, Needs, SaslError, SecureChannel, VerifiedLogin
from gateway.smtp.proxy_header import V2_OCTETS, ProxyError, read_header
from gateway.smtp.sasl import MECHANISMS, decode_response, encode_challenge
from gateway.smtp.session import TLS_HANDSHAKE_RECORD
from tests.smtp.core_client import CoreClient

MOST_OCTETS, MOST_LINE_OCTETS = 300, 80
LIMITS = {"message_octets": MOST_OCTETS, "text_line_octets": MOST_LINE_OCTETS, "command_octets": 100}
TRANSACTION = b"MAIL FROM:<a@shop.example>\r\nRCPT TO:<b@cust.example>\r\n"
# What a client has said before the fuzzed octets; True: it is logged in.
OPENINGS = ((b"", False), (b"EHLO a\r\n", False), (b"", True), (TRANSACTION, True), (TRANSACTION + b"DATA\r\n", True))
REPLIES = re.compile(rb"(?:[2-5][0-9][0-9][- ][ -~]*\r\n)*")
CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f]")
SECRET = "the secret that no fuzzed client knows"
NONCE = "server-nonce"
VERIFIER = make_verifier(SECRET, b"salt")


def session(octets: bytes) -> None:
    """A session answers any octets with well-formed replies, the same ones and the same messages however cut."""
    place, octets = (octets[0] if octets else 0), octets[1:]
    if TLS_HANDSHAKE_RECORD in octets[1:]:
        return  # told from a command only at the start of what has come: docs/FUZZING.md, known
    whole = _session_outcome(place, [octets])
    assert REPLIES.fullmatch(whole[0])
    size = place // len(OPENINGS) % 7 + 1
    assert _session_outcome(place, [octets[start : start + size] for start in range(0, len(octets), size)]) == whole


def _session_outcome(place: int, pieces: list[bytes]) -> tuple[bytes, bool, list[bytes]]:
    opening, logged_in = OPENINGS[place % len(OPENINGS)]
    client = CoreClient("implicit", **LIMITS)
    if logged_in:
        client.log_in()
    client.feed(opening)
    said = client.feed_pieces(pieces)
    assert not (client.closed and client.session.unread_octets)
    return said, client.closed, client.messages


def maildata(octets: bytes) -> None:
    """Mail data ends at the first CRLF.CRLF only, and its text is clean, unstuffed, and the same however cut."""
    size, octets = (octets[0] % 7 + 1 if octets else 1), octets[1:]
    whole = _mail_data(octets, len(octets) or 1)
    assert _mail_data(octets, size) == whole
    text, fault, rest = whole
    before, mark, after = (b"\r\n" + octets).partition(b"\r\n.\r\n")
    assert rest == (after if mark else None)
    if mark and fault is None:
        assert text == (before + b"\r\n").replace(b"\r\n.", b"\r\n")[2:]
        assert text.count(b"\r") == text.count(b"\n") == text.count(b"\r\n")
        assert b"\0" not in text
        assert len(text) <= MOST_OCTETS
        assert all(len(line) < MOST_LINE_OCTETS for line in text.split(b"\r\n"))


def _mail_data(octets: bytes, size: int) -> tuple[bytes, Reply | None, bytes | None]:
    """The text, empty after a fault, the fault of data that has ended, and what follows the end."""
    rules = TextRules(MOST_OCTETS, MOST_LINE_OCTETS)
    data = MailData(rules)
    text = b""
    start = 0
    while start < len(octets) and data.rest is None:
        text += data.feed(octets[start : start + size])
        start += size
    if data.rest is None:
        return b"", None, None
    return b"" if rules.fault else text, rules.fault, data.rest + octets[start:]


def chunks(octets: bytes) -> None:
    """The data of BDAT commands is every octet of the chunks, or a fault, whatever the chunks and pieces."""
    sizes, octets = octets[:4], octets[4:]
    whole = _chunked(octets, [len(octets)])
    cut = _chunked(octets, [one % 32 + 1 for one in sizes] or [1])
    assert cut == whole
    if whole[1] is None:
        assert whole[0] == octets


def _chunked(octets: bytes, sizes: list[int]) -> tuple[bytes, Reply | None]:
    rules = TextRules(MOST_OCTETS, MOST_LINE_OCTETS)
    data = ChunkedData(rules)
    text = b""
    start = turn = 0
    while start < len(octets):
        piece = octets[start : start + (sizes[turn % len(sizes)])]
        start += len(piece)
        turn += 1
        data.begin(len(piece), last=start == len(octets))
        text += data.feed(piece)
    return b"" if rules.fault else text, rules.fault


def grammar(octets: bytes) -> None:
    """A command line is refused with a 5xx, or its address holds no control character and parses to itself again."""
    try:
        command = parse_command(octets)
    except GrammarError as error:
        assert error.reply.code in (500, 501)
        return
    for parse in (parse_hello, parse_chunk):
        _parsed(parse, command.argument)
    for parse, keyword in ((parse_reverse_path, "FROM:"), (parse_forward_path, "TO:")):
        path = _parsed(parse, command.argument)
        if isinstance(path, PathArgument):
            assert not CONTROLS.search(path.address)
            assert parse(f"{keyword}<{path.address}>").address == path.address


def _parsed(parse: Callable[[str], object], argument: str) -> object:
    try:
        return parse(argument)
    except GrammarError as error:
        assert 500 <= error.reply.code <= 599
        return None


def sasl(octets: bytes) -> None:
    """A SASL exchange ends in a login or in SaslError, and nobody who lacks the secret is ever verified."""
    names = list(MECHANISMS)
    name = names[octets[0] % len(names)] if octets else names[0]
    first, *responses = octets[1:].split(b"\n") if octets else [b""]
    channel = SecureChannel({"tls-exporter": b"binding"}, "ann")
    exchange = MECHANISMS[name].exchange(first or None, Circumstances("gateway.test", NONCE, channel, offers_plus=True))
    try:
        asked = next(exchange)
        while True:
            asked = exchange.send(_told(asked, responses))
    except StopIteration as ended:
        assert not isinstance(ended.value, VerifiedLogin)
        assert ended.value.user_name is not None
    except SaslError:
        pass


def _told(asked: bytes | Lookup, responses: list[bytes]) -> object:
    if isinstance(asked, Lookup):
        return SECRET if asked.kept is Needs.SECRET else VERIFIER
    assert decode_response(encode_challenge(asked).encode()) == asked
    if not responses:
        raise SaslError("the client has gone")
    return responses.pop(0)


def base64_line(octets: bytes) -> None:
    """A response line is refused, or it is the only base64 of what it stands for."""
    try:
        response = decode_response(octets)
    except SaslError:
        return
    assert len(response) <= len(octets)
    assert decode_response(encode_challenge(response).encode()) == response


def proxy_header(octets: bytes) -> None:
    """A PROXY header is read the same from any longer run of octets, never from fewer than it has, or is refused."""
    found: list[object] = []
    for stop in range(len(octets) + 1):
        try:
            read = read_header(octets[:stop])
        except ProxyError:
            found.append("refused")
            continue
        found.append(read)
        if read is not None:
            assert read.size_octets <= min(stop, V2_OCTETS)
            assert read.source is None or 0 <= read.source[1] <= 0xFFFF
    decided = [one for one in found if one is not None]
    assert decided == decided[:1] * len(decided)
    assert found[: len(found) - len(decided)] == [None] * (len(found) - len(decided))


TARGETS: dict[str, Callable[[bytes], None]] = {
    one.__name__: one for one in (session, maildata, chunks, grammar, sasl, base64_line, proxy_header)
}
