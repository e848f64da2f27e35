"""The mail data phase of a conversation: DATA up to its end mark (RFC 5321 §4.1.1.4), or BDAT by count (RFC 3030).

Readers move octets from the line buffer to events, and tell whether they got anywhere.
"""

from __future__ import annotations

from gateway.outcome import Reply
from gateway.smtp import events, replies
from gateway.smtp.conversation import END_OF_DATA, Conversation, State
from gateway.smtp.maildata import ChunkedData, MailData, TextRules


def begin_data(conversation: Conversation) -> None:
    """DATA was answered with 354."""
    conversation.data = MailData(_rules(conversation))
    conversation.state = State.MAIL_DATA


def read_data(conversation: Conversation) -> bool:
    """Read on towards the end mark."""
    data = conversation.data
    octets = conversation.lines.take_all()
    if data is None or not octets:
        return False
    _pass_on(conversation, data.feed(octets), data.rules)
    if data.rest is not None:
        conversation.data = None
        conversation.lines.append(data.rest)
        conversation.verb = END_OF_DATA
        _end(conversation, data.rules.fault)
    return True


def begin_chunk(conversation: Conversation, octets: int, *, last: bool, refusal: Reply | None) -> None:
    """BDAT: so many octets follow, and are no commands, even if the chunk is refused (RFC 3030 §2)."""
    chunks = conversation.chunks
    if chunks is None:
        chunks = conversation.chunks = ChunkedData(_rules(conversation))
        chunks.rules.fault = refusal
        if refusal is None:
            conversation.ask(events.MailDataWanted())
    chunks.begin(octets, last=last)
    conversation.state_after_chunk = conversation.state
    conversation.state = State.CHUNK


def read_chunk(conversation: Conversation) -> bool:
    """Read on to the end of the chunk."""
    chunks = conversation.chunks
    if chunks is None:
        return False
    octets = conversation.lines.take(chunks.left_octets)
    if chunks.left_octets and not octets:
        return False
    _pass_on(conversation, chunks.feed(octets), chunks.rules)
    if not chunks.left_octets:
        _end_chunk(conversation, chunks)
    return True


def _end_chunk(conversation: Conversation, chunks: ChunkedData) -> None:
    conversation.state = conversation.state_after_chunk
    fault = chunks.rules.fault
    if conversation.state is not State.TRANSACTION:
        conversation.chunks = None
        conversation.write(fault or replies.MAIL_FIRST)
    elif chunks.last:
        _end(conversation, fault)
    else:
        conversation.write(fault or replies.CHUNK_OK)


def _pass_on(conversation: Conversation, text: bytes, rules: TextRules) -> None:
    if text:
        conversation.ask(events.MailData(text))
    if rules.fault:
        conversation.drop_data()


def _end(conversation: Conversation, fault: Reply | None) -> None:
    if fault is None:
        conversation.data_open = False
        conversation.ask(events.MailDataEnd())
    else:
        conversation.write(fault)
        conversation.end_transaction()


def _rules(conversation: Conversation) -> TextRules:
    limits = conversation.rules.limits
    return TextRules(limits.message_octets, limits.text_line_octets, binary=conversation.body == "BINARYMIME")
