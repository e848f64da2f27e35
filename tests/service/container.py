"""A systemd of its own for the tests: this machine's files, booted in a container that leaves no trace of itself.

systemd-nspawn runs it on an overlay in memory over the root file system, so nothing is downloaded, and nothing that is
written inside reaches the machine. It has a loopback network of its own and starts none of the machine's services.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

BOOT_SECONDS = 60
COMMAND_SECONDS = 120
BOOT = """
echo $$ >"$1/cgroup.procs"
export ROOT=$2
shift 2
exec setpriv --pdeathsig TERM unshare --mount bash -ec 'mount --bind / "$ROOT"; exec "$@"' bash "$@"
"""
"""Puts itself into the cgroup $1, and what it runs into its own view of the file systems, with / at $2 as well.

It shuts down when the process that has started it ends.
"""
ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "LC_ALL": "C.UTF-8",
    "SYSTEMD_PAGER": "",
    "SYSTEMD_COLORS": "0",
}


def why_not() -> str:
    """Why this machine lets nobody boot a container; empty when it does."""
    if os.geteuid() != 0:
        return "only root can start a container"
    if _cgroups() is None:
        return "there is no cgroup2 that can be written to"
    tried = subprocess.run(
        ["unshare", "--mount", "--pid", "--net", "--fork", "mount", "-t", "tmpfs", "tmpfs", "/mnt"],
        capture_output=True,
        text=True,
        check=False,
    )
    return "" if tried.returncode == 0 else f"root may mount nothing here: {tried.stderr.strip()}"


@dataclass(frozen=True, slots=True)
class Container:
    """A booted one. leader is the process id of its systemd, seen from outside."""

    leader: int

    def run(self, command: str) -> subprocess.CompletedProcess[str]:
        """Run a command line inside, by bash, as root."""
        words = ["nsenter", "--target", str(self.leader), "--all", "bash", "-c", command]
        return subprocess.run(
            words,
            check=False,
            capture_output=True,
            text=True,
            env=ENVIRONMENT,
            stdin=subprocess.DEVNULL,
            timeout=COMMAND_SECONDS,
        )

    def told(self, command: str) -> str:
        """The same; what it prints. It has to succeed."""
        done = self.run(command)
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
        return done.stdout.strip()


@contextlib.contextmanager
def booted(folder: Path, shared: Path) -> Iterator[Container]:
    """A container. folder is for its files outside; shared is /srv/trial inside, to be read there."""
    root = folder / "root"
    root.mkdir()
    cgroup = _make_cgroup()
    with (folder / "boot.log").open("wb") as log, _notify_socket(folder / "notify.sock") as notify:
        nspawn = subprocess.Popen(
            ["bash", "-ec", BOOT, "bash", cgroup, root, *_nspawn(root, shared)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=ENVIRONMENT | {"NOTIFY_SOCKET": str(folder / "notify.sock"), "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1"},
        )
        leader = 0
        try:
            leader = _leader(notify, folder / "boot.log")
            notify.close()  # a socket that nobody reads any more would hold systemd-nspawn up
            yield Container(leader)
        finally:
            os.kill(leader or nspawn.pid, signal.SIGKILL)  # nothing in it is worth an orderly end
            nspawn.wait()
            _remove(cgroup)


def _notify_socket(path: Path) -> socket.socket:
    notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    notify.settimeout(BOOT_SECONDS)
    notify.bind(str(path))
    return notify


def _nspawn(root: Path, shared: Path) -> list[str]:
    return [
        *("systemd-nspawn", "--quiet", f"--directory={root}", "--volatile=overlay", f"--machine=trial-{os.getpid()}"),
        *("--register=no", "--keep-unit", "--private-network", "--notify-ready=yes", "--console=read-only"),
        f"--bind-ro={shared}:/srv/trial",
        # mounts, journal, users: what each service stands on, and none of the machine's own services
        *("--boot", "systemd.unit=sysinit.target"),
    ]


def _leader(notify: socket.socket, log: Path) -> int:
    """The process id that systemd-nspawn tells, once the boot is over."""
    leader, until = 0, time.monotonic() + BOOT_SECONDS
    with contextlib.suppress(TimeoutError):
        while time.monotonic() < until:
            lines = notify.recv(4096).decode().splitlines()
            told = dict(line.split("=", 1) for line in lines)
            leader = int(told.get("X_NSPAWN_LEADER_PID", leader))
            if leader and told.get("READY") == "1":
                return leader
    raise AssertionError(f"no container: {log.read_text('utf-8', 'replace')}")


# -- cgroups


def _cgroups() -> Path | None:
    """Where cgroup2 is mounted, if groups can be made there."""
    for line in Path("/proc/self/mounts").read_text("utf-8").splitlines():
        _, place, kind, options, *_ = line.split()
        if kind == "cgroup2" and "rw" in options.split(",") and os.access(place, os.W_OK):
            return Path(place)
    return None


def _make_cgroup() -> Path:
    mounted = _cgroups()
    assert mounted is not None
    made = mounted / f"mailgateway-trial-{os.getpid()}"
    made.mkdir()
    return made


def _remove(cgroup: Path) -> None:
    """The kernel lets go of a group a moment after its last process has ended."""
    until = time.monotonic() + BOOT_SECONDS
    for folder in sorted((one for one in [cgroup, *cgroup.rglob("*")] if one.is_dir()), reverse=True):
        while True:
            try:
                folder.rmdir()
                break
            except OSError:
                if time.monotonic() > until:
                    raise
                time.sleep(0.05)
