"""The whole of interface.Transaction, put together from its parts; its SQL is the same for every database."""

from __future__ import annotations

from gateway.store.credential_rows import CredentialRows
from gateway.store.feed_rows import FeedRows
from gateway.store.step_rows import StepRows
from gateway.store.total_rows import TotalRows


class SqlTransaction(StepRows, FeedRows, TotalRows, CredentialRows):
    """A transaction on a Database. Whoever begins it ends it, after writing what was counted."""
