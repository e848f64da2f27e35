"""A document whose long strings stay in its file is judged and read as msgspec judges and reads it whole."""

from __future__ import annotations

import base64
import json
from contextlib import contextmanager
from tempfile import TemporaryFile

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.sandbox import json_document, json_strings, postscale_request
from gateway.sandbox.json_document import JsonDocument, NotJsonError
from gateway.sandbox.json_strings import StoredString, base64_octets, string_octets
from gateway.sandbox.request_body import RequestBody
from tests.sandbox.console_process import mail

TEXT = st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from('"\\/\n\u20ac\U0001f600'), max_size=60)
VALUE = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 99) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)
# Octets that break a string, an escape, a character or the document.
BREAKING = st.sampled_from(
    [b'"', b"\\", b"\x00", b"\n", b"\x1f", b"\xff", b"\xc3", b"\\u12",
     b"\\ud800", b"\\udc00", b"\\q", b"x", b"{", b",", b"]"]
)  # fmt: skip


@contextmanager
def stored(octets: bytes, window_octets: int = 12):
    """A body in a file, read with windows so small that nearly every string is a long one."""
    with TemporaryFile() as file, pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_document, "WINDOW_OCTETS", window_octets)
        patch.setattr(json_document, "PIECE_OCTETS", window_octets)
        patch.setattr(json_strings, "PIECE_OCTETS", window_octets)
        file.write(octets)
        yield RequestBody(file)


def whole(document: JsonDocument, value):
    if isinstance(value, str):
        return document.text(value)
    if isinstance(value, list):
        return [whole(document, one) for one in value]
    if isinstance(value, dict):
        return {document.text(key): whole(document, one) for key, one in value.items()}
    return value


def is_json(octets: bytes) -> bool:
    try:
        octets.decode()
        msgspec.json.decode(octets, type=msgspec.Raw)
    except ValueError:
        return False
    return True


@given(VALUE, st.booleans(), st.sampled_from([None, 1]))
def test_a_document_is_read_as_it_was_written(value, ascii_only, indent):
    with stored(json.dumps(value, ensure_ascii=ascii_only, indent=indent).encode()) as body:
        document = JsonDocument.checked(body)
        assert whole(document, document.decode(object)) == value


@given(VALUE, st.booleans(), BREAKING, st.integers(0, 10**6), st.integers(0, 1))
def test_a_broken_document_is_refused_wherever_it_is_broken(value, ascii_only, breaking, place, taken):
    octets = json.dumps(value, ensure_ascii=ascii_only).encode()
    place %= len(octets) + 1
    octets = octets[:place] + breaking + octets[place + taken :]
    with stored(octets) as body:
        if is_json(octets):
            JsonDocument.checked(body)
        else:
            with pytest.raises(NotJsonError):
                JsonDocument.checked(body)


@pytest.mark.parametrize(
    "broken",
    [b"\x01", b"\n", b"\\q", b"\\u12", b"\\u12zz", b"\\ud800", b"\\ud800\\u0041",
     b"\\udc00", b"\xff", b"\xc3", b"\xed\xa0\x80"],
)  # fmt: skip
@pytest.mark.parametrize("before", [0, 65_530, 65_534, 65_535, 200_000])
def test_a_long_string_is_as_strict_as_a_short_one(broken, before):
    with TemporaryFile() as file:
        file.write(b'{"a":"' + b"x" * before + broken + b"y" * 70_000 + b'"}')
        with pytest.raises(NotJsonError):
            JsonDocument.checked(RequestBody(file))


@given(TEXT, st.booleans())
def test_a_long_string_is_measured_as_text_and_as_base64(text, ascii_only):
    text *= 3
    encoded = base64.b64encode(text.encode()).decode()
    octets = json.dumps([text, encoded], ensure_ascii=ascii_only).encode()
    with stored(octets) as body:
        document = JsonDocument.checked(body)
        strings = [document.string(raw) for raw in document.decode(list[msgspec.Raw])]
        assert [string_octets(one) for one in strings] == [len(text.encode()), len(encoded)]
        assert base64_octets(strings[1]) == len(text.encode())


@pytest.mark.parametrize("content", ["A" * 40, "A" * 39 + "-", "A" * 40 + "\n", "AA==" + "A" * 40, "A" * 42])
def test_a_long_base64_is_as_strict_as_the_standard(content):
    with stored(json.dumps([content]).encode()) as body:
        document = JsonDocument.checked(body)
        string = document.string(document.decode(list[msgspec.Raw])[0])
        assert isinstance(string, StoredString)
        if content == "A" * 40:
            assert base64_octets(string) == 30
        else:
            with pytest.raises(ValueError, match=r"."):
                base64_octets(string)


def test_long_strings_in_every_field_of_a_letter_are_whole():
    long = "é" * 50
    sent = mail(
        **{"from": long}, to=[long], cc=[long], subject=long, text_body=long, headers={long: long}, tags=[long],
        metadata={long: long}, attachments=[{"filename": long, "content": long, "content_type": long}],
    )  # fmt: skip
    with stored(json.dumps(sent).encode(), 20) as body:
        letter = postscale_request.read(JsonDocument.checked(body))
        assert {letter.sender, *letter.to, *letter.cc, letter.subject, *letter.tags} == {long}
        assert letter.headers == letter.metadata == {long: long}
        assert (letter.attachments[0].filename, letter.attachments[0].content_type) == (long, long)
        assert "".join(json_strings.string_pieces(letter.text)) == long


def test_an_error_names_the_octet_that_the_client_sent():
    octets = b'["' + b"x" * 100 + b'", "' + b"y" * 100 + b'",]'
    with pytest.raises(msgspec.DecodeError) as expected:
        msgspec.json.decode(octets)
    with stored(octets) as body, pytest.raises(NotJsonError) as refused:
        JsonDocument.checked(body)
    assert str(refused.value).endswith(str(expected.value))
    assert str(octets.rindex(b"]")) in str(refused.value)


def test_an_unknown_field_with_a_long_name_is_named_by_its_beginning():
    with stored(json.dumps({"z" * 100: 1}).encode()) as body:
        document = JsonDocument.checked(body)
        with pytest.raises(ValueError, match="unknown field `zzzzz"):
            postscale_request.read(document)


@given(st.lists(VALUE, max_size=6), st.sampled_from(["", " ", "\n\t"]))
def test_the_items_of_an_array_are_found_in_the_body(values, blank):
    items = [json.dumps(one, ensure_ascii=False) for one in values]
    octets = f"[{blank}{f'{blank},{blank}'.join(items)}{blank}]".encode()
    with stored(octets) as body:
        document = JsonDocument.checked(body)
        places = document.places(document.decode(list[msgspec.Raw]))
        parts = [body.part(start, end) for start, end in places]
        assert [b"".join(one.pieces()).decode() for one in parts] == items
        for part, value in zip(parts, values, strict=True):
            inner = JsonDocument.checked(part)
            assert whole(inner, inner.decode(object)) == value
