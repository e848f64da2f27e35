"""Mail that attacks whoever looks at it: nothing of it runs, and nothing is fetched, in a real browser."""

from __future__ import annotations

import itertools
import socket
import time
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from playwright.sync_api import expect

from gateway.console.preview import without_reaching_out
from gateway.store.records import Bounce, State, StoredEvent
from tests.console.browser import Visit
from tests.console.stored import attempts, message

SCRIPT = "<script>top.wasRun = true; alert(1)</script>"
ATTACK = f'"\'><img src=x onerror="top.wasRun = true; alert(2)"><svg onload=alert(3)>{SCRIPT}{{{{ 7 * 7 }}}}'
HTML = """\
<html><head><meta http-equiv="refresh" content="0; url={elsewhere}/refresh"><base href="{elsewhere}/">
<link rel="stylesheet" href="{elsewhere}/style.css"><link rel="preconnect" href="{elsewhere}">
<style>@import "{elsewhere}/import.css"; body {{ background: url({elsewhere}/background.png) }}</style></head>
<body onload="top.wasRun = true"><h1>Dear customer</h1><script>top.wasRun = true; alert(4)</script>
<img src="{elsewhere}/pixel.png" onerror="alert(5)"><img srcset="{elsewhere}/set.png 2x">
<svg><script>alert(6)</script><image href="{elsewhere}/svg.png"/></svg><iframe src="{elsewhere}/frame"></iframe>
<iframe srcdoc="<script>top.wasRun = true; alert(7)</script>"></iframe><object data="{elsewhere}/object"></object>
<video src="{elsewhere}/video" autoplay></video><form action="{elsewhere}/form"><button id="b">Win</button></form>
<a id="link" href="javascript:top.wasRun = true">Open</a></body></html>
"""


@pytest.fixture
def elsewhere():
    """A server of the attacker's; whoever connects has been led astray."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(0.2)
        yield listening


def mail(html: str) -> bytes:
    name = SCRIPT.replace('"', "'")
    return (
        f"From: {SCRIPT} <evil@shop.example>\r\nTo: ann@cust.example\r\nSubject: {ATTACK}\r\n"
        f"X-{'A' * 10}: {ATTACK}\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
        f"--b\r\nContent-Type: text/html; charset=utf-8\r\n\r\n{html}\r\n"
        f"--b\r\nContent-Type: text/plain\r\n\r\n{ATTACK}\r\n"
        f'--b\r\nContent-Type: text/html; name="{name}.html"\r\n'
        f'Content-Disposition: attachment; filename="{name}.html"\r\n\r\n{SCRIPT}\r\n--b--\r\n'
    ).encode()


def hostile_message():
    one = message(time.time() - 5, State.HELD, ATTACK, author=f"{ATTACK}@shop.example", account_name=ATTACK)
    recipient = replace(one.recipients[0], path=f"{ATTACK}@cust.example", reason=ATTACK, vendor=ATTACK)
    origin = {"hello_name": ATTACK, "peer": ATTACK, ATTACK: ATTACK}
    return replace(
        one, recipients=(recipient,), origin=origin, lane=f"{ATTACK}/own", session_id=ATTACK,
        header_message_id=ATTACK, idempotency_key=ATTACK, envelope=replace(one.envelope, envid=ATTACK, ret=ATTACK),
    )  # fmt: skip


def store_it(operated, content):
    one = hostile_message()
    made = attempts(one)[0]
    call = replace(made.calls[0], answer=ATTACK, url=f"https://{ATTACK}")
    made = replace(made, reason=ATTACK, report=(ATTACK,), calls=(call,), vendor=ATTACK, gateway=ATTACK)
    event = StoredEvent(one.received_at, "held", one.message_id, {"recipients": [{"path": ATTACK}], ATTACK: ATTACK})

    def job(transaction):
        transaction.add_message(one, [content], [made])
        transaction.add_events([event])
        transaction.add_bounce(Bounce(0, one.message_id, ATTACK, ATTACK, one.received_at, 1, ATTACK, ATTACK))

    operated.store.run(job)
    return one


def was_led_astray(elsewhere) -> bool:
    try:
        elsewhere.accept()[0].close()
    except TimeoutError:
        return False
    return True


def test_hostile_mail_runs_nothing_and_fetches_nothing(browser, operated, elsewhere):
    html = HTML.format(elsewhere=f"http://127.0.0.1:{elsewhere.getsockname()[1]}")
    base = f"/messages/{store_it(operated, mail(html)).message_id}"
    visiting = Visit(browser, operated.base)
    page = visiting.go("/messages")
    for path in ("/overview", "/messages", "/queue", "/vendors", base, f"{base}/source"):
        visiting.go(path)
        assert page.locator("img[src=x], main script, svg[onload]").count() == 0
        assert page.evaluate("window.wasRun") is None
    assert visiting.troubles == []
    visiting.go(f"{base}/content")
    expect(page.frame_locator("iframe").locator("h1")).to_have_text("Dear customer")
    page.frame_locator("iframe").locator("#link").click(force=True)
    page.frame_locator("iframe").locator("#b").click(force=True)
    assert page.evaluate("window.wasRun") is None
    assert "{{ 7 * 7 }}" in page.locator("h1").inner_text()
    visiting.go(f"{base}/html")
    assert page.evaluate("document.scripts.length > 0"), "the attack is there, and does not run"
    assert page.evaluate("typeof window.wasRun") == "undefined"
    visiting.context.close()
    assert [one for one in visiting.troubles if "dialog" in one] == []
    assert not was_led_astray(elsewhere)


REACHING_OUT = b"<a><IFRAME src=x><link rel=a><p><mEta b><frameset><i><<iframe<"


@given(st.lists(st.integers(0, len(REACHING_OUT)), max_size=8))
def test_what_would_reach_out_is_found_however_the_html_comes_in_pieces(cuts):
    edges = sorted({0, *cuts, len(REACHING_OUT)})
    pieces = [REACHING_OUT[start:stop] for start, stop in itertools.pairwise(edges)]
    left = b"".join(without_reaching_out(pieces))
    assert left == b"<a><x-IFRAME src=x><x-link rel=a><p><x-mEta b><x-frameset><i><<x-iframe<"


def test_a_hostile_attachment_is_saved_and_not_opened(visit, operated):
    one = store_it(operated, mail("<p>Hello</p>"))
    page = visit.go(f"/messages/{one.message_id}/content")
    with page.expect_download() as downloading:
        page.locator("ul.attachments a").last.click()
    assert "/" not in downloading.value.suggested_filename
    assert downloading.value.path().read_bytes().strip() == SCRIPT.encode()
    answer = operated.process.get(f"/messages/{one.message_id}/attachments/0")
    assert answer.headers["Content-Type"] in ("application/octet-stream", "text/plain")
    assert answer.headers["Content-Disposition"].startswith("attachment;")


def test_the_preview_may_do_nothing_even_when_it_is_opened_alone(operated):
    one = store_it(operated, mail(SCRIPT))
    answer = operated.process.get(f"/messages/{one.message_id}/html")
    assert answer.headers["Content-Security-Policy"].startswith("sandbox; default-src 'none'")
    assert answer.headers["X-DNS-Prefetch-Control"] == "off"
    source = operated.process.get(f"/messages/{one.message_id}/source")
    assert "<script>top" not in source.text
    assert "&lt;script&gt;top" in source.text
    whole = operated.process.get(f"/api/v1/messages/{one.message_id}/content")
    assert whole.headers["Content-Type"] == "application/octet-stream"
    assert whole.body == mail(SCRIPT)
