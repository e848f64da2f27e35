"""The body of a request as a producer: paused, resumed, stopped, and failing, with a consumer in memory."""

from __future__ import annotations

import pytest

from gateway.content.json_body import JsonBody
from gateway.http_body import BodyProducer


class Source:
    """Base64 text in pieces of four octets; fails behind the last one if it is told to."""

    def __init__(self, pieces, error=None):
        self.base64_octets = 4 * pieces
        self._pieces = pieces
        self._error = error

    def pieces(self):
        for _ in range(self._pieces):
            yield b"QUJD"
        if self._error is not None:
            raise self._error


class Consumer:
    """Asks for a pause whenever it has got room_pieces pieces."""

    def __init__(self, producer, room_pieces):
        self.pieces = []
        self._producer = producer
        self._room_pieces = room_pieces

    def write(self, octets):
        self.pieces.append(octets)
        if len(self.pieces) % self._room_pieces == 0:
            self._producer.pauseProducing()


@pytest.fixture
def make(monkeypatch):
    """A producer of a body in pieces, its consumer, and what its Deferred fired with."""
    monkeypatch.setattr("gateway.content.json_body.ONE_PIECE_OCTETS", 0)

    def made(source, room_pieces):
        body = JsonBody({"content": source})
        producer = BodyProducer(body)
        return producer, Consumer(producer, room_pieces), body, []

    return made


@pytest.mark.parametrize("room_pieces", [1, 2, 3, 7, 100])
def test_a_body_is_written_as_fast_as_the_consumer_takes_it(make, room_pieces):
    producer, consumer, body, fired = make(Source(5), room_pieces)
    producer.startProducing(consumer).addBoth(fired.append)
    while not fired:
        before = len(consumer.pieces)
        assert before % room_pieces == 0
        assert not producer.wholly_written
        producer.resumeProducing()
        assert len(consumer.pieces) > before
    assert b"".join(consumer.pieces) == b"".join(body.pieces())
    assert producer.wholly_written
    assert fired == [None]


def test_the_last_piece_is_the_end_even_when_the_consumer_asks_for_a_pause_at_it(make):
    producer, consumer, _, fired = make(Source(1), 3)  # the frame, the source, the frame
    producer.startProducing(consumer).addBoth(fired.append)
    assert fired == [None]


def test_a_stopped_body_is_never_whole_and_never_done(make):
    producer, consumer, _, fired = make(Source(5), 2)
    producer.startProducing(consumer).addBoth(fired.append)
    producer.stopProducing()
    producer.stopProducing()
    producer.resumeProducing()
    assert (len(consumer.pieces), producer.wholly_written, fired) == (2, False, [])


def test_a_body_stopped_before_it_began_is_not_begun(make):
    producer, consumer, _, fired = make(Source(5), 2)
    producer.stopProducing()
    producer.startProducing(consumer).addBoth(fired.append)
    producer.resumeProducing()
    assert (consumer.pieces, producer.wholly_written, fired) == ([], False, [])


@pytest.mark.parametrize("room_pieces", [2, 100])
def test_a_source_that_fails_ends_the_body(make, room_pieces):
    producer, consumer, _, fired = make(Source(3, OSError("the disk is broken")), room_pieces)
    producer.startProducing(consumer).addBoth(fired.append)
    for _ in range(2):
        producer.resumeProducing()
    (failure,) = fired
    assert failure.check(OSError)
    assert not producer.wholly_written
    producer.resumeProducing()
    assert len(consumer.pieces) == 4
