"""A mailbox user is checked by a real login at the mail host, over TLS that is verified."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from twisted.internet.defer import Deferred

from gateway.accounts.account import Account
from gateway.accounts.mailboxes import MailboxChecker
from gateway.accounts.remembered import RememberedAnswers
from gateway.errors import LoginRefused, LoginUndecided
from tests.http.certificates import Root
from tests.http.peers import Server

ROOT = Path(__file__).parents[2]
PASSWORD = "needle-of-a-password"


@contextlib.contextmanager
def child(log: Path, program: str, *arguments: str):
    with log.open("wb") as stderr:
        process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name(program)), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
        )
    try:
        yield process
    finally:
        process.stdin.close()
        code = process.wait(10)
        process.stdout.close()
        assert code == 0, log.read_text()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("mailboxes")


@pytest.fixture(scope="module")
def context(folder):
    """The root is folder/trusted.pem, the leaf with its key folder/leaf.pem."""
    return Root(folder, "trusted").leaf("localhost")


@pytest.fixture(scope="module")
def log_in(folder, context):
    log = folder / "client-log.txt"
    with child(log, "imap_logins.py", str(folder / "trusted.pem")) as process:

        def ask(port, address="ann@shop.example", password=PASSWORD, host="localhost", deadline_seconds=10.0):
            asked = {"host": host, "port": port, "address": address, "password": password}
            process.stdin.write(json.dumps(asked | {"deadline_seconds": deadline_seconds}) + "\n")
            process.stdin.flush()
            return json.loads(process.stdout.readline())

        yield ask
    assert PASSWORD not in log.read_text()
    assert "Traceback" not in log.read_text()


@pytest.fixture(scope="module", params=["plain", "login"])
def mail_host(request, folder, context):
    """The port of Twisted's own IMAP server, once with AUTHENTICATE PLAIN and once with LOGIN alone."""
    with child(folder / "server-log.txt", "imap_server.py", str(folder / "leaf.pem"), request.param) as process:
        yield int(process.stdout.readline())


@pytest.fixture
def scripted(context):
    """A mail host that says these lines, one after each line of the client's; the last one is repeated never."""
    servers = []

    def start(*lines: bytes, tls=context):
        def script(visit):
            visit.heard = []
            for line in lines:
                visit.connection.sendall(line)
                if not (heard := visit._file.readline()):
                    break
                visit.heard.append(heard)

        servers.append(Server(script, tls))
        return servers[-1]

    yield start
    for one in servers:
        one.close()


# -- a real server


def test_the_right_password_is_good(log_in, mail_host):
    assert log_in(mail_host, password="secret") == {"answer": True, "told": [], "left": 0}


@pytest.mark.parametrize("password", ["Secret", "secret ", "x", '"', "\\", "x" * 1024])
def test_a_wrong_password_is_bad(log_in, mail_host, password):
    assert log_in(mail_host, password=password) == {"answer": False, "told": [], "left": 0}


def test_an_unknown_mailbox_is_bad(log_in, mail_host):
    assert log_in(mail_host, "eve@shop.example", "secret")["answer"] is False


def test_a_password_that_login_cannot_say_is_good_where_plain_can_and_else_undecided(log_in, mail_host, request):
    told = log_in(mail_host, "bob@shop.example", 'a "quoted\\" pässword')
    offers_plain = request.node.callspec.params["mail_host"] == "plain"
    assert told["answer"] is (True if offers_plain else None)
    assert told["told"] == ([] if offers_plain else ["mail host localhost: it offers no login for such a password"])


# -- hosts that cannot be trusted, or cannot say


def test_a_host_that_cannot_prove_its_name_hears_nothing(log_in, folder, scripted, tmp_path):
    other = scripted(b"* OK hello\r\n", tls=Root(tmp_path, "unknown").leaf("localhost"))
    told = log_in(other.port)
    assert (told["answer"], told["left"], len(told["told"])) == (None, 0, 1)
    assert not any(visit.heard for visit in other.visits)


def test_a_certificate_for_another_name_is_not_good_enough(log_in, scripted):
    told = log_in(scripted(b"* OK hello\r\n").port, host="127.0.0.1")
    assert (told["answer"], told["left"]) == (None, 0)


def test_a_host_without_tls_hears_nothing(log_in, scripted):
    plain = scripted(b"* OK hello\r\n", tls=None)
    assert log_in(plain.port)["answer"] is None
    assert not any(b"LOGIN" in line or b"AUTH" in line for visit in plain.visits for line in visit.heard)


CAPABILITY = b"* CAPABILITY IMAP4rev1\r\n0001 OK done\r\n"
PLAIN = b"* CAPABILITY IMAP4rev1 AUTH=PLAIN\r\n0001 OK done\r\n"


@pytest.mark.parametrize(
    ("answer", "good"),
    [
        (b"0002 OK welcome\r\n", True),
        (b"0002 OK [CAPABILITY IMAP4rev2] welcome\r\n", True),
        (b"* OK nearly\r\n0002 OK welcome\r\n", True),
        (b"0002 NO no\r\n", False),
        (b"0002 NO [AUTHENTICATIONFAILED] no\r\n", False),
        (b"0002 NO [EXPIRED] no\r\n", False),
        (b"0002 NO [UNAVAILABLE] database is down\r\n", None),
        (b"0002 NO [unavailable] database is down\r\n", None),
        (b"0002 NO [LIMIT] too many\r\n", None),
        (b"0002 NO [INUSE] locked\r\n", None),
        (b"0002 BAD what\r\n", None),
        (b"0002 BAD unknown command LOGIN %s\r\n" % PASSWORD.encode(), None),
        (b"0099 OK %s\r\n" % PASSWORD.encode(), None),
        (b"0002 NO {99999999999}\r\n", None),
        (b"0002 NO {x}\r\n", None),
        (b"0002\r\n", None),
        (b"+ go on\r\n", None),
        (b"* BYE overloaded\r\n", None),
        (b"\xff\x00\r\n", None),
        (b"0002 OK" + b"x" * 100_000, None),
    ],
)
def test_only_a_plain_yes_or_no_decides(log_in, scripted, answer, good):
    host = scripted(b"* OK hello\r\n", CAPABILITY, answer)
    told = log_in(host.port, deadline_seconds=2.0)
    assert (told["answer"], told["left"]) == (good, 0)
    assert PASSWORD not in str(told)
    assert len(told["told"]) == (1 if good is None else 0)
    assert host.visits[0].heard[1] == b'0002 LOGIN "ann@shop.example" "%s"\r\n' % PASSWORD.encode()


@pytest.mark.parametrize(
    "greeting",
    [b"* PREAUTH welcome\r\n", b"* BYE go away\r\n", b"HTTP/1.1 400 Bad Request\r\n", b"* OK [(((]\r\n", b"x" * 99_999],
)
def test_a_greeting_that_is_none_leaves_it_undecided_and_the_password_unsaid(log_in, scripted, greeting):
    host = scripted(greeting, CAPABILITY, b"0002 OK welcome\r\n")
    told = log_in(host.port, deadline_seconds=2.0)
    assert (told["answer"], told["left"]) == (None, 0)
    assert not any(PASSWORD.encode() in line for line in host.visits[0].heard)


def test_the_secret_of_plain_is_said_once_and_on_one_line(log_in, scripted):
    host = scripted(b"* OK hello\r\n", PLAIN, b"+ \r\n", b"+ again\r\n")
    assert log_in(host.port, password="x" * 1000)["answer"] is None
    asked, secret = host.visits[0].heard[1:]
    assert asked == b"0002 AUTHENTICATE PLAIN\r\n"
    assert secret.endswith(b"\r\n")
    assert len(secret) > 1300


def test_quotes_and_backslashes_are_escaped_in_login(log_in, scripted):
    # Twisted's own server cannot read these, so a script looks at them
    host = scripted(b"* OK hello\r\n", CAPABILITY, b"0002 OK in\r\n")
    assert log_in(host.port, password='" \\" {5}')["answer"] is True
    assert host.visits[0].heard[1] == rb'0002 LOGIN "ann@shop.example" "\" \\\" {5}"' + b"\r\n"


def test_a_greeting_with_another_code_does_not_hide_the_capabilities(log_in, scripted):
    host = scripted(b"* OK [ALERT] maintenance\r\n", PLAIN, b"+ \r\n", b"0002 OK in\r\n")
    assert log_in(host.port)["answer"] is True


def test_login_is_not_said_where_it_is_disabled(log_in, scripted):
    host = scripted(b"* OK hello\r\n", b"* CAPABILITY IMAP4rev1 LOGINDISABLED\r\n0001 OK done\r\n", b"0002 OK in\r\n")
    assert log_in(host.port)["answer"] is None


def test_a_silent_host_is_left_at_the_deadline(log_in, scripted):
    told = log_in(scripted(b"").port, deadline_seconds=0.3)
    assert told == {"answer": None, "told": ["mail host localhost: no answer in time"], "left": 0}


def test_a_host_that_refuses_the_connection_cannot_say(log_in, scripted):
    server = scripted(b"")
    server.close()
    told = log_in(server.port)
    assert (told["answer"], told["left"], len(told["told"])) == (None, 0, 1)


# -- the checker


class Host:
    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []

    async def __call__(self, address: str, password: str) -> bool | None:
        self.asked.append((address, password))
        return {"good": True, "down": None}.get(password, False)


def check(host: Host, *logins: tuple[str, str], has_key: bool = True):
    """What came of the last login."""
    checker = MailboxChecker("poststack", "main", host, RememberedAnswers(lambda: 0.0), has_key=has_key)
    told: list[object] = []
    for address, password in logins:
        done = Deferred.fromCoroutine(checker.check(address, password))
        done.addCallbacks(told.append, lambda failure: told.append(failure.value))
    return told[-1]


def test_a_good_login_is_an_account_without_a_key_of_its_own():
    account = check(Host(), ("Ann@Shop.example", "good"))
    assert account == Account("main/mailbox-ann@shop.example", "poststack", "main", user_name="Ann@Shop.example")


def test_a_bad_login_is_refused_and_one_that_nobody_can_decide_is_undecided():
    assert isinstance(check(Host(), ("ann@shop.example", "bad")), LoginRefused)
    undecided = check(Host(), ("ann@shop.example", "down"))
    assert isinstance(undecided, LoginUndecided)
    assert "down" not in str(undecided)


def test_the_host_is_asked_once_about_a_login():
    host = Host()
    check(host, *[("ann@shop.example", "good"), ("ann@shop.example", "bad")] * 3)
    assert host.asked == [("ann@shop.example", "good"), ("ann@shop.example", "bad")]


def test_one_mailboxs_password_is_not_anothers():
    assert isinstance(check(Host(), ("ann@shop.example", "good"), ("bob@shop.example", "bad")), LoginRefused)


@pytest.mark.parametrize(
    "login",
    [
        ("ann", "good"), ("", "good"), ("@shop.example", "good"), ("ann@", "good"), ("a b@shop.example", "good"),
        ("ann@shop.example\r\n", "good"), ("a@b@c", "good"), ("ann@shop.example", ""), ("ann@shop.example", "a\0b"),
        ("ann@shop.example", "a\r\n0003 LOGOUT"), ("ann@shop.example", "x" * 1025), ("x" * 65 + "@y", "good"),
    ],
)  # fmt: skip
def test_what_cannot_be_a_mailboxs_login_is_refused_without_asking(login):
    host = Host()
    assert isinstance(check(host, login), LoginRefused)
    assert host.asked == []


def test_a_mailbox_of_a_vendor_without_a_key_has_to_wait():
    undecided = check(Host(), ("ann@shop.example", "good"), has_key=False)
    assert isinstance(undecided, LoginUndecided)
    assert "vendors.main" in str(undecided)
