"""Log lines: no value from outside can look like another field or another line, and no secret gets into one."""

from __future__ import annotations

import dataclasses
import re
import typing

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.logger import formatEvent, globalLogPublisher

from gateway import events
from gateway.accounts.account import Account, fingerprint
from gateway.event_log import EventLog, line_of
from gateway.settings import VendorSettings
from gateway.smtp.mechanisms.exchange import PasswordLogin
from gateway.vendor import VendorAccount

FIELD = re.compile(r'([a-z_]+)=("(?:[^"\\]|\\.)*"|[^\s"=]+)')
LINE = re.compile(rf"[a-z-]+(?: {FIELD.pattern})*")
hostile = st.text() | st.sampled_from(
    ['a" outcome="accepted', "a\nlogged-in session=x", "a outcome=accepted", "\u2028x", "\x1b[2J", "\ud800"]
)


def made(kind, text):
    """An event of this kind with the text in every field that can hold some."""
    values = {str: text, int: 3, float: 0.5, bool: True, tuple[str, ...]: (text, text), float | None: None}
    values[tuple[tuple[int, float], ...]] = ((200, 0.5),)
    hints = typing.get_type_hints(kind)
    return kind(**{field.name: values[hints[field.name]] for field in dataclasses.fields(kind)})


ENDED = events.SessionEnded("s", "quit", (("QUIT", 221, 1),))
LOGGED = [kind for kind in typing.get_args(events.Event) if kind not in events.COUNTED_ONLY]


@pytest.mark.parametrize("kind", LOGGED, ids=lambda kind: kind.__name__)
@given(hostile)
def test_no_value_forges_a_field_or_a_line(kind, text):
    line = line_of(made(kind, text))
    assert line.isprintable()
    assert LINE.fullmatch(line), line
    names = [match[0] for match in FIELD.findall(line)]
    order = [field.name for field in dataclasses.fields(kind)]
    assert names == [name for name in order if name in names]


def test_a_quoted_value_can_be_read_back():
    line = line_of(events.Alarm('a "b" = \\ ü'))
    assert msgspec.json.decode(FIELD.search(line)[2]) == 'a "b" = \\ ü'


def test_fields_without_a_value_are_left_out_and_zero_is_a_value():
    line = line_of(events.Attempted("s", "m", "a", "v", "unknown", "", 1, 0, 0.0, "", "why", None, ()))
    assert line == (
        "attempted session_id=s message_id=m account=a vendor=v outcome=unknown recipients=1 size_octets=0 seconds=0.0 "
        "reason=why"
    )


@pytest.mark.parametrize("kind", events.COUNTED_ONLY, ids=lambda kind: kind.__name__)
def test_what_is_only_counted_is_in_no_line(kind, logged):
    EventLog()(events.Answered("l", "postscale", "v", "accepted", 1, 0.1) if kind is events.Answered else ENDED)
    EventLog()(events.Alarm("x"))
    assert logged == ["alarm text=x"]


@pytest.fixture
def logged():
    lines: list[str] = []

    def observe(event):
        lines.append(formatEvent(event))

    globalLogPublisher.addObserver(observe)
    yield lines
    globalLogPublisher.removeObserver(observe)


def test_format_characters_in_a_value_are_no_format(logged):
    EventLog()(events.LoginFailed("s", "127.0.0.1", "{log_namespace} {0} %s", temporary=False, reason="{x.__class__}"))
    assert logged == [
        'login-failed session_id=s peer=127.0.0.1 user_name="{log_namespace} {0} %s" temporary=False '
        'reason="{x.__class__}"'
    ]


def test_an_alarm_and_a_fault_are_logged_with_what_they_say(logged):
    EventLog()(events.Alarm("the key is\nrefused"))
    EventLog()(events.Failed("s", "Traceback {x}"))
    assert logged == ['alarm text="the key is?refused"', "failed session=s\nTraceback {x}"]


@pytest.mark.parametrize(
    "holder",
    [
        Account("n", "postscale", "v", "ps_live_secret"),
        VendorAccount("https://x", "ps_live_secret"),
        PasswordLogin("postscale", "ps_live_secret"),
    ],
    ids=lambda one: type(one).__name__,
)
def test_what_holds_a_secret_does_not_show_it(holder):
    assert "ps_live_secret" not in f"{holder} {holder!r}"


def test_a_fingerprint_tells_keys_apart_and_is_no_part_of_them():
    assert fingerprint("ps_live_a") != fingerprint("ps_live_b")
    assert re.fullmatch("[0-9a-f]{8}", fingerprint("ps_live_a"))


def test_no_event_has_a_field_for_a_secret():
    names = {field.name for kind in typing.get_args(events.Event) for field in dataclasses.fields(kind)}
    assert not [name for name in names if re.search("key|secret|password|token", name)]
    assert "key" in {field.name for field in dataclasses.fields(VendorSettings)}  # the same names elsewhere are found
