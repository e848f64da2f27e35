"""A Selection as the condition of a statement, over messages m and queue q."""

from __future__ import annotations

from collections.abc import Iterator

from gateway.store.part import marks
from gateway.store.records import Selection, State

Condition = tuple[str, tuple[object, ...]]
INDEXED_CHARACTERS = 200  # as the schema says; an index of PostgreSQL takes 2,700 octets
EVERYTHING: Condition = ("1 = 1", ())


def conditions(selection: Selection) -> Condition:
    """The whole condition, and its parameters in order."""
    return joined([*_of_the_message(selection), *_of_its_recipients(selection)])


def joined(all_of: list[Condition]) -> Condition:
    """One condition out of several, all of which have to hold."""
    texts = [text for text, _ in all_of] or [EVERYTHING[0]]
    return " AND ".join(texts), tuple(one for _, parameters in all_of for one in parameters)


def part_of(text: str) -> str:
    """The LIKE pattern (escaped with !) for what contains this text, in lower case."""
    return f"%{_escaped(text.lower())}%"


def _escaped(text: str) -> str:
    return text.replace("!", "!!").replace("%", "!%").replace("_", "!_")


def _of_the_message(selection: Selection) -> Iterator[Condition]:
    if selection.message_ids:
        yield f"m.message_id IN ({marks(selection.message_ids)})", selection.message_ids
    if selection.before_id:
        yield "m.message_id < ?", (selection.before_id,)
    if selection.account_name:
        yield "lower(m.account_name) = ?", (selection.account_name.lower(),)
    if selection.header_message_id:
        plain = selection.header_message_id.strip(" <>").lower()
        yield _is_one_of("m.header_message_id", plain, f"<{plain}>")
    if selection.received_from is not None:
        yield "m.received_at >= ?", (selection.received_from,)
    if selection.received_until is not None:
        yield "m.received_at < ?", (selection.received_until,)
    if selection.text:
        yield "m.search_text LIKE ? ESCAPE '!'", (part_of(selection.text),)


def _of_its_recipients(selection: Selection) -> Iterator[Condition]:
    if selection.recipient:
        yield _has("r.path_key LIKE ? ESCAPE '!'"), (part_of(selection.recipient),)
    if selection.vendor_message_id:
        known, parameters = _is_one_of("r.vendor_message_id", selection.vendor_message_id.lower())
        yield _has(known), parameters
    if selection.vendor:
        vendor = selection.vendor.lower()
        taken = "EXISTS (SELECT 1 FROM recipients r WHERE r.message_id = m.message_id AND lower(r.vendor) = ?)"
        yield f"({taken} OR lower(m.lane) LIKE ? ESCAPE '!')", (vendor, f"{_escaped(vendor)}/%")
    if selection.states:
        yield _in_states(selection.states)


def _is_one_of(column: str, *texts: str) -> Condition:
    """Whether a text of any length is one of these; the index has its beginning, as it has no place for more."""
    begins = f"substr(lower({column}), 1, {INDEXED_CHARACTERS}) IN ({marks(texts)})"
    same = f"{column} <> '' AND {begins} AND lower({column}) IN ({marks(texts)})"
    return same, (*(text[:INDEXED_CHARACTERS] for text in texts), *texts)


def _has(condition: str) -> str:
    """The ids come from an index, which is read whole for a part of a text, and without the messages."""
    return f"m.message_id IN (SELECT r.message_id FROM recipients r WHERE {condition})"


def _in_states(states: tuple[State, ...]) -> Condition:
    """Most of a log is relayed, so that the newest such messages are found soonest by looking at each."""
    values = tuple(one.value for one in states)
    if State.RELAYED in states:
        one = f"SELECT 1 FROM recipients r WHERE r.message_id = m.message_id AND r.state IN ({marks(values)})"
        return f"EXISTS ({one})", values
    return _has(f"r.state IN ({marks(values)})"), values
