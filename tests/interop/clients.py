"""The mail clients that the tests run against the gateway: how each is started, and what it leaves out.

The programs are in programs/, the bodies and files that they send in parts/. `install` beside this file installs them.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
PROGRAMS = HERE / "programs"
PARTS = HERE / "parts"
NODE_MODULES = HERE.parent.parent / ".test-clients" / "node_modules"
PHPMAILER = Path("/usr/share/php/libphp-phpmailer/autoload.php")


@dataclass(frozen=True, slots=True)
class Client:
    """One mail client: its command, how to see that it is installed, and what its program cannot say.

    text_part names the file in parts/ that is its text body; has_html, has_inline_image and encodes_filenames are False
    for what a client leaves out (an unencoded file name is plain ASCII then).
    """

    name: str
    command: tuple[str, ...]
    is_installed: Callable[[], bool]
    text_part: str = "text.txt"
    has_html: bool = True
    has_inline_image: bool = True
    encodes_filenames: bool = True

    def __str__(self) -> str:
        return self.name


def has_program(*names: str) -> bool:
    """Whether all these programs are on the PATH."""
    return all(shutil.which(name) for name in names)


def runs(command: list[str]) -> bool:
    """Whether this command ends well."""
    return subprocess.run(command, check=False, capture_output=True).returncode == 0


def ruby_mail_is_installed() -> bool:
    """Whether Ruby runs and finds the Mail library; `ruby -rmail` is how a program would load it."""
    ruby = shutil.which("ruby")
    return ruby is not None and runs([ruby, "-rmail", "-e", ""])


def swaks_is_installed() -> bool:
    """Whether swaks is there with TLS, which it does without a word leave out when Net::SSLeay is missing."""
    perl = shutil.which("perl")
    has_tls = perl is not None and runs([perl, "-MNet::SSLeay", "-e", ""])
    return has_tls and has_program("swaks")


CLIENTS = (
    Client(
        "swaks",
        (str(PROGRAMS / "send_with_swaks"),),
        swaks_is_installed,
        # swaks sends a body as it is, so its text has no line over the 998 octets of RFC 5322 section 2.1.1.
        text_part="short.txt",
        has_html=False,
        has_inline_image=False,
        encodes_filenames=False,
    ),
    Client("smtplib", (sys.executable, str(PROGRAMS / "send_with_smtplib.py")), lambda: True),
    Client(
        "nodemailer",
        ("node", str(PROGRAMS / "send_with_nodemailer.js")),
        lambda: has_program("node") and (NODE_MODULES / "nodemailer").is_dir(),
    ),
    Client("net_smtp", ("go", "run", str(PROGRAMS / "send_with_net_smtp.go")), lambda: has_program("go")),
    Client(
        "phpmailer",
        ("php", str(PROGRAMS / "send_with_phpmailer.php")),
        lambda: has_program("php") and PHPMAILER.exists(),
    ),
    Client("ruby_mail", ("ruby", str(PROGRAMS / "send_with_ruby_mail.rb")), ruby_mail_is_installed),
)
