"""A sandbox's magic table: what makes it fail, how that is told, and how it is found in addresses and keys.

The tables are in <vendor>_magic.py; the console shows those of all sandboxes at /sandbox/magic.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from gateway.sandbox.addresses import domain_of
from gateway.sandbox.answer import Answer, Delivery

MAGIC_DOMAIN = "sandbox.example"
UNVERIFIED_DOMAIN = "unverified.example"

# Longer than a hurried client waits, shorter than any client's timeout.
SLOW_SECONDS = 3.0
# Far more than any answer of an API; a client must stop reading.
HUGE_OCTETS = 20_000_000


@dataclass(frozen=True, slots=True)
class MagicRecipient:
    """`<name>@` the table's domain, or `<name>+anything@` it, among to, cc or bcc; meaning is one line.

    answer: the magic answer; or what makes it from the one that the request would get without magic, and the wall
    clock in seconds.
    """

    name: str
    meaning: str
    answer: Answer | Callable[[Answer, float], Answer]


@dataclass(frozen=True, slots=True)
class MagicKey:
    """Keys that start with this prefix. on_read (GET) and on_send (POST) name the magic recipient whose answer they
    get; empty for the usual answer. A slow key is slow on both."""

    prefix: str
    meaning: str
    on_read: str = ""
    on_send: str = ""


@dataclass(frozen=True, slots=True)
class MagicTable:
    """The magic of one vendor's sandbox. note tells how recipients are found and which of several decides.

    keys: the first whose prefix fits is a key's row. senders: From addresses, or domains with an @ in front, and what
    happens to mail from them. others: anything else that works by being written, such as a subject or a tag.
    """

    vendor: str
    note: str
    recipients: Sequence[MagicRecipient]
    keys: Sequence[MagicKey]
    senders: Mapping[str, str] = field(default_factory=dict)
    others: Mapping[str, str] = field(default_factory=dict)
    domain: str = MAGIC_DOMAIN
    keys_in_any_case: bool = False

    def key_named(self, text: str) -> MagicKey | None:
        """The row for a key; None for one that the sandbox does not know."""
        if self.keys_in_any_case:
            return next((one for one in self.keys if text.lower().startswith(one.prefix.lower())), None)
        return next((one for one in self.keys if text.startswith(one.prefix)), None)

    def by_name(self, name: str, usual: Answer, now: float) -> Answer:
        """The answer of a magic recipient's name; the usual one for the empty name."""
        if not name:
            return usual
        answer = next(one.answer for one in self.recipients if one.name == name)
        return answer if isinstance(answer, Answer) else answer(usual, now)

    def name_of(self, address: str) -> str:
        """The magic in a bare address; empty when there is none."""
        name = address.rpartition("@")[0].lower().partition("+")[0]
        return name if domain_of(address) == self.domain and any(one.name == name for one in self.recipients) else ""

    def addresses_named(self, name: str, addresses: Iterable[str]) -> tuple[str, ...]:
        """Those of these bare addresses that have this magic."""
        return tuple(one for one in addresses if self.name_of(one) == name)

    def answer_of_first(self, addresses: Iterable[str], usual: Answer, now: float) -> Answer:
        """The answer of the first magic one of these bare addresses; the usual one when there is none."""
        return self.by_name(next(filter(None, map(self.name_of, addresses)), ""), usual, now)

    def answer_for_recipients(
        self, addresses: Iterable[str], usual: Answer, now: float
    ) -> tuple[Answer, tuple[str, ...]]:
        """The answer for these bare addresses, and which of them are skipped because they are suppressed.

        The first magic one that is not suppressed decides.
        """
        everyone = tuple(addresses)
        skipped = self.addresses_named("suppressed", everyone)
        if len(skipped) == len(everyone):
            return self.by_name("suppressed", usual, now), skipped
        return self.answer_of_first((one for one in everyone if one not in skipped), usual, now), skipped

    def answer_for_key(self, key: MagicKey, method: bytes, usual: Answer, now: float) -> Answer | None:
        """The answer when the key alone decides it; None when it does not, or only how late the answer comes."""
        name = key.on_read if method == b"GET" else key.on_send
        return None if name in ("", "slow") else self.by_name(name, usual, now)

    def paced(self, key: MagicKey, answer: Answer, now: float) -> Answer:
        """The answer as late as the key has it; on_read and on_send agree on being slow."""
        return self.by_name("slow", answer, now) if key.on_read == "slow" else answer


def is_unverified(domain: str) -> bool:
    """Whether a From domain is the one that nobody has verified, or below it."""
    bare = domain.rstrip(".")
    return bare == UNVERIFIED_DOMAIN or bare.endswith(f".{UNVERIFIED_DOMAIN}")


def deliveries(
    status: int,
    never: str = "the request is read and never answered; the connection stays open",
    cut: str = "the request is read, then the connection is closed without an answer",
) -> tuple[MagicRecipient, ...]:
    """The ways in which any API fails to answer, for one whose success has this status; never and cut are meanings."""
    return (
        MagicRecipient(
            "garbage",
            f"{status}, but the body is not JSON",
            lambda usual, now: replace(usual, body=b"OK: queued, thank you"),
        ),
        MagicRecipient(
            "slow",
            f"{status} after 3 s",
            lambda usual, now: replace(usual, delay_seconds=usual.delay_seconds + SLOW_SECONDS),
        ),
        MagicRecipient(
            "noanswer", never, lambda usual, now: replace(usual, delivery=Delivery.NEVER, error="never answered")
        ),
        MagicRecipient(
            "cut", cut, lambda usual, now: replace(usual, delivery=Delivery.CUT, error="cut without an answer")
        ),
        MagicRecipient(
            "cut-answer",
            f"the head of a {status} and half of its body, then the connection is closed",
            lambda usual, now: replace(usual, delivery=Delivery.CUT_HALFWAY),
        ),
        MagicRecipient(
            "huge-answer",
            f"{status} with a body of 20 MB",
            lambda usual, now: replace(usual, padding_octets=HUGE_OCTETS),
        ),
    )
