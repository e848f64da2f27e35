"""Whether the log is ours to write, or twistd's, which has options for that on its command line."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from twisted.python.usage import UsageError

from gateway.log_lines import LogLines
from gateway.log_settings import LogSettings
from gateway.log_stream import LogStream

TOLD = "[log] is for twistd -n without --logfile, --logger and --syslog"


def own_log(
    twistd_options: Mapping[str, Any], settings: LogSettings, wall_seconds: Callable[[], float]
) -> LogLines | None:
    """The log that the application brings; None when twistd logs as it was told to on its command line.

    twistd_options: what came before our name there. UsageError when that and the settings contradict each other, or
    the file cannot be opened.
    """
    if not _is_ours(twistd_options):
        if settings.is_default:
            return None
        raise UsageError(TOLD)
    try:
        stream = LogStream(settings.file)
    except OSError as error:
        told = f"log.file: {settings.file}: {error.strerror}; its folder has to be there, and ours to write in"
        raise UsageError(told) from None
    return LogLines(stream, settings.format, wall_seconds)


def _is_ours(twistd_options: Mapping[str, Any]) -> bool:
    """Whether twistd would log to standard output, and nobody has asked it to."""
    elsewhere = any(twistd_options.get(name) for name in ("logger", "logfile", "syslog"))
    return bool(twistd_options.get("nodaemon")) and not elsewhere
