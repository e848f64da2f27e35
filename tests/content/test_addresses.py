"""Address fields as RFC 5322 allows them and as mail programs write them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.content.addresses import format_mailbox, parse_mailboxes
from gateway.message import Mailbox


def pairs(body: str) -> list[tuple[str, str]]:
    return [(one.display_name, one.address) for one in parse_mailboxes(body)]


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ("a@b.example", [("", "a@b.example")]),
        ("<a@b.example>", [("", "a@b.example")]),
        ("Ann B. <a@b>", [("Ann B.", "a@b")]),
        ("Ann B <a@b>, c@d,", [("Ann B", "a@b"), ("", "c@d")]),
        ('"B, Ann" <a@b>', [("B, Ann", "a@b")]),
        ('"say \\"hi\\" \\\\" <a@b>', [('say "hi" \\', "a@b")]),
        ("a@b (Ann (the) Great)", [("Ann (the) Great", "a@b")]),
        ("(x) Ann (y) <a@b> (z)", [("Ann", "a@b")]),
        ('"john doe"@b', [("", '"john doe"@b')]),
        ('<"a b, c"@d>', [("", '"a b, c"@d')]),
        ("Ann <@x,@y:a@b>", [("Ann", "a@b")]),
        ("a@[192.0.2.1], <b@[IPv6:2001:db8::1]>", [("", "a@[192.0.2.1]"), ("", "b@[IPv6:2001:db8::1]")]),
        ("undisclosed-recipients:;", []),
        ("Friends: Ann <a@b>, c@d;, e@f", [("Ann", "a@b"), ("", "c@d"), ("", "e@f")]),
        ("a . b @ c . d", [("", "a.b@c.d")]),
        ("=?utf-8?q?J=C3=B6rg?= <j@b>", [("Jörg", "j@b")]),
        ("=?utf-8?b?8J+Y?= =?utf-8?b?gA==?= <j@b>", [("😀", "j@b")]),
        ("=?utf-8?Q?Doe,_J?= <j@b>, k@l", [("Doe, J", "j@b"), ("", "k@l")]),
        ('"=?utf-8?q?J=C3=B6rg?=" <j@b>', [("Jörg", "j@b")]),
        ("Jörg Müller <jörg@müller.example>", [("Jörg Müller", "jörg@müller.example")]),
        ("Ann a@b", [("Ann", "a@b")]),
        ("Ann <a@b> trailing words, c@d", [("Ann", "a@b"), ("", "c@d")]),
        ("nobody, <>, <x>, @b, a@, ,, c@d", [("", "c@d")]),
        ("a@b c@d", [("c@d", "a@b")]),
        ("Ann <a @ b>", [("Ann", "a@b")]),
        ("Ann <a\x00\x07@b>", [("Ann", "a@b")]),
        ("Ann\x00 <a@b>", [("Ann", "a@b")]),
        ('"never closed <a@b>', []),
        ("Ann <a@b", [("Ann", "a@b")]),
        ("'a@b' <a@b>", [("'a@b'", "a@b")]),
        ("", []),
    ],
)
def test_a_field_is_read(body, found):
    assert pairs(body) == found


@pytest.mark.parametrize(
    ("mailbox", "text"),
    [
        (Mailbox("", "a@b"), "a@b"),
        (Mailbox("Ann Bee", "a@b"), "Ann Bee <a@b>"),
        (Mailbox("Bee, Ann", "a@b"), '"Bee, Ann" <a@b>'),
        (Mailbox('a "b" \\', "a@b"), '"a \\"b\\" \\\\" <a@b>'),
        (Mailbox("Ann B.", "a@b"), '"Ann B." <a@b>'),
        (Mailbox("Jörg", "j@b"), "Jörg <j@b>"),
        (Mailbox("日本, 語", "j@b"), '"日本, 語" <j@b>'),
        (Mailbox("x\r\nBcc: y", "a@b\r\n"), '"x  Bcc: y" <a@b  >'),
    ],
)
def test_a_mailbox_is_written(mailbox, text):
    assert format_mailbox(mailbox) == text


SANE_NAMES = st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"])).map(str.strip)
LOCAL_PARTS = st.from_regex(r'[a-z0-9.+_\-é]{1,9}|"[a-z ,@<>()\[\]:;]{0,9}"', fullmatch=True)
DOMAINS = st.from_regex(r"[a-z0-9ü\-]{1,9}(\.[a-z0-9]{1,5})?|\[[0-9.]{3,9}\]|\[IPv6:[0-9a-f:]{3,9}\]", fullmatch=True)


@given(SANE_NAMES.filter(lambda name: "=?" not in name), LOCAL_PARTS, DOMAINS)
def test_what_is_written_is_read(name, local_part, domain):
    mailbox = Mailbox(name, f"{local_part}@{domain}")
    assert parse_mailboxes(format_mailbox(mailbox)) == [mailbox]


@given(st.lists(st.tuples(SANE_NAMES.filter(lambda name: "=?" not in name), LOCAL_PARTS, DOMAINS), max_size=5))
def test_a_list_that_is_written_is_read(entries):
    mailboxes = [Mailbox(name, f"{local_part}@{domain}") for name, local_part, domain in entries]
    assert parse_mailboxes(", ".join(map(format_mailbox, mailboxes))) == mailboxes


@given(st.text(st.sampled_from('<>()[]",;:@. \\\t\r\n=?aé') | st.characters(), max_size=60))
def test_nothing_raises_and_every_address_reads_back_as_itself(body):
    for mailbox in parse_mailboxes(body):
        assert "@" in mailbox.address
        assert mailbox.address.isprintable() or " " not in mailbox.address
        assert not set(format_mailbox(mailbox)) & {"\r", "\n", "\0", "\t"}
        assert [one.address for one in parse_mailboxes(mailbox.address)] == [mailbox.address]


@pytest.mark.parametrize(
    "unit", ["<", "(", '"', "[", ":", ";", ",", "@", "a@b,", "=?", "=?a?q?", "a ", "()", "<a@b>", "\\", "a@b "]
)
def test_long_nonsense_is_read_once(unit):
    assert isinstance(parse_mailboxes('"' + unit * 50_000), list)
    assert isinstance(parse_mailboxes(unit * 50_000), list)


@given(st.text("aZ09 .-'=?_+@<>:,éß\t", max_size=20), st.text("aZ09.-'=?_+@<>:mailto", min_size=1, max_size=20))
def test_one_mailbox_alone_reads_as_it_does_in_a_list(phrase, address):
    assert parse_mailboxes(f"{phrase}<{address}>") == parse_mailboxes(f"{phrase}<{address}>,")
