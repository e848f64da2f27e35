"""Mail clients that log in to a listener of any dialect and send one message: smtplib, swaks and msmtp."""

from __future__ import annotations

import os
import smtplib
import subprocess
from collections.abc import Callable
from typing import NamedTuple

from tests.dialects import LISTENERS, session
from tests.interop.clients import has_program, runs, swaks_is_installed

RUN_SECONDS = 60
TAGS = {
    "postscale": "X-Postscale-Tags: invoice",
    "poststack": "X-PostStack-Tags: invoice",
    "postmark": "X-PM-Tag: invoice",
    "relaypost": "X-RelayPost-Tag: invoice",
}
MESSAGE = "From: {author}\nTo: ann@customer.example\nSubject: Hello\n{tags}\n\nHello\n"


class Login(NamedTuple):
    """Who logs in where. tls is starttls, implicit or none; author whom the mail is from."""

    listener: str
    tls: str
    user: str
    password: str
    author: str = "ann@shop.example"

    @property
    def dialect(self) -> str:
        return LISTENERS[self.listener][0]

    @property
    def message(self) -> str:
        return MESSAGE.format(author=self.author, tags=TAGS[self.dialect])


# -- the clients: each gives whether it has sent, and what it told


def send_with_smtplib(gateway, login, mechanism):
    with session(gateway, login.listener, tls=login.tls != "none") as client:
        client.user, client.password = login.user, login.password
        method = getattr(client, f"auth_{mechanism.lower().replace('-', '_')}")
        try:
            client.auth(mechanism, method)
            client.sendmail(login.author, ["ann@customer.example"], login.message)
        except smtplib.SMTPResponseException as error:
            return False, f"{error.smtp_code} {error.smtp_error.decode()}"
    return True, ""


def send_with_swaks(gateway, login, mechanism):
    tls = {"starttls": ["--tls"], "implicit": ["--tls-on-connect"], "none": []}[login.tls]
    verified = ["--tls-verify", "--tls-ca-path", str(gateway.ca_file)] if tls else []
    return run(
        ["swaks", "--server", "localhost", "--port", str(gateway.ports[login.listener]), *tls, *verified,
         "--auth", mechanism, "--auth-user", login.user, "--auth-password", login.password,
         "--from", login.author, "--to", "ann@customer.example", "--data", "-"],
        login.message,
    )  # fmt: skip


def send_with_msmtp(gateway, login, mechanism):
    tls = ["--tls=off"]
    if login.tls != "none":
        starttls = "on" if login.tls == "starttls" else "off"
        tls = ["--tls=on", f"--tls-starttls={starttls}", f"--tls-trust-file={gateway.ca_file}"]
    return run(
        ["msmtp", "--host=localhost", f"--port={gateway.ports[login.listener]}", *tls,
         f"--auth={mechanism.lower()}", f"--user={login.user}", "--passwordeval=printenv MAIL_PASSWORD",
         f"--from={login.author}", "ann@customer.example"],
        login.message,
        MAIL_PASSWORD=login.password,
    )  # fmt: skip


def run(command, text, **environment):
    done = subprocess.run(
        command, check=False, input=text, env=os.environ | environment, capture_output=True, text=True,
        timeout=RUN_SECONDS,
    )  # fmt: skip
    return done.returncode == 0, done.stdout + done.stderr


class Client(NamedTuple):
    """A client, and how to see that it is installed."""

    send: Callable[..., tuple[bool, str]]
    is_installed: Callable[[], bool]
    mechanisms: tuple[str, ...] = ("PLAIN", "LOGIN", "CRAM-MD5", "DIGEST-MD5")


CLIENTS = {
    "smtplib": Client(send_with_smtplib, lambda: True, ("PLAIN", "LOGIN", "CRAM-MD5")),
    # Without Authen::SASL it has no DIGEST-MD5
    "swaks": Client(send_with_swaks, lambda: swaks_is_installed() and runs(["perl", "-MAuthen::SASL", "-e", ""])),
    "msmtp": Client(send_with_msmtp, lambda: has_program("msmtp")),
}
