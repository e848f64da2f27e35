"""The sessions of one process: its open ports, the assembly that serves them, and those before it with some left."""

from __future__ import annotations

import gc
from typing import Any

from twisted.internet.defer import Deferred, DeferredList

from gateway.assembly import Assembly, listening
from gateway.certificate_watch import CertificateWatch
from gateway.events import Reporter
from gateway.ports import Ports


class Sessions:
    """Serves ports by the newest assembly; sessions of the ones before go on until they end by themselves."""

    def __init__(self, reactor: Any, ports: Ports, report: Reporter) -> None:
        self._reactor = reactor
        self._ports = ports
        self._report = report
        self._current: Assembly | None = None
        self._earlier: list[Assembly] = []
        self._certificates = CertificateWatch(reactor, report)

    def use(self, assembly: Assembly) -> None:
        """Serve the ports of the assembly, which are open, with it. Those that only the one before had are closed."""
        before, self._current = self._current, assembly
        assembly.take_effect()
        known = before.fronts if before is not None else {}
        for key, front in assembly.fronts.items():
            self._ports.serve(key, front.wire)
            if key not in known or listening(known[key]) != listening(front):
                self._report(listening(front))
        self._certificates.watch(one.certificates for one in assembly.fronts.values() if one.certificates is not None)
        self._ports.close(known.keys() - assembly.fronts.keys())
        if before is None:
            assembly.storage.start()
        else:
            self._earlier.append(before)
            ended = before.ended()
            ended.addCallback(lambda _: Deferred.fromCoroutine(self._let_go(before)))

    async def drain(self, deadline_seconds: float) -> None:
        """421 to whoever has nothing in hand; what is in hand is finished, within the deadline; then all is closed.

        A port that systemd holds open is closed here at once: connections to it wait for the next process.
        """
        self._ports.close(key for key in self._keys() if key.startswith("systemd:"))
        self._certificates.stop()
        queue = [Deferred.fromCoroutine(self._current.storage.drain())] if self._current is not None else []
        drained = DeferredList([*queue, *(one.drain() for one in self._all())])
        deadline = self._reactor.callLater(deadline_seconds, self.abort)
        await drained
        if deadline.active():
            deadline.cancel()
        await self._ports.close(self._keys())
        for one in self._all():
            await one.close()

    def abort(self) -> None:
        """Cut off what is left."""
        if self._current is not None:
            self._current.storage.abort()
        for one in self._all():
            one.abort()

    async def _let_go(self, assembly: Assembly) -> None:
        """Its last session has ended."""
        if assembly in self._earlier:
            self._earlier.remove(assembly)
            await assembly.close()
            # Its parts know each other, and the collector comes seldom: some MB would stay for each reload
            self._reactor.callLater(0, gc.collect)

    def _all(self) -> list[Assembly]:
        return [*self._earlier, self._current] if self._current is not None else []

    def _keys(self) -> list[str]:
        return list(self._current.fronts) if self._current is not None else []
