"""The settings of the log: the [log] table."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

LogFormat = Literal["text", "json"]


@dataclass(frozen=True, slots=True)
class LogSettings:
    """format is that of each line: text for people, or one JSON object. file: where to write; None: standard output.

    The file is opened anew at SIGHUP, for logrotate(8). Both are for twistd -n without a log option of its own.
    """

    format: LogFormat = "text"
    file: Path | None = None

    @property
    def is_default(self) -> bool:
        """Whether the log is left where and as it is."""
        return self == LogSettings()
