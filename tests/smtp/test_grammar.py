"""Addresses and command lines: what is accepted is what it seems, whatever the octets."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gateway.smtp.grammar import GrammarError, PathArgument, parse_command, parse_forward_path, parse_reverse_path

pieces = st.sampled_from(
    ["a", "b.c", "@", '"', "\\", " ", "<", ">", "[", "]", ":", ",", "%", "IPv6:", "::1", "192.0.2.1", "-", "_", ".",
     "\r", "\n", "\0", "\x7f", "\x85", "\u2028", "ü", "例", "x" * 300, "postmaster", "Ġ"]
)  # fmt: skip
addresses = st.lists(pieces, max_size=10).map("".join) | st.text(max_size=30)


def accepted(address: str) -> PathArgument | None:
    try:
        return parse_forward_path(parse_command(f"RCPT TO:<{address}>".encode()).argument)
    except GrammarError:
        return None


@settings(max_examples=600)
@given(addresses.filter(lambda text: not any("\ud800" <= one <= "\udfff" for one in text)))
@example("a@[IPv6:fe80::1%x@evil.example]")
@example('"a\\"b@c"@d')
@example("@relay.example:a@b")
def test_every_accepted_address_parses_to_itself_and_holds_no_control_character(address):
    path = accepted(address)
    if path is None:
        return
    again = accepted(path.address)
    assert again == path
    assert not any(unicodedata.category(one) in ("Cc", "Cs", "Zl", "Zp") for one in path.address)


@given(addresses.filter(lambda text: not any("\ud800" <= one <= "\udfff" for one in text)))
@example("a@[IPv6:fe80::1%x@evil.example]")
def test_every_accepted_address_has_its_domain_behind_the_last_at_sign(address):
    path = accepted(address)
    if path is None or "@" not in path.address:
        return
    local, _, domain = path.address.rpartition("@")
    assert local
    assert not set(domain) & set('@"\\<> %')


@given(st.binary(max_size=60))
def test_any_octets_are_a_command_or_a_refusal(octets):
    try:
        command = parse_command(octets)
    except GrammarError as error:
        assert 500 <= error.reply.code < 600
    else:
        assert command.verb.encode() == octets.partition(b" ")[0].decode().encode() or command.verb.isascii()


@pytest.mark.parametrize("text", ["FROM:<>", "FROM: <>", "from:<> SIZE=1"])
def test_the_null_reverse_path_is_an_empty_address(text):
    assert parse_reverse_path(text).address == ""


def test_the_source_route_is_taken_and_ignored():
    assert parse_forward_path("TO:<@a.example,@b.example:ann@cust.example>").address == "ann@cust.example"


@pytest.mark.parametrize("octets", [300, 3000])
def test_an_address_made_to_be_slow_is_refused_at_once(octets):
    for unit in ("a.", "a-", "@a,", '"\\"', "a@", "a.a@"):
        assert accepted(unit * octets) is None or len(unit) * octets < 1400
