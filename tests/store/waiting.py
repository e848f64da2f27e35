"""A SQLite store for tests without a running reactor: whoever awaits a job waits for it there and then."""

from __future__ import annotations

from gateway.store.sqlite import SqliteStore


class WaitingStore(SqliteStore):
    """The same store; write() and read() block."""

    async def write(self, job, *, is_once=False):
        return self.run(job)

    async def read(self, job):
        return self.look(job)
