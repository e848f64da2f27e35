"""System calls that fail in a running process, by strace: the errors that a disk gives, where SQLite meets them."""

from __future__ import annotations

import contextlib
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

ATTACH_SECONDS = 10.0
STEP_SECONDS = 0.01


def is_here() -> bool:
    return shutil.which("strace") is not None


@contextlib.contextmanager
def failing(pid: int, calls: str, error: str) -> Iterator[None]:
    """Within the block these calls of a process end with this error; its other calls are only slower."""
    command = ["strace", "-f", "-qq", "-p", str(pid), "-e", f"trace={calls}", "-e", f"inject={calls}:error={error}"]
    strace = subprocess.Popen([*command, "-o", "/dev/null"])
    try:
        _wait_until_traced(pid)
        yield
    finally:
        strace.send_signal(signal.SIGINT)
        strace.wait()


def _wait_until_traced(pid: int) -> None:
    until = time.monotonic() + ATTACH_SECONDS
    while not all(_is_traced(task) for task in Path(f"/proc/{pid}/task").iterdir()):
        assert time.monotonic() < until, "strace does not attach: it needs the right to trace (CAP_SYS_PTRACE)"
        time.sleep(STEP_SECONDS)


def _is_traced(task: Path) -> bool:
    try:
        status = (task / "status").read_text()
    except OSError:  # the thread has ended
        return True
    return "TracerPid:\t0\n" not in status
