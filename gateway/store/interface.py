"""The shape of a store. A backend is one file that passes the shared store suite in tests/store.

Work is given to the store as a job: a function of a Transaction. Jobs run in threads of the store's own; those that
come at the same time may share one commit, and each ends after it, or fails alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Protocol, TypeVar

from gateway.store.credential import Credential
from gateway.store.records import (
    Attempt,
    Bounce,
    Claim,
    DueLane,
    Recipient,
    Selection,
    State,
    Step,
    StoredEvent,
    StoredMessage,
    Totals,
    WebhookPost,
)

T = TypeVar("T")
PIECE_OCTETS = 256 * 1024  # content is kept in pieces of this size: few rows for large mail, little memory for any
LONGEST_WAIT_SECONDS = (
    2 * 3600.0
)  # what waits longer, by a decision of later than now, waits for a clock that went back
LONGEST_LEASE_SECONDS = 3600.0  # no gateway claims for longer, so that a lease further off comes of a clock that jumped


class StoreError(OSError):
    """The store cannot be used; the text names the database, without password, and says why."""


class StoreFullError(StoreError):
    """There is no room left for more."""


class StoreUnsureError(StoreError):
    """The answer to a commit was lost, and nobody could be asked in time: it may have taken place, or may yet."""


class Transaction(Protocol):
    """What can be done in a job. All of it is committed, or nothing; calls block, so jobs run in threads.

    A job may be run again from its beginning, when a connection broke or another job had to go first: whatever it reads
    must be readable again, and it must change nothing but the transaction.
    """

    # -- a message comes

    def add_message(self, message: StoredMessage, content: Iterable[bytes] | None, attempts: Sequence[Attempt]) -> None:
        """Keep a message, with its content in pieces of at most PIECE_OCTETS when it will be needed, and attempts that
        were made already. Recipients in any state but REJECTED count as accepted."""

    def add_ended(self, ended: Sequence[tuple[StoredMessage, Sequence[Attempt]]]) -> None:
        """Keep messages of which nothing waits, without content and with the attempts that were made: for each as
        add_message() does, in few statements for all. ValueError when something waits."""

    def reject(self, message: StoredMessage, attempts: Sequence[Attempt], now: float) -> bool:
        """The client was told 4xx after a commit of which nobody knew: see to it that the message is there as rejected,
        for the log, and that nobody attempts it. Its recipients that waited are REJECTED in the record given. Waits for
        a transaction that is still about to bring it. False when an attempt has been begun meanwhile: then it stays."""

    # -- the queue

    def due_lanes(self, now: float, limit: int) -> list[DueLane]:
        """Lanes and accounts with unclaimed mail whose time has come, or is more than LONGEST_WAIT_SECONDS off since
        the clock went back; a claim whose lease has ended counts as none. Oldest first."""

    def next_due_at(self) -> float | None:
        """When the next unclaimed message is due; None when none waits."""

    def claim(
        self, gateway: str, lane: str, account_name: str, now: float, limit: int, lease_seconds: float
    ) -> list[Claim]:
        """Take up to so many due messages, oldest first; no other gateway gets them before the lease has ended. The
        lease is timed by the store's own clock, which wall clocks do not move. gateway names one process and no other,
        also among the workers of one machine: release() gives back all that its name has."""

    def begin(self, claims: Sequence[Claim], lane: str = "") -> frozenset[str]:
        """An attempt is about to be made, in this lane when it is named; its lease begins anew. Gives the ids that are
        still ours; the rest must not be attempted."""

    def mark(self, claim: Claim, recipients: Sequence[Recipient]) -> bool:
        """Write what is known of recipients that wait, and keep the claim. False, and nothing, when it was lost."""

    def finish(self, claim: Claim, step: Step) -> bool:
        """Write what came of a claim and give it back. False when the claim was lost meanwhile: then only the attempt
        is logged, and recipients that were relayed are marked so, unless another has ended them."""

    def release(self, gateway: str, claims: Sequence[Claim] | None = None) -> None:
        """Give claims back unattempted; all of this gateway's when none are named."""

    def content(self, message_id: str) -> Iterator[bytes]:
        """The content's pieces, from the beginning; none when it is gone."""

    def content_piece(self, message_id: str, number: int) -> bytes | None:
        """One piece, counted from 0; None behind the last. For readers that must not stay in one transaction."""

    # -- steering

    def select(self, selection: Selection, limit: int) -> list[StoredMessage]:
        """The newest messages that fit, newest first."""

    def message(self, message_id: str) -> StoredMessage | None:
        """One message."""

    def attempts(self, message_id: str) -> list[Attempt]:
        """Its attempts, oldest first."""

    def steer(self, message_id: str, state: State, now: float, vendors: Sequence[str] = (), lane: str = "") -> bool:
        """Make waiting recipients QUEUED (attempt now), HELD or CANCELLED; with vendors, let it leave by these from
        now on, in this lane. False when nothing waits, or an attempt is being made at the moment. A claim under which
        no attempt was begun yet is lost by it."""

    def totals(self) -> Totals:
        """The sum over all that was ever accepted, as it was kept with each change."""

    def recount(self) -> Totals:
        """The same, counted anew from the messages and what was pruned; it looks at every row."""

    def queue_depth(self) -> Mapping[str, tuple[int, float]]:
        """By lane: how many messages wait, and when the oldest of them was received."""

    # -- events, notices

    def add_events(self, events: Sequence[StoredEvent]) -> None:
        """Append to the event feed."""

    def events(self, after_number: int, limit: int, message_id: str = "") -> list[StoredEvent]:
        """Events in order, those after this number, of one message when named."""

    def last_event_number(self) -> int:
        """The number of the newest event, 0 when there is none."""

    def add_bounce(self, bounce: Bounce) -> int:
        """Keep a bounce record; gives its number (that in the record is not looked at)."""

    def bounces(
        self, selection: Selection, limit: int, offset: int = 0, tag: str = "", stream: str = ""
    ) -> tuple[int, list[Bounce]]:
        """How many bounce records fit, and those of this page, newest first. Of the selection count message_ids,
        account_name, recipient and the times."""

    def bounce(self, number: int) -> Bounce | None:
        """One bounce record."""

    def add_webhook_posts(self, posts: Sequence[WebhookPost]) -> None:
        """Keep deliveries to make."""

    def claim_webhook_posts(self, now: float, limit: int, lease_seconds: float) -> list[WebhookPost]:
        """Take up to so many due deliveries."""

    def finish_webhook_post(self, post: WebhookPost, next_attempt_at: float | None) -> None:
        """Taken or given up (None), or to be tried again at that time, with its attempts as the post counts them: a
        post that is given back unattempted has as many as before."""

    # -- keeping house

    def prune(self, content_before: float, log_before: float, limit: int) -> int:
        """Delete up to so many: pieces of content of messages that ended before one time, whole messages, events and
        bounces that ended before the other; what is deleted stays in the totals. Gives how many there were."""

    # -- credentials

    def add_credential(self, credential: Credential) -> None:
        """Keep a new credential; ValueError when the user name is taken."""

    def credential(self, user_name: str) -> Credential | None:
        """The credential of that user name, active or not."""

    def credentials(self) -> list[Credential]:
        """All credentials, by user name."""

    def deactivate_credential(self, user_name: str) -> bool:
        """Let nobody log in with it any more; False when there is none of that name."""

    def replace_secret(self, credential: Credential) -> bool:
        """Take over the secret's forms of this credential; False when there is none of that name that is active."""

    def note_login(self, user_name: str, at: str) -> None:
        """Somebody logged in with it at this time (ISO 8601, UTC)."""

    # -- the seal

    def keep_seal(self, sealed: bytes) -> None:
        """Keep this as what was sealed first, unless there is one."""

    def first_sealed(self) -> bytes | None:
        """What was sealed first; None in a store that has never been asked."""

    def some_sealed(self) -> tuple[str, bytes] | None:
        """A secret that is sealed and needed still, and the name it is sealed to; None when there is none."""


class Store(Protocol):
    """A store in use. Fails with StoreError, at open() and at any job. name is what to call it, without password."""

    name: str
    damage: str
    """What open() found to be lost, in words for the operator; "" when all is well."""

    def open(self) -> None:
        """Connect and bring the schema up to date; blocks."""

    def close(self) -> None:
        """End the threads after the jobs that were given; blocks."""

    def run(self, job: Callable[[Transaction], T]) -> T:
        """Do a job and wait for its commit: for the command line and for threads. Blocks."""

    async def write(self, job: Callable[[Transaction], T], *, is_once: bool = False) -> T:
        """Do a job; ends once it is committed to stable storage (fsync).

        is_once: a job that was done already fails with Taken when it is done again. So when the answer to its commit is
        lost it is done again, to find out; StoreUnsureError when that cannot be had in time. Other jobs fail then with
        a StoreError, and have been done or not.
        """

    async def read(self, job: Callable[[Transaction], T]) -> T:
        """Do a job that changes nothing; it does not wait for writers."""

    def look(self, job: Callable[[Transaction], T]) -> T:
        """Do a job that changes nothing, and wait for it. Blocks."""
