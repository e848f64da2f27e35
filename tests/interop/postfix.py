"""A private Postfix: its own configuration, queue and log in a folder of its own, on loopback ports, for one test.

Nothing of the machine's own Postfix is read or changed, and no mail leaves but to where the test says.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

SERVICES = """\
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 1 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
tlsproxy unix - - n - 0 tlsproxy
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""
SETTINGS = """\
compatibility_level = 3.6
maillog_file = {folder}/log
maillog_file_prefixes = {folder}
queue_directory = {folder}/queue
data_directory = {folder}/data
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
shlib_directory = /usr/lib/postfix
mail_owner = postfix
setgid_group = postdrop
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
myhostname = postfix.test
mydomain = postfix.test
myorigin = postfix.test
mydestination =
mynetworks = 127.0.0.0/8
alias_maps =
alias_database =
local_recipient_maps =
"""
STOP_SECONDS = 20


def is_installed() -> bool:
    """Postfix is there, and may be started: its master process drops root's rights itself, so it must have them."""
    return shutil.which("postfix", path=f"{os.defpath}:/usr/sbin") is not None and os.geteuid() == 0


@dataclass(frozen=True, slots=True)
class Postfix:
    """A running one."""

    folder: Path

    def log(self) -> str:
        """What its programs have written so far."""
        file = self.folder / "log"
        return file.read_text(encoding="utf-8", errors="replace") if file.exists() else ""

    def command(self, *words: str) -> str:
        """Run postfix, postqueue, postconf and so on for this instance; what it printed."""
        program, *rest = words
        command = [f"/usr/sbin/{program}", "-c", str(self.folder), *rest]
        done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=STOP_SECONDS)
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}{self.log()}"
        return done.stdout

    def queued(self) -> list[str]:
        """The messages that wait, one JSON object each."""
        return self.command("postqueue", "-j").splitlines()


@contextlib.contextmanager
def running(
    settings: str, listeners: Mapping[int, Mapping[str, str]], files: Mapping[str, str] | None = None
) -> Iterator[Postfix]:
    """Start a Postfix with these lines in main.cf, an SMTP listener for each port with its own settings, and files.

    {folder} in settings and files is its folder, which all may enter, unlike pytest's: the daemons run as "postfix".
    """
    folder = Path(tempfile.mkdtemp(prefix="mailgateway-postfix-"))
    try:
        folder.chmod(0o755)
        for name in ("queue", "data"):
            (folder / name).mkdir()
        shutil.chown(folder / "data", "postfix")
        for name, text in (files or {}).items():
            (folder / name).write_text(text.replace("{folder}", str(folder)))
        (folder / "main.cf").write_text((SETTINGS + settings).replace("{folder}", str(folder)))
        (folder / "master.cf").write_text(SERVICES + "".join(_listener(*one) for one in listeners.items()))
        postfix = Postfix(folder)
        postfix.command("postfix", "start")
        try:
            yield postfix
        finally:
            postfix.command("postfix", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _listener(port: int, settings: Mapping[str, str]) -> str:
    options = "".join(f" -o {name}={value}" for name, value in settings.items())
    return f"127.0.0.1:{port} inet n - n - - smtpd{options}\n"
