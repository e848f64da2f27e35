"""Any dialect in, any vendor out: one rich message in each dialect through each vendor of a running gateway."""

from __future__ import annotations

import re

import pytest

from tests.dialects import DIALECTS, VENDORS, add_credentials, run_all_dialects, session, submit
from tests.matrix import (
    AUTHOR,
    COMMON,
    OF_DIALECT,
    OF_EVERY,
    OF_TEMPLATE,
    PATHS,
    PATHS_OF_API,
    REFUSED,
    RICH,
    TEMPLATED,
    WORDING,
    expected_report,
    rich,
)
from tests.running import log_in

CREDENTIALS = {f"{kind}_{vendor}": vendor for kind in ("via", "strict") for vendor in VENDORS} | {
    "via_either": "relaypost"
}

every_dialect = pytest.mark.parametrize("dialect", DIALECTS)
through_every_vendor = pytest.mark.parametrize("vendor", VENDORS)


@pytest.fixture(scope="module")
def gateway(tmp_path_factory):
    with run_all_dialects(tmp_path_factory.mktemp("matrix")) as running:
        yield running


@pytest.fixture(scope="module")
def send(gateway):
    """Sends a message in a dialect, logged in with a credential; gives the reply and what the APIs received."""
    secrets = add_credentials(gateway, CREDENTIALS)

    def send(dialect, user_name, paths, message):
        gateway.clear()
        with session(gateway, dialect) as client:
            assert log_in(client, user_name, secrets[user_name])[0] == 235
            reply = submit(client, AUTHOR, paths, message)
        return reply, gateway.messages()

    return send


@through_every_vendor
@every_dialect
def test_a_rich_message_leaves_as_the_vendor_takes_it_and_the_report_names_the_rest(dialect, vendor, send):
    reply, received = send(dialect, f"via_{vendor}", PATHS, rich(dialect))
    gateway_id = re.fullmatch(r"250 (?:2\.0\.0 )?OK ([0-9a-z]{20}) \S+", reply)[1]
    (one,) = received
    expected = OF_EVERY[vendor] | OF_DIALECT.get((dialect, vendor), {})
    if expected.get("idempotency_key") == "the gateway's id":
        expected["idempotency_key"] = gateway_id
    assert one["vendor"] == vendor
    assert one["request"]["path"] == f"/sandbox/{vendor}/v1{PATHS_OF_API[vendor]}"
    assert one["request"]["json"] == expected
    assert one["gateway_id"] == gateway_id
    assert set(one["report"]) == expected_report(dialect, vendor)
    assert len(one["report"]) == len(set(one["report"]))


@through_every_vendor
@every_dialect
def test_a_loss_that_nobody_has_allowed_is_refused_by_name(dialect, vendor, send):
    reply, received = send(dialect, f"strict_{vendor}", PATHS, rich(dialect))
    if (dialect, vendor) in REFUSED:
        assert reply == WORDING[dialect].format(f"{vendor} cannot carry {REFUSED[dialect, vendor]}")
        assert received == []
    else:
        assert reply.startswith("250 ")
        assert [one["vendor"] for one in received] == [vendor]


@through_every_vendor
def test_what_a_template_takes_the_place_of_is_in_the_report(vendor, send):
    message = TEMPLATED.replace("X-PostStack-Template-Id", "Subject: Hello\nX-PostStack-Template-Id") + "Hello\n"
    reply, received = send("poststack", f"via_{vendor}", PATHS[:1], message)
    assert reply.startswith("250 ")
    (one,) = received
    assert any(re.search("comes? from the template", line) for line in one["report"])


@through_every_vendor
def test_a_template_has_its_name_at_the_other_vendor(vendor, send):
    reply, received = send("poststack", f"via_{vendor}", PATHS[:1], TEMPLATED)
    assert reply.startswith("250 ")
    (sent,) = (one["request"]["json"] for one in received)
    assert sent.items() >= OF_TEMPLATE[vendor].items()
    assert not {"subject", "Subject", "text", "text_body", "TextBody"} & sent.keys()


@pytest.mark.parametrize(
    ("message", "vendor"),
    [(COMMON.replace("Reply-To", "X-Nobody") + "\nHello\n", "relaypost"), (COMMON + RICH, "postmark")],
)
def test_of_a_routes_vendors_the_first_that_can_say_the_message_gets_it(message, vendor, send):
    reply, received = send("postmark", "via_either", PATHS, message)
    assert reply.startswith("250 ")
    assert [one["vendor"] for one in received] == [vendor]


def test_no_key_and_no_traceback_is_in_the_log(gateway):
    """Last, over all that was done above."""
    assert "Traceback" not in gateway.log()
    assert "_operator" not in gateway.log()
