"""What is said when a gateway cannot start: to its log, and to the terminal where that does not show the log."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path

from gateway.reading import Reading
from gateway.settings import SettingsError


class StartError(Exception):
    """The gateway cannot start; the text says why and what to do."""


def failed_start(error: Exception, reading: Reading, *, own_log: bool) -> BaseException:
    """What to raise for an error at the start, of which the terminal is told here where it does not show the log.

    own_log: whether the log is ours to write. Otherwise twistd may be in the background, and whoever started it waits
    for an exception; a SystemExit would keep him waiting for ever.
    """
    is_expected = isinstance(error, SettingsError | OSError)
    # The text of a fault of ours may hold anything
    why = str(error) if is_expected else f"a fault of the gateway, which its log tells more of: {type(error).__name__}"
    told = f"mailgateway: {why}\nmailgateway: nothing was started; {_remedy(reading)}"
    log_file = reading.settings.log.file
    if not own_log or log_file is not None:
        _tell_terminal(told, log_file)
    if not is_expected:
        return error
    return SystemExit(told) if own_log else StartError(told)


def _remedy(reading: Reading) -> str:
    if reading.path is None:
        return "if another gateway runs on this machine, stop it, or give this one settings of its own (--config)"
    return f'put that right and start again; "mailgateway check {reading.path}" looks at everything that a start needs'


def _tell_terminal(text: str, log_file: Path | None) -> None:
    """Print it on the process's own standard error, past twistd, which has put its log in the place of that.

    log_file is where the rest of the log is; None: where twistd was told to log.
    """
    where = f"mailgateway: the log is in {log_file}\n" if log_file is not None else ""
    # A terminal that has gone, or a process without one: nobody is there to be told
    with contextlib.suppress(OSError, ValueError, AttributeError):
        sys.__stderr__.write(f"{text}\n{where}")  # type: ignore[union-attr]  # None without one, as suppressed above
        sys.__stderr__.flush()  # type: ignore[union-attr]  # as above
