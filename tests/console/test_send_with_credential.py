"""A credential that an operator adds in the browser is good at once, on a whole gateway."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.console.browser import Visit
from tests.running import connected, leaks, letter, log_in, run, send


@pytest.fixture
def whole_gateway(tmp_path):
    with run(tmp_path) as running:
        yield running


def test_a_client_sends_with_the_credential_and_the_message_is_in_the_inbox(browser, whole_gateway):
    visiting = Visit(browser, whole_gateway.console_url)
    page = visiting.go("/credentials")
    page.get_by_label("User name").fill("shop")
    page.get_by_label("Stands for the key of").select_option("keyed")
    page.get_by_role("button", name="Add it").click()
    secret = page.locator("#secret").inner_text()
    page.goto("/")
    with connected(whole_gateway) as client:
        assert log_in(client, "shop", secret)[0] == 235
        assert send(client, "ann@cust.example", octets=letter("ann@cust.example", subject="Sent by the shop"))[0] == 250
    expect(page.get_by_role("link", name="Sent by the shop")).to_be_visible()
    visiting.context.close()
    assert visiting.troubles == []
    assert secret not in whole_gateway.log()
    assert leaks(whole_gateway.log()) == []


def test_a_deactivated_credential_logs_nobody_in(browser, whole_gateway):
    visiting = Visit(browser, whole_gateway.console_url)
    page = visiting.go("/credentials")
    page.get_by_label("User name").fill("printer")
    page.get_by_label("Stands for the key of").select_option("keyed")
    page.get_by_role("button", name="Add it").click()
    secret = page.locator("#secret").inner_text()
    page.goto("/credentials")
    page.get_by_role("button", name="Deactivate printer").click()
    page.get_by_role("button", name="Deactivate").click()
    expect(page.locator("ul.credentials")).to_contain_text("deactivated")
    with connected(whole_gateway) as client:
        assert log_in(client, "printer", secret)[0] == 535
    visiting.context.close()
    assert visiting.troubles == []
