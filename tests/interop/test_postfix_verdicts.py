"""The portable dialogs against Postfix: its replies have our classes, but where the dialog file says why not."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterator

import pytest

from gateway.tls import self_made_certificate
from tests.conftest import free_ports
from tests.interop import postfix
from tests.smtp.dialog import FOLDER, Block, Dialog, read_dialog
from tests.smtp.wire import LOG_IN, WireClient

LISTENERS = {
    "starttls": {"smtpd_tls_security_level": "encrypt"},
    "optional": {"smtpd_tls_security_level": "may"},
    "implicit": {"smtpd_tls_wrappermode": "yes"},
    "none": {"smtpd_tls_security_level": "none"},
}
# The addresses "at-PLACE.CODE@" of the dialogs are refused by tables. Nothing leaves: the discard transport takes it.
SETTINGS = """\
default_transport = discard:
relay_transport = discard:
smtpd_tls_cert_file = {folder}/certificate.pem
smtpd_tls_key_file = {folder}/key.pem
smtpd_error_sleep_time = 0
smtpd_helo_required = yes
smtpd_delay_reject = no
strict_rfc821_envelopes = yes
message_size_limit = 52428800
smtpd_recipient_limit = 100
smtpd_forbid_bare_newline = reject
smtpd_forbid_bare_newline_exclusions =
smtpd_sender_restrictions = check_sender_access regexp:{folder}/mail.access
smtpd_recipient_restrictions = check_recipient_access regexp:{folder}/rcpt.access, permit_mynetworks, reject
smtpd_data_restrictions = check_recipient_access regexp:{folder}/data.access, permit
smtpd_end_of_data_restrictions = check_recipient_access regexp:{folder}/end.access, permit
"""
ENOUGH = 40
HUNG_UP = ""
PATHS = sorted(FOLDER.glob("*.txt"))
PORTABLE = {path.stem: one for path in PATHS if (one := read_dialog(path)).settings.get("portable") == "yes"}


def table(place: str) -> str:
    """Refusals as scripted.py makes them: by a code, and "raise" is a fault of the server's own."""
    told = f"As told at {place}"
    return f"/^at-{place}\\.(smtp-)?([45][0-9][0-9])@/ $2 {told}\n/^at-{place}\\.raise@/ 451 {told}\n"


@pytest.fixture(scope="module")
def ports(needs: Callable[[bool, str], None], tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, int]]:
    """The port of each listener of a running Postfix, by the name that the dialogs use."""
    needs(postfix.is_installed(), "Postfix (and root to start it)")
    found = dict(zip(LISTENERS, free_ports(len(LISTENERS)), strict=True))
    folder = tmp_path_factory.mktemp("postfix")
    certificate, key = self_made_certificate(folder, "postfix.test", datetime.datetime.now(datetime.UTC))
    files = {f"{place}.access": table(place) for place in ("mail", "rcpt", "data", "end")}
    files |= {"certificate.pem": certificate.read_text(), "key.pem": key.read_text()}
    with postfix.running(SETTINGS, {found[name]: one for name, one in LISTENERS.items()}, files):
        yield found


def classes(block: Block) -> list[str]:
    """The class of each reply in this block, as Postfix should give it."""
    found = []
    for index, line in enumerate(block.hears):
        reply = line.removeprefix("*")
        if reply[3:4] != "-":
            found.append(block.postfix.get(index, reply[0]).replace("-", HUNG_UP))
    return found


def heard(client: WireClient, dialog: Dialog) -> Iterator[tuple[bytes, list[str], list[str]]]:
    """Each block's octets, the classes that are wanted, and the replies."""
    for block in dialog.blocks:
        if block.says != LOG_IN:  # Postfix knows us by our address
            client.send(block.says)
            wanted = classes(block)
            yield block.says, wanted, [client.read_reply() for _ in wanted]
            if wanted[-1:] == [HUNG_UP]:
                return
        if block.then == "TLS":
            client.start_tls()


@pytest.mark.parametrize("name", PORTABLE)
def test_postfix_gives_the_same_verdicts(name: str, ports: dict[str, int]) -> None:
    dialog = PORTABLE[name]
    with WireClient(ports[dialog.listener]) as client:
        if dialog.listener == "implicit":
            client.start_tls()
        for said, wanted, replies in heard(client, dialog):
            assert [one[:1] for one in replies] == wanted, f"after {said[-300:]!r}: {replies}"


def test_a_different_verdict_is_explained_in_its_dialog() -> None:
    different = [path for path in PATHS if any(block.postfix for block in read_dialog(path).blocks)]
    assert different
    for path in different:
        assert path.stem in PORTABLE
        assert "\n# Postfix:" in path.read_text(encoding="utf-8"), path.name


def test_enough_of_the_dialogs_are_portable() -> None:
    """A dialog that no other server was asked about is only our own opinion."""
    assert len(PORTABLE) >= ENOUGH
