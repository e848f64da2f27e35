"""What the queue calls: notices of ended recipients, written in the same transaction as what they tell of."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace

from gateway.message import Envelope, SendOptions
from gateway.notices.bounces import bounces_of, webhook_document
from gateway.notices.dsn import Dsn, Sender, make_dsn, returned_original
from gateway.notices.verdicts import DSN_KIND, NOTIFIED, verdicts
from gateway.notices.webhooks import Webhook, bounce_posts, event_posts
from gateway.store.interface import PIECE_OCTETS, Transaction
from gateway.store.records import Recipient, State, StoredEvent, StoredMessage

NO_OPTIONS = SendOptions()


@dataclass(frozen=True, slots=True)
class Notices:
    """Makes the notices of one gateway. Its methods write into the caller's transaction, so they run in its thread.

    reseal takes a sealed key from one message id to another: each is sealed to its own. expiry_seconds is how long a
    DSN of ours may wait in the queue.
    """

    sender: Sender
    webhooks: tuple[Webhook, ...]
    new_id: Callable[[], str]
    reseal: Callable[[bytes, str, str], bytes]
    expiry_seconds: float

    def of(
        self,
        transaction: Transaction,
        message: StoredMessage,
        ended: Sequence[Recipient],
        kinds: Collection[str],
        now: float,
        options: SendOptions = NO_OPTIONS,
    ) -> str:
        """Tell of recipients in the states in which they ended just now, as the route's notices ask.

        kinds of "dsn" and "bounce" are looked at; webhooks hear of events by themselves. options are those of the
        submission, for the tag and the stream of a bounce. message may be as it was before the step, but for attempts:
        when that is 0 none was made. Gives the id of the DSN, empty when there is none.
        """
        if "bounce" in kinds:
            self._add_bounces(transaction, message, ended, options, now)
        return self._add_dsn(transaction, message, ended, now) if "dsn" in kinds else ""

    def warn(
        self,
        transaction: Transaction,
        message: StoredMessage,
        waiting: Sequence[Recipient],
        kinds: Collection[str],
        now: float,
    ) -> str:
        """Tell who asked for it (NOTIFY=DELAY) that mail is late; waiting are recipients still queued or held.

        The caller marks the message as warned, whether or not somebody had asked. Gives the id of the DSN, or "".
        """
        late = [one for one in waiting if one.state in (State.QUEUED, State.HELD)]
        return self._add_dsn(transaction, message, late, now) if "dsn" in kinds else ""

    def add_events(self, transaction: Transaction, message: StoredMessage, events: Sequence[StoredEvent]) -> bool:
        """Append events of this message to the feed, with the posts for the webhooks that want them.

        True when there are posts: then the sender is to be woken after the commit.
        """
        return self.add_events_of_all(transaction, [(message, events)])

    def add_events_of_all(
        self, transaction: Transaction, told: Sequence[tuple[StoredMessage, Sequence[StoredEvent]]]
    ) -> bool:
        """The same for several messages, in one statement for the feed."""
        transaction.add_events([one for _, events in told for one in events])
        posts = []
        if self.webhooks:
            for message, events in told:
                now = max((one.at for one in events), default=0.0)
                posts += event_posts(self.webhooks, message, events, now, self.new_id)
        if posts:
            transaction.add_webhook_posts(posts)
        return bool(posts)

    def _add_bounces(
        self,
        transaction: Transaction,
        message: StoredMessage,
        ended: Sequence[Recipient],
        options: SendOptions,
        now: float,
    ) -> None:
        for one in bounces_of(message, ended, options, now):
            bounce = replace(one, number=transaction.add_bounce(one))
            document = webhook_document(bounce, message)
            posts = bounce_posts(self.webhooks, message.account_name, document, now, self.new_id)
            if posts:
                transaction.add_webhook_posts(posts)

    def _add_dsn(
        self, transaction: Transaction, message: StoredMessage, recipients: Sequence[Recipient], now: float
    ) -> str:
        told = verdicts(message, recipients)
        if not told:
            return ""
        original = returned_original(message, told, transaction.content(message.message_id))
        dsn = make_dsn(self.new_id(), self._sender_for(message), message, told, original, now)
        stored = self._stored(dsn, message, now)
        transaction.add_message(stored, _pieces(dsn.content), ())
        # For the story alone: webhooks hear of the DSN itself, which says what it is about
        transaction.add_events([StoredEvent(now, NOTIFIED, message.message_id, {"dsn": dsn.message_id})])
        detail = {"notice_of": message.message_id, "recipients": [dsn.recipient]}
        self.add_events(transaction, stored, [StoredEvent(now, "received", dsn.message_id, detail)])
        return dsn.message_id

    def _sender_for(self, message: StoredMessage) -> Sender:
        """An account that may send from one address alone sends its notices from that too."""
        own_address = message.account.get("own_address")
        return (
            replace(self.sender, address=own_address) if isinstance(own_address, str) and own_address else self.sender
        )

    def _stored(self, dsn: Dsn, message: StoredMessage, now: float) -> StoredMessage:
        """The DSN in the queue: of the same account, so that it leaves by the same route.

        Its reverse-path is null (RFC 3464 §2) and nobody is told what becomes of it.
        """
        return StoredMessage(
            message_id=dsn.message_id,
            session_id=message.session_id,
            received_at=now,
            account_name=message.account_name,
            account=message.account,
            envelope=Envelope("", (dsn.recipient,), notify={dsn.recipient: "NEVER"}),
            recipients=(Recipient(dsn.recipient, State.QUEUED),),
            size_octets=len(dsn.content),
            mode="queued",
            lane=message.lane,
            kind=DSN_KIND,
            sealed_key=self._resealed(message, dsn.message_id),
            origin={"notice_of": message.message_id},
            header_message_id=f"<{dsn.message_id}@{self.sender.hostname}>",
            author=dsn.author,
            subject=dsn.subject,
            moved_to=message.moved_to,
            idempotency_key=dsn.message_id,
            expires_at=now + self.expiry_seconds,
            next_attempt_at=now,
            has_content=True,
        )

    def _resealed(self, message: StoredMessage, message_id: str) -> bytes | None:
        if message.sealed_key is None:
            return None
        return self.reseal(message.sealed_key, message.message_id, message_id)


def _pieces(content: bytes) -> Iterable[bytes]:
    return (content[start : start + PIECE_OCTETS] for start in range(0, len(content), PIECE_OCTETS))
