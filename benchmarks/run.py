"""Measures the gateway beside its peers, in one run, and writes benchmarks/RESULTS.md.

Rounds are interleaved: each server is measured once before any is measured again, so that a slow minute of the machine
spoils no ratio. Processor time is taken and not wall time, except for latency.
"""

from __future__ import annotations

import argparse
import datetime
import ipaddress
import statistics
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from accepting import fsync_milliseconds, measure_accepting
from backlog import measure_backlog
from results import report, stored_section, table
from scaling import measure_scaling
from servers import GATEWAY, HERE, SERVERS, STOCK, Place, Server, free_port, running, running_api
from workloads import WORKLOADS, Workload

DEFAULT_ROUNDS = 3
STORED = "stored"  # what accepting to stable storage costs, and a backlog; see accepting.py and backlog.py
SCALING = "workers"  # what two of them carry more than one; see scaling.py


@dataclass(slots=True)
class Figures:
    """What was measured: by workload, server and name, one value a round."""

    values: dict[tuple[str, str, str], list[float]] = field(default_factory=dict)

    def add(self, workload: str, server: str, measured: dict[str, float]) -> None:
        """Keep one round's figures."""
        for name, value in measured.items():
            self.values.setdefault((workload, server, name), []).append(value)

    def medians(self, workload: str, server: str) -> dict[str, float]:
        """The median of each figure over the rounds."""
        return {
            name: statistics.median(values)
            for (of_workload, of_server, name), values in self.values.items()
            if (of_workload, of_server) == (workload, server)
        }


def measure(workload: Workload, servers: Sequence[Server], rounds: int, folder: Path, figures: Figures) -> None:
    """Measure one workload on all servers, each in a fresh process that serves all rounds."""
    certificate, private_key = folder / "certificate.pem", folder / "private_key.pem"
    inner = Path(tempfile.mkdtemp(dir=folder))
    with ExitStack() as stack:
        api = stack.enter_context(running_api(inner, workload.api_delay_seconds))
        started = []
        for number, server in enumerate(servers):
            place = Place(free_port(), certificate, private_key, api.url, inner / str(number))
            started.append((server, place, stack.enter_context(running(server, place))))
        for turn in range(min(rounds, workload.most_rounds)):
            for server, place, pid in started:
                measured = workload.measure(pid, place, api)
                figures.add(workload.name, server.name, measured)
                shown = ", ".join(f"{name} {value:.2f}" for name, value in measured.items())
                print(f"{workload.title} ({workload.unit}), round {turn + 1}: {server.name}: {shown}", flush=True)


def make_certificate(folder: Path) -> None:
    """A certificate of our own for loopback, ECDSA P-256."""
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.datetime.now(datetime.UTC)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    names = x509.SubjectAlternativeName([x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(names, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    (folder / "certificate.pem").write_bytes(certificate.public_bytes(pem))
    (folder / "private_key.pem").write_bytes(
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )


def _chosen(names: str, all_names: Sequence[str]) -> Iterator[str]:
    """The names of a list with commas. SystemExit for one that does not exist; the beginning of a name is enough."""
    for name in names.split(","):
        fitting = [one for one in all_names if one.lower().startswith(name.strip().lower())]
        if not fitting:
            raise SystemExit(f'no "{name}" here; there are: {", ".join(all_names)}')
        yield from fitting


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    workloads, servers = [*(one.name for one in WORKLOADS), SCALING, STORED], [one.name for one in SERVERS]
    parser.add_argument("--workloads", default=",".join(workloads), help=f"of: {', '.join(workloads)}")
    parser.add_argument("--servers", default=",".join(servers), help=f"of: {', '.join(servers)}")
    parser.add_argument("--rounds", type=int, default=DEFAULT_ROUNDS, help=f"default {DEFAULT_ROUNDS}")
    return parser.parse_args()


def main() -> None:
    """Measure what was chosen. Only a run of everything is written to RESULTS.md."""
    options = _options()
    workload_names = set(_chosen(options.workloads, [*(one.name for one in WORKLOADS), SCALING, STORED]))
    server_names = set(_chosen(options.servers, [one.name for one in SERVERS]))
    workloads = [one for one in WORKLOADS if one.name in workload_names]
    chosen = [one for one in SERVERS if one.name in server_names]
    missing = {one.name: one.missing() for one in chosen if one.missing()}
    servers = [one for one in chosen if one.name not in missing]
    figures = Figures()
    with tempfile.TemporaryDirectory(prefix="mailgateway-benchmark-") as name:
        folder = Path(name)
        make_certificate(folder)
        for workload in workloads:
            measure(workload, servers, options.rounds, folder, figures)
        scaling = measure_scaling(folder, options.rounds).sentence() if SCALING in workload_names else ""
    stored = ""
    if STORED in workload_names:
        stored = stored_section(measure_accepting(options.rounds), fsync_milliseconds(), measure_backlog())
    lines = table(workloads, [one.name for one in chosen], figures.medians, STOCK.name, missing)
    print("", *lines, "", scaling, stored, sep="\n")
    if scaling and stored and len(workloads) == len(WORKLOADS) and len(chosen) == len(SERVERS):
        (HERE / "RESULTS.md").write_text(report(lines, scaling, stored, options.rounds, missing), encoding="utf-8")
        print("\nwritten to benchmarks/RESULTS.md")
    elif GATEWAY not in servers or STOCK not in servers:
        print("\nwithout stock Twisted and the gateway there are no ratios", file=sys.stderr)


if __name__ == "__main__":
    main()
