"""Who may come in to a console that is not open: tokens, the login of browsers, roles, forged forms."""

from __future__ import annotations

import re
import time
from dataclasses import replace
from urllib.parse import urlencode

import pytest

from gateway.console.access import Access, Role, read_token, read_tokens
from gateway.console.login import next_path
from gateway.store.records import State, StoredEvent
from gateway.store.sqlite import SqliteStore
from tests.console.stored import keep, message
from tests.sandbox.console_process import running

FORM = {"Content_Type": "application/x-www-form-urlencoded"}


@pytest.fixture(scope="module")
def closed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("closed")
    with running(folder / "inbox", "closed") as process:
        process.folder = folder
        yield process


def token(closed, role=Role.STEER):
    return read_token(closed.folder, role)


def log_in(closed, role=Role.STEER, next_page="/"):
    answer = closed.call("POST", "/login", urlencode({"token": token(closed, role), "next": next_page}), **FORM)
    cookie = re.match(r"mailgateway_session=([^;]+);", answer.headers["Set-Cookie"])[1]
    return answer, {"Cookie": f"mailgateway_session={cookie}"}


@pytest.mark.parametrize("path", ["/", "/overview", "/anything"])
def test_a_browser_without_a_login_is_sent_to_the_login_page(closed, path):
    answer = closed.get(path)
    assert answer.status == 303
    assert answer.headers["Location"].startswith("/login?next=")


@pytest.mark.parametrize("authorization", [None, "Bearer wrong", "Bearer ", "Basic Zm9vOmJhcg==", "Bearer"])
def test_a_program_without_a_good_token_gets_401_and_is_told_which_to_show(closed, authorization):
    headers = {"Authorization": authorization} if authorization is not None else {}
    answer = closed.get("/api/v1/totals", **headers)
    assert answer.status == 401
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    assert "console-steer.token" in answer.text


def test_metrics_need_no_login_on_loopback_and_the_look_token_beyond(closed, tmp_path):
    assert closed.get("/metrics").status == 200
    with running(tmp_path / "inbox", "closed", "remote") as remote:
        answer = remote.get("/metrics")
        assert (answer.status, "console-look.token" in answer.text) == (401, True)
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")
        shown = remote.get("/metrics", Authorization=f"Bearer {read_token(tmp_path, Role.LOOK)}")
        assert (shown.status, shown.headers["Content-Type"]) == (200, "text/plain; version=0.0.4; charset=utf-8")


@pytest.mark.parametrize("name", ["Authorization", "Host", "Cookie", "X_Other"])
def test_a_header_that_is_no_text_is_refused(closed, name):
    assert closed.get("/api/v1/totals", **{name: "Bearer \xff"}).status == 400


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/login", "/static/console.css"])
def test_health_needs_no_login(closed, path):
    assert closed.get(path).status == 200


def test_the_vendors_stand_ins_ask_for_a_key_and_for_no_login(closed):
    answer = closed.call("POST", "/sandbox/postscale/v1/send", "{}", Authorization="Bearer ps_test_x")
    assert answer.status == 400


@pytest.mark.parametrize("path", ["/sandbox/messages/1", "/sandbox/magic", "/sandbox/v1/x", "/sandbox/clear"])
def test_the_inbox_is_shown_after_a_login_only(closed, path):
    assert closed.get(path).status == 303
    assert closed.call("POST", path, "", **FORM).status == 303


def test_the_inbox_is_given_to_scripts_and_emptied_by_their_role(closed):
    look, steer = ({"Authorization": f"Bearer {token(closed, role)}"} for role in (Role.LOOK, Role.STEER))
    path = "/api/v1/sandbox/messages"
    assert (closed.get(path).status, closed.call("DELETE", path).status) == (401, 401)
    assert (closed.get(path, **look).status, closed.call("DELETE", path, **look).status) == (200, 403)
    assert closed.call("DELETE", path, **steer).status == 204


def test_the_login_gives_a_cookie_that_no_script_and_no_other_site_gets(closed):
    answer, cookie = log_in(closed, next_page="/sandbox/magic")
    assert (answer.status, answer.headers["Location"]) == (303, "/sandbox/magic")
    assert {"HttpOnly", "SameSite=Strict", "Path=/"} <= set(answer.headers["Set-Cookie"].split("; "))
    assert closed.get("/", **cookie).status == 200


def test_a_wrong_token_is_told_on_the_page(closed):
    answer = closed.call("POST", "/login", urlencode({"token": "no"}), **FORM)
    assert answer.status == 403
    assert "not known" in answer.text
    assert "Set-Cookie" not in answer.headers


def test_logging_out_ends_the_session(closed):
    _, cookie = log_in(closed)
    assert closed.call("POST", "/logout", **cookie).status == 303
    assert closed.get("/", **cookie).status == 303


def test_a_form_without_the_sessions_own_token_changes_nothing(closed):
    _, cookie = log_in(closed)
    answer = closed.call("POST", "/queue", "csrf=wrong", **cookie, **FORM)
    assert answer.status == 403
    assert "Load the page again" in answer.text


CHANGING = ["/queue", "/messages/any", "/credentials", "/credentials/shop"]


@pytest.mark.parametrize("path", CHANGING)
def test_every_page_that_changes_something_asks_for_the_role_and_for_the_forms_token(closed, path):
    for role in Role:
        _, cookie = log_in(closed, role)
        assert closed.call("POST", path, "action=hold&selected=a&sure=1", **cookie, **FORM).status == 403
    assert closed.call("POST", path, "action=hold", **FORM).status == 303
    page = closed.get("/credentials", **cookie).text
    csrf = re.search(r'name="csrf" value="([^"]+)"', page)[1]
    form = urlencode({"action": "hold", "selected": "a", "csrf": csrf})
    assert closed.call("POST", path, form, **cookie, **FORM).status in (303, 400)


def test_who_may_look_may_not_change_anything(closed):
    look = {"Authorization": f"Bearer {token(closed, Role.LOOK)}"}
    answer = closed.call("POST", "/api/v1/queue", "{}", **look)
    assert answer.status == 403
    assert "look" in answer.text


def test_tokens_are_made_once_for_the_services_user_alone(tmp_path):
    first = read_tokens(tmp_path)
    assert read_tokens(tmp_path) == first
    assert sorted(first.values()) == [Role.LOOK, Role.STEER]
    assert all(file.stat().st_mode & 0o077 == 0 for file in tmp_path.iterdir())
    (tmp_path / "console-steer.token").chmod(0o644)
    with pytest.raises(PermissionError, match="0600"):
        read_tokens(tmp_path)


def test_a_session_ends_by_itself(monkeypatch):
    now = [0.0]
    access = Access({"secret": Role.LOOK}, lambda: now[0], is_open=False)
    name = access.begin_session("secret")
    assert access.by_session(name).role is Role.LOOK
    now[0] = 12 * 3600.0
    assert access.by_session(name) is None


@pytest.mark.parametrize(
    "text", ["https://evil.example/", "//evil.example", "/\\evil.example", "evil", "", "/a\r\nX: y", "/" + "a" * 600]
)
def test_the_login_leads_nowhere_else(text):
    assert next_path(text) == "/"


def test_who_may_only_look_follows_a_dsn_to_its_message_and_changes_neither(closed):
    told, dsn = message(time.time(), State.HELD), message(time.time() - 1, State.HELD, kind="dsn")
    dsn = replace(dsn, origin={"notice_of": told.message_id})
    store = SqliteStore(closed.folder / "store.sqlite")
    store.open()
    keep(store, told, dsn)
    event = StoredEvent(time.time(), "notified", told.message_id, {"dsn": dsn.message_id})
    store.run(lambda transaction: transaction.add_events([event]))
    store.close()
    _, look = log_in(closed, Role.LOOK)
    for one, other in ((told, dsn), (dsn, told)):
        path = f"/messages/{one.message_id}"
        page = closed.get(path, **look)
        assert (page.status, f'href="/messages/{other.message_id}"' in page.text) == (200, True)
        assert "Retry now" not in page.text
        assert closed.call("POST", path, urlencode({"action": "retry"}), **FORM, **look).status == 403
        assert closed.get(path).status == 303
        assert closed.get(f"/api/v1{path}").status == 401
