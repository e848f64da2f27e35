"""Runs a command again and again under load, in the container: python3 trial_load.py TIMES COMMAND... Prints JSON."""

from __future__ import annotations

import json
import ssl
import subprocess
import sys

from load import running_load  # beside this file, in the container

CERTIFICATE = "/var/lib/mailgateway/tls/certificate.pem"
MESSAGES_BETWEEN = 20


def main(times: int, command: list[str]) -> None:
    """Print what load.Load has seen, and the exit statuses of the command."""
    context = ssl.create_default_context(cafile=CERTIFICATE)
    statuses = []
    with running_load(lambda: 587, context, command[-2]) as load:
        for _ in range(times):
            load.wait_for_more(MESSAGES_BETWEEN)
            statuses.append(subprocess.run(command, check=False).returncode)
        load.wait_for_more(MESSAGES_BETWEEN)
    print(json.dumps({"taken": load.taken, "refused": load.refused, "faults": load.faults, "statuses": statuses}))


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
