"""Stops the service while a message is half sent, in the container; prints replies and systemctl's status as JSON."""

from __future__ import annotations

import json
import smtplib
import ssl
import subprocess
import time

from trial_load import CERTIFICATE  # beside this file, in the container

STOP = ["systemctl", "stop", "mailgateway.socket", "mailgateway"]
STATE = ["systemctl", "show", "--value", "--property", "SubState", "mailgateway"]
BEGUN_SECONDS = 30
POLL_SECONDS = 0.05
HEADER = b"From: shop@shop.example\r\nTo: ann@cust.example\r\nSubject: in hand\r\n\r\n"


def main() -> None:
    """A message, stopped in the middle of its mail data."""
    client = smtplib.SMTP("127.0.0.1", 587, timeout=60)
    client.starttls(context=ssl.create_default_context(cafile=CERTIFICATE))
    client.login("postscale", "ps_test_load")
    client.mail("shop@shop.example")
    client.rcpt("ann@cust.example")
    client.docmd("DATA")
    client.send(HEADER)
    stop = subprocess.Popen(STOP)
    until = time.monotonic() + BEGUN_SECONDS
    while subprocess.run(STATE, capture_output=True, text=True, check=True).stdout.strip() != "stop-sigterm":
        if time.monotonic() > until:
            raise TimeoutError("the stop has not begun")
        time.sleep(POLL_SECONDS)
    client.send(b"Hello.\r\n.\r\n")
    replies = [client.getreply()[0], client.getreply()[0]]
    print(json.dumps({"replies": replies, "status": stop.wait(BEGUN_SECONDS)}))


if __name__ == "__main__":
    main()
