"""What a process of the gateway asks of its system and of Python: open files, and a collector that leaves it alone."""

from __future__ import annotations

import contextlib
import gc
import resource

from twisted.logger import Logger

LOG = Logger(namespace="mailgateway")
DESCRIPTORS_PER_SESSION = 3  # the client's socket, the vendor's, a spool file
OTHER_DESCRIPTORS = 150  # the ports, the store, kept vendor connections, what Python has open


def raise_descriptor_limit(sessions: int) -> None:
    """Raise the limit of open files as far as this process may, and warn when that is too low for so many sessions.

    Systems give 1,024 at first, for programs that use select(). The reactor here is epoll's; 1,024 would be used up by
    340 sessions.
    """
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):  # some systems have a lower limit of their own
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    allowed, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = DESCRIPTORS_PER_SESSION * sessions + OTHER_DESCRIPTORS
    if allowed != resource.RLIM_INFINITY and allowed < needed:
        told = "only {allowed} open files are allowed, and limits.sessions may need {needed}"
        LOG.warn(told, allowed=allowed, needed=needed)


def keep_what_is_there() -> None:
    """What is there now stays: the collector need not look at it, nor run at every few hundred sessions' objects."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)
