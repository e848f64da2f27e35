"""What a server process costs, children included, read from Linux's /proc (proc_pid_stat(5), proc_pid_status(5))."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")
RESET_PEAK = "5"  # what proc_pid_clear_refs(5) takes to begin the peak of the resident set anew


def cpu_milliseconds(pid: int) -> float:
    """User and system time so far of a process, its children, and those children it has waited for."""
    return sum(_cpu_ticks(one) for one in _family(pid)) * 1000 / TICKS_A_SECOND


def cpu_milliseconds_each(pid: int) -> dict[int, float]:
    """The same of each process for itself."""
    return {one: _cpu_ticks(one) * 1000 / TICKS_A_SECOND for one in _family(pid)}


def resident_kib(pid: int) -> int:
    """The resident set of a process and its children, in KiB; pages they share count more than once."""
    return sum(_status_kib(one, "VmRSS") for one in _family(pid))


def reset_peak(pid: int) -> None:
    """Begin the peak of the resident set anew."""
    for one in _family(pid):
        Path(f"/proc/{one}/clear_refs").write_text(RESET_PEAK, encoding="ascii")


def peak_kib(pid: int) -> int:
    """The highest resident set since reset_peak, in KiB, summed over a process and its children."""
    return sum(_status_kib(one, "VmHWM") for one in _family(pid))


def _family(pid: int) -> Iterator[int]:
    yield pid
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text(encoding="ascii").split():
            yield from _family(int(child))


def _cpu_ticks(pid: int) -> int:
    # The name in parentheses may hold blanks; utime, stime, cutime and cstime are fields 14 to 17
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return sum(int(ticks) for ticks in fields[11:15])


def _status_kib(pid: int, name: str) -> int:
    for line in Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1])
    raise LookupError(name)
