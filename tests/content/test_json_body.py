"""Request octets: the same JSON that a plain encoder writes, of the promised length, every time."""

from __future__ import annotations

import base64
import json
from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.content import json_body
from gateway.content.json_body import JsonBody


class Said:
    """A text source of given pieces."""

    def __init__(self, *pieces: str) -> None:
        self._pieces = pieces

    def pieces(self):
        return iter(self._pieces)


class Attached:
    """A base64 source of given octets, in pieces of 60 octets."""

    def __init__(self, octets: bytes) -> None:
        self._base64 = base64.b64encode(octets)
        self.base64_octets = len(self._base64)

    def pieces(self):
        return (self._base64[start : start + 60] for start in range(0, self.base64_octets, 60))


def written(document) -> bytes:
    """The octets of the body, whose promises are checked on the way."""
    body = JsonBody(document)
    octets = b"".join(body.pieces())
    assert b"".join(body.pieces()) == octets
    assert body.length_octets == len(octets)
    return octets


TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
PLAIN = (
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | TEXTS
)
DOCUMENTS = st.recursive(PLAIN, lambda inner: st.lists(inner) | st.dictionaries(TEXTS, inner), max_leaves=12)


@given(DOCUMENTS)
def test_an_ordinary_document_comes_back(document):
    assert json.loads(written(document)) == document


@given(st.lists(TEXTS, max_size=5), st.binary(max_size=300), TEXTS, st.integers(0, 30))
def test_sources_become_strings_in_their_places(texts, octets, key, kept_characters):
    kept = json_body.KEPT_TEXT_CHARACTERS
    json_body.KEPT_TEXT_CHARACTERS = kept_characters
    try:
        read = json.loads(written({"a": key, "text": Said(*texts), "list": [Attached(octets), "\0", Said()], "z": key}))
    finally:
        json_body.KEPT_TEXT_CHARACTERS = kept
    assert read == {"a": key, "text": "".join(texts), "list": [base64.b64encode(octets).decode(), "\0", ""], "z": key}


def test_base64_is_spliced_in_unchanged():
    assert written({"content": Attached(b"\xff\xfe\xfd")}) == b'{"content":"//79"}'


def test_a_short_body_is_one_piece_and_a_long_one_is_not():
    assert len(list(JsonBody({"text": Said("a", "b"), "file": Attached(b"x" * 500)}).pieces())) == 1
    long = JsonBody({"text": Said(*["a" * 10_000] * 20), "file": Attached(b"x" * 100_000)})
    assert len(list(long.pieces())) > 20
    assert max(map(len, long.pieces())) <= 10_000


def test_a_long_text_is_escaped_piece_by_piece():
    pieces = ['"quoted" \\ \n', "é€😀\x00\x1f"] * 10_000
    assert json.loads(written({"text": Said(*pieces)})) == {"text": "".join(pieces)}


@pytest.mark.parametrize("repeated", [1, 40_000])
def test_lone_surrogates_are_replaced_wherever_they_stand(repeated):
    document = {"k\ud800": "v\udfff", "list": ["\ud83d"], "text": Said(*["a\ud83d", "\ude00b"] * repeated), "n": 1}
    read = json.loads(written(document))
    assert read == {"k\ufffd": "v\ufffd", "list": ["\ufffd"], "text": "a\ufffd\ufffdb" * repeated, "n": 1}


def test_any_mapping_and_sequence_will_do():
    assert written(MappingProxyType({"a": (1, 2), "b": range(2)})) == b'{"a":[1,2],"b":[0,1]}'


def test_what_has_no_place_in_json_is_a_type_error():
    with pytest.raises(TypeError, match="object has no place"):
        JsonBody({"a": object()})
