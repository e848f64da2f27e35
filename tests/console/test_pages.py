"""The console as a browser and as a script sees it: pages, JSON, hostile mail, hostile web sites."""

from __future__ import annotations

import base64
import json
import threading
import time

import pytest

from tests.sandbox.console_process import BASE, KEY, mail, running

SCRIPT = "<script>alert(1)</script>"
HOSTILE = f"{SCRIPT}\"'><img src=x onerror=alert(1)>"


def newest(console):
    return console.messages(everything=True)[0]["id"]


def test_the_empty_inbox_shows_how_to_send_a_first_message(console):
    page = console.get("/").text
    assert "swaks --server" in page
    assert "without login" in page


def test_the_list_for_scripts_is_newest_first_and_holds_accepted_mail_only(console):
    console.send(mail(subject="one"))
    console.send(mail(to=["forbidden@sandbox.example"]))
    console.send(mail(subject="two"))
    messages = console.messages()
    assert [one["request"]["json"]["subject"] for one in messages] == ["two", "one"]
    assert messages[0]["vendor"] == "postscale"
    assert messages[0]["request"]["method"] == "POST"
    assert messages[0]["request"]["path"] == f"{BASE}/send"
    assert messages[0]["received_at"].endswith("Z")
    assert [one["status"] for one in console.messages(everything=True)] == [202, 403, 202]


def test_delete_empties_the_inbox(console):
    console.send(mail())
    answer = console.call("DELETE", "/api/v1/sandbox/messages")
    assert (answer.status, answer.body) == (204, b"")
    assert console.messages() == []


def test_the_form_empties_the_inbox_as_a_browser_sends_it(console):
    console.send(mail())
    answer = console.call("POST", "/sandbox/clear", Origin="null", Sec_Fetch_Site="same-origin")
    assert (answer.status, answer.headers["Location"]) == (303, "/")
    assert console.messages() == []


def test_no_secret_is_in_the_json_or_on_a_page(console):
    console.send(mail())
    console.send(mail(), key="ps_live_0123456789")
    for path in ("/", f"/sandbox/messages/{newest(console)}", "/api/v1/sandbox/messages?all=1"):
        assert "0123456789" not in console.get(path).text
    assert console.messages()[0]["request"]["headers"]["Authorization"] == "Bearer ps_test_…"


def test_the_gateways_note_is_on_the_page_and_in_the_json(console):
    vendor_message_id = console.send(mail()).json["message_id"]
    console.command("note", vendor_message_id, "gw-123", ["header DKIM-Signature", HOSTILE])
    message = console.messages()[0]
    assert (message["message_id"], message["gateway_id"]) == (vendor_message_id, "gw-123")
    assert message["report"] == ["header DKIM-Signature", HOSTILE]
    page = console.get(f"/sandbox/messages/{message['id']}").text
    assert "gw-123" in page
    assert "header DKIM-Signature" in page
    assert SCRIPT not in page


def test_the_page_of_a_message_tells_recipients_apart(console):
    console.send(
        mail(cc=["bob@cust.example"], bcc=["Sue <suppressed@sandbox.example>"], tags=["t1"], metadata={"k": "v1"})
    )
    page = console.get(f"/sandbox/messages/{newest(console)}").text
    for text in ("<dt>To</dt>", "<dt>Cc</dt>", "<dt>Bcc</dt>", "skipped: suppressed", "t1", "v1"):
        assert text in page


def test_hostile_mail_is_escaped_everywhere(console):
    content = base64.b64encode(SCRIPT.encode()).decode()
    hostile_file = {"filename": f'../{HOSTILE}".html', "content": content, "content_type": "text/html"}
    console.send(
        mail(
            subject=HOSTILE,
            text_body=HOSTILE,
            html_body=HOSTILE,
            tags=[HOSTILE],
            metadata={HOSTILE: HOSTILE},
            headers={"X-A": HOSTILE},
            attachments=[hostile_file],
            unsubscribe_scope=HOSTILE,
            **{"from": '"<script>alert(1)</script>" <a@b.example>'},
        )
    )
    message_id = newest(console)
    for path in ("/", f"/sandbox/messages/{message_id}"):
        page = console.get(path).text
        assert "<script>alert" not in page
        assert "<img src=x" not in page
    saved = console.get(f"/sandbox/messages/{message_id}/attachments/0")
    assert saved.headers["Content-Type"] == "application/octet-stream"
    assert saved.headers["X-Content-Type-Options"] == "nosniff"
    assert saved.headers["Content-Disposition"].startswith("attachment; filename=")
    assert "/" not in saved.headers["Content-Disposition"]
    assert saved.body == SCRIPT.encode()


def test_the_html_preview_is_shut_in(console):
    console.send(mail(html_body="<p>hi</p>"))
    answer = console.get(f"/sandbox/messages/{newest(console)}/html")
    policy = answer.headers["Content-Security-Policy"]
    assert policy.startswith("sandbox; default-src 'none'; img-src data: cid:; style-src 'unsafe-inline'")
    assert "frame-ancestors 'self'" in policy
    assert (answer.text, answer.headers["X-Frame-Options"]) == ("<p>hi</p>", "SAMEORIGIN")


def test_a_file_name_beyond_ascii_travels_as_rfc_6266_says(console):
    console.send(mail(attachments=[{"filename": "Größe 1.pdf", "content": "AA==", "content_type": "application/pdf"}]))
    answer = console.get(f"/sandbox/messages/{newest(console)}/attachments/0")
    assert answer.headers["Content-Type"] == "application/pdf"
    assert answer.headers["Content-Disposition"] == (
        "attachment; filename=\"Gr__e 1.pdf\"; filename*=UTF-8''Gr%C3%B6%C3%9Fe%201.pdf"
    )


@pytest.mark.parametrize("body", ["{", "\\u0000 <b>", '{"a":' * 60 + "1" + "}" * 60, "[]", "\x00\x01"])
def test_a_request_that_is_no_message_can_still_be_looked_at(console, body):
    console.send(body)
    message_id = newest(console)
    assert console.get(f"/sandbox/messages/{message_id}").status == 200
    assert console.get(f"/api/v1/sandbox/messages/{message_id}").json["status"] == 400
    assert console.get(f"/sandbox/messages/{message_id}/html").status == 404


@pytest.mark.parametrize(
    "path",
    ["/nope", "/sandbox/messages/nope", "/sandbox/messages/..%2f..%2fetc", "/static/..%2fpages.py", "/static/nope.css",
     "/sandbox/other/v1/send", "/sandbox/messages/nope/attachments/0", "/api/v1/sandbox/messages/nope", "//nope/"],
)  # fmt: skip
def test_what_is_not_there_is_404(console, path):
    assert console.get(path).status == 404


def test_an_attachment_number_out_of_range_is_404(console):
    console.send(mail(attachments=[{"filename": "a", "content": "AA=="}]))
    assert console.get(f"/sandbox/messages/{newest(console)}/attachments/1").status == 404


def test_every_response_has_the_security_headers_and_no_inline_script(console):
    console.send(mail())
    for path in (
        "/",
        f"/sandbox/messages/{newest(console)}",
        "/sandbox/magic",
        "/nope",
        "/livez",
        "/static/console.js",
    ):
        answer = console.get(path)
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Referrer-Policy"] == "no-referrer"
        assert answer.headers["X-Frame-Options"] == "DENY"
        assert "script-src 'self'" in answer.headers["Content-Security-Policy"]
        assert "unsafe" not in answer.headers["Content-Security-Policy"]
        assert "<script>" not in answer.text
        assert "style=" not in answer.text


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example:8025", "", "a@127.0.0.1", "[::1", "[::2]:80"])
def test_a_foreign_host_name_is_refused(console, host):
    for path in ("/", "/api/v1/sandbox/messages", "/livez", f"{BASE}/domains"):
        assert console.get(path, Host=host).status == 421


@pytest.mark.parametrize("host", ["127.0.0.1:8025", "localhost", "LOCALHOST:1", "[::1]:8025"])
def test_our_own_host_names_are_taken(console, host):
    assert console.get("/livez", Host=host).status == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "http://localhost:3000"},
        {"Origin": "null"},
        {"Origin": "null", "Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site"},
    ],
)
def test_a_foreign_web_page_can_change_nothing(console, headers):
    console.send(mail())
    assert console.call("DELETE", "/api/v1/sandbox/messages", **headers).status == 403
    assert console.call("POST", "/sandbox/clear", **headers).status == 403
    assert console.send(mail(), **headers).status == 403
    assert len(console.messages()) == 1


def test_our_own_origin_may_change_things(console):
    origin = f"http://127.0.0.1:{console.port}"
    assert console.call("DELETE", "/api/v1/sandbox/messages", Origin=origin).status == 204


def test_wrong_methods_are_405(console):
    assert console.call("POST", "/").status == 405
    assert console.call("PUT", "/api/v1/sandbox/messages").json["error"]
    assert console.call("GET", "/sandbox/clear").status == 405


def test_readiness_gives_its_reasons(console):
    assert console.get("/livez").json == {"status": "live"}
    assert console.get("/readyz").status == 200
    console.command("reasons", ["the store is locked"])
    answer = console.get("/readyz")
    console.command("reasons", [])
    assert (answer.status, answer.json["reasons"]) == (503, ["the store is locked"])


def test_the_summary_changes_when_a_message_arrives(console):
    before = console.get("/api/v1/sandbox/summary").json
    console.send(mail())
    after = console.get("/api/v1/sandbox/summary").json
    assert after["change"] > before["change"]
    assert (after["messages"], after["newest"]) == (1, newest(console))


def test_a_long_inbox_has_pages(console):
    for number in range(60):
        console.send(mail(subject=f"message-{number:02}"))
    first, second = console.get("/").text, console.get("/?page=2").text
    assert "message-59" in first
    assert "message-09" not in first
    assert "message-09" in second
    assert console.get("/?page=99999").status == 200
    assert console.get("/?page=x").status == 200


def test_without_a_sandbox_the_console_begins_with_the_overview(tmp_path):
    with running(tmp_path / "inbox", "no-inbox") as console:
        answer = console.get("/")
        assert (answer.status, answer.headers["Location"]) == (303, "/overview")
        assert "Overview" in console.get("/overview").text
        assert console.get("/api/v1/sandbox/messages").status == 404
        assert console.get(f"{BASE}/domains", Authorization=f"Bearer {KEY}").status == 404
        assert console.get("/livez").status == 200


def test_a_40_megabyte_attachment_stays_out_of_memory(console):
    octets = bytes(range(256)) * 156_250
    document = json.dumps(mail(attachments=[{"filename": "big", "content": base64.b64encode(octets).decode()}]))
    console.send(mail())
    before = console.anonymous_octets()
    peak = [before]
    done = threading.Event()

    def watch():
        while not done.wait(0.005):
            peak[0] = max(peak[0], console.anonymous_octets())

    watcher = threading.Thread(target=watch)
    watcher.start()
    started = time.monotonic()
    try:
        assert console.send(document).status == 202
        message_id = newest(console)
        assert console.get(f"/sandbox/messages/{message_id}/attachments/0").body == octets
        assert len(console.get(f"/sandbox/messages/{message_id}").body) < 100_000
        assert console.messages()[0]["request"]["json"]["attachments"][0]["filename"] == "big"
    finally:
        done.set()
        watcher.join()
    assert peak[0] - before < 12_000_000
    assert time.monotonic() - started < 20


def test_a_client_that_leaves_while_streaming_stops_the_stream(console):
    console.send(mail(attachments=[{"filename": "big", "content": "AAAA" * 5_000_000}]))
    before = console.anonymous_octets()
    path = f"/sandbox/messages/{newest(console)}/attachments/0"
    for _ in range(5):
        connection = console.connect()
        connection.request("GET", path)
        connection.sock.recv(1000)
        connection.close()
    assert console.get("/livez").status == 200
    assert console.anonymous_octets() - before < 12_000_000


def test_a_path_that_is_no_text_is_refused_by_the_guard(console):
    answer = console.get("/%ff%fe")
    assert (answer.status, answer.text) == (400, "This path is no UTF-8.\n")  # klein's own refusal leaves a trace
    assert answer.headers["X-Frame-Options"] == "DENY"
