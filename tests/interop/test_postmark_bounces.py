"""Postmark's own library reads bounces from the gateway: its own account's, by page, by filter, with their dumps."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .clients import NODE_MODULES, PROGRAMS, has_program

ROOT = Path(__file__).parents[2]
RUN_SECONDS = 30
ANN, SHOP = "token-of-ann", "shop:sesame"


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    process = subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("bounces_gateway.py")), str(tmp_path_factory.mktemp("s") / "db")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield int(process.stdout.readline())
    finally:
        process.stdin.close()
        process.wait(10)
        process.stdout.close()


@pytest.fixture
def call(port, needs) -> Any:
    needs(has_program("node") and (NODE_MODULES / "postmark").is_dir(), "postmark")

    def call(name: str, document: Any = None, token: str = ANN) -> Any:
        host = f"127.0.0.1:{port}/api/v1/postmark"
        done = subprocess.run(
            ["node", str(PROGRAMS / "call_with_postmark.js"), host, token, name, json.dumps(document or {})],
            check=False,
            env=os.environ | {"NODE_PATH": str(NODE_MODULES)},
            capture_output=True,
            text=True,
            timeout=RUN_SECONDS,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return call


def ask(port: int, path: str, token: str = ANN, method: str = "GET") -> tuple[int, Any]:
    """What a program without a library gets."""
    url = f"http://127.0.0.1:{port}/api/v1/postmark{path}"
    request = urllib.request.Request(url, headers={"X-Postmark-Server-Token": token}, method=method)
    try:
        with urllib.request.urlopen(request, timeout=RUN_SECONDS) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())


def test_get_bounces_gives_the_accounts_own_newest_first(call):
    answer = call("bounces")
    assert answer["TotalCount"] == 2
    assert [one["Email"] for one in answer["Bounces"]] == ["bob@mail.example", "ann@mail.example"]
    assert {(one["Type"], one["TypeCode"]) for one in answer["Bounces"]} == {("SMTPApiError", 100007)}
    assert [one["DumpAvailable"] for one in answer["Bounces"]] == [False, True]
    assert [one.get("Tag") for one in answer["Bounces"]] == [None, "receipt"]


@pytest.mark.parametrize(
    ("narrowed", "found"),
    [
        ({"count": 1}, ["bob@mail.example"]),
        ({"count": 1, "offset": 1}, ["ann@mail.example"]),
        ({"tag": "receipt"}, ["ann@mail.example"]),
        ({"emailFilter": "ANN@"}, ["ann@mail.example"]),
        ({"messageID": "01k9message000000002a"}, ["bob@mail.example"]),
        ({"messageID": "01k9message000000001a"}, []),
        ({"type": "SMTPApiError"}, ["bob@mail.example", "ann@mail.example"]),
        ({"type": "HardBounce"}, []),
        ({"inactive": "true"}, []),
        ({"inactive": "false"}, ["bob@mail.example", "ann@mail.example"]),
        ({"fromdate": "2026-11-18", "todate": "2026-11-18"}, ["bob@mail.example", "ann@mail.example"]),
        ({"todate": "2026-11-17"}, []),
        ({"fromdate": "2026-11-18T11:06:41"}, ["bob@mail.example"]),
        ({"messagestream": "outbound"}, ["bob@mail.example", "ann@mail.example"]),
        ({"messagestream": "broadcast"}, []),
    ],
)
def test_bounces_are_narrowed_as_the_vendor_does(port, narrowed, found):
    asked = {"count": 50, "offset": 0} | narrowed
    status, answer = ask(port, f"/bounces?{urllib.parse.urlencode(asked)}")
    assert (status, [one["Email"] for one in answer["Bounces"]]) == (200, found)


def test_get_bounce_gives_one_with_all_its_fields(call):
    number = call("bounces", {"tag": "receipt"})["Bounces"][0]["ID"]
    bounce = call("bounce", {"id": number})
    assert (bounce["Description"], bounce["Details"]) == ("The recipient is inactive.", "On the suppression list")
    assert (bounce["From"], bounce["Subject"]) == ("orders@shop.example", "Order 77")
    assert bounce["BouncedAt"] == "2026-11-18T11:06:40.0000000Z"


def test_get_bounce_dump_gives_the_error_and_the_message(call):
    number = call("bounces", {"tag": "receipt"})["Bounces"][0]["ID"]
    body = call("dump", {"id": number})["Body"]
    head, _, message = body.partition("\r\n\r\n")
    assert head.splitlines() == ["The recipient is inactive.", "On the suppression list", "Error code: 406"]
    assert message.startswith("From: Shop <orders@shop.example>\r\n")
    assert message.endswith("Thanks.\r\nGr\u00fc\u00dfe \ufffd\0\r\n")


def test_the_dump_of_a_message_whose_content_is_gone_is_empty(call):
    number = call("bounces", {"emailFilter": "bob@"})["Bounces"][0]["ID"]
    assert call("dump", {"id": number}) == {"Body": ""}


def test_get_delivery_statistics_counts(call):
    assert call("statistics") == {
        "InactiveMails": 0,
        "Bounces": [
            {"Name": "All", "Count": 2},
            {"Type": "SMTPApiError", "Name": "SMTP API error", "Count": 2},
        ],
    }


def test_a_credential_of_the_gateway_sees_its_own_bounces(call):
    answer = call("bounces", token=SHOP)
    assert [one["Email"] for one in answer["Bounces"]] == ["sue@mail.example"]


def test_the_bounces_of_another_account_do_not_exist(call, port):
    number = call("bounces", token=SHOP)["Bounces"][0]["ID"]
    for name in ("bounce", "dump", "activate"):
        assert call(name, {"id": number})["code"] == 1001
    assert ask(port, f"/bounces/{10**30}") == (404, {"ErrorCode": 1001, "Message": "This bounce was not found."})


def test_nothing_can_be_activated(call):
    number = call("bounces")["Bounces"][0]["ID"]
    answer = call("activate", {"id": number})
    assert (answer["code"], answer["status"]) == (1003, 422)


def test_a_parameter_that_means_nothing_is_told(port):
    for query in (
        "",
        "?count=x&offset=0",
        "?count=501&offset=0",
        "?count=1&offset=10000",
        "?count=1&offset=0&todate=x",
    ):
        status, answer = ask(port, f"/bounces{query}")
        assert (status, answer["ErrorCode"]) == (400, 1002), query


def test_what_is_no_call_is_told_in_the_vendors_shape(port):
    assert ask(port, "/nothing")[0] == 404
    status, answer = ask(port, "/bounces", method="POST")
    assert (status, answer["Message"]) == (405, "Method not allowed.")


def test_a_vendor_that_cannot_be_asked_about_the_token_is_no_refusal(port):
    assert ask(port, "/deliverystats", "token-of-nobody") == (
        503,
        {"ErrorCode": 100, "Message": "This cannot be told now; try again later."},
    )


def test_a_bad_token_is_refused_and_guessing_comes_to_an_end(call, port):
    assert call("statistics", token="wrong")["code"] == 10
    assert ask(port, "/bounces?count=1&offset=0", "shop:wrong")[0] == 401
    statuses = [ask(port, "/deliverystats", f"guess-{number}")[0] for number in range(5)]
    assert statuses == [401, 401, 401, 429, 429]
