"""Where a worker process begins: python -m gateway.workers REACTOR, with the channel as descriptor 3.

REACTOR is the module of the main process's own. The log goes to standard output, as the main process's does.
"""

from __future__ import annotations

import importlib
import sys

from twisted.logger import globalLogBeginner, textFileLogObserver

CHANNEL = 3


def main() -> None:
    """Run until told to end."""
    importlib.import_module(sys.argv[1]).install()
    # Importing the parts may import the reactor, so it has to be chosen before
    from twisted.internet import reactor  # noqa: PLC0415

    from gateway.workers.worker import Worker  # noqa: PLC0415

    globalLogBeginner.beginLoggingTo([textFileLogObserver(sys.stdout)], redirectStandardIO=False)
    worker = Worker(reactor, CHANNEL)
    reactor.callWhenRunning(worker.take_signals)
    reactor.run()


main()
