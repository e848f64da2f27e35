"""What clients get wrong, in each dialect: the reply names what it was, and the session goes on."""

from __future__ import annotations

import pytest

from tests.dialects import add_credentials, run_all_dialects, session, submit
from tests.running import credentials, log_in

AUTHOR, PATHS = "shop@shop.example", ("ann@customer.example",)
PM_TOKEN = "pm_test_bad_input"
MESSAGE = "From: {author}\nTo: {paths}\nSubject: Hello\n"
METADATA = "X-Postscale-Metadata"
VARIABLES = "X-PostStack-Template-Id: tpl_1\nX-PostStack-Variables"
NO_METADATA = "554 X-Postscale-Metadata is not a JSON object of strings: "
NO_VARIABLES = "554 5.6.0 Message refused: X-PostStack-Variables is not a JSON object of strings: "
DEEP = "[" * 900

# By dialect: header fields, and how the reply to the data begins
FIELDS = {
    "postscale": {
        f"{METADATA}: {{'a': 1}}": NO_METADATA + "JSON is malformed",
        f'{METADATA}: {{"a": 1}}': NO_METADATA + 'the value of "a" is a number',
        f'{METADATA}: {{"a": null}}': NO_METADATA + 'the value of "a" is null',
        f'{METADATA}: {{"a": {{"b": "c"}}}}': NO_METADATA + 'the value of "a" is an object',
        f'{METADATA}: {{"good": "1", "order id": true, "b": 2}}': NO_METADATA
        + 'the value of "order id" is true or false',
        f'{METADATA}: {{"a": [1]}}': NO_METADATA + 'the value of "a" is an array',
        f'{METADATA}: {{"gr\\u00f6\\u00dfe": 1.5}}': NO_METADATA + 'the value of "gr??e" is a number',
        f'{METADATA}: {{"{"k" * 100}": 1}}': NO_METADATA + f'the value of "{"k" * 60}" is a number',
        f'{METADATA}: {{"a": {"9" * 5000}}}': NO_METADATA + 'the value of "a" is a number',
        f"{METADATA}: 7": NO_METADATA + "it is a number",
        f"{METADATA}: null": NO_METADATA + "it is null",
        f'{METADATA}: ["a"]': NO_METADATA + "it is an array",
        f'{METADATA}: "a"': NO_METADATA + "it is a string",
        f'{METADATA}: {{"a": "b"': NO_METADATA + "JSON is malformed: Expecting ',' delimiter",
        f'{METADATA}: {{"a": "b"}} x': NO_METADATA + "JSON is malformed: Extra data",
        f'{METADATA}: {{"a": "b",}}': NO_METADATA + "JSON is malformed",
        f'{METADATA}: {{"a": NaN}}': NO_METADATA + "JSON is malformed: NaN is no JSON value",
        f'{METADATA}: {{"a": "\\ud800"}}': NO_METADATA + 'the value of "a" is no text: half a character is in it',
        f"{METADATA}: order=7781": NO_METADATA + "JSON is malformed",
        f"{METADATA}: {DEEP}": NO_METADATA,
        f"{METADATA}: =?UTF-8?B?eydhJzogMX0=?=": NO_METADATA + "JSON is malformed",
        f'{METADATA}: {{"a": "1"}}\n{METADATA}: {{"b": 2}}': NO_METADATA + 'the value of "b" is a number',
    },
    "poststack": {
        f"{VARIABLES}: {{'a': 1}}": NO_VARIABLES + "JSON is malformed",
        f'{VARIABLES}: {{"a": 1}}': NO_VARIABLES + 'the value of "a" is a number',
        f'{VARIABLES}: {{"a": ["b"]}}': NO_VARIABLES + 'the value of "a" is an array',
        f'{VARIABLES}: ["a"]': NO_VARIABLES + "it is an array",
        f'{VARIABLES}: {{"a": "b"': NO_VARIABLES + "JSON is malformed: Expecting ',' delimiter",
        f"{VARIABLES}: name=Ann": NO_VARIABLES + "JSON is malformed",
        f"{VARIABLES}: {DEEP}": NO_VARIABLES,
        f'{VARIABLES}: {{"a": "\\ud800"}}': NO_VARIABLES,
        f'{VARIABLES}: {{"a": "1"}}\nX-PostStack-Variables: {{"a": "2"}}': (
            "554 5.6.0 Message refused: X-PostStack-Variables stands more than once, with different values"
        ),
        "X-PostStack-Template-Id: welcome": (
            "554 5.6.0 Message refused: X-PostStack-Template-Id is not a template's id, which begins with tpl_: welcome"
        ),
        "X-PostStack-Template-Id: tpl_1\nX-PostStack-Template-Id: tpl_2": (
            "554 5.6.0 Message refused: X-PostStack-Template-Id stands more than once, with different values"
        ),
        "X-PostStack-Template-Id: tpl_missing": "554 5.6.0 Message refused: Template not found",
        "X-PostStack-Template-Id: tpl_draft": "554 5.6.0 Message refused: Template not published",
        "X-PostStack-Idempotency-Key: a\nX-PostStack-Idempotency-Key: b": (
            "554 5.6.0 Message refused: X-PostStack-Idempotency-Key stands more than once, with different values"
        ),
    },
    "postmark": {
        f"X-PM-Tag: {'x' * 501}\n {'y' * 500}": "554 5.6.0 X-PM-Tag: a tag has 1000 characters at most",
        "X-PM-Tag: invoice\nX-PM-Tag: march": "554 5.6.0 X-PM-Tag stands more than once, with different values",
        f"X-PM-Metadata-{'k' * 21}: v": (
            f"554 5.6.0 X-PM-Metadata-{'k' * 21}: a metadata key has 20 characters at most"
        ),
        f"X-PM-Metadata-key: {'v' * 81}": "554 5.6.0 X-PM-Metadata-key: a value has 80 characters at most",
        "".join(f"X-PM-Metadata-k{number}: v\n" for number in range(11)).rstrip(): (
            "554 5.6.0 X-PM-Metadata-k10: a message has 10 metadata keys at most"
        ),
        "X-PM-TrackOpens: yes": "554 5.6.0 X-PM-TrackOpens: expected true or false, got yes",
        "X-PM-TrackLinks: all": ("554 5.6.0 X-PM-TrackLinks: expected None, HtmlOnly, TextOnly, HtmlAndText, got all"),
        "X-PM-Bounce-Type: soft bounce!": (
            "554 5.6.0 X-PM-Bounce-Type: expected a type of bounce such as SoftBounce, got soft bounce!"
        ),
        "X-PM-Bounce-Type: SoftBounce\nX-PM-Bounce-Type: HardBounce": (
            "554 5.6.0 X-PM-Bounce-Type stands more than once, with different values"
        ),
        "X-PM-KeepID: 1": "554 5.6.0 X-PM-KeepID: expected true or false, got 1",
        "X-PM-Message-Stream: unknown": ("554 5.6.0 The stream provided: 'unknown' does not exist on this server."),
        "X-PM-Message-Stream: inbound": "554 5.6.0 Messages cannot be sent through a stream of this type.",
        "X-PM-Message-Stream: no stream!": (
            "554 5.6.0 The stream provided: 'no stream!' does not exist on this server."
        ),
        "X-PM-Message-Stream: a\nX-PM-Message-Stream: b": (
            "554 5.6.0 X-PM-Message-Stream stands more than once, with different values"
        ),
    },
    "relaypost": {
        "Reply-To: help@shop.example": "554 5.6.0 Message refused: relaypost cannot carry Reply-To",
        "Content-Type: application/pdf; name=invoice.pdf": (
            "554 5.6.0 Message refused: relaypost cannot carry attachments (invoice.pdf)"
        ),
    },
}
# What is odd and yet is taken: by dialect, header fields, and what the API receives of them
TAKEN = {
    "postscale": {
        f"{METADATA}:": {},
        f'{METADATA}: {{"a": "1"}}\n{METADATA}: {{"a": "2"}}': {"metadata": {"a": "2"}},
        f'{METADATA}: {{"a": "1", "a": "2"}}': {"metadata": {"a": "2"}},
        f'{METADATA}: {{"a": "1",\n "b": "2"}}': {"metadata": {"a": "1", "b": "2"}},
        "X-Postscale-Tags: , a,, a ,": {"tags": ["a"]},
    },
    "poststack": {
        "X-PostStack-Tags: a, b\nX-PostStack-Tags: b, c": {"tags": ["a", "b", "c"]},
        "X-PostStack-Idempotency-Key: key-1\nX-PostStack-Idempotency-Key: key-1": {"idempotency_key": "key-1"},
        "X-PostStack-Template-Id: tpl_1\nX-PostStack-Variables:": {"template_id": "tpl_1"},
    },
    "postmark": {
        "X-PM-Metadata-Color: red\nX-PM-Metadata-color: blue\nX-PM-Metadata-COLOR: blue": {
            "Metadata": {"Color": "red", "color_2": "blue", "COLOR_3": "blue"}
        },
        f"X-PM-Metadata-{'k' * 20}: a\nX-PM-Metadata-{'k' * 20}: b": {
            "Metadata": {"k" * 20: "a", "k" * 18 + "_2": "b"}
        },
        f"X-PM-Metadata-key: {'v' * 80}": {"Metadata": {"key": "v" * 80}},
        "X-PM-Bounce-Type: soft_bounce": {"Headers": [{"Name": "X-PM-Bounce-Type", "Value": "soft_bounce"}]},
        "X-PM-Tag: a\nX-PM-Tag: a\nX-PM-TrackOpens: TRUE": {"Tag": "a", "TrackOpens": True},
    },
    "relaypost": {"X-RelayPost-Tag: invoice\nX-Tag: invoice": {"headers": {"X-Tag": "invoice"}}},
}
# By dialect: keys of the client's own, and how the reply to the data begins
KEYS = {
    "postscale": {
        "ps_revoked_1": "535 Authentication failed",
        "ps_limited_1": "452 Rate limit exceeded, try again later",
        "ps_forbidden_1": "550 plan limit reached",
    },
    "poststack": {
        "sk_test_revoked_1": "535 5.7.8 Authentication failed",
        "sk_test_limited_1": "452 4.3.2 Try again later: Rate limit exceeded",
        "sk_test_forbidden_1": "550 5.7.1 Message refused: API key does not have permission",
    },
    "postmark": {
        "pm_revoked_1": "535 5.7.8 Error: authentication failed",
        "pm_limited_1": "452 4.3.2 Rate limit exceeded, try again later",
        "pm_pending_1": "550 5.7.1 Your account is not approved to send.",
    },
}
# The same as the operator's key, which the client cannot put right
OPERATORS = {
    "postscale": ("ps_revoked_operator", "451 API unavailable"),
    "poststack": ("sk_test_revoked_operator", "451 4.3.5 Message cannot be relayed now"),
    "postmark": ("pm_revoked_operator", "451 4.3.5 Message cannot be relayed now"),
    "relaypost": ("rp_revoked_operator", "451 4.3.5 Message cannot be relayed now"),
}
UNVERIFIED = {
    "postscale": "550 domain unverified.example is not verified",
    "poststack": "550 5.7.1 From domain refused: Domain not verified",
    "postmark": "550 5.7.1 The 'From' address you supplied (shop@unverified.example) is not a Sender Signature",
    "relaypost": "550 5.7.1 From domain refused: The From domain is not verified",
}
# A message in Postscale's dialect that leaves through Postmark, which takes less of some things
OVER_POSTMARKS_LIMITS = {
    f"X-Postscale-Metadata-{'k' * 21}: v": f"554 Metadata '{'k' * 21}' is over the limit",
    f"X-Postscale-Metadata-key: {'v' * 81}": "554 Metadata 'key' is over the limit",
    "X-Postscale-Metadata-Color: red\nX-Postscale-Metadata-color: blue": (
        "554 Metadata has two keys that differ in case only."
    ),
    "".join(f"X-Postscale-Metadata-k{number}: v\n" for number in range(11)).rstrip(): (
        "554 Metadata has more than 10 keys."
    ),
    f"X-Postscale-Tags: {'x' * 501}\n {'y' * 500}": "554 'Tag' is longer than 1000 characters.",
    "X-Postscale-Tags: a, b": "554 postmark cannot carry more than one tag (a, b)",
}
USERS = {
    "postscale": ("postscale", "ps_test_bad_input"),
    "poststack": ("poststack", "sk_test_bad_input"),
    "postmark": (PM_TOKEN, PM_TOKEN),
}


def rows(table):
    return [
        pytest.param(dialect, one, expected, id=f"{dialect}-{one[:60]}".replace("\n", " "))
        for dialect, ones in table.items()
        for one, expected in ones.items()
    ]


@pytest.fixture(scope="module")
def gateway(tmp_path_factory):
    with run_all_dialects(tmp_path_factory.mktemp("bad-input")) as running:
        yield running


@pytest.fixture(scope="module")
def users(gateway):
    """Who logs in, by dialect: a key of the client's own, or a credential; and "other", a credential for Postmark."""
    secrets = add_credentials(gateway, {"shop": "relaypost", "other": "postmark"})
    return {**USERS, "relaypost": ("shop", secrets["shop"]), "other": ("other", secrets["other"])}


@pytest.fixture
def logged_in(gateway, users):
    """Sends messages of header fields in one session of a dialect; gives the replies."""

    def send(dialect, *fields, user=None, author=AUTHOR):
        head = MESSAGE.format(author=author, paths=", ".join(PATHS))
        with session(gateway, dialect) as client:
            assert log_in(client, *(user or users[dialect]))[0] == 235
            return [submit(client, AUTHOR, PATHS, f"{head}{one}\n\nHello\n") for one in fields]

    return send


@pytest.mark.parametrize(("dialect", "fields", "reply"), rows(FIELDS))
def test_a_field_that_says_nothing_good_is_refused_by_name(dialect, fields, reply, gateway, logged_in):
    gateway.clear()
    refused, taken = logged_in(dialect, fields, "X-Shop: fine")
    assert refused.startswith(reply)
    assert taken.startswith("250 ")
    assert len(gateway.messages()) == 1


@pytest.mark.parametrize(("dialect", "fields", "received"), rows(TAKEN))
def test_what_is_odd_and_can_be_understood_is_taken(dialect, fields, received, gateway, logged_in):
    gateway.clear()
    (reply,) = logged_in(dialect, fields)
    assert reply.startswith("250 ")
    (one,) = gateway.messages()
    sent = one["request"]["json"]
    headers = sent.get("headers")
    if isinstance(headers, dict):  # written by the gateway where the message has none
        sent["headers"] = {name: body for name, body in headers.items() if name not in ("Date", "Message-ID")}
    assert {name: sent[name] for name in received} == received
    assert received or "metadata" not in sent


@pytest.mark.parametrize(("fields", "reply"), OVER_POSTMARKS_LIMITS.items())
def test_what_another_vendor_takes_less_of_is_refused_with_its_limit(fields, reply, gateway, users, logged_in):
    gateway.clear()
    refused, taken = logged_in("postscale", fields, "X-Shop: fine", user=users["other"])
    assert refused.startswith(reply)
    assert taken.startswith("250 ")
    assert [one["vendor"] for one in gateway.messages()] == ["postmark"]


def test_more_recipients_than_the_other_vendor_takes_are_counted_in_the_reply(gateway, users):
    paths = tuple(f"ann{number}@customer.example" for number in range(51))
    with session(gateway, "postscale") as client:
        log_in(client, *users["other"])
        head = MESSAGE.format(author=AUTHOR, paths=paths[0])
        reply = submit(client, AUTHOR, paths, f"{head}\nHello\n")
    assert reply == "554 51 recipients: Postmark takes 50 for a message"


@pytest.mark.parametrize(("dialect", "key", "reply"), rows(KEYS))
def test_a_key_that_may_not_send_is_told_so_at_the_end_of_the_data(dialect, key, reply, logged_in):
    user = key if dialect == "postmark" else dialect
    (told,) = logged_in(dialect, "X-Shop: fine", user=(user, key))
    assert told.startswith(reply)
    assert key not in told


# As long as the vendors' own, because the log knows a key that stands in the wrong field by its length
TOKEN, OTHER_TOKEN = "pm_test_bad_input_of_one_0123", "pm_test_bad_input_of_another"
LONG = "bad_input_0123456789"
FAILED = "535 5.7.8 Authentication failed"
PM_FAILED = "535 5.7.8 Error: authentication failed"
# By dialect: user name and password, and the reply to the login
LOGINS = {
    "postscale": {
        ("postscale", "ps_bad_input"): "535 Authentication failed",
        ("postscale", ""): "535 Authentication failed",
        (f"ps_test_{LONG}", "postscale"): '535 Invalid username, use "postscale"',
        (f"ps_test_{LONG}", f"ps_test_{LONG}"): '535 Invalid username, use "postscale"',
    },
    "poststack": {
        ("poststack", "sk_test_unknown_bad_input"): FAILED,
        ("poststack", "no_bad_input"): FAILED,
        (f"sk_test_{LONG}", "poststack"): FAILED,
        ("eve@shop.example", "secret"): FAILED,
    },
    "postmark": {
        (TOKEN, ""): PM_FAILED,
        ("", TOKEN): PM_FAILED,
        (TOKEN, "secret"): PM_FAILED,
        ("postmark", TOKEN): PM_FAILED,
        (TOKEN, OTHER_TOKEN): PM_FAILED,
        (TOKEN, TOKEN.upper()): PM_FAILED,
        (f"pm_nosmtp_{LONG}", f"pm_nosmtp_{LONG}"): PM_FAILED,
    },
    "relaypost": {
        ("shop", "wrong"): FAILED,
        ("relaypost", "rp_test_bad_input"): FAILED,
        (f"rp_test_{LONG}", f"rp_test_{LONG}"): FAILED,
    },
}


def failed_login(gateway, dialect, user_name, password):
    with session(gateway, dialect) as client:
        code, text = log_in(client, user_name, password)
        return f"{code} {text}"


@pytest.mark.parametrize(
    ("dialect", "user", "reply"),
    [
        pytest.param(dialect, user, reply, id=f"{dialect}-{'-'.join(user)}")
        for dialect, ones in LOGINS.items()
        for user, reply in ones.items()
    ],
)
def test_a_login_that_cannot_be_good_is_refused_at_the_login(dialect, user, reply, gateway, users):
    assert failed_login(gateway, dialect, *user) == reply


@pytest.mark.parametrize("dialect", ["postmark", "relaypost", "poststack"])
def test_a_credential_that_is_deactivated_or_has_a_new_secret_is_refused_at_once(dialect, gateway):
    name = f"leaver_{dialect}"
    secret = add_credentials(gateway, {name: dialect})[name]
    reply = PM_FAILED if dialect == "postmark" else FAILED
    with session(gateway, dialect) as client:
        assert log_in(client, name, secret)[0] == 235
    renewed = credentials(gateway, "regenerate", name).stdout.split("password:")[1].strip()
    assert failed_login(gateway, dialect, name, secret) == reply
    with session(gateway, dialect) as client:
        assert log_in(client, name, renewed)[0] == 235
    assert credentials(gateway, "deactivate", name).returncode == 0
    assert failed_login(gateway, dialect, name, renewed) == reply


@pytest.mark.parametrize(
    ("stream", "reply"),
    [
        ("outbound", "550 5.7.1 this login sends to the message stream 'bound' only, and not to 'outbound'"),
        ("Bound", "550 5.7.1 this login sends to the message stream 'bound' only, and not to 'Bound'"),
        ("x" * 300, f"550 5.7.1 this login sends to the message stream 'bound' only, and not to '{'x' * 80}'"),
    ],
)
def test_a_stream_that_is_not_the_credentials_own_is_refused_with_both_names(stream, reply, gateway, bound, logged_in):
    gateway.clear()
    refused, taken = logged_in("postmark", f"X-PM-Message-Stream: {stream}", "X-Shop: fine", user=bound)
    assert refused == reply
    assert taken.startswith("250 ")
    (one,) = gateway.messages()
    assert one["request"]["json"]["MessageStream"] == "bound"


@pytest.fixture(scope="module")
def bound(gateway):
    """An SMTP token of Postmark's, bound to one stream."""
    done = credentials(gateway, "add", "--vendor", "postmark", "--stream", "bound", "bad-input-token")
    return "bad-input-token", done.stdout.split("password:")[1].strip()


@pytest.mark.parametrize("dialect", UNVERIFIED)
def test_a_from_domain_that_is_not_verified_is_named(dialect, logged_in):
    (told,) = logged_in(dialect, "X-Shop: fine", author="shop@unverified.example")
    assert told.startswith(UNVERIFIED[dialect])


def test_an_idempotency_key_for_another_message_is_refused_with_the_reason(logged_in):
    key = "X-PostStack-Idempotency-Key: order-1"
    first, same, other = logged_in("poststack", key, key, f"{key}\nX-Shop: other")
    assert first.startswith("250 ")
    assert same.startswith("250 ")
    assert first.split()[-1] == same.split()[-1]
    assert other.startswith("554 5.6.0 Message refused: ")
    assert "idempotency" in other.lower()


def test_a_key_of_the_operator_that_was_revoked_is_temporary_and_raises_an_alarm(tmp_path):
    with run_all_dialects(tmp_path, {name: key for name, (key, _) in OPERATORS.items()}) as running:
        secrets = add_credentials(running, {f"user_{name}": name for name in OPERATORS})
        for name, (key, reply) in OPERATORS.items():
            with session(running, name) as client:
                assert log_in(client, f"user_{name}", secrets[f"user_{name}"])[0] == 235
                head = MESSAGE.format(author=AUTHOR, paths=PATHS[0])
                assert submit(client, AUTHOR, PATHS, f"{head}\nHello\n") == reply
            assert f"vendors.{name}: the key is refused" in running.log()
            assert key not in running.log()


def test_no_key_and_no_traceback_is_in_the_log(gateway):
    """Last, over all that was done above."""
    assert "Traceback" not in gateway.log()
    assert "bad_input" not in gateway.log()
