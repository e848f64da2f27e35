"""Every message of tests/corpus/mime, read from memory and from a file, against what it means."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from gateway.content import base64_source, decoding, sources
from gateway.content import spool as spool_module
from gateway.content.reading import UnreadableError, read_content
from gateway.content.spool import Spool
from gateway.message import Attachment, Mailbox

from .contents import html_of, octets_of, text_of
from .spooled import spooled

FOLDER = Path(__file__).parents[1] / "corpus" / "mime"
PAIRS = sorted(FOLDER.glob("*.eml"))


@pytest.mark.parametrize("path", PAIRS, ids=[path.stem for path in PAIRS])
def test_a_message_means_what_its_pair_says(path, tmp_path, monkeypatch):
    meant = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    meant.pop("why", None)
    octets = path.read_bytes()
    assert found(spooled(octets)) == meant
    monkeypatch.setattr(spool_module, "FIRST_WINDOW_OCTETS", 5)
    monkeypatch.setattr(spool_module, "LAST_WINDOW_OCTETS", 11)
    monkeypatch.setattr(decoding, "PIECE_OCTETS", 12)
    monkeypatch.setattr(base64_source, "PIECE_OCTETS", 12)
    monkeypatch.setattr(sources, "KEPT_TEXT_OCTETS", -1)
    monkeypatch.setattr(base64_source, "KEPT_BASE64_OCTETS", -1)
    file = spooled(octets, tmp_path, memory_octets=0)
    assert found(file) == meant
    file.close()


def test_the_corpus_is_whole():
    assert len(PAIRS) >= 150
    assert {path.stem for path in PAIRS} == {path.stem for path in FOLDER.glob("*.json")}
    assert [int(path.name[:3]) for path in PAIRS] == list(range(1, len(PAIRS) + 1))


def found(spool: Spool) -> dict[str, Any]:
    """What reading gives, in the form of the pair's JSON."""
    try:
        content = read_content(spool)
    except UnreadableError as error:
        return {"unreadable": str(error)}
    return {
        "author": _people(content.author),
        "to": _people(content.to),
        "cc": _people(content.cc),
        "subject": content.subject,
        "text": text_of(content),
        "html": html_of(content),
        "attachments": [_attachment(one) for one in content.attachments],
        "report": list(content.report),
    }


def _people(mailboxes: tuple[Mailbox, ...]) -> list[list[str]]:
    return [[one.display_name, one.address] for one in mailboxes]


def _attachment(attachment: Attachment) -> dict[str, Any]:
    octets = octets_of(attachment)
    return {
        "filename": attachment.filename,
        "content_type": attachment.content_type,
        "inline": attachment.inline,
        "content_id": attachment.content_id,
        "size": len(octets),
        "sha256": hashlib.sha256(octets).hexdigest(),
    }
