"""What can be seen of a process from outside: its descriptors, its memory, how often it wakes."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

LISTENING = "0A"  # of /proc/net/tcp


class Process:
    """A running process by its id. ports are names for the ports on which it listens."""

    def __init__(self, pid: int, ports: dict[int, str]) -> None:
        self._folder = Path(f"/proc/{pid}")
        self._ports = ports

    def descriptors(self) -> Counter[str]:
        """What is open, by what it is: connections by the name of their port, at either end."""
        sockets = self._sockets()
        found = Counter[str]()
        for entry in (self._folder / "fd").iterdir():
            try:
                target = str(entry.readlink())
            except FileNotFoundError:  # closed since the folder was read
                continue
            found[sockets.get(target, re.sub(r"[\d#]+", "N", target))] += 1
        return found

    def memory_octets(self) -> int:
        """Memory of its own that is in use, without mapped files."""
        return self._status("RssAnon") * 1024

    def wakes(self) -> int:
        """How often it has gone to sleep so far, which an idle process does only for timers."""
        return self._status("voluntary_ctxt_switches")

    def _status(self, name: str) -> int:
        (number,) = re.findall(rf"^{name}:\s+(\d+)", (self._folder / "status").read_text(), re.MULTILINE)
        return int(number)

    def _sockets(self) -> dict[str, str]:
        lines = (self._folder / "net/tcp").read_text().splitlines()[1:]
        return {f"socket:[{line.split()[9]}]": self._name(*line.split()[1:4]) for line in lines}

    def _name(self, local: str, remote: str, state: str) -> str:
        ports = [int(one.partition(":")[2], 16) for one in (local, remote)]
        name = next((self._ports[port] for port in ports if port in self._ports), "elsewhere")
        return f"{name} listening" if state == LISTENING else f"{name} connection"
