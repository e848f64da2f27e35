"""Which vendors a message may leave through."""

from __future__ import annotations

import pytest

from gateway.features import Feature
from gateway.message import Content, Envelope, Mailbox, SendOptions, Submission
from gateway.routing import Route, Sender, choose_route, fits, what_stops

SENDER = Sender("internal", "shop", "postmark")
ALL = frozenset(Feature)


def submission(**options):
    paths = options.pop("paths", ("b@cust.example",))
    author = (Mailbox("", "a@Shop.example"),)
    content = Content((), author, (), (), "", None, None, (), 0)
    return Submission("id", Envelope("a@shop.example", tuple(paths)), content, SendOptions(**options))


@pytest.mark.parametrize(
    ("condition", "good", "bad"),
    [
        ("listener", "internal", "tcp:25"),
        ("account", "SHOP", "other"),
        ("dialect", "postmark", "postscale"),
        ("stream", "broadcast", "outbound"),
        ("tag", "invoice", "welcome"),
        ("from_domain", "SHOP.example", "cust.example"),
        ("recipient_domain", "Cust.example", "shop.example"),
    ],
)
def test_each_condition_decides(condition, good, bad):
    message = submission(stream="broadcast", tags=("news", "invoice"))
    assert fits(Route(("x",), **{condition: good}), SENDER, message)
    assert not fits(Route(("x",), **{condition: bad}), SENDER, message)


def test_all_conditions_have_to_hold_and_the_first_route_that_fits_is_taken():
    routes = [Route(("a",), dialect="postmark", tag="x"), Route(("b",), dialect="postmark"), Route(("c",))]
    assert choose_route(routes, SENDER, submission()) is routes[1]
    assert choose_route(routes, Sender("", "", "postscale"), submission()) is routes[2]
    assert choose_route(routes[:2], Sender("", "", "postscale"), submission()) is None


def test_a_recipient_domain_fits_only_when_all_recipients_are_of_it():
    route = Route(("a",), recipient_domain="cust.example")
    assert fits(route, SENDER, submission(paths=("b@cust.example", "c@CUST.example")))
    assert not fits(route, SENDER, submission(paths=("b@cust.example", "c@else.example")))


def test_a_message_without_an_author_fits_no_from_domain():
    message = submission()
    nobody = Submission("id", message.envelope, Content((), (), (), (), "", None, None, (), 0), message.options)
    assert not fits(Route(("a",), from_domain="shop.example"), SENDER, nobody)


@pytest.mark.parametrize(
    ("can", "stopped"),
    [
        (ALL, {}),
        (frozenset(), {Feature.TAGS: "tags (a, b)"}),
        (frozenset({Feature.TAGS}), {Feature.SEVERAL_TAGS: "more than one tag (a, b)"}),
    ],
)
def test_what_a_vendor_cannot_say_stops_a_message(can, stopped):
    assert what_stops(Route(("a",)), can, submission(tags=("a", "b"))) == stopped


def test_a_loss_that_the_route_allows_and_a_hint_do_not_stop_a_message():
    message = submission(tags=("a",), stream="broadcast", track_opens=False)
    assert what_stops(Route(("mute",), losses=("tags",)), frozenset(), message) == {}


def test_a_route_knows_whether_it_has_a_condition():
    assert Route(("a",), losses=("tags",)).is_for_all
    assert not Route(("a",), tag="x").is_for_all
    assert dict(Route((), losses=("tagz",), notices=("dsn", "fax")).problems()).keys() == {"losses[0]", "notices[1]"}
