"""The operator's pages over HTTP: what is asked wrongly, what is not there, what is large."""

from __future__ import annotations

import base64
import json
import re
import time
from dataclasses import replace
from urllib.parse import urlencode

import pytest

from gateway.store.records import Recipient, State, StoredEvent
from tests.console.stored import keep, message

FORM = {"Content_Type": "application/x-www-form-urlencoded"}
NOW = time.time()
PAGES = ("/overview", "/overview/figures", "/messages", "/queue", "/credentials", "/vendors")


def post(console, path, **fields):
    return console.call("POST", path, urlencode(fields, doseq=True), **FORM)


def subjects(page):
    return re.findall(r'<a class="subject"[^>]*>([^<]*)</a>', page)


@pytest.mark.parametrize("path", PAGES)
def test_every_page_is_there_with_an_empty_store(operated, path):
    answer = operated.process.get(path)
    assert answer.status == 200
    assert answer.headers["Cache-Control"] == "no-store"
    assert "unsafe" not in answer.headers["Content-Security-Policy"]
    assert not re.search(r"<script>|style=| on[a-z]+=", answer.text)


def test_pages_lead_through_all_messages_in_order(operated):
    keep(operated.store, *(message(NOW - number, State.RELAYED, f"Mail {number:03}") for number in range(120)))
    found, path = [], "/messages?text=mail"
    while path:
        page = operated.process.get(path).text
        found += subjects(page)
        older = re.search(r'<a href="([^"]+)" rel="next">', page)
        path = older[1].replace("&amp;", "&") if older else None
    assert found == [f"Mail {number:03}" for number in range(120)]


FILTERS = {
    "text": "CONTRACT",
    "recipient": "lawyer",
    "account": "Legal",
    "vendor": "spare",
    "vendor_message_id": "V-77",
    "header_message_id": "77@law.example",
    "state": "cancelled",
    "until": "2020-01-01T00:00",
}


@pytest.mark.parametrize("name", FILTERS)
def test_each_filter_finds_what_it_means(operated, name):
    at = 1_500_000_000.0
    one = message(at, State.CANCELLED, "The contract", account_name="legal", header_message_id="<77@law.example>")
    one = replace(
        one, recipients=(Recipient("lawyer@cust.example", State.CANCELLED, vendor="spare", vendor_message_id="v-77"),)
    )
    keep(operated.store, one, *(message(NOW - number, State.RELAYED) for number in range(3)))
    assert subjects(operated.process.get(f"/messages?{urlencode({name: FILTERS[name]})}").text) == ["The contract"]
    by_id = operated.process.get(f"/messages?id={one.message_id}&state=&text=&account=&from=")
    assert subjects(by_id.text) == ["The contract"]


@pytest.mark.parametrize(
    "path", ["/messages?from=yesterday", "/messages?state=lost", "/queue?until=99999999", "/messages?text=%ff",
             "/messages?text=a%00b"]
)  # fmt: skip
def test_a_filter_that_cannot_be_is_told_and_not_passed_over(operated, path):
    answer = operated.process.get(path)
    assert answer.status == 400
    assert answer.headers["Content-Type"].startswith("text/html")


@pytest.mark.parametrize("rest", ["", "/content", "/source", "/html", "/text", "/attachments/0", "/other"])
def test_a_message_that_is_not_there_is_404(operated, rest):
    assert operated.process.get(f"/messages/nothing{rest}").status == 404


def test_a_dsn_outlives_its_message_and_a_message_its_dsn(operated):
    gone = "01aaaaaaaaaaaaaaaaaa"
    dsn = message(NOW, State.QUEUED, "Your message could not be delivered", kind="dsn")
    dsn = replace(dsn, origin={"notice_of": gone})
    told = message(NOW - 1, State.REFUSED)
    keep(operated.store, dsn, told)
    notified = StoredEvent(NOW, "notified", told.message_id, {"dsn": gone})
    operated.store.run(lambda transaction: transaction.add_events([notified]))
    for one in (dsn, told):
        page = operated.process.get(f"/messages/{one.message_id}").text
        assert f'<span class="mono">{gone}</span> <span class="quiet">(not kept any more)' in page
        assert f'href="/messages/{gone}' not in page
        related = json.loads(operated.process.get(f"/api/v1/messages/{one.message_id}").body)
        assert {"id": gone, "state": None} in (related["notice_of"], *related["notices"])


def test_a_message_that_was_retried_thousands_of_times_still_leads_to_its_dsn(operated):
    one, dsn = message(NOW, State.EXPIRED), message(NOW - 1, State.RELAYED, kind="dsn")
    keep(operated.store, one, dsn)
    retries = [StoredEvent(NOW + number, "retried", one.message_id) for number in range(2500)]
    told = [StoredEvent(NOW + 3000, "notified", one.message_id, {"dsn": dsn.message_id})]
    operated.store.run(lambda transaction: transaction.add_events([*retries, *told]))
    story = json.loads(operated.process.get(f"/api/v1/messages/{one.message_id}").body)
    assert story["notices"] == [{"id": dsn.message_id, "state": "relayed"}]
    names = [event["name"] for event in story["story"]["events"]]
    assert (names[0], names[-1], len(names)) == ("received", "notified", 1000)
    assert operated.process.get(f"/messages/{one.message_id}").status == 200


@pytest.mark.parametrize("named", ["", None, 7, ["a"], "<script>", "a\0b", "x" * 5000])
def test_whatever_a_record_names_as_related_the_page_is_there(operated, named):
    mail = message(NOW, State.RELAYED, origin={"notice_of": named})
    dsn = message(NOW - 1, State.RELAYED, kind="dsn", origin={"notice_of": named})
    keep(operated.store, mail, dsn)
    event = StoredEvent(NOW, "notified", mail.message_id, {"dsn": named})
    operated.store.run(lambda transaction: transaction.add_events([event]))
    for one in (mail, dsn):
        answer = operated.process.get(f"/messages/{one.message_id}")
        assert (answer.status, "<script>" in answer.text) == (200, False)
    assert json.loads(operated.process.get(f"/api/v1/messages/{mail.message_id}").body)["notice_of"] is None


@pytest.mark.parametrize("rest", ["/content", "/source", "/html", "/text", "/attachments/0"])
def test_content_that_is_not_kept_any_more_is_404_and_the_story_stays(operated, rest):
    one = message(NOW, State.RELAYED)
    keep(operated.store, one)
    assert operated.process.get(f"/messages/{one.message_id}{rest}").status == 404
    assert "Its content is not kept" in operated.process.get(f"/messages/{one.message_id}").text


def test_mail_data_that_is_no_message_can_still_be_looked_at(operated):
    one = message(NOW, State.HELD)
    keep(operated.store, one, content=b"From: a@b.example\r\nFrom: c@d.example\r\n\r\nHello\r\n")
    page = operated.process.get(f"/messages/{one.message_id}/content")
    assert (page.status, "more than one From field" in page.text) == (200, True)
    assert "c@d.example" in operated.process.get(f"/messages/{one.message_id}/source").text
    assert operated.process.get(f"/messages/{one.message_id}/html").status == 404


def test_a_large_message_is_shown_in_part_and_saved_whole(operated):
    octets = bytes(range(256)) * 40_000
    encoded = base64.encodebytes(octets).replace(b"\n", b"\r\n")
    text = "Grüße aus Köln! " * 30_000
    content = (
        b"From: a@b.example\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
        b"--b\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
        + text.encode()
        + b"\r\n--b\r\nContent-Type: application/x-data\r\nContent-Transfer-Encoding: base64\r\n"
        b"Content-Disposition: attachment; filename=big.bin\r\n\r\n" + encoded + b"\r\n--b--\r\n"
    )
    one = message(NOW, State.HELD)
    one = replace(one, size_octets=len(content))
    keep(operated.store, one, content=content)
    base = f"/messages/{one.message_id}"
    page = operated.process.get(f"{base}/content")
    assert "This is the beginning" in page.text
    assert len(page.body) < 300_000
    assert operated.process.get(f"{base}/text").text == text
    saved = operated.process.get(f"{base}/attachments/0")
    assert (saved.headers["Content-Length"], saved.body) == (str(len(octets)), octets)
    assert operated.process.get(f"{base}/attachments/1").status == 404
    source = operated.process.get(f"{base}/source")
    assert "The first 65.5 kB" in source.text
    assert len(source.body) < 120_000
    assert operated.process.get(f"/api/v1{base}/content").body == content


@pytest.mark.parametrize(
    "fields", [{}, {"action": "burn", "selected": "a"}, {"action": "hold"}, {"action": "move", "selected": "a"},
               {"action": "move", "move_to": "nobody", "selected": "a"},
               {"action": "hold", "selected": [str(number) for number in range(501)]}]
)  # fmt: skip
def test_a_wish_that_cannot_be_is_told(operated, fields):
    assert post(operated.process, "/queue", **fields).status == 400


def test_what_waits_no_more_is_left_as_it_is_and_told(operated):
    one, other = message(NOW, State.RELAYED), message(NOW - 1, State.QUEUED)
    keep(operated.store, one, other)
    answer = post(operated.process, "/queue", action="hold", selected=[one.message_id, other.message_id])
    assert answer.status == 303
    page = operated.process.get(answer.headers["Location"]).text
    assert "1 message held. 1 message left as it was" in " ".join(page.split())
    answer = post(operated.process, f"/messages/{one.message_id}", action="retry")
    assert answer.headers["Location"].endswith("?done=retry&changed=0&unchanged=1")
    assert "no longer waiting" in operated.process.get(answer.headers["Location"]).text


def test_nothing_is_cancelled_without_being_asked_back(operated):
    one = message(NOW, State.QUEUED)
    keep(operated.store, one)
    for path, fields in (("/queue", {"selected": one.message_id}), (f"/messages/{one.message_id}", {})):
        answer = post(operated.process, path, action="cancel", **fields)
        assert (answer.status, 'name="sure" value="1"' in answer.text) == (200, True)
    found = operated.store.look(lambda transaction: transaction.message(one.message_id))
    assert found.recipients[0].state is State.QUEUED


def test_all_that_waits_is_meant_when_the_filter_names_other_states(operated):
    keep(operated.store, message(NOW, State.RELAYED, "Relayed"), message(NOW - 1, State.HELD, "Held"))
    assert subjects(operated.process.get("/queue?state=relayed").text) == ["Held"]


@pytest.mark.parametrize("name", ["nobody", "gone"])
def test_a_credential_that_is_not_there_or_not_active_gets_no_secret(operated, name):
    post(operated.process, "/credentials", user_name="gone", vendor="main")
    post(operated.process, "/credentials/gone", action="deactivate", sure="1")
    answer = post(operated.process, f"/credentials/{name}", action="regenerate", sure="1")
    assert (answer.status, "no active credential" in answer.text) == (400, True)
    assert post(operated.process, "/credentials/nobody", action="deactivate", sure="1").status == 404
    assert post(operated.process, "/credentials/gone", action="rename").status == 400
    assert post(operated.process, "/credentials", user_name="other", vendor="nowhere").status == 400
    assert post(operated.process, "/credentials", user_name="other", vendor="main", stream="a b").status == 400


def test_a_credential_that_keeps_its_secret_goes_on_doing_so_with_a_new_one(operated):
    post(operated.process, "/credentials", user_name="printer", vendor="main", mechanisms="challenge")
    first = operated.store.look(lambda transaction: transaction.credential("printer"))
    answer = post(operated.process, "/credentials/printer", action="regenerate", sure="1")
    assert (answer.status, answer.headers["Cache-Control"]) == (200, "no-store")
    second = operated.store.look(lambda transaction: transaction.credential("printer"))
    assert first.sealed_secret is not None and second.sealed_secret not in (None, first.sealed_secret)


def test_a_sum_that_is_not_whole_is_told(operated):
    operated.store.run(lambda one: one._database.execute("INSERT INTO totals VALUES (0, 'accepted', 3)"))
    assert "not whole: 3 missing" in operated.process.get("/overview").text


def test_events_of_other_processes_are_counted(operated):
    keep(operated.store, message(NOW, State.RELAYED))
    assert "Relayed per minute: 1 in the last hour" in operated.process.get("/overview").text
    event = StoredEvent(time.time(), "relayed", "other", {"recipients": [{"path": "a"}, {"path": "b"}]})
    operated.store.run(lambda transaction: transaction.add_events([event]))
    assert "Relayed per minute: 3 in the last hour" in operated.process.get("/overview/figures").text
