"""The table of what was measured, and the page around it. Figures are medians; ratios are to stock Twisted."""

from __future__ import annotations

import datetime
import importlib.metadata
import os
import platform
import shutil
import ssl
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from accepting import CONNECTIONS
from backlog import Backlog
from workloads import Workload

PACKAGES = ("Twisted", "treq", "pyOpenSSL", "cryptography", "msgspec")

PAGE = """\
# What a message costs

Written by `make bench`; do not edit. The gateway beside its peers, all measured in one run on one machine: compare the
figures of this table with each other, and with no other machine's. In parentheses: the ratio to stock Twisted.

{table}

{scaling}

What is measured:

- CPU: processor time (user and system) of the server process and its children for each message, warm-up excluded; the
  median of {rounds} interleaved rounds (25 MB: at most 3; memory and latency: one).
- Peak: resident memory above the idle process while four messages of 25 MB come at once. The gateway keeps large
  messages in a file meanwhile; what the system caches of that file is not counted.
- Session: resident memory of a session that has logged in over TLS and says nothing.
- Workers: processor time too, because the clients and the API share the two processors; a processor gives a second of
  work a second, and no process has more than one. The round with the median ratio.
- Added: from the last octet of the data to the 250, less the 50 ms that the API takes, with 50 sessions and 100
  messages a second. This is wall time, and the client and the API share the machine with the server.

All servers do the same: TLS 1.3 from the first octet with an ECDSA P-256 certificate, AUTH PLAIN, the message parsed
and posted as JSON over connections that are kept open to a local API without TLS, 250 after its 2xx. Clients do not
pipeline. Every reply is checked, and the API counts messages and octets.

- Nodemailer is smtp-server with mailparser.
- Stock Twisted is twisted.mail.smtp, the email package with policy.default, and treq.
- Bare Twisted has no limits, no error paths and no decoding: it is no server to use, but the floor that Twisted sets.
- The gateway logs a line for each login and each message, as it does by default; the peers log nothing.

{stored}

What was tried to lower the gateway's figures, what it was worth and what did not help, is in TRIED.md.

| | |
| --- | --- |
{facts}
"""


STORED = """\
# What storing costs

| accepting to stable storage | messages a second | to the 250 at that load, p50 / p99 (ms) | at 50 a second (ms) |
| --- | ---: | ---: | ---: |
{rows}

{connections} connections without TLS that stay open, messages of 2 KB, wall time; the round with the median. Each takes
its commit to the disk before the 250, where one small write with fsync takes {fsync:.2f} ms, and empties its queue
meanwhile: the gateway over HTTP to the local API, which shares the processors, and Postfix to nowhere (discard).

{backlog}"""


def stored_section(rows: Sequence[str], fsync_milliseconds: float, backlog: Backlog) -> str:
    """The section about mail that is stored first."""
    return STORED.format(
        rows="\n".join(rows), connections=CONNECTIONS, fsync=fsync_milliseconds, backlog=backlog.section()
    )


def table(
    workloads: Sequence[Workload],
    servers: Sequence[str],
    medians: Callable[[str, str], Mapping[str, float]],
    stock: str,
    missing: Mapping[str, str],
) -> list[str]:
    """The lines of a Markdown table: a row a server, a column a workload."""
    lines = [
        "| | " + " | ".join(f"{one.title} ({one.unit})" for one in workloads) + " |",
        "| --- |" + " ---: |" * len(workloads),
    ]
    for server in servers:
        if server in missing:
            cells = [f"missing: {missing[server]}"] + [""] * (len(workloads) - 1)
        else:
            cells = [_cell(medians(one.name, server), medians(one.name, stock)) for one in workloads]
        lines.append(f"| {server} | " + " | ".join(cells) + " |")
    return lines


def _cell(figures: Mapping[str, float], stock: Mapping[str, float]) -> str:
    shown = " / ".join(
        f"{name} {_number(value)}" if len(figures) > 1 else _number(value) for name, value in figures.items()
    )
    name, value = next(iter(figures.items()))
    return f"{shown} ({value / stock[name]:.2f})" if stock.get(name) else shown


def _number(value: float) -> str:
    return f"{value:.2f}" if abs(value) < 10 else f"{value:.1f}" if abs(value) < 100 else f"{value:.0f}"


def report(lines: Sequence[str], scaling: str, stored: str, rounds: int, missing: Mapping[str, str]) -> str:
    """The whole page."""
    facts = [
        ("date", datetime.datetime.now(datetime.UTC).date().isoformat()),
        ("machine", f"{_processor()}, {os.cpu_count()} processors, {_memory_gib():.0f} GiB"),
        ("system", f"{platform.system()} {platform.release()}"),
        ("load average at the end", f"{os.getloadavg()[0]:.1f} (the benchmark itself keeps two processors busy)"),
        ("Python", f"{platform.python_version()}, {platform.python_compiler()}"),
        ("OpenSSL of Python (the clients, aiosmtpd)", ssl.OPENSSL_VERSION),
        ("packages", ", ".join(f"{name} {importlib.metadata.version(name)}" for name in PACKAGES)),
        ("node", _node_version()),
        *((f"missing: {name}", why) for name, why in missing.items()),
    ]
    shown = "\n".join(f"| {name} | {value} |" for name, value in facts)
    return PAGE.format(table="\n".join(lines), scaling=scaling, stored=stored, rounds=rounds, facts=shown)


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _memory_gib() -> float:
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 1024**3


def _node_version() -> str:
    node = shutil.which("node")
    if node is None:
        return "not installed"
    return subprocess.run([node, "--version"], capture_output=True, text=True, check=True).stdout.strip()
