"""Every dialog file, against the core in three cuts and against a real listener."""

from __future__ import annotations

import pytest

from gateway.outcome import Cause, Reply
from gateway.smtp import replies
from tests.smtp.core_client import CoreClient
from tests.smtp.dialog import FOLDER, Block, Dialog, fits, read_dialog
from tests.smtp.scripted import DIALECT
from tests.smtp.wire import WireClient

PATHS = sorted(FOLDER.glob("*.txt"))
DIALOGS = {path.stem: read_dialog(path) for path in PATHS}

# Replies that need time, a second connection or a stop: test_wire.py shows them
SHOWN_ON_THE_WIRE = {"TIMED_OUT", "SESSION_TOO_LONG", "SHUTTING_DOWN", "TOO_MANY_SESSIONS", "PLAIN_ON_TLS_PORT"}
TABLE = """\
535 Invalid username, use "postscale"
535 Authentication failed
451 Authentication service unavailable
502 Authentication required
554 Failed to parse message
550 All recipients suppressed
452 Rate limit exceeded, try again later
451 API unavailable""".splitlines()


def all_of(condition=lambda dialog: True):
    return pytest.mark.parametrize("name", [name for name, dialog in DIALOGS.items() if condition(dialog)])


def core_for(dialog: Dialog) -> CoreClient:
    return CoreClient(dialog.listener, enhanced=dialog.enhanced, **dialog.limits)


def run_on_core(client: CoreClient, blocks: list[Block], piece_octets: int) -> None:
    for block in blocks:
        said = client.session.take_output() + client.feed(block.says, piece_octets)
        assert fits(said, block.hears), f"after {block.says[:200]!r}\nsaid  {said!r}\nwanted {block.hears}"
        assert client.closed == (block.then == "CLOSE")
        if block.then == "TLS":
            client.start_tls()


@all_of()
def test_core_fed_block_by_block(name):
    run_on_core(core_for(DIALOGS[name]), DIALOGS[name].blocks, 0)


@all_of(lambda dialog: dialog.settings.get("octets") != "no")
def test_core_fed_octet_by_octet(name):
    run_on_core(core_for(DIALOGS[name]), DIALOGS[name].blocks, 1)


@all_of(lambda dialog: dialog.settings.get("together") != "no")
def test_core_fed_everything_at_once(name):
    run_on_core(core_for(DIALOGS[name]), DIALOGS[name].together(), 0)


@pytest.fixture(scope="module")
def port_of(listeners):
    ports: dict[str, int] = {}

    def find(dialog: Dialog) -> int:
        key = f"{dialog.listener} {dialog.enhanced} {dialog.limits}"
        if key not in ports:
            ports[key] = listeners.listen(dialog.listener, enhanced=dialog.enhanced, **dialog.limits)
        return ports[key]

    return find


def read_as_expected(client: WireClient, wanted: str) -> bytes:
    """One line, or a whole reply where the number of lines is open."""
    said = line = client.read_line()
    while wanted.startswith("*") and line[3:4] == b"-":
        line = client.read_line()
        said += line
    return said


@all_of()
def test_real_listener(name, port_of):
    dialog = DIALOGS[name]
    with WireClient(port_of(dialog)) as client:
        if dialog.listener == "implicit":
            client.start_tls()
        for block in dialog.blocks:
            client.send(block.says)
            said = b"".join(read_as_expected(client, wanted) for wanted in block.hears)
            assert fits(said, block.hears), f"after {block.says[:200]!r}\nsaid  {said!r}\nwanted {block.hears}"
            if block.then == "TLS":
                client.start_tls()
            elif block.then == "CLOSE":
                assert client.read_line() == b""


def heard_anywhere() -> set[str]:
    return {line for dialog in DIALOGS.values() for block in dialog.blocks for line in block.hears}


def test_every_reply_of_the_smtp_side_is_shown_by_a_dialog():
    named = {name: one for name, one in vars(replies).items() if isinstance(one, Reply)}
    heard = heard_anywhere()
    missing = [n for n, one in named.items() if f"{one.code} {one.text.splitlines()[-1]}" not in heard]
    assert set(missing) == SHOWN_ON_THE_WIRE


def test_every_row_of_the_vendors_error_table_is_shown_by_a_dialog():
    assert set(TABLE) - heard_anywhere() == set()


def test_every_wording_of_the_dialect_is_shown_by_a_dialog():
    heard = heard_anywhere()
    plain = [one for cause, one in DIALECT.wording.items() if "{reason}" not in one.text and cause in Cause]
    assert [one for one in plain if f"{one.code} {one.text}" not in heard] == []
