"""What only a real reactor, real sockets and real TLS can show: order, deadlines, closes, memory, logouts, drains."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from gateway.smtp.lines import ENDLESS_OCTETS
from tests.smtp.wire import LOG_IN, TRANSACTION, WireClient, connect, logged_in

MIB = 1024 * 1024
FLAT_OCTETS = 12 * MIB  # what the child may grow by while tens of megabytes pass through it
CLOSE_GRACE_SECONDS = 5  # CLOSE_SECONDS of the deadlines
IDLE = {"idle_seconds": 1, "handshake_seconds": 1}


@pytest.fixture(scope="module")
def implicit(listeners):
    return listeners.listen("implicit")


@pytest.fixture(scope="module")
def starttls(listeners):
    return listeners.listen("starttls")


@pytest.fixture(scope="module")
def hasty(listeners):
    return {kind: listeners.listen(kind, **IDLE) for kind in ("implicit", "starttls", "none")}


def seconds_until_closed(client: WireClient) -> float:
    began = time.monotonic()
    client.socket.settimeout(12)
    with contextlib.suppress(ConnectionError, ssl.SSLError):
        while client.socket.recv(65536):
            pass
    return time.monotonic() - began


def cuts(facts) -> list[str]:
    return [one for one in facts["reports"] if one.startswith("SessionCut")]


# -- order of replies


@pytest.mark.parametrize("turn", range(3))
def test_pipelined_replies_keep_their_order_while_answers_are_late(implicit, turn):
    paths = ["b@x.example", "at-rcpt.550@x.example", "slow-rcpt@x.example", "at-rcpt.smtp-451@x.example"]
    with logged_in(implicit) as client:
        lines = ["MAIL FROM:<slow-mail@x.example>", *(f"RCPT TO:<{path}>" for path in paths), "NOOP", "DATA"]
        told = client.ask("".join(f"{line}\r\n" for line in lines).encode(), len(lines))
        assert [one[:3] for one in told] == ["250", "250", "550", "250", "451", "250", "354"]
        assert client.ask(b"text\r\n.\r\nRSET\r\nNOOP\r\nQUIT\r\n", 4) == [
            "250 Message taken", "250 Reset", "250 OK", "221 Bye",
        ]  # fmt: skip


def test_two_auths_in_flight_log_in_once(listeners):
    port = listeners.listen("implicit")
    with connect(port) as client:
        client.ask(b"EHLO a\r\n")
        assert [one[:3] for one in client.ask(LOG_IN * 2 + TRANSACTION + b"RSET\r\n", 5)] == ["235", "503"] + [
            "250"
        ] * 3
    facts = listeners.facts_when(port, lambda facts: facts["logouts"])
    assert (facts["logins"], facts["logouts"]) == (1, 1)


def test_a_recipient_asked_about_when_rset_came_is_not_in_the_next_message(listeners):
    port = listeners.listen("implicit")
    with logged_in(port) as client:
        says = b"MAIL FROM:<a@x.example>\r\nRCPT TO:<slow-rcpt@x.example>\r\nRSET\r\n" + TRANSACTION + b"DATA\r\n"
        assert client.ask(says, 6)[-1][:3] == "354"
        client.ask(b"text\r\n.\r\n")
    assert [message[2:] for message in listeners.facts(port)["messages"]] == [["b@cust.example"]]


def test_what_follows_quit_in_one_tls_record_is_not_obeyed(listeners):
    for kind in ("implicit", "starttls"):
        port = listeners.listen(kind)
        with logged_in(port, kind) as client:
            client.send(b"QUIT\r\n" + TRANSACTION + b"DATA\r\nx\r\n.\r\n")
            assert client.until_closed() == ["221 Bye"]
        assert listeners.facts(port)["messages"] == []


# -- TLS


@pytest.mark.parametrize("kind", ["implicit", "starttls"])
@pytest.mark.parametrize("offer", [["h2", "http/1.1"], ["smtp"], ["h2", "smtp", "xmpp-client"]])
def test_a_client_that_offers_alpn_connects(implicit, starttls, kind, offer):
    with connect(implicit if kind == "implicit" else starttls, kind, alpn=offer) as client:
        assert client.ask(b"NOOP\r\n") == ["250 OK"]


def test_tls_1_1_is_refused(implicit):
    with pytest.raises((ssl.SSLError, ConnectionError)):
        connect(implicit, maximum=ssl.TLSVersion.TLSv1_1, ciphers="ALL:@SECLEVEL=0")


def test_tls_1_2_has_only_ecdhe_with_aead(implicit):
    with connect(implicit, maximum=ssl.TLSVersion.TLSv1_2) as client:
        name, version, _ = client.socket.cipher()
        assert version == "TLSv1.2"
        assert name.startswith("ECDHE-")
        assert "GCM" in name or "CHACHA20" in name
    for ciphers in ("ECDHE+SHA1:@SECLEVEL=0", "ECDHE+AES128+SHA256:!AESGCM", "RSA+AESGCM", "DHE+AESGCM"):
        with pytest.raises((ssl.SSLError, ConnectionError)):
            connect(implicit, maximum=ssl.TLSVersion.TLSv1_2, ciphers=ciphers)


PLAIN_ON_TLS = "554 This port speaks TLS from the first octet; set the client to SSL/TLS and not to STARTTLS"


@pytest.mark.parametrize(
    "said", [b"EHLO client.test\r\n", b"E", b"GET / HTTP/1.1\r\n\r\n", b"\x80\x2e\x01\x03\x01", b"\0"]
)
def test_a_plain_client_on_the_tls_port_is_told_at_once_and_closed(listeners, said):
    port = listeners.listen("implicit")
    with WireClient(port) as client:
        client.send(said)
        assert client.until_closed() == [PLAIN_ON_TLS]
    facts = listeners.facts_when(port, lambda facts: facts["sessions"] == 0)
    assert facts["sessions"] == 0
    assert facts["reports"] == [f"SessionCut(session_id='session-1', peer='127.0.0.1', reply='{PLAIN_ON_TLS}')"]


def test_the_enhanced_code_is_told_in_clear_where_the_dialect_has_them(listeners):
    with WireClient(listeners.listen("implicit", enhanced=True)) as client:
        client.send(b"EHLO client.test\r\n")
        assert client.until_closed() == [PLAIN_ON_TLS.replace("554 ", "554 5.7.0 ")]


def test_a_client_that_waits_for_a_greeting_in_clear_is_told_at_the_handshakes_deadline(listeners):
    for limits in ({"handshake_seconds": 1}, {"idle_seconds": 1}):
        port = listeners.listen("implicit", **limits)
        with WireClient(port) as client:
            assert client.until_closed() == [PLAIN_ON_TLS]
        facts = listeners.facts_when(port, lambda facts: facts["sessions"] == 0)
        assert len(facts["reports"]) == 1
        assert "SessionCut" in facts["reports"][0]


def test_a_client_that_goes_on_in_clear_after_its_first_octets_is_heard_no_more(listeners):
    port = listeners.listen("implicit")
    with WireClient(port) as client:
        client.send(b"EHLO client.test\r\n")
        assert client.read_reply() == PLAIN_ON_TLS
        client.send(LOG_IN + TRANSACTION)
        assert client.until_closed() == []
    assert listeners.facts(port)["logins"] == 0


def test_a_client_hello_that_comes_octet_by_octet_is_one(implicit):
    """TLS takes over with the first octet, however little comes with it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    received, sent = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(received, sent)
    with WireClient(implicit) as client:

        def until_done(step):
            while True:
                try:
                    return step()
                except ssl.SSLWantReadError:
                    for octet in sent.read():
                        client.send(bytes([octet]))
                    received.write(client.socket.recv(65536))

        until_done(tls.do_handshake)
        assert until_done(lambda: tls.read(100)).startswith(b"220 ")


def test_connections_that_say_nothing_count_as_sessions(listeners):
    port = listeners.listen("implicit", sessions_per_address=1)
    with WireClient(port) as silent:
        with WireClient(port) as second:
            second.start_tls()
            assert second.until_closed() == ["421 Too many sessions, try again later"]
        silent.start_tls()
        assert silent.read_reply() == "220 gateway.test ESMTP"


def test_a_tls_client_on_the_plain_port_is_told_and_closed(starttls):
    with WireClient(starttls) as client, pytest.raises((ssl.SSLError, ConnectionError)):
        client.start_tls()


def test_plaintext_behind_starttls_in_the_same_segment_ends_the_session(listeners):
    port = listeners.listen("starttls")
    with WireClient(port) as client:
        client.read_reply()
        client.ask(b"EHLO a\r\n")
        client.send(b"STARTTLS\r\nMAIL FROM:<evil@x>\r\n")
        assert client.until_closed() == ["554 Nothing may follow STARTTLS before TLS is up"]


# -- deadlines


def test_a_client_that_never_begins_its_handshake_is_gone_after_the_handshake_deadline(listeners):
    limits = {"handshake_seconds": 1, "idle_seconds": 60}
    with (
        WireClient(listeners.listen("implicit", **limits)) as on_implicit,
        WireClient(listeners.listen("starttls", **limits)) as after_starttls,
        ThreadPoolExecutor() as threads,
    ):
        after_starttls.read_reply()
        after_starttls.ask(b"EHLO a\r\n")
        after_starttls.ask(b"STARTTLS\r\n")
        for seconds in threads.map(seconds_until_closed, (on_implicit, after_starttls)):
            assert 0.5 < seconds < 1 + CLOSE_GRACE_SECONDS + 2


def test_a_silent_client_is_told_421_and_closed(hasty):
    for kind in ("none", "implicit", "starttls"):
        with connect(hasty[kind], kind) as client:
            assert client.until_closed() == ["421 Timed out waiting for the client"]


def test_a_client_that_keeps_its_side_open_after_the_421_is_cut_off(listeners, hasty):
    with connect(hasty["implicit"]) as client:
        raw = client.socket.detach()  # the TLS layer would answer our close_notify
        with socket.socket(fileno=raw) as silent:
            facts = listeners.facts_when(hasty["implicit"], lambda facts: facts["sessions"] == 0)
            assert facts["sessions"] == 0
            assert silent.fileno() == raw


def test_mail_data_that_stands_still_gets_421_and_is_dropped(listeners):
    port = listeners.listen("implicit", **IDLE)
    with logged_in(port) as client:
        client.ask(TRANSACTION + b"DATA\r\n", 3)
        client.send(b"Subject: half\r\n")
        assert client.until_closed() == ["421 Timed out waiting for the client"]
    facts = listeners.facts_when(port, lambda facts: facts["lost"])
    assert (facts["messages"], facts["lost"]) == ([], 1)


def test_a_refused_message_may_take_as_long_to_send_as_a_good_one(listeners):
    port = listeners.listen("implicit", **IDLE, message_octets=10)
    with logged_in(port) as client:
        client.ask(TRANSACTION + b"DATA\r\n", 3)
        for _ in range(5):
            client.send(b"more than ten octets\r\n")
            time.sleep(0.4)  # a slow line, never silent for as long as a second
        assert client.ask(b".\r\n") == ["552 Message size exceeds the limit"]


def test_a_session_ends_after_its_time_even_when_starttls_came_between(listeners):
    port = listeners.listen("starttls", session_seconds=1, idle_seconds=1, handshake_seconds=1)
    began = time.monotonic()
    with connect(port, "starttls") as client:
        said = []
        while (reply := client.ask(b"NOOP\r\n")[0]) == "250 OK":
            time.sleep(0.1)
        said.append(reply)
        assert said == ["421 Session lasted too long, connect again"]
    assert time.monotonic() - began < 4


# -- memory


def flood(client: WireClient, octets: int) -> None:
    with contextlib.suppress(ConnectionError, ssl.SSLError, TimeoutError):
        for _ in range(octets // MIB):
            client.send(b"B" * MIB)


def test_50_megabytes_without_a_line_end_are_closed_with_flat_memory(listeners, implicit):
    with connect(implicit) as client:
        before = listeners.anonymous_octets()
        flood(client, 50 * MIB)
        assert listeners.anonymous_octets() - before < FLAT_OCTETS
    assert listeners.facts_when(implicit, lambda facts: facts["sessions"] == 0)["sessions"] == 0


def test_octets_wait_with_flat_memory_while_an_answer_is_pending(listeners, implicit):
    with logged_in(implicit) as client:
        before = listeners.anonymous_octets()
        client.send(b"MAIL FROM:<slow-mail@x.example>\r\n")
        sender = threading.Thread(target=flood, args=(client, 20 * MIB))
        sender.start()
        time.sleep(0.2)  # inside the 0.4 seconds that the answer takes
        grown = listeners.anonymous_octets() - before
        client.socket.shutdown(socket.SHUT_RDWR)
        sender.join()
        assert grown < FLAT_OCTETS


def test_60_megabytes_get_552_at_the_end_and_the_session_goes_on(listeners, implicit):
    with logged_in(implicit) as client:
        client.ask(TRANSACTION + b"DATA\r\n", 3)
        before = listeners.anonymous_octets()
        block = (b"x" * 1022 + b"\r\n") * 1024
        for _ in range(60):
            client.send(block)
        assert client.ask(b".\r\n") == ["552 Message size exceeds the limit"]
        assert listeners.anonymous_octets() - before < FLAT_OCTETS
        assert client.ask(TRANSACTION, 2) == ["250 Sender OK", "250 Recipient OK"]


# -- clients that vanish


@pytest.mark.parametrize(
    ("says", "messages", "lost"),
    [
        (TRANSACTION + b"DATA\r\nhalf a mess", 0, 1),
        (TRANSACTION.replace(b"b@", b"slow-end@") + b"DATA\r\ntext\r\n.\r\n", 1, 0),
        (b"MAIL FROM:<slow-mail@x.example>\r\n", 0, 0),
    ],
    ids=["in mail data", "behind the dot", "while MAIL is asked about"],
)
def test_a_client_that_vanishes_is_logged_out_once_and_its_mail_is_whole_or_nothing(listeners, says, messages, lost):
    port = listeners.listen("implicit")
    with logged_in(port) as client:
        client.send(says)
        if lost:
            listeners.facts_when(port, lambda facts: facts["chunks"])
        time.sleep(0.1)  # the octets must have been read when the connection is lost
    facts = listeners.facts_when(
        port, lambda facts: facts["sessions"] == 0 and facts["logouts"] and len(facts["messages"]) == messages
    )
    assert (facts["logins"], facts["logouts"], facts["sessions"]) == (1, 1, 0)
    assert (len(facts["messages"]), facts["lost"]) == (messages, lost)


def test_a_client_that_vanishes_in_auth_is_logged_out_when_the_login_comes(listeners):
    port = listeners.listen("implicit")
    with connect(port) as client:
        client.ask(b"EHLO a\r\n")
        client.send(b"AUTH PLAIN AHNsb3cAcGFzcw==\r\n")
        time.sleep(0.1)  # the login must be under way when the connection is lost
    facts = listeners.facts_when(port, lambda facts: facts["logouts"])
    assert (facts["logins"], facts["logouts"], facts["sessions"]) == (1, 1, 0)


# -- what is too much


def test_sessions_per_address_are_limited_and_freed(listeners):
    for kind in ("none", "implicit"):
        port = listeners.listen(kind, sessions_per_address=2)
        first, second = connect(port, kind), connect(port, kind)
        with WireClient(port) as third:
            if kind == "implicit":
                third.start_tls()
            assert third.until_closed() == ["421 Too many sessions, try again later"]
        first.ask(b"QUIT\r\n")
        first.socket.close()
        listeners.facts_when(port, lambda facts: facts["sessions"] == 1)
        connect(port, kind).socket.close()
        second.socket.close()


def test_different_failed_logins_are_limited_per_address_over_sessions(listeners):
    port = listeners.listen("implicit", failed_logins_per_address=2)
    for response in (b"AGJhZABwYXNz", b"AGJhZABwYXN0"):
        with connect(port) as client:
            told = client.ask(b"EHLO a\r\nAUTH PLAIN " + response + b"\r\n", 2)
            assert told[1] == "535 Authentication failed"
    with connect(port) as client:
        client.send(b"EHLO a\r\n" + LOG_IN)
        assert client.until_closed()[1:] == ["421 Too many failed logins"]
    assert listeners.facts(port)["logins"] == 0


def test_one_client_with_a_stale_password_does_not_shut_out_its_neighbours(listeners):
    port = listeners.listen("implicit", failed_logins_per_address=2)
    for _ in range(4):
        with connect(port) as client:
            told = client.ask(b"EHLO a\r\nAUTH PLAIN AGJhZABwYXNz\r\n", 2)
            assert told[1] == "535 Authentication failed"
    logged_in(port).socket.close()


@pytest.mark.parametrize(
    ("says", "told"),
    [
        (b"EHLO a\r\n" + b"XYZZY\r\n" * 2, "421 Too many errors"),
        (b"EHLO a\r\n" + b"NOOP\r\n" * 20, "421 Too many commands without a message"),
        (b"EHLO a\r\nAUTH PLAIN AGJhZABwYXNz\r\n", "421 Too many failed logins"),
        (b"x" * (ENDLESS_OCTETS + 1), "421 Line too long"),
        (b"GET / HTTP/1.1\r\n", "421 This is an SMTP server"),
        (b"\x16\x03\x01\x00", "421 Plain SMTP here; use STARTTLS, or a port with TLS from the first octet"),
        (b"EHLO a\r\nSTARTTLS\r\nNOOP\r\n", "554 Nothing may follow STARTTLS before TLS is up"),
    ],
)
def test_a_session_that_we_end_is_reported_once_with_the_reply(listeners, says, told):
    limits = {"protocol_errors": 2, "commands_between_messages": 20, "failed_logins": 1}
    port = listeners.listen("optional", **limits)
    with WireClient(port) as client:
        client.send(says)
        assert client.until_closed()[-1] == told
    facts = listeners.facts_when(port, lambda facts: facts["sessions"] == 0)
    assert cuts(facts) == [f"SessionCut(session_id='session-1', peer='127.0.0.1', reply='{told}')"]


def test_a_session_that_has_timed_out_is_reported_once_and_one_that_quits_is_not(listeners, hasty):
    port = listeners.listen("none", **IDLE)
    with WireClient(port) as client:
        client.until_closed()
    with WireClient(port) as client:
        client.send(b"QUIT\r\n")
        client.until_closed()
    facts = listeners.facts_when(port, lambda facts: facts["sessions"] == 0)
    (cut,) = cuts(facts)
    assert cut.endswith("reply='421 Timed out waiting for the client')")


def test_an_address_that_is_turned_away_for_its_failed_logins_is_reported(listeners):
    port = listeners.listen("none", failed_logins_per_address=1)
    for _ in range(2):
        with WireClient(port) as client:
            client.send(b"EHLO a\r\nAUTH PLAIN AGJhZABwYXNz\r\nQUIT\r\n")
            client.until_closed()
    facts = listeners.facts_when(port, lambda facts: facts["sessions"] == 0)
    (cut,) = cuts(facts)
    assert cut.endswith("reply='421 Too many failed logins')")


# -- stopping


def test_a_drain_lets_the_one_in_mail_data_finish(listeners):
    port = listeners.listen("implicit")
    with logged_in(port) as busy, logged_in(port) as idle, connect(port) as fresh:
        busy.ask(TRANSACTION + b"DATA\r\n", 3)
        listeners.command("drain", port)
        for one in (idle, fresh):
            assert one.until_closed() == ["421 Service shutting down, try again later"]
        with WireClient(port) as late:
            late.start_tls()
            assert late.until_closed() == ["421 Service shutting down, try again later"]
        assert listeners.facts(port)["drained"] is False
        busy.send(b"text\r\n.\r\n")
        assert busy.until_closed() == ["250 Message taken", "421 Service shutting down, try again later"]
        idle.socket.close()
        fresh.socket.close()
    facts = listeners.facts_when(port, lambda facts: facts["drained"])
    assert (facts["drained"], facts["sessions"], len(facts["messages"])) == (True, 0, 1)


def test_a_client_that_goes_on_talking_after_the_421_of_a_drain_holds_nobody_up(listeners):
    port = listeners.listen("implicit")
    with logged_in(port) as talking:
        listeners.command("drain", port)
        assert talking.until_closed() == ["421 Service shutting down, try again later"]
        for _ in range(3):
            with contextlib.suppress(OSError):
                talking.send(b"NOOP\r\n")
            assert listeners.facts(port)["sessions"] in (0, 1)
        talking.socket.close()
    assert listeners.facts_when(port, lambda facts: facts["drained"])["drained"]


# -- faults behind the SMTP side


@pytest.mark.parametrize(
    ("path", "reply"),
    [
        ("at-end.451", "451 As told at end"),
        ("at-end.smtp-452", "452 As told at end"),
        ("at-end.raise", "451 Local error in processing"),
        ("now.x", "451 Local error in processing"),
    ],
)
def test_whatever_goes_wrong_at_the_end_is_told_and_the_session_goes_on(implicit, path, reply):
    with logged_in(implicit) as client:
        client.ask(TRANSACTION.replace(b"b@", path.encode() + b"@") + b"DATA\r\n", 3)
        assert client.ask(b"text\r\n.\r\n") == [reply]
        assert client.ask(b"NOOP\r\n") == ["250 OK"]


def test_a_message_that_cannot_take_its_data_ends_the_session_with_a_word(listeners):
    port = listeners.listen("implicit")
    with logged_in(port) as client:
        client.ask(TRANSACTION.replace(b"b@", b"at-chunk.raise@") + b"DATA\r\n", 3)
        client.send(b"text\r\n.\r\n")
        assert client.until_closed() == ["421 Local error in processing"]
    facts = listeners.facts_when(port, lambda facts: facts["sessions"] == 0)
    assert (facts["logouts"], facts["sessions"]) == (1, 0)
    assert "told to break at chunk" in facts["reports"][-1]


def test_a_message_that_breaks_when_it_is_given_up_does_not_hold_the_session(listeners):
    port = listeners.listen("implicit")
    with logged_in(port) as client:
        client.ask(TRANSACTION.replace(b"b@", b"at-lost.raise@") + b"DATA\r\n", 3)
        client.send(b"text\r\n")
        listeners.facts_when(port, lambda facts: facts["chunks"])
    facts = listeners.facts_when(port, lambda facts: facts["sessions"] == 0 and facts["logouts"])
    assert (facts["logouts"], facts["sessions"]) == (1, 0)
