"""The running gateway: what twistd calls, what signals do, and the order of starting, reloading and stopping."""

from __future__ import annotations

import ipaddress
import os
import signal
import traceback
from collections.abc import Callable
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred, DeferredLock, succeed
from twisted.internet.threads import deferToThreadPool
from twisted.logger import ILogObserver, Logger
from twisted.python.threadpool import ThreadPool

from gateway.assembly import Assembly
from gateway.condition import GatewayCondition
from gateway.console_parts import Console, ConsoleFront, make_inbox
from gateway.control_socket import ControlSocket, open_control
from gateway.event_log import EventLog
from gateway.events import Alarm, Failed, Reloaded, ReloadRefused
from gateway.lasting import Lasting, Surroundings
from gateway.log_lines import LogLines
from gateway.options import Options
from gateway.parts import first_message_command, server_endpoint
from gateway.ports import Ports, keys
from gateway.process import keep_what_is_there, raise_descriptor_limit
from gateway.reading import Reading
from gateway.reload import fixed_problems
from gateway.reports import Reports
from gateway.sandbox.inbox import Inbox
from gateway.sessions import Sessions
from gateway.settings import Listener, SettingsError
from gateway.start_failure import failed_start
from gateway.supervision import Supervisor
from gateway.tables import Problem
from gateway.workers.workforce import Workforce

__all__ = ["GatewayService", "Options", "makeService"]

LOG = Logger(namespace="mailgateway")
THREADS = 4  # reading large messages and checking hashes: twice the processors of a small machine
CONSOLE = "console"
STOPPING = "the gateway is stopping"


class GatewayService(Service):
    """A whole gateway. startService listens on all ports, or raises what failed_start() gives; stopService drains.

    With one worker the sessions are here; with more they are in processes of their own, and here is the rest. reports
    has the events of all of them.
    """

    def __init__(
        self,
        reading: Reading,
        reactor: Any,
        wall_seconds: Callable[[], float],
        supervisor: Supervisor,
        lines: LogLines | None = None,
    ) -> None:
        self._reading = reading
        self._settings = settings = reading.settings
        self._reactor = reactor
        self._wall_seconds = wall_seconds
        self._supervisor = supervisor
        self._threads = ThreadPool(0, THREADS, "mailgateway")
        self._lines = lines
        self.reports = Reports(EventLog(lines))
        self._ports = Ports()
        self._sessions = Sessions(reactor, self._ports, self.reports)
        self._workforce: Workforce | None = None
        if settings.workers > 1:
            log = settings.log if lines is not None else None
            self._workforce = Workforce(settings.workers, reactor, self.reports, log)
        self._control: ControlSocket | None = None
        self._reloads = DeferredLock()

    # -- what Twisted calls

    def setServiceParent(self, parent: Any) -> None:
        """Twisted's way for an application to bring a log of its own: as a component, in place before anything runs."""
        if self._lines is not None:
            parent.setComponent(ILogObserver, self._lines)
        super().setServiceParent(parent)  # type: ignore[no-untyped-call]  # Twisted's is untyped

    def startService(self) -> None:
        """Make the parts and listen."""
        self._reactor.callWhenRunning(signal.signal, signal.SIGTERM, self._terminate)
        self._reactor.callWhenRunning(signal.signal, signal.SIGHUP, self._hang_up)
        raise_descriptor_limit(self._settings.limits.sessions)
        super().startService()  # type: ignore[no-untyped-call]  # Twisted's is untyped
        try:
            self._start()
        except Exception as error:
            failure = failed_start(error, self._reading, own_log=self._lines is not None)
            if failure is error:
                raise
            raise failure from None

    def stopService(self) -> Deferred[None]:
        """421 to whoever has nothing in hand; what is in hand is finished, within the deadline."""
        super().stopService()  # type: ignore[no-untyped-call]  # Twisted's is untyped
        return Deferred.fromCoroutine(self._stop())

    # -- starting

    def _start(self) -> None:
        settings = self._settings
        settings.state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._threads.start()
        surroundings = Surroundings(self._reactor, self._wall_seconds, self._in_thread, self.reports)
        hash_key = self._workforce.hash_key if self._workforce is not None else None
        self._lasting = Lasting.under(settings, surroundings, hash_key)
        assembly = Assembly(settings, self._lasting)
        self._condition = GatewayCondition(self._lasting, self.reports, self._workforce, self._not_ready)
        self._condition.use(assembly)
        inbox = make_inbox(settings, self._wall_seconds, self.reports) if settings.sandbox.enabled else None
        self._open_console(inbox, assembly)
        self._open(settings.listeners)
        self._control = open_control(settings.state_dir, self._reactor, self.reload)
        keep_what_is_there()
        # Not before signals are ours: who is told of readiness may send one at once
        self._reactor.callWhenRunning(self._serve, assembly, inbox is not None)

    def _serve(self, assembly: Assembly, has_inbox: bool) -> None:
        """Take sessions, here or in workers, and tell when that is so."""
        ready: Deferred[None] = succeed(None)
        if self._workforce is None:
            self._sessions.use(assembly)
        else:
            assembly.take_effect()  # what an operator does to mail is told to webhooks from here
            ports = self._ports.descriptors(self._settings.listeners)
            ready = self._workforce.start(self._lasting, self._reading.text, self._reading.name, ports)
        ready.addCallback(lambda _: self._supervisor.ready(self._status()))
        if has_inbox:
            ready.addCallback(lambda _: self._tell_newcomer())

    def _open_console(self, inbox: Inbox | None, assembly: Assembly) -> None:
        self._ports.add(CONSOLE, server_endpoint(self._reactor, self._settings.console.endpoint, "console.endpoint"))
        host = getattr(self._ports.port(CONSOLE).getHost(), "host", "127.0.0.1")  # a Unix socket has none
        if not ipaddress.ip_address(host).is_loopback and not self._settings.console.tls:
            raise SettingsError([Problem("console.endpoint", f"expected a loopback address, got {host}")])
        self._console = Console(self._settings, self._condition.console_needs(inbox))
        self._serve_console(self._console.front(self._settings, assembly.server_tokens()))

    def _open(self, listeners: tuple[Listener, ...]) -> list[str]:
        """Open the ports of the listeners that are not open yet, all or none; gives their keys."""
        missing = {
            key: server_endpoint(self._reactor, one.endpoint, f"listeners[{number}].endpoint")
            for number, (key, one) in enumerate(zip(keys(one.endpoint for one in listeners), listeners, strict=True))
            if key not in self._ports
        }
        self._ports.open(missing)
        return list(missing)

    def _tell_newcomer(self) -> None:
        port = getattr(self._ports.port(CONSOLE).getHost(), "port", "")  # a Unix socket has none
        url = f"http://127.0.0.1:{port}/"
        told = "ready\n\n  Send a first message:\n    {command}\n  and see what became of it:\n    {url}\n"
        LOG.info(told, command=first_message_command(self._settings), url=url)

    # -- running

    def _in_thread(self, call: Callable[[], Any]) -> Deferred[Any]:
        return deferToThreadPool(self._reactor, self._threads, call)

    def _not_ready(self) -> list[str]:
        """The reasons that can be seen from here; there are more in GatewayCondition."""
        missing = 1 + len(self._settings.listeners) - len(self._ports)
        if not self.running:
            return ["shutting down"]
        reasons = [f"{missing} of the ports are not open"] if missing else []
        if self._workforce is not None and self._workforce.missing:
            reasons.append(f"{self._workforce.missing} of the workers do not serve")
        return reasons

    def _status(self) -> str:
        workers = f", {self._settings.workers} workers" if self._workforce is not None else ""
        return f"{len(self._settings.listeners)} listeners{workers}"

    # -- reading the settings again

    async def reload(self) -> list[str]:
        """Read settings and certificates again, and use them for new sessions; or the problems, and nothing changes."""
        await self._reloads.acquire()
        self._supervisor.reloading()
        try:
            await self._reload()
        except SettingsError as error:
            problems = [str(one) for one in error.problems]
        except OSError as error:
            problems = [str(error)]
        except Exception as error:
            self.reports(Failed("", traceback.format_exc()))
            problems = [f"a fault of the gateway, which the log tells more of: {type(error).__name__}"]
        else:
            problems = []
        finally:
            if self.running:
                self._supervisor.ready(self._status())
            self._reloads.release()
        self.reports(ReloadRefused(tuple(problems)) if problems else Reloaded(len(self._settings.listeners)))
        return problems

    async def _reload(self) -> None:
        if not self.running:
            raise OSError(STOPPING)
        settings = (reading := self._reading.again()).settings
        if problems := list(fixed_problems(self._settings, settings)):
            raise SettingsError(problems)
        assembly = Assembly(settings, self._lasting)
        console = self._console.front(settings, assembly.server_tokens())
        opened = self._open(settings.listeners)
        if self._workforce is None:
            self._take(reading, console)
            self._sessions.use(assembly)
        else:
            await self._prepare_workers(self._workforce, reading, opened)
            self._take(reading, console)
            self._workforce.use()
            assembly.take_effect()
            self._ports.close({*self._ports.keys()} - {CONSOLE, *self._ports.descriptors(settings.listeners)})
        self._condition.use(assembly)

    async def _prepare_workers(self, workforce: Workforce, reading: Reading, opened: list[str]) -> None:
        """The same in all workers, or in none."""
        try:
            await workforce.prepare(reading.text, reading.name, self._ports.descriptors(reading.settings.listeners))
            if not self.running:
                raise OSError(STOPPING)
        except (SettingsError, OSError):
            self._ports.close(opened)
            raise

    def _take(self, reading: Reading, console: ConsoleFront) -> None:
        """From here on nothing can fail."""
        self._reading, self._settings = reading, reading.settings
        self._lasting.counts.change_limits(self._settings.limits)
        self._serve_console(console)

    def _serve_console(self, front: ConsoleFront) -> None:
        self._console.take_effect(self._settings, front)
        self._ports.serve(CONSOLE, front.wire)

    # -- stopping

    def _terminate(self, *_: object) -> None:
        """SIGTERM ends in exit status 0, which twistd's own way does not; a second one does not wait."""
        self._reactor.callFromThread(self._reactor.stop if self.running else self._abort)

    def _abort(self) -> None:
        self._sessions.abort()
        if self._workforce is not None:
            self._workforce.abort()

    def _hang_up(self, *_: object) -> None:
        """SIGHUP asks services to open their log anew, and to read their settings again."""
        self._reactor.callFromThread(self._reopen_log)
        self._reactor.callFromThread(lambda: Deferred.fromCoroutine(self.reload()))

    def _reopen_log(self) -> None:
        try:
            if self._lines is not None:
                self._lines.reopen()
            if self._workforce is not None:
                self._workforce.reopen_log()
        except OSError as error:
            self.reports(Alarm(f"SIGHUP: the log stays in the file it was in: {error}"))

    async def _stop(self) -> None:
        self._supervisor.stopping()
        try:
            self._console.stop()
            if self._control is not None:
                await self._control.close()
            seconds = self._settings.limits.drain_seconds
            await self._sessions.drain(seconds)
            if self._workforce is not None:
                await self._workforce.drain(seconds)
            await self._ports.close_all()
            await self._lasting.storage.close()
        except Exception:
            self.reports(Failed("", traceback.format_exc()))
        finally:  # a thread that is left keeps the process from ending
            self._threads.stop()
            self._supervisor.stopped()


def makeService(options: Options) -> Service:
    """The service that twistd runs."""
    import time  # noqa: PLC0415 - the clocks and the reactor come in here, and nowhere else

    from twisted.internet import reactor  # noqa: PLC0415 - twistd has chosen it by now

    supervisor = Supervisor(reactor, os.environ, time.monotonic)
    return GatewayService(options.reading, reactor, time.time, supervisor, options.lines)
