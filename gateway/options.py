"""What comes after "twistd mailgateway" on the command line."""

from __future__ import annotations

from pathlib import Path

from twisted.python.usage import Options as UsageOptions
from twisted.python.usage import UsageError

from gateway.log_lines import LogLines
from gateway.reading import Reading
from gateway.settings import SettingsError
from gateway.twistd_log import own_log


class Options(UsageOptions):
    """What comes after "twistd mailgateway"."""

    optParameters = [
        ["config", "c", None, "The settings file; without one, everything runs on loopback with the sandbox."],
    ]
    reading: Reading
    lines: LogLines | None = None

    def postOptions(self) -> None:
        """Read the settings now, so that twistd shows what is wrong with them and stops; and open the log."""
        import time  # noqa: PLC0415 - as in makeService

        # twistd may change to another folder when it goes into the background
        path = Path(self["config"]).absolute() if self["config"] else None
        try:
            self.reading = Reading.of(path)
        except SettingsError as error:
            raise UsageError(f"the settings cannot be used:\n{error}") from None
        self.lines = own_log(self.parent or {}, self.reading.settings.log, time.time)
