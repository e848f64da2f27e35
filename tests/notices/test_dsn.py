"""DSNs as the sender's mail program and bounce handler read them: with Python's email parser, and by property."""

from __future__ import annotations

import email
import email.policy
import re
from email.message import EmailMessage

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.message import Envelope
from gateway.notices.dsn import FULL_OCTETS, HEADER_OCTETS, Sender, make_dsn, returned_original
from gateway.notices.verdicts import verdicts
from gateway.outcome import Cause
from gateway.store.records import Recipient, State

from .messages import HEADER, NOW, ORIGINAL, refused, stored

SENDER = Sender("smtp.gateway.example", "postmaster@gateway.example")


def dsn_of(message, recipients=None, original=HEADER):
    told = verdicts(message, recipients or message.recipients)
    return make_dsn("01k9dsn0000000000000", SENDER, message, told, original, NOW)


def parsed(dsn) -> EmailMessage:
    return email.message_from_bytes(dsn.content, policy=email.policy.default)


def groups(report) -> list[dict[str, str]]:
    """The groups of fields of the machine's part; every name once."""
    status = next(
        part for part in report.walk() if part.get_content_type().startswith(("message/d", "message/global-d"))
    )
    text = status.as_bytes().partition(b"\n\n")[2].decode()
    text = re.sub(r"\r?\n[ \t]", " ", text)
    blocks = [block for block in re.split(r"\r?\n\r?\n", text) if block.strip()]
    pairs = [[line.split(": ", 1) for line in block.splitlines()] for block in blocks]
    assert all(len({name for name, _ in group}) == len(group) for group in pairs)
    return [dict(group) for group in pairs]


def test_a_refused_recipient_is_told_in_all_three_parts():
    report = parsed(dsn_of(stored()))
    assert report.get_content_type() == "multipart/report"
    assert report.get_param("report-type") == "delivery-status"
    assert [part.get_content_type() for part in report.iter_parts()] == [
        "text/plain",
        "message/delivery-status",
        "text/rfc822-headers",
    ]
    text, _, header = report.iter_parts()
    assert "ann@mail.example" in text.get_content()
    assert "Reason: On the suppression list" in text.get_content()
    assert "What to do: Take this address off your list" in text.get_content()
    assert header.get_content().splitlines() == HEADER.decode().splitlines()


def test_its_header_says_who_writes_to_whom_and_lets_no_responder_answer():
    report = parsed(dsn_of(stored()))
    assert report["From"] == "Mail Delivery System <postmaster@gateway.example>"
    assert report["To"].addresses[0].addr_spec == "orders@shop.example"
    assert report["Subject"] == "Your message could not be delivered"
    assert report["Auto-Submitted"] == "auto-replied"
    assert report["In-Reply-To"] == report["References"] == "<77@shop.example>"
    assert report["Message-ID"] == "<01k9dsn0000000000000@smtp.gateway.example>"
    assert report["Date"].datetime.timestamp() == NOW
    assert report.defects == []


def test_the_machines_part_has_the_fields_of_rfc_3464():
    message = stored(
        envid="QQ+2B314159",
        orcpt={"ann@mail.example": "rfc822;Ann+2Blist@old.example"},
    )
    about_message, about_ann = groups(parsed(dsn_of(message)))
    assert about_message == {
        "Reporting-MTA": "dns; smtp.gateway.example",
        "Original-Envelope-Id": "QQ+314159",
        "Arrival-Date": "Wed, 18 Nov 2026 10:06:40 +0000",
    }
    assert about_ann == {
        "Original-Recipient": "rfc822; Ann+list@old.example",
        "Final-Recipient": "rfc822; ann@mail.example",
        "Action": "failed",
        "Status": "5.1.1",
        "Remote-MTA": "x-vendor; postscale",
        "Diagnostic-Code": "x-vendor; On the suppression list",
        "Last-Attempt-Date": "Wed, 18 Nov 2026 11:06:40 +0000",
    }


def test_expired_mail_is_told_with_the_last_reason():
    expired = Recipient("ann@mail.example", State.EXPIRED, cause="UNAVAILABLE", reason="connection refused")
    report = parsed(dsn_of(stored(expired)))
    assert groups(report)[1]["Status"] == "4.4.7"
    assert "Reason: connection refused" in next(report.iter_parts()).get_content()


def test_late_mail_is_told_with_its_last_day():
    waiting = Recipient("ann@mail.example", State.QUEUED, cause="RATE_LIMITED", reason="slow down")
    message = stored(waiting, notify={"ann@mail.example": "DELAY,FAILURE"})
    report = parsed(dsn_of(message))
    assert report["Subject"] == "Your message is delayed"
    about = groups(report)[1]
    assert (about["Action"], about["Status"]) == ("delayed", "4.3.2")
    assert about["Will-Retry-Until"] == "Mon, 23 Nov 2026 11:06:40 +0000"
    assert "Attempts go on until Mon, 23 Nov 2026" in next(report.iter_parts()).get_content()


def test_relayed_mail_is_told_as_relayed_and_never_as_delivered():
    relayed = Recipient("ann@mail.example", State.RELAYED, vendor="postscale")
    report = parsed(dsn_of(stored(relayed, notify={"ann@mail.example": "SUCCESS"})))
    assert report["Subject"] == "Your message was passed on"
    assert (groups(report)[1]["Action"], groups(report)[1]["Status"]) == ("relayed", "2.0.0")


@pytest.mark.parametrize(
    ("state", "notify", "told"),
    [
        (State.REFUSED, "", True),
        (State.REFUSED, "FAILURE", True),
        (State.REFUSED, "failure,delay", True),
        (State.REFUSED, "SUCCESS", False),
        (State.REFUSED, "NEVER", False),
        (State.EXPIRED, "", True),
        (State.EXPIRED, "NEVER", False),
        (State.RELAYED, "", False),
        (State.RELAYED, "SUCCESS,FAILURE", True),
        (State.QUEUED, "", False),
        (State.QUEUED, "FAILURE", False),
        (State.QUEUED, "DELAY", True),
        (State.HELD, "DELAY", True),
        (State.CANCELLED, "FAILURE,SUCCESS,DELAY", False),
        (State.REJECTED, "FAILURE,SUCCESS,DELAY", False),
    ],
)
def test_only_who_asked_is_told(state, notify, told):
    message = stored(Recipient("ann@mail.example", state), notify={"ann@mail.example": notify} if notify else {})
    assert bool(verdicts(message, message.recipients)) is told


def test_each_recipient_has_asked_for_itself():
    ann, bob = refused("ann@mail.example"), refused("bob@mail.example")
    message = stored(ann, bob, notify={"bob@mail.example": "NEVER"})
    assert [one.recipient for one in verdicts(message, message.recipients)] == [ann]


@pytest.mark.parametrize("more", [{"reverse_path": ""}, {"kind": "dsn"}])
def test_nobody_is_told_of_mail_with_the_null_reverse_path_or_of_a_notice(more):
    message = stored(notify={"ann@mail.example": "SUCCESS,FAILURE,DELAY"}, **more)
    assert verdicts(message, message.recipients) == []


@pytest.mark.parametrize("cause", list(Cause))
def test_every_cause_of_a_refusal_has_a_permanent_status(cause):
    (told,) = verdicts(stored(refused(cause=cause.name)), [refused(cause=cause.name)])
    assert re.fullmatch(r"5\.\d\.\d{1,2}", told.status)


def test_an_address_beyond_ascii_makes_it_the_internationalized_report():
    path = "жанна@почта.example"
    message = stored(refused(path), reverse_path="заказы@shop.example", orcpt={path: "utf-8;\\x{436}@old.example"})
    report = parsed(dsn_of(message, original="Subject: Привет\r\n".encode()))
    assert [part.get_content_type() for part in report.iter_parts()] == [
        "text/plain",
        "message/global-delivery-status",
        "message/global-headers",
    ]
    about = groups(report)[1]
    assert about["Final-Recipient"] == f"utf-8; {path}"
    assert about["Original-Recipient"] == "utf-8; ж@old.example"
    assert "To: <заказы@shop.example>\r\n".encode() in dsn_of(message).content


def test_ret_full_gives_the_message_back_whole():
    message = stored(ret="FULL")
    original = returned_original(message, verdicts(message, message.recipients), iter([ORIGINAL]))
    (*_, whole) = parsed(dsn_of(message, original=original)).iter_parts()
    assert whole.get_content_type() == "message/rfc822"
    assert whole.get_payload(0).get_content().strip() == "Thanks."


@pytest.mark.parametrize(
    "message",
    [
        stored(),
        stored(ret="HDRS"),
        stored(ret="FULL", size_octets=FULL_OCTETS + 1),
        stored(Recipient("ann@mail.example", State.QUEUED), ret="FULL", notify={"ann@mail.example": "DELAY"}),
    ],
    ids=["by itself", "asked for", "too large", "only late"],
)
def test_else_the_header_alone_goes_back(message):
    original = returned_original(message, verdicts(message, message.recipients), iter([ORIGINAL[:50], ORIGINAL[50:]]))
    assert original == HEADER


def test_a_header_is_read_no_further_than_it_is_given_back():
    def pieces():
        yield HEADER
        while True:
            yield b"X-Long: " + b"x" * 60 + b"\r\n"

    message = stored()
    original = returned_original(message, verdicts(message, message.recipients), pieces())
    assert HEADER_OCTETS - 100 < len(original) <= HEADER_OCTETS
    assert original.endswith(b"x\r\n")


def test_content_that_is_gone_leaves_the_third_part_out():
    message = stored()
    original = returned_original(message, verdicts(message, message.recipients), iter([]))
    assert len(list(parsed(dsn_of(message, original=original)).iter_parts())) == 2


def test_two_blanks_in_a_quoted_local_part_stay_two():
    path = '"a  b"@mail.example'
    assert f"Final-Recipient: rfc822; {path}\r\n".encode() in dsn_of(stored(refused(path))).content


hostile = st.text(alphabet=st.one_of(st.characters(), st.sampled_from("\r\n\0 :\t=?\x85\u2028\ud800")), max_size=3000)
paths = st.from_regex(r"\A[a-z\u0436]{1,9}@[a-z]{1,9}\.example\Z")


@settings(max_examples=150, deadline=None)
@given(
    reason=hostile,
    subject=hostile,
    message_id=hostile,
    vendor=hostile,
    envid=hostile,
    orcpt=hostile,
    path=paths,
    original=st.binary(max_size=500),
)
def test_nothing_that_came_in_can_add_a_field_or_a_long_line(
    reason, subject, message_id, vendor, envid, orcpt, path, original
):
    message = stored(
        refused(path, reason=reason, vendor=vendor),
        subject=subject,
        header_message_id=message_id,
        envid=envid,
        orcpt={path: f"rfc822;{orcpt}"},
    )
    told = verdicts(message, message.recipients)
    header = returned_original(message, told, iter([original]))
    content = dsn_of(message, original=header).content
    report = email.message_from_bytes(content, policy=email.policy.compat32)
    known = {"From", "To", "Subject", "Date", "Message-ID", "Auto-Submitted", "MIME-Version", "Content-Type"}
    assert known <= set(report.keys()) <= known | {"In-Reply-To", "References"}
    assert len(report.keys()) == len(set(report.keys()))
    text, *_ = report.get_payload()
    assert set(text.keys()) == {"Content-Type", "Content-Transfer-Encoding"}
    assert {name for group in groups(report) for name in group} <= {
        "Reporting-MTA", "Original-Envelope-Id", "Arrival-Date", "Original-Recipient", "Final-Recipient", "Action",
        "Status", "Remote-MTA", "Diagnostic-Code", "Last-Attempt-Date",
    }  # fmt: skip
    assert len(groups(report)) == 2
    ours = content.partition(b"Content-Description: The message's header")[0]
    lines = ours.split(b"\r\n")
    assert all(len(line) <= 998 and b"\r" not in line and b"\n" not in line and b"\0" not in line for line in lines)


def test_the_envelope_of_the_original_may_name_more_recipients_than_are_told():
    message = stored(refused(), Recipient("bob@mail.example", State.QUEUED))
    assert isinstance(message.envelope, Envelope)
    assert len(groups(parsed(dsn_of(message)))) == 2
