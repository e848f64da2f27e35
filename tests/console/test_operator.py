"""The pages in a real browser, as an operator walks them: find, understand, steer, let in, watch."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest
from playwright.sync_api import expect

from gateway.accounts.credentials import HASHER
from gateway.console.access import Role, read_token
from gateway.store.records import State
from tests.console.browser import PHONE, Visit
from tests.console.stored import an_hour, keep, message


def states(operated, one):
    found = operated.store.look(lambda transaction: transaction.message(one.message_id))
    return [recipient.state for recipient in found.recipients]


def test_somebody_looks_for_a_message_and_sees_why_it_was_refused(visit, operated):
    an_hour(operated.store)
    keep(operated.store, message(time.time() - 1, State.REFUSED, "Where is my invoice?"))
    page = visit.go("/overview")
    page.get_by_role("link", name="Messages").click()
    page.get_by_label("Subject or sender").fill("my invoice")
    page.get_by_label("refused").check()
    page.get_by_role("button", name="Search").click()
    expect(page.locator("ol.rows > li")).to_have_count(1)
    page.get_by_role("link", name="Where is my invoice?").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Where is my invoice?")
    story = page.locator("ol.story")
    expect(story).to_contain_text("POST https://api.postscale.example/v1/send")
    expect(story).to_contain_text("422")
    expect(story.locator("pre")).to_contain_text("recipient_suppressed")
    expect(page.locator(".notice.warn")).to_contain_text("X-Campaign-Budget")
    expect(page.get_by_text("TLSv1.3, TLS_AES_256_GCM_SHA384")).to_be_visible()


def test_a_held_message_is_released_and_cancelled_from_its_page(visit, operated):
    held = message(time.time() - 60, State.HELD)
    keep(operated.store, held)
    page = visit.go(f"/messages/{held.message_id}")
    page.get_by_role("button", name="Release").click()
    expect(page.get_by_role("status")).to_contain_text("1 message released")
    assert states(operated, held) == [State.QUEUED]
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("will not be delivered")
    page.get_by_role("link", name="No, go back").click()
    assert states(operated, held) == [State.QUEUED]
    page.get_by_role("button", name="Cancel").click()
    page.get_by_role("button", name="Cancel it").click()
    expect(page.get_by_role("status")).to_contain_text("1 message cancelled")
    assert states(operated, held) == [State.CANCELLED]
    expect(page.get_by_role("button", name="Retry now")).to_have_count(0)


def test_chosen_messages_are_moved_to_another_vendor(visit, operated):
    waiting = [message(time.time() - number, State.QUEUED, f"Mail {number}") for number in range(1, 4)]
    keep(operated.store, *waiting)
    page = visit.go("/queue")
    page.get_by_label("Choose: Mail 1").check()
    page.get_by_label("Choose: Mail 3").check()
    page.get_by_label("Vendor to move to").select_option("spare")
    page.get_by_role("button", name="Move", exact=True).click()
    expect(page.get_by_role("status")).to_contain_text("2 messages moved")
    moved = [operated.store.look(lambda transaction, one=one: transaction.message(one.message_id)) for one in waiting]
    assert [one.moved_to for one in moved] == [("spare",), (), ("spare",)]


def test_all_that_fit_a_filter_are_held_after_a_question_however_many_pages_they_have(visit, operated):
    mine = [message(time.time() - 100 - number / 10, State.QUEUED, f"Newsletter {number}") for number in range(620)]
    other = message(time.time() - 5, State.QUEUED, "Contract")
    keep(operated.store, *mine, other)
    page = visit.go("/queue")
    page.get_by_label("Subject or sender").fill("newsletter")
    page.get_by_role("button", name="Search").click()
    page.get_by_label("all that fit").check()
    page.get_by_role("button", name="Hold").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Hold more than 500 messages?")
    page.get_by_role("button", name="Hold more than 500").click()
    expect(page.get_by_role("status")).to_contain_text("620 messages held")
    assert states(operated, mine[0]) == states(operated, mine[619]) == [State.HELD]
    assert states(operated, other) == [State.QUEUED]


def test_one_box_chooses_the_whole_page(visit, operated):
    keep(operated.store, *(message(time.time() - number, State.QUEUED, f"Mail {number}") for number in range(1, 4)))
    page = visit.go("/queue")
    page.get_by_label("all 3 here").check()
    page.get_by_role("button", name="Hold").click()
    expect(page.get_by_role("status")).to_contain_text("3 messages held")


def test_a_credential_is_added_and_its_secret_is_shown_once(visit, operated):
    page = visit.go("/credentials")
    page.get_by_label("User name").fill("shop-3")
    page.get_by_label("Message stream").fill("outbound")
    page.get_by_role("button", name="Add it").click()
    secret = page.locator("#secret").inner_text()
    found = operated.store.look(lambda transaction: transaction.credential("shop-3"))
    assert HASHER.verify(found.secret_hash, secret)
    files = [one for one in operated.folder.rglob("*") if one.is_file()]
    assert not any(secret.encode() in one.read_bytes() for one in files), "the secret is kept somewhere"
    assert (found.vendor, found.stream, found.sealed_secret) == ("main", "outbound", None)
    page.get_by_role("link", name="I have it").click()
    expect(page.locator("ul.credentials")).to_contain_text("shop-3")
    assert secret not in page.content()
    page.get_by_role("button", name="New secret for shop-3").click()
    page.get_by_role("button", name="Regenerate").click()
    assert page.locator("#secret").inner_text() != secret
    page.goto("/credentials")
    page.get_by_role("button", name="Deactivate shop-3").click()
    page.get_by_role("button", name="Deactivate").click()
    expect(page.locator("ul.credentials")).to_contain_text("deactivated")
    assert not operated.store.look(lambda transaction: transaction.credential("shop-3")).active


@pytest.mark.parametrize("name", ["Postscale", "no blank", "taken"])
def test_a_credential_that_cannot_be_is_told_and_the_form_keeps_what_was_written(visit, operated, name):
    page = visit.go("/credentials")
    if name == "taken":
        page.get_by_label("User name").fill(name)
        page.get_by_role("button", name="Add it").click()
        page.goto("/credentials")
    page.get_by_label("User name").fill(name)
    page.get_by_role("button", name="Add it").click()
    expect(page.get_by_role("alert")).to_be_visible()
    expect(page.get_by_label("User name")).to_have_value(name)


def test_the_charts_move_while_one_looks_and_know_the_hour_after_a_restart(visit, operated):
    an_hour(operated.store)
    page = visit.go("/overview")
    expect(page.locator("#live")).to_have_text("live")
    total = page.locator('[data-series="relayed"]')
    before = int(total.inner_text())
    assert before > 300
    page.evaluate("window.loadedOnce = true")
    keep(operated.store, *(message(time.time() - number / 10, State.RELAYED) for number in range(25)))
    expect(total).to_have_text(str(before + 25))
    assert page.evaluate("window.loadedOnce")
    expect(page.get_by_text("whole: nothing is missing")).to_be_visible()


def test_the_overview_says_when_the_gateway_has_gone(browser, operated):
    visiting = Visit(browser, operated.base)
    page = visiting.go("/overview")
    expect(page.locator("#live")).to_have_text("live")
    operated.process.process.stdin.close()
    operated.process.process.wait(10)
    expect(page.locator("#live")).to_have_text("the gateway does not answer")
    visiting.context.close()


def test_the_vendors_page_shows_keys_breakers_and_what_waits(visit, operated):
    keep(operated.store, message(time.time() - 90, State.QUEUED))
    page = visit.go("/vendors")
    expect(page.locator("section.card").nth(0)).to_contain_text("key in the settings")
    expect(page.locator("section.card").nth(0)).to_contain_text("closed")
    expect(page.locator("section.card").nth(1)).to_contain_text("open until")
    page.locator("td a").first.click()
    expect(page.locator("ol.rows > li")).to_have_count(1)


def tab_to(page, description, most=60):
    """Press the tabulator until the focus is on what this script says."""
    for _ in range(most):
        page.keyboard.press("Tab")
        if page.evaluate(f"(() => {{ const e = document.activeElement; return {description}; }})()"):
            outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
            after = page.evaluate("getComputedStyle(document.activeElement, '::after').outlineStyle")
            assert "solid" in (outline, after) or "auto" in (outline, after), "one cannot see where the focus is"
            return
    raise AssertionError(f"the tabulator does not lead to {description}")


def test_a_message_is_found_and_held_with_the_keyboard_alone(visit, operated):
    waiting = message(time.time() - 60, State.QUEUED, "Contract")
    keep(operated.store, waiting)
    page = visit.go("/overview")
    tab_to(page, "e.textContent === 'Skip to the content'")
    tab_to(page, "e.textContent === 'Queue'")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Queue")
    tab_to(page, "e.name === 'text'")
    page.keyboard.type("contract")
    page.keyboard.press("Enter")
    expect(page).to_have_url(
        f"{operated.base}/queue?text=contract&recipient=&id=&header_message_id=&vendor_message_id=&account=&vendor=&from=&until="
    )
    tab_to(page, "e.value === 'hold'")
    page.keyboard.press("Shift+Tab")
    tab_to(page, "e.name === 'selected'")
    page.keyboard.press("Space")
    for _ in range(40):
        page.keyboard.press("Shift+Tab")
        if page.evaluate("document.activeElement.value === 'hold'"):
            break
    page.keyboard.press("Enter")
    expect(page.get_by_role("status")).to_contain_text("1 message held")
    assert states(operated, waiting) == [State.HELD]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_page_scrolls_sideways_on_a_phone(browser, operated, scheme):
    an_hour(operated.store)
    endless = "x" * 300
    long = message(time.time() - 1, State.QUEUED, endless, author=f"{endless}@shop.example")
    path = f"{endless}@cust.example"
    recipients = (replace(long.recipients[0], path=path, reason=endless), replace(long.recipients[0], path=f"b{path}"))
    long = replace(long, recipients=recipients, account_name=endless, lane=f"main/{endless}")
    keep(operated.store, long)
    visiting = Visit(browser, operated.base, viewport=PHONE, color_scheme=scheme, has_touch=True)
    page = visiting.go("/credentials")
    page.get_by_label("User name").fill("a" * 64)
    page.get_by_role("button", name="Add it").click()
    expect(page.locator("#secret")).to_be_visible()
    assert not visiting.scrolls_sideways(), "the page with the secret"
    base = f"/messages/{long.message_id}"
    for path in ("/overview", "/messages", "/queue", "/credentials", "/vendors", "/", "/sandbox/magic", base,
                 f"{base}/content", f"{base}/source", "/messages?vendor=main", "/nothing/here"):  # fmt: skip
        visiting.go(path)
        assert not visiting.scrolls_sideways(), path
    visiting.context.close()
    assert visiting.troubles == []


def test_the_pages_work_without_any_script(browser, operated):
    held = message(time.time() - 60, State.HELD, "Contract")
    keep(operated.store, held)
    visiting = Visit(browser, operated.base, java_script_enabled=False)
    page = visiting.go("/overview")
    expect(page.locator(".equation")).to_contain_text("held")
    page.goto("/queue")
    page.get_by_label("Choose: Contract").check()
    page.get_by_role("button", name="Retry now").click()
    expect(page.get_by_role("status")).to_contain_text("1 message will be attempted now")
    assert states(operated, held) == [State.QUEUED]
    visiting.context.close()
    assert visiting.troubles == []


@pytest.mark.parametrize("operated", ["closed"], indirect=True)
@pytest.mark.parametrize("role", list(Role))
def test_who_may_look_sees_no_buttons_and_who_may_steer_uses_them(visit, operated, role):
    held = message(time.time() - 60, State.HELD, "Contract")
    keep(operated.store, held)
    page = visit.go("/queue?text=contract")
    page.get_by_label("Token").fill(read_token(operated.folder, role))
    page.get_by_role("button", name="Log in").click()
    page.goto("/queue")
    expect(page.locator(".role")).to_have_text(role.name.lower())
    buttons = page.get_by_role("button", name="Retry now")
    if role is Role.LOOK:
        expect(buttons).to_have_count(0)
        page.goto(f"/messages/{held.message_id}")
        expect(buttons).to_have_count(0)
        page.goto("/credentials")
        expect(page.get_by_role("button", name="Add it")).to_have_count(0)
    else:
        page.get_by_label("Choose: Contract").check()
        buttons.click()
        expect(page.get_by_role("status")).to_contain_text("1 message will be attempted now")
    page.get_by_role("button", name="Log out").click()
    page.goto("/overview")
    expect(page.get_by_role("heading", level=1)).to_have_text("Log in")
