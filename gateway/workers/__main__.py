"""Where a worker process begins: python -m gateway.workers REACTOR [FORMAT FILE], with the channel as descriptor 3.

REACTOR is the module of the main process's own. FORMAT and FILE are the settings of the log, as in the main process;
without them it goes to standard output, as twistd's does.
"""

from __future__ import annotations

import importlib
import sys
import time

from twisted.logger import globalLogBeginner, textFileLogObserver

CHANNEL = 3


def main() -> None:
    """Run until told to end."""
    importlib.import_module(sys.argv[1]).install()
    # Importing the parts may import the reactor, so it has to be chosen before
    from twisted.internet import reactor  # noqa: PLC0415

    from gateway.workers.worker import Worker, own_lines  # noqa: PLC0415

    lines = own_lines(sys.argv[2:], time.time)
    globalLogBeginner.beginLoggingTo([lines or textFileLogObserver(sys.stdout)], redirectStandardIO=False)
    worker = Worker(reactor, CHANNEL, lines)
    reactor.callWhenRunning(worker.take_signals)
    reactor.run()


main()
