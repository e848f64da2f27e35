"""One request and its answer on an HTTP connection: how far the one is written, how much of the other has come."""

from __future__ import annotations

from typing import Any, Protocol

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionAborted
from twisted.internet.interfaces import IConsumer, IProtocol, IPushProducer
from twisted.python.failure import Failure
from twisted.web.client import ResponseDone
from twisted.web.http_headers import Headers
from twisted.web.iweb import UNKNOWN_LENGTH, IBodyProducer, IResponse
from zope.interface import implementer

from gateway.http_answer import AnswerHead, AnswerParser, BadAnswerError

UNPAUSED_OCTETS = 64 * 1024  # what a transport of Twisted holds before it asks for a pause
WHOLE = Failure(ResponseDone())
CUT = Failure(ConnectionAborted())


class WrongBodyLengthError(Exception):
    """A producer wrote more or less than it had announced: the request cannot be completed."""


class Connection(Protocol):
    """What carries an exchange. transport is the connection's own."""

    transport: Any

    def exchange_over(self, *, whole: bool, reusable: bool) -> None:
        """The exchange needs the connection no more.

        Unless reusable, nobody may use it again; unless whole, what is still to be written or read is thrown away.
        """


@implementer(IConsumer, IPushProducer)
class HttpExchange:
    """Drives both directions. answered fires with the response when its head has come and the request is written.

    An answer that is whole before the request is ends the request. Cancelling answered ends both. heard tells whether
    the server has said anything. To the producer of the body this is the consumer, to who reads the answer's body the
    transport.
    """

    def __init__(self, connection: Connection, head: bytes, body: IBodyProducer | None, *, has_body: bool) -> None:
        self.answered: Deferred[IResponse] = Deferred(lambda _: self._abandon())
        self.heard = False
        self._connection = connection
        self._head = head
        self._body = body
        self._left_octets = 0
        self._written = False
        self._registered = False
        self._over = False
        self._parser = AnswerParser(has_body=has_body)
        self._reader: IProtocol | None = None
        self._end: Failure | None = None
        self._given = False
        self._paused = False

    # -- the request

    def start(self) -> None:
        """Write the request; a body that comes in one piece goes out together with the head."""
        if self._body is None:
            self._written = True
            self._connection.transport.write(self._head)
            return
        self._left_octets = self._body.length
        if self._left_octets > UNPAUSED_OCTETS:
            self._registered = True
            self._connection.transport.registerProducer(self._body, True)
        self._body.startProducing(self).addCallbacks(self._finish_writing, self._fail)

    def write(self, octets: bytes) -> None:
        """The next octets of the body."""
        if self._over:
            return
        self._left_octets -= len(octets)
        if self._left_octets < 0:
            self._fail(Failure(WrongBodyLengthError()))
        elif self._head:
            head, self._head = self._head, b""
            self._connection.transport.writeSequence((head, octets))
        else:
            self._connection.transport.write(octets)

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        """A body is registered by who starts it."""
        raise RuntimeError("the body producer is registered already")

    def unregisterProducer(self) -> None:
        """The body is unregistered when its Deferred fires."""

    def _finish_writing(self, _: object) -> None:
        self._unregister()
        if self._over:
            return
        if self._left_octets:
            self._fail(Failure(WrongBodyLengthError()))
            return
        self._written = True
        self._advance()

    def _unregister(self) -> None:
        if self._registered:
            self._registered = False
            self._connection.transport.unregisterProducer()

    # -- the answer

    def received(self, octets: bytes) -> None:
        """The next octets from the server."""
        self.heard = True
        try:
            self._parser.feed(octets)
        except BadAnswerError:
            self._fail(Failure())
        else:
            self._advance()

    def lost(self, reason: Failure) -> None:
        """The connection is gone. An answer whose head has come counts, whole or not: the status decides."""
        if self._over:
            return
        self._parser.connection_ended()
        self._stop()
        if self._parser.head is None:
            self.answered.errback(reason)
        else:
            self._finish(WHOLE if self._parser.ended else reason)

    def deliver(self, reader: IProtocol) -> None:
        """Give the body of the answer to this protocol, from its beginning."""
        self._reader = reader
        transport: Any = self  # as far as a reader needs one: a body is not written to
        reader.makeConnection(transport)
        self._pour()
        self.resumeProducing()

    def take_whole(self) -> bytes | None:
        """The body of the answer, if all of it has come by now; None when it is to be delivered."""
        return self._parser.take() if self._end is WHOLE else None

    def _advance(self) -> None:
        if self._over:
            return
        if self._parser.ended:
            self._stop(whole=self._written)
            self._finish(WHOLE)
        elif self._parser.head is not None and self._written:
            self._give()
            self._pour()
            if self._reader is None:
                self.pauseProducing()

    def _give(self) -> None:
        """Fire answered, once."""
        if not self._given:
            self._given = True
            assert self._parser.head is not None
            self.answered.callback(HttpResponse(self, self._parser.head))

    def _pour(self) -> None:
        """Hand on what has come of the body, and its end."""
        if self._reader is None:
            return
        if octets := self._parser.take():
            self._reader.dataReceived(octets)
        if self._end is not None:
            end, self._end = self._end, None
            self._reader.connectionLost(end)

    # -- the end of both

    def _finish(self, end: Failure) -> None:
        """Nothing more will come of the body."""
        self._end = end
        self._give()
        self._pour()

    def _stop(self, *, whole: bool = False) -> None:
        """Let the connection go, and write no more. whole: request and answer have been exchanged to their ends."""
        if whole:
            self.resumeProducing()  # whoever uses the connection next reads from it
        self._over = True
        if not self._written and self._body is not None:
            self._body.stopProducing()
        self._unregister()
        self._connection.exchange_over(whole=whole, reusable=whole and self._parser.reusable)

    def _fail(self, reason: Failure) -> None:
        """The exchange cannot be completed. That of an answer whose head was given is cut, as its connection is."""
        if self._over:
            return
        self._stop()
        if self._given:
            self._finish(reason)
        else:
            self.answered.errback(reason)

    def _abandon(self) -> None:
        """Nobody waits for the answer any more."""
        if not self._over:
            self._stop()

    # -- as the transport of the answer's body

    def loseConnection(self) -> None:
        """The rest of the answer is not wanted."""
        if not self._over:
            self._stop()
            self._finish(CUT)

    def stopProducing(self) -> None:
        """The same, in a producer's words."""
        self.loseConnection()

    def pauseProducing(self) -> None:
        """Read no more of the answer for now."""
        if not self._over and not self._paused:
            self._paused = True
            self._connection.transport.pauseProducing()

    def resumeProducing(self) -> None:
        """Read on."""
        if not self._over and self._paused:
            self._paused = False
            self._connection.transport.resumeProducing()


@implementer(IResponse)
class HttpResponse:
    """An answer as Twisted's agents give it; its body comes as the server wrote it, encoded or not."""

    request = None  # nobody asks an answer what it is the answer to
    previousResponse = None

    def __init__(self, exchange: HttpExchange, head: AnswerHead) -> None:
        self._exchange = exchange
        self.version = (b"HTTP", 1, head.minor_version)
        self.code = head.status
        self.phrase = head.phrase
        self.length = UNKNOWN_LENGTH
        self.fields = head.fields

    @property
    def headers(self) -> Headers:
        """The header fields, for who wants them as Twisted has them."""
        headers = Headers()
        for name, value in self.fields:
            if name != b"content-encoding":  # else treq would decode, and a small answer could grow beyond any cap
                headers.addRawHeader(name, value)
        return headers

    def deliverBody(self, protocol: IProtocol) -> None:
        """Give the body to this protocol, whose connectionLost() tells how it ended."""
        self._exchange.deliver(protocol)

    def take_whole(self) -> bytes | None:
        """The body at once, if all of it has come by now; None when it is to be delivered."""
        return self._exchange.take_whole()

    def setPreviousResponse(self, response: IResponse) -> None:
        """Redirects are not followed, so that there is none."""
        raise NotImplementedError("redirects are not followed")
