"""The inbox masks, orders, caps and forgets; its strings and base64 come out of pieces as they went in."""

from __future__ import annotations

import base64
import json
from io import BytesIO

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.sandbox import inbox as inbox_module
from gateway.sandbox import json_strings, postscale_request
from gateway.sandbox.inbox import Inbox, masked
from gateway.sandbox.letter import Arrival
from tests.sandbox.console_process import mail


def arrival(**changes):
    usual = {
        "vendor": "postscale",
        "method": "POST",
        "path": "/send",
        "headers": {"Authorization": "Bearer ps_test_0123456789"},
        "status": 202,
        "read": postscale_request.read,
    }
    return Arrival(**usual | changes)


def body(**changes):
    return BytesIO(json.dumps(mail(**changes)).encode())


@pytest.fixture
def inbox(tmp_path):
    return Inbox(tmp_path / "inbox", lambda: 1_700_000_000.1234)


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("Authorization", "Bearer ps_test_0123456789", "Bearer ps_test_…"),
        ("Authorization", "Bearer ps_live_0123456789", "Bearer ps_live_…"),
        ("authorization", "Bearer short", "Bearer …"),
        ("Authorization", "ps_live_nakedkey", "ps_live_…"),
        ("X-Server-Token", "0123456789abcdef", "01234567…"),
        ("Cookie", "a=b", "…"),
        ("Idempotency-Key", "abc", "abc"),
        ("User-Agent", "treq", "treq"),
    ],
)
def test_secrets_are_masked(name, value, shown):
    assert masked(name, value) == shown


def test_a_kept_secret_is_on_no_disk_and_in_no_entry(inbox, tmp_path):
    entry = inbox.keep(arrival(), body())
    assert "0123456789" not in repr(entry)


def test_time_and_ids_are_sortable_even_when_the_clock_is_set_back(tmp_path):
    clock = iter([1000.0, 1000.0, 500.0, 1001.5])
    inbox = Inbox(tmp_path / "inbox", lambda: next(clock))
    ids = [inbox.keep(arrival(), body()).id for _ in range(4)]
    assert ids == sorted(ids)
    assert [one.id for one in inbox.entries()] == ids[::-1]
    assert inbox.entries()[0].received_at == "1970-01-01T00:16:41.500Z"


def test_the_folder_is_private_and_only_its_own_files_are_removed(tmp_path):
    folder = tmp_path / "inbox"
    old = Inbox(folder, lambda: 1.0)
    old.keep(arrival(), body())
    (folder / "mine.txt").write_text("x")
    Inbox(folder, lambda: 2.0)
    assert [one.name for one in folder.iterdir()] == ["mine.txt"]
    assert folder.stat().st_mode & 0o777 == 0o700


def test_the_oldest_message_makes_room(inbox, monkeypatch, tmp_path):
    monkeypatch.setattr(inbox_module, "MAXIMUM_MESSAGES", 3)
    ids = [inbox.keep(arrival(), body()).id for _ in range(5)]
    assert [one.id for one in inbox.entries()] == ids[:1:-1]
    monkeypatch.setattr(inbox_module, "MAXIMUM_OCTETS", 1000)
    inbox.keep(arrival(), body(text_body="x" * 800))
    assert len(inbox.entries()) == 1
    assert len(list((tmp_path / "inbox").iterdir())) == 1


def test_a_note_finds_its_message_and_a_late_one_is_passed_over(inbox):
    inbox.keep(arrival(vendor_message_id="x@y"), body())
    inbox.note("x@y", "gw1", ["DSN parameters"])
    inbox.note("gone@y", "gw2", [])
    entry = inbox.entries()[0]
    assert (entry.gateway_id, entry.report) == ("gw1", ("DSN parameters",))


def test_clear_forgets_everything(inbox, tmp_path):
    message_id = inbox.keep(arrival(), body()).id
    before = inbox.change
    inbox.clear()
    assert inbox.entries() == []
    assert inbox.change > before
    assert list((tmp_path / "inbox").iterdir()) == []
    with pytest.raises(LookupError):
        inbox.letter(message_id)


def raw(document: bytes) -> msgspec.Raw:
    return msgspec.json.decode(memoryview(document), type=msgspec.Raw)


@given(st.text(st.characters(exclude_categories=["Cs"])), st.booleans(), st.integers(12, 40))
def test_a_string_comes_out_of_its_pieces_whole(text, ascii_only, piece_octets):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_strings, "PIECE_OCTETS", piece_octets)
        document = raw(json.dumps(text * 3, ensure_ascii=ascii_only).encode())
        assert "".join(json_strings.string_pieces(document)) == text * 3


@given(st.binary(max_size=300), st.integers(12, 40))
def test_base64_comes_out_of_its_pieces_whole(octets, piece_octets):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_strings, "PIECE_OCTETS", piece_octets)
        document = raw(json.dumps(base64.b64encode(octets).decode()).replace("/", "\\/").encode())
        assert b"".join(json_strings.base64_pieces(document)) == octets


@given(st.text("AQ=/ \n-é", max_size=24))
def test_base64_is_as_strict_as_the_standard(text):
    try:
        expected = base64.b64decode(text.encode("ascii"), validate=True)
        strict = len(text) % 4 == 0 and "=" not in text.rstrip("=")
    except ValueError:
        strict = False
    document = raw(json.dumps(text, ensure_ascii=False).encode())
    if not strict:
        with pytest.raises(ValueError, match=r".*"):
            json_strings.base64_octets(document)
    else:
        assert b"".join(json_strings.base64_pieces(document)) == expected
