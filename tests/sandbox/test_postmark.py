"""The Postmark sandbox answers as the contract says, refuses everything else by its code, and fails on demand."""

from __future__ import annotations

import base64
import http.client
import json
import time
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from gateway.sandbox.postmark_error import CODES
from gateway.sandbox.postmark_magic import RECIPIENTS, TABLE, TOKENS
from gateway.sandbox.postmark_rules import FORBIDDEN_EXTENSIONS

BASE = "/sandbox/postmark/v1"
TOKEN = "pm_test_0123456789"
FILE = {"Name": "77.txt", "Content": "aGVsbG8=", "ContentType": "text/plain"}
TEMPLATE = {"Subject": None, "TextBody": None, "TemplateAlias": "welcome", "TemplateModel": {"name": "Ann"}}
CUT = (http.client.RemoteDisconnected, ConnectionResetError)


def mail(**changes: Any) -> dict[str, Any]:
    """A request by the contract; None takes a field away."""
    document: dict[str, Any] = {
        "From": "Shop <billing@shop.example>",
        "To": "ann@cust.example",
        "Subject": "Your invoice 77",
        "TextBody": "See below.",
    }
    document.update(changes)
    return {name: value for name, value in document.items() if value is not None}


def send(console, document, token=TOKEN, path="/email", **headers):
    body = document if isinstance(document, bytes | str) else json.dumps(document)
    usual = {"Content_Type": "application/json", "Accept": "application/json", "X_Postmark_Server_Token": token}
    return console.call("POST", BASE + path, body, **(usual | headers))


def server(console, token=TOKEN):
    return console.get(f"{BASE}/server", Accept="application/json", X_Postmark_Server_Token=token)


def to(name: str) -> dict[str, Any]:
    return mail(To=f"{name}@sandbox.example")


def assert_refused(answer, status: int, code: int, named: str = "") -> None:
    assert (answer.status, answer.json["ErrorCode"]) == (status, code), answer.text
    assert named in answer.json["Message"]
    assert answer.headers["X-PM-ApiErrorCode"] == str(code)


# -- the contract


def test_a_send_is_200_with_the_five_fields_of_the_contract(console):
    answer = send(console, mail())
    assert answer.status == 200
    document = answer.json
    assert UUID(document.pop("MessageID"))
    at = document.pop("SubmittedAt")
    assert (len(at.partition(".")[2].partition("+")[0]), at[-6:]) == (7, "+00:00")
    assert document == {"To": "ann@cust.example", "ErrorCode": 0, "Message": "OK"}


@pytest.mark.parametrize("token", ["POSTMARK_API_TEST", "postmark_api_test"])
def test_the_test_token_works_for_both(console, token):
    assert server(console, token).json["SmtpApiActivated"] is True
    assert send(console, mail(), token).json["Message"] == "Test job accepted"


def test_every_field_of_the_contract_is_taken_and_kept(console):
    everything = mail(
        To='Jörg <ann@cust.example>, "Doe, Jane" <jane@cust.example>',
        Cc="c@cust.example",
        Bcc="audit@shop.example",
        HtmlBody='<img src="cid:logo">',
        ReplyTo="help@shop.example, desk@shop.example",
        Headers=[{"Name": "X-Ref", "Value": "1"}, {"Name": "X-Ref", "Value": "2"}],
        Tag="invoice",
        Metadata={"invoice": "77"},
        TrackOpens=False,
        TrackLinks="HtmlAndText",
        MessageStream="newsletter-2",
        Attachments=[FILE, {"Name": "l.png", "Content": "AA==", "ContentType": "image/png", "ContentID": "cid:logo"}],
    )
    assert send(console, everything).status == 200
    message = console.messages()[0]
    assert message["request"]["json"] == everything
    assert TOKEN not in json.dumps(message)
    assert console.get(f"/sandbox/messages/{message['id']}").status == 200
    assert console.get(f"/sandbox/messages/{message['id']}/attachments/0").body == b"hello"


@pytest.mark.parametrize("named", [{"TemplateAlias": "welcome"}, {"TemplateAlias": None, "TemplateId": 77}])
def test_a_template_needs_neither_subject_nor_body(console, named):
    answer = send(console, mail(**{**TEMPLATE, **named, "InlineCss": False}), path="/email/withTemplate")
    assert answer.status == 200
    assert console.get(f"/sandbox/messages/{console.messages()[0]['id']}").status == 200


def test_null_is_the_same_as_absent(console):
    nothing = dict.fromkeys(["Cc", "HtmlBody", "Tag", "Metadata", "Headers", "TrackOpens", "Attachments", "TemplateId"])
    assert send(console, {**mail(), **nothing}).status == 200


@pytest.mark.parametrize(
    ("changes", "code", "named"),
    [
        ({"From": None}, 300, "'From'"),
        ({"From": "Doe, Jane <jane@shop.example>"}, 300, "'From'"),
        ({"From": f"{'x' * 250} <a@shop.example>"}, 300, "255"),
        ({"To": None}, 300, "'To'"),
        ({"To": ""}, 300, "'To'"),
        ({"To": "nobody"}, 300, "Invalid 'To' address: 'nobody'."),
        ({"To": "ann@cust.example, x"}, 300, "Invalid 'To' address: 'x'."),
        ({"To": '"a b"@cust.example'}, 300, "'To'"),
        ({"To": "jörg@cust.example"}, 300, "'To'"),
        ({"To": "a@müller.example"}, 300, "'To'"),
        ({"Cc": "a@b@c"}, 300, "'Cc'"),
        ({"Bcc": "a@b.example\r\nBcc: c@d.example"}, 300, "'Bcc'"),
        ({"ReplyTo": "nobody"}, 300, "'ReplyTo'"),
        ({"Bcc": ", ".join(f"r{n}@cust.example" for n in range(50))}, 300, "51"),
        ({"Subject": "x" * 2001}, 300, "2000"),
        ({"Subject": "a\nb"}, 300, "'Subject'"),
        ({"TextBody": None}, 300, "TextBody"),
        ({"TextBody": ""}, 300, "TextBody"),
        ({"Tag": "x" * 1001}, 300, "1000"),
        ({"Metadata": {f"k{n}": "v" for n in range(11)}}, 300, "10 keys"),
        ({"Metadata": {"k" * 21: "v"}}, 300, "20"),
        ({"Metadata": {"k": "v" * 81}}, 300, "80"),
        ({"Metadata": {"a_key": "1", "A_Key": "2"}}, 300, "case"),
        ({"Headers": [{"Name": "X A", "Value": "b"}]}, 300, "'X A'"),
        ({"Headers": [{"Name": "X-A", "Value": "b\r\nBcc: c@d.example"}]}, 300, "'X-A'"),
        ({"Attachments": [{**FILE, "Name": ""}]}, 300, "'Name'"),
        ({"Attachments": [{**FILE, "Content": "aGVsbG8"}]}, 300, "'77.txt'"),
        ({"Attachments": [{**FILE, "Content": "aGVs\nbG8="}]}, 300, "'77.txt'"),
        ({"Attachments": [{**FILE, "ContentType": "text"}]}, 300, "'ContentType'"),
        ({"Attachments": [{**FILE, "ContentID": "logo"}]}, 300, "'ContentID'"),
        ({"From": 7}, 403, "'From'"),
        ({"To": ["ann@cust.example"]}, 403, "'To'"),
        ({"from": "a@b.example"}, 403, "'from'"),
        ({"TextBody": 5}, 403, "'TextBody'"),
        ({"HtmlBody": ["x"]}, 403, "'HtmlBody'"),
        ({"Headers": {"X-A": "b"}}, 403, "'Headers'"),
        ({"Metadata": {"a": 1}}, 403, "'Metadata'"),
        ({"TrackOpens": "true"}, 403, "'TrackOpens'"),
        ({"TrackLinks": "Html"}, 403, "'TrackLinks'"),
        ({"Attachments": [{"Name": "a", "Content": "AA=="}]}, 403, "'Content"),
        ({"Attachments": [{**FILE, "Content": 1}]}, 403, "'Attachments'"),
        ({"TemplateAlias": "welcome"}, 403, "'TemplateAlias'"),
        ({"MessageStream": "unknown"}, 1235, "'unknown' does not exist on this server."),
        ({"MessageStream": "9lives"}, 1235, "'9lives'"),
        ({"MessageStream": "pm-x"}, 1235, "'pm-x'"),
        ({"MessageStream": "inbound"}, 1236, ""),
        ({"From": "a@mail.unverified.example"}, 400, "is not a Sender Signature"),
    ],
)
def test_a_request_that_breaks_the_contract_is_422_with_its_code_and_what_is_wrong(console, changes, code, named):
    answer = send(console, mail(**changes))
    assert_refused(answer, 422, code, named)
    assert console.messages() == []


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"TemplateAlias": None}, 1101),
        ({"TemplateAlias": "unknown"}, 1101),
        ({"TemplateModel": None}, 1109),
        ({"Subject": "s"}, 1123),
        ({"TextBody": "t"}, 1123),
        ({"TemplateId": "77"}, 403),
        ({"TemplateModel": []}, 403),
    ],
)
def test_a_template_request_that_breaks_the_contract(console, changes, code):
    assert_refused(send(console, mail(**{**TEMPLATE, **changes}), path="/email/withTemplate"), 422, code)


@pytest.mark.parametrize("extension", sorted(FORBIDDEN_EXTENSIONS))
def test_a_forbidden_attachment_is_411(console, extension):
    answer = send(console, mail(Attachments=[FILE, {**FILE, "Name": f"a.b.{extension.upper()}"}]))
    assert_refused(answer, 422, 411, f"a.b.{extension.upper()}")


def test_a_file_that_is_only_named_like_an_extension_is_no_program(console):
    assert send(console, mail(Attachments=[{**FILE, "Name": "exe"}])).status == 200


@pytest.mark.parametrize("body", [b"", b"{", b"nope", b"\xff", b'{"From":"\xff"}', b"[" * 50000 + b"]" * 50000])
def test_a_body_that_is_no_json_is_402(console, body):
    assert_refused(send(console, body), 422, 402, "Received invalid JSON input")


@pytest.mark.parametrize("body", [b"[]", b"5", b"null"])
def test_json_that_is_no_object_is_403(console, body):
    assert_refused(send(console, body), 422, 403)


@pytest.mark.parametrize(
    "headers", [{"Content_Type": "text/plain"}, {"Content_Type": ""}, {"Accept": "text/html"}, {"Accept": ""}]
)
def test_without_both_json_headers_it_is_415(console, headers):
    assert_refused(send(console, mail(), **headers), 415, 409)


@pytest.mark.parametrize("token", ["", "nonsense", "ps_test_1", "Bearer pm_test_1"])
def test_a_missing_or_unknown_token_is_401_everywhere(console, token):
    assert_refused(send(console, mail(), token), 401, 10)
    assert_refused(server(console, token), 401, 10)


def test_an_account_token_is_no_server_token(console):
    answer = console.get(f"{BASE}/server", Accept="application/json", X_Postmark_Account_Token=TOKEN)
    assert_refused(answer, 401, 10)


@pytest.mark.parametrize(
    "changes",
    [
        {"TextBody": "x" * (5 * 1024 * 1024 + 1)},
        {"TextBody": "x" * (5 * 1024 * 1024), "HtmlBody": "x" * (5 * 1024 * 1024), "Attachments": [FILE]},
        {"Attachments": [{**FILE, "Content": base64.b64encode(bytes(8 * 1024 * 1024)).decode()}]},
    ],
    ids=["a body", "both bodies and a file", "a file after base64"],
)
def test_what_is_too_large_is_413(console, changes):
    assert send(console, mail(**changes)).status == 413


def test_ten_megabytes_are_taken(console):
    content = base64.b64encode(bytes(7 * 1024 * 1024)).decode()
    assert send(console, mail(Attachments=[{**FILE, "Content": content}])).status == 200
    message_id = console.messages()[0]["id"]
    assert console.get(f"/sandbox/messages/{message_id}/attachments/0").body == bytes(7 * 1024 * 1024)


def test_wrong_method_and_unknown_path_are_json(console):
    for method, path, status in (("GET", "/email", 405), ("POST", "/server", 405), ("GET", "/nope", 404)):
        answer = console.call(method, BASE + path)
        assert (answer.status, bool(answer.json["Message"])) == (status, True)


def test_the_server_tells_what_a_login_asks(console):
    document = server(console).json
    assert document["ApiTokens"] == [TOKEN]
    assert (document["SmtpApiActivated"], document["DeliveryType"], document["TrackLinks"]) == (True, "Live", "None")
    assert server(console, "pm_nosmtp_1").json["SmtpApiActivated"] is False


CASES = sorted((Path(__file__).parents[1] / "vendors" / "postmark").glob("*.request.json"))


@pytest.mark.parametrize("file", CASES, ids=lambda file: file.name.partition(".")[0])
def test_what_the_gateway_asks_in_its_cases_is_by_the_contract(console, file):
    for request in json.loads(file.read_text("utf-8"))["requests"]:
        answer = send(console, request["json"], path=request["path"])
        assert answer.status == 200 or answer.json["ErrorCode"] == 411, answer.text


# -- failing on demand


@pytest.mark.parametrize("code", CODES)
def test_every_code_can_be_had_with_its_status(console, code):
    assert_refused(send(console, to(f"code-{code}+x")), CODES[code][0], code)


def test_several_errors_are_listed(console):
    assert len(send(console, to("code-11")).json["Errors"]) == 2


def test_suppressed_recipients_are_left_out_and_named(console):
    answer = send(console, mail(Cc="suppressed+1@sandbox.example", Bcc="SUPPRESSED@sandbox.example"))
    assert (answer.status, answer.json["ErrorCode"]) == (200, 0)
    assert answer.json["Message"] == (
        "Message OK, but will not deliver to these inactive addresses: "
        "suppressed+1@sandbox.example, SUPPRESSED@sandbox.example."
    )
    assert console.messages()[0]["skipped"] == ["suppressed+1@sandbox.example", "SUPPRESSED@sandbox.example"]


def test_when_all_are_suppressed_it_is_406_and_names_them(console):
    assert_refused(send(console, to("suppressed")), 422, 406, "Found inactive addresses: suppressed@sandbox.example. ")


def test_an_inactive_recipient_keeps_the_message_from_the_others(console):
    answer = send(console, mail(Cc="inactive@sandbox.example, error500@cust.example"))
    assert_refused(answer, 422, 406, "Found inactive addresses: inactive@sandbox.example. Inactive recipients are")
    assert console.messages() == []


def test_a_magic_name_elsewhere_is_a_plain_address(console):
    assert send(console, mail(To="code-300@cust.example, other@sandbox.example")).status == 200


def test_too_large_and_a_bad_gateway(console):
    assert send(console, to("toolarge")).status == 413
    answer = send(console, to("badgateway"))
    assert (answer.status, answer.headers["Content-Type"]) == (502, "text/html")


def test_garbage_is_a_200_that_is_no_json(console):
    answer = send(console, to("garbage"))
    assert answer.status == 200
    with pytest.raises(json.JSONDecodeError):
        assert answer.json


def test_a_huge_answer_has_20_megabytes(console):
    answer = send(console, to("huge-answer"))
    assert (answer.status, answer.json["Message"]) == (200, "OK")
    assert len(answer.body) > 20_000_000


def test_a_slow_answer_comes_after_3_seconds(console):
    started = time.monotonic()
    assert send(console, to("slow")).status == 200
    assert 2.9 < time.monotonic() - started < 8


@pytest.mark.parametrize(("name", "token"), [("cut", TOKEN), ("ann", "pm_cut_1")])
def test_cut_closes_without_an_answer(console, name, token):
    with pytest.raises(CUT):
        send(console, to(name), token)
    assert console.messages(everything=True)[0]["status"] is None


def test_cut_answer_sends_half_of_it(console):
    with pytest.raises(http.client.IncompleteRead) as raised:
        send(console, to("cut-answer"))
    assert raised.value.partial.startswith(b'{"To"')
    assert len(console.messages()) == 1


@pytest.mark.parametrize(("name", "token"), [("noanswer", TOKEN), ("ann", "pm_noanswer_1")])
def test_noanswer_keeps_the_connection_open_and_silent(console, name, token):
    connection = console.connect(timeout=0.5)
    headers = {
        "Content-Type": "application/json", "Accept": "application/json", "X-Postmark-Server-Token": token,
    }  # fmt: skip
    connection.request("POST", f"{BASE}/email", json.dumps(to(name)), headers)
    with pytest.raises(TimeoutError):
        connection.getresponse()
    connection.close()
    assert console.messages(everything=True)[0]["error"] == "never answered"


@pytest.mark.parametrize(
    ("token", "on_read", "on_send"),
    [
        ("pm_test_1", 200, 200),
        ("PM_TEST_1", 200, 200),
        ("pm_nosmtp_1", 200, 200),
        ("pm_down_1", 503, 503),
        ("pm_limited_1", 200, 429),
        ("pm_revoked_1", 200, 401),
        ("pm_pending_1", 200, 422),
    ],
)
def test_a_magic_token_gets_its_statuses(console, token, on_read, on_send):
    assert server(console, token).status == on_read
    assert send(console, mail(), token).status == on_send


def test_a_slow_token_is_known_and_late(console):
    started = time.monotonic()
    assert server(console, "pm_slow_1").status == 200
    assert 2.9 < time.monotonic() - started < 8


def test_the_console_and_the_documentation_tell_all_of_the_magic(console):
    page = console.get("/sandbox/magic").text
    text = (Path(__file__).parents[2] / "docs" / "POSTMARK.md").read_text("utf-8")
    for one in RECIPIENTS:
        assert f"{one.name}@sandbox.example" in page
        assert f"| `{one.name}@sandbox.example` | {one.meaning} |" in text
    for token in TOKENS:
        assert token.prefix in page
        assert f"| `{token.prefix}…` | {token.meaning} |" in text
    for written, meaning in {**TABLE.senders, **TABLE.others}.items():
        assert f"| `{written}` | {meaning} |" in text
