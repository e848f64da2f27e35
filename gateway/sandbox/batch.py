"""A request that carries several messages: taken apart, and each judged and kept as if it had come alone.

How a batch is written and how its answer is, its vendor's sandbox file says. No more than a message is in memory.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from gateway.sandbox.addresses import address_of
from gateway.sandbox.answer import Answer, Delivery, json_answer
from gateway.sandbox.json_document import JsonDocument, NotJsonError
from gateway.sandbox.json_strings import LongString
from gateway.sandbox.letter import Letter, Reader
from gateway.sandbox.magic import MagicKey
from gateway.sandbox.reading import Reading
from gateway.sandbox.request_body import RequestBody
from gateway.sandbox.stand_in import StandIn, Verdict
from gateway.sandbox.web_request import WebRequest

# Magic recipients whose answer a proxy or a size limit gives to a whole request
OF_THE_REQUEST = ("badgateway", "toolarge")

Copy = Callable[[RequestBody], Path]


class BatchRefusedError(ValueError):
    """The batch is refused as a whole, with this answer."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.error)
        self.answer = answer


@dataclass(frozen=True, slots=True)
class BatchItem:
    """One message of a batch, read, and what it gets when the contract allows it."""

    reading: Reading
    judge: Callable[[MagicKey, Letter], Verdict]


@dataclass(frozen=True, slots=True)
class BatchContract:
    """How a vendor judges a batch.

    items: the array of messages in a document. refuses_all: whether the refusal of one item's shape is that of the
    whole request. wrap: the body of the answer around the array of the items' answers. read: an item, for the inbox.
    """

    maximum_octets: int
    maximum_items: int
    items: Callable[[JsonDocument], Sequence[msgspec.Raw]]
    read_item: Callable[[RequestBody, Copy], BatchItem]
    refuses_all: Callable[[Answer], bool]
    wrap: Callable[[msgspec.Raw], object]
    read: Reader
    not_json: Callable[[str], Answer]
    no_batch: Callable[[str], Answer]
    too_many: Callable[[int], Answer]
    too_large: Callable[[], Answer]


@dataclass(frozen=True, slots=True)
class BatchReading:
    """What a body is: its items; or the refusal of the whole, with a copy of the body if that is small enough."""

    items: Sequence[BatchItem]
    refusal: Answer | None = None
    copy: Path | None = None
    well_formed: bool = False
    long_strings: tuple[LongString, ...] = ()


def read_batch(
    body: RequestBody,
    contract: BatchContract,
    copy: Copy,
    refuse: Callable[[Reading], Answer | None],
    refusal: Answer | None,
) -> BatchReading:
    """Read a body and copy it, item by item; as a whole when it is refused, by this refusal or another.

    refuse: the answer to the whole request when an item asks for one. OSError when a copy cannot be written.
    """
    if body.length_octets > contract.maximum_octets:
        return BatchReading((), refusal or contract.too_large())
    try:
        document = JsonDocument.checked(body)
    except NotJsonError as error:
        return BatchReading((), refusal or contract.not_json(str(error)), copy(body))
    try:
        if refusal is not None:
            raise BatchRefusedError(refusal)
        return BatchReading(_items(body, document, contract, copy, refuse))
    except BatchRefusedError as error:
        return BatchReading((), error.answer, copy(body), True, document.long_strings)


def _items(
    body: RequestBody,
    document: JsonDocument,
    contract: BatchContract,
    copy: Copy,
    refuse: Callable[[Reading], Answer | None],
) -> list[BatchItem]:
    try:
        raws = contract.items(document)
    except ValueError as error:
        raise BatchRefusedError(contract.no_batch(str(error))) from error
    if len(raws) > contract.maximum_items:
        raise BatchRefusedError(contract.too_many(len(raws)))
    items: list[BatchItem] = []
    for start, end in document.places(raws):
        items.append(contract.read_item(body.part(start, end), copy))
        answer = refuse(items[-1].reading)
        if answer is not None:
            for one in items:
                if one.reading.copy is not None:
                    one.reading.copy.unlink()
            raise BatchRefusedError(answer)
    return items


class BatchStandIn(StandIn):
    """A stand-in whose API takes batches."""

    async def receive_batch(self, request: WebRequest, contract: BatchContract) -> Answer:
        """Read a batch and keep each of its messages; give the answer to all."""
        key = self.find_key(request)
        refusal = key if isinstance(key, Answer) else self.decided(key, request) or self.check_head(request)

        def refuse(reading: Reading) -> Answer | None:
            return self._refusal_of_all(reading, contract)

        def read(body: RequestBody) -> BatchReading:
            return read_batch(body, contract, self._inbox.copy, refuse, refusal)

        reading = await self.read(request, read)
        if isinstance(key, Answer) or reading.refusal is not None:
            verdict = Verdict(reading.refusal or self.failure)
            verdict = verdict if isinstance(key, Answer) else Verdict(self.paced(key, verdict.answer))
            whole = Reading(None, None, reading.copy, reading.well_formed, reading.long_strings)
            self.keep(request, whole, _no_letter, verdict, verdict.answer.status_given)
            return verdict.answer
        verdicts = [_verdict(key, item, self.failure) for item in reading.items]
        answer = self.paced(key, self._joined([one.answer for one in verdicts], contract))
        for item, verdict in zip(reading.items, verdicts, strict=True):
            status = None if answer.status_given is None else verdict.answer.status
            self.keep(request, item.reading, contract.read, verdict, status)
        return answer

    def _refusal_of_all(self, reading: Reading, contract: BatchContract) -> Answer | None:
        if reading.refusal is not None:
            return reading.refusal if contract.refuses_all(reading.refusal) else None
        names = {self.magic.name_of(address_of(one)) for one in (reading.letter.recipients if reading.letter else ())}
        name = next((one for one in OF_THE_REQUEST if one in names), "")
        return self.magic.by_name(name, self.failure, self._inbox.seconds()) if name else None

    def _joined(self, answers: Sequence[Answer], contract: BatchContract) -> Answer:
        """One answer of all; late, long or lost when one of them is."""
        array = msgspec.Raw(b"[" + b",".join(map(_piece, answers)) + b"]")
        answer = json_answer(self.accepted_status, contract.wrap(array))
        return Answer(
            answer.status,
            answer.body,
            delay_seconds=max(one.delay_seconds for one in answers),
            padding_octets=max(one.padding_octets for one in answers),
            delivery=next((one.delivery for one in answers if one.delivery is not Delivery.WHOLE), Delivery.WHOLE),
        )


def _verdict(key: MagicKey, item: BatchItem, failure: Answer) -> Verdict:
    letter, refusal = item.reading.letter, item.reading.refusal
    return Verdict(refusal or failure) if refusal or letter is None else item.judge(key, letter)


def _piece(answer: Answer) -> bytes:
    """An answer's body in an array; as a string when it is no JSON."""
    try:
        msgspec.json.decode(answer.body)
    except msgspec.DecodeError:
        return msgspec.json.encode(answer.body.decode("utf-8", "replace"))
    return answer.body


def _no_letter(document: JsonDocument) -> Letter:
    """A batch that was refused as a whole has no letter of its own."""
    raise ValueError("a batch, refused as a whole")
