"""Who Postscale is asked to mail: the envelope decides who, To and Cc decide who is seen; and partial success."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.outcome import Accepted, Cause, Deferred, Refused, Unknown, fold
from gateway.vendor import NoAnswer

from .submissions import accepted, answer, drive, submission


def mail(*fields: str) -> str:
    return "\n".join(("From: shop@shop.example", *fields, "Subject: Hello", "", "Hello.", ""))


def recipients(document: dict) -> dict:
    return {name: document[name] for name in ("to", "cc", "bcc") if name in document}


def test_to_cc_and_the_rest_as_bcc():
    driven = drive(submission(mail("To: ann@x.example", "Cc: bob@x.example"), "ann@x.example", "bob@x.example", "c@y"))
    assert recipients(driven.document) == {"to": ["ann@x.example"], "cc": ["bob@x.example"], "bcc": ["c@y"]}
    assert driven.outcomes == dict.fromkeys(("ann@x.example", "bob@x.example", "c@y"), Accepted("m1@shop.example"))


def test_names_stay_and_case_makes_no_difference_but_the_envelope_spelling_is_mailed():
    driven = drive(
        submission(mail('To: "Bee, Ann" <Ann@X.Example>, Bob <BOB@x.example>'), "ann@x.example", "bob@x.example")
    )
    assert recipients(driven.document) == {"to": ['"Bee, Ann" <ann@x.example>', "Bob <bob@x.example>"]}


def test_header_addresses_outside_the_envelope_are_not_mailed():
    driven = drive(submission(mail("To: ann@x.example, eve@x.example", "Cc: mallory@x.example"), "ann@x.example"))
    assert recipients(driven.document) == {"to": ["ann@x.example"]}


def test_a_bcc_field_names_nobody_and_does_not_travel():
    driven = drive(submission(mail("To: ann@x.example", "Bcc: eve@x.example"), "ann@x.example"))
    assert recipients(driven.document) == {"to": ["ann@x.example"]}
    assert "eve" not in str(driven.document)


def test_an_address_named_twice_is_mailed_once():
    driven = drive(submission(mail("To: ann@x.example, ANN@x.example", "Cc: ann@x.example"), "ann@x.example"))
    assert recipients(driven.document) == {"to": ["ann@x.example"]}


def test_a_recipient_given_twice_is_mailed_once():
    driven = drive(submission(mail("To: ann@x.example"), "ann@x.example", "ann@x.example"))
    assert recipients(driven.document) == {"to": ["ann@x.example"]}


def test_recipients_that_differ_only_in_case_are_one_and_both_have_an_outcome():
    for fields in (("To: ann@x.example",), ("To: someone@else.example",)):
        driven = drive(submission(mail(*fields), "Ann@x.example", "ann@x.example"))
        assert recipients(driven.document) == {"to": ["Ann@x.example"]}
        assert driven.outcomes.keys() == {"Ann@x.example", "ann@x.example"}


def test_cc_alone_travels_as_to_and_is_reported():
    driven = drive(submission(mail("Cc: bob@x.example"), "bob@x.example", "c@y.example"))
    assert recipients(driven.document) == {"to": ["bob@x.example"], "bcc": ["c@y.example"]}
    assert any("Cc travels as To" in line for line in driven.report)


def test_a_single_bcc_recipient_is_one_request_without_a_report():
    driven = drive(submission(mail("To: undisclosed-recipients:;"), "c@y.example"))
    assert recipients(driven.document) == {"to": ["c@y.example"]}
    assert driven.report == ()


def test_several_bcc_only_recipients_get_a_request_each_so_that_none_sees_another():
    driven = drive(submission(mail("To: list@else.example"), "a@y", "b@y", "c@y"))
    assert [recipients(one) for one in driven.documents] == [{"to": ["a@y"]}, {"to": ["b@y"]}, {"to": ["c@y"]}]
    assert any("a request for each recipient" in line for line in driven.report)


def test_groups_are_flattened():
    driven = drive(
        submission(mail("To: friends: Ann <ann@x.example>, bob@x.example;"), "ann@x.example", "bob@x.example")
    )
    assert recipients(driven.document) == {"to": ["Ann <ann@x.example>", "bob@x.example"]}


addresses = st.sampled_from([f"{name}@x.example" for name in "abcdefABCD"])


@given(st.lists(addresses, min_size=1), st.lists(addresses), st.lists(addresses))
def test_everybody_in_the_envelope_is_asked_for_exactly_once_and_nobody_else(envelope, to, cc):
    fields = [f"{name}: {', '.join(field)}" for name, field in (("To", to), ("Cc", cc)) if field]
    driven = drive(submission(mail(*fields), *envelope))
    asked = [one for document in driven.documents for field in recipients(document).values() for one in field]
    assert sorted(one.lower() for one in asked) == sorted({one.lower() for one in envelope})
    assert set(asked) <= set(envelope)
    assert driven.outcomes.keys() == set(envelope)


# -- partial success: three Bcc-only recipients, a request each

BCC = mail("To: list@else.example")
LIMITED = answer(429, {"error": "rate_limit_exceeded", "message": "daily sending limit exceeded"})


def send_to_three(*answers):
    return drive(submission(BCC, "a@y", "b@y", "c@y"), answers).outcomes


def test_the_last_one_rate_limited_leaves_the_others_accepted():
    outcomes = send_to_three(accepted("1"), accepted("2"), LIMITED)
    limited = Deferred(Cause.RATE_LIMITED, "daily sending limit exceeded")
    assert outcomes == {"a@y": Accepted("1"), "b@y": Accepted("2"), "c@y": limited}
    assert fold(outcomes) == limited


@pytest.mark.parametrize(
    "stopper", [LIMITED, answer(500), answer(302), NoAnswer(False, "refused"), NoAnswer(True, "cut")]
)
def test_what_is_temporary_for_one_is_not_tried_for_the_next(stopper):
    outcomes = send_to_three(accepted("1"), stopper)
    assert outcomes["a@y"] == Accepted("1")
    assert outcomes["b@y"] == outcomes["c@y"]
    assert isinstance(outcomes["b@y"], Deferred | Unknown)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 413])
def test_what_refuses_the_first_refuses_the_rest_without_asking(status):
    outcomes = send_to_three(answer(status, {"error": "no"}))
    assert len(set(outcomes.values())) == 1
    assert isinstance(outcomes["c@y"], Refused)


def test_a_suppressed_address_does_not_stop_the_others():
    outcomes = send_to_three(answer(422, {"error": "all suppressed"}), accepted("2"), answer(422))
    assert [type(one) for one in outcomes.values()] == [Refused, Accepted, Refused]
    assert fold(outcomes) == Accepted("2")


def test_all_suppressed_folds_to_suppressed():
    outcome = fold(send_to_three(answer(422), answer(422), answer(422)))
    assert isinstance(outcome, Refused)
    assert outcome.cause is Cause.SUPPRESSED


def test_once_one_was_taken_a_refusal_of_another_does_not_keep_it_from_the_rest():
    outcomes = send_to_three(accepted("1"), answer(400, {"error": "bad address"}), accepted("3"))
    assert outcomes["b@y"] == Refused(Cause.INVALID, "bad address")
    assert outcomes["c@y"] == Accepted("3")


# -- who is the same and who is not


@pytest.mark.parametrize("pair", [("straße@x.example", "strasse@x.example"), ("\u212aate@x.example", "kate@x.example")])
def test_mailboxes_that_only_look_alike_are_two(pair):
    driven = drive(submission(mail(f"To: {pair[0]}"), *pair))
    assert recipients(driven.document) == {"to": [pair[0]], "bcc": [pair[1]]}


def test_one_copy_for_two_spellings_is_reported():
    driven = drive(submission(mail("To: ann@x.example"), "Ann@x.example", "ann@x.example"))
    assert "one copy for Ann@x.example and ann@x.example" in driven.report


@pytest.mark.parametrize("name", ["Resent-Bcc", "Apparently-To", "X-Bcc"])
def test_a_field_that_names_hidden_recipients_does_not_travel_and_is_reported(name):
    driven = drive(submission(mail("To: ann@x.example", f"{name}: secret@x.example"), "ann@x.example"))
    assert "secret" not in str(driven.document)
    assert any(line.startswith(f"{name} is not carried") for line in driven.report)


@pytest.mark.parametrize("name", ["Message-ID", "References", "List-Unsubscribe"])
def test_an_identifier_with_8_bit_octets_is_left_out_and_reported(name):
    driven = drive(submission(mail("To: ann@x.example", f"{name}: <ü@x.example>"), "ann@x.example"))
    assert name not in driven.document.get("headers", {})
    assert any(line.startswith(f"{name} is not carried") for line in driven.report)
