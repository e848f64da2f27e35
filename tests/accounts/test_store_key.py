"""The key that secrets are sealed with: by the settings or in the state folder; that of the store, or another one."""

from __future__ import annotations

import base64
import datetime

import pytest
from click.testing import CliRunner

from gateway.accounts.credentials import make_credential
from gateway.accounts.seal import Seal, key_of_text
from gateway.command import main
from gateway.store.interface import StoreError
from tests.queue.gateways import Kept, id_of, route, run_again, run_queue, settings_text, submit, until, vendor

KEY, OTHER = bytes(range(32)), bytes(32)
SETTINGS = '[vendors.main]\napi = "postscale"\nurl = "http://127.0.0.1:1"\n[store]\nkey = {{ file = "{}" }}\n'


def test_a_key_of_the_settings_needs_no_file_and_opens_what_it_sealed(tmp_path):
    sealed = Seal(tmp_path / "a", KEY).seal("ann", "secret")
    assert Seal(tmp_path / "b", KEY).open("ann", sealed) == "secret"
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(StoreError, match=r"does not fit \[store\] key"):
        Seal(tmp_path, OTHER).open("ann", sealed)


@pytest.mark.parametrize("text", ["", "Zm9v", base64.b64encode(bytes(31)).decode(), "!" * 44, KEY.hex()])
def test_what_is_no_key_is_refused_without_being_shown(text):
    with pytest.raises(ValueError, match="32 octets in base64") as told:
        key_of_text(text)
    assert not text or text not in str(told.value)


def test_a_store_knows_the_key_that_it_was_begun_with(store, tmp_path):
    assert Seal(tmp_path, KEY).misfit(store) == ""
    assert "another key than that of [store] key" in Seal(tmp_path, OTHER).misfit(store)
    assert "another key than that of credentials.key" in Seal(tmp_path).misfit(store)
    assert Seal(tmp_path, KEY).misfit(store) == ""


@pytest.mark.parametrize("kept", ["first", "later"])
def test_a_store_from_before_the_question_answers_with_a_secret(store, tmp_path, kept):
    make_credential(store, "ann", "main", _now(), Seal(tmp_path, KEY))
    key = KEY if kept == "first" else OTHER
    assert bool(Seal(tmp_path, key).misfit(store)) is (kept == "later")
    assert Seal(tmp_path, KEY).misfit(store) == ""


def test_a_file_that_was_made_without_the_setting_goes_into_it_as_base64(store, tmp_path):
    assert Seal(tmp_path).misfit(store) == ""
    text = base64.b64encode((tmp_path / "credentials.key").read_bytes()).decode()
    assert Seal(tmp_path / "elsewhere", key_of_text(text)).misfit(store) == ""


def test_the_command_line_seals_nothing_with_another_key(store, tmp_path):
    assert Seal(tmp_path, KEY).misfit(store) == ""
    (tmp_path / "key").write_bytes(base64.b64encode(OTHER))
    config = tmp_path / "gateway.toml"
    config.write_text(f'state_dir = "{tmp_path}"\n' + SETTINGS.format(tmp_path / "key"))
    done = CliRunner().invoke(main, ["credentials", "add", "--config", str(config), "--challenge-mechanisms", "ann"])
    assert done.exit_code == 1
    assert "were sealed with another key" in done.output
    (tmp_path / "key").write_bytes(base64.b64encode(KEY))
    done = CliRunner().invoke(main, ["credentials", "add", "--config", str(config), "--challenge-mechanisms", "ann"])
    assert done.exit_code == 0, done.output
    (tmp_path / "key").write_text("no-key")
    done = CliRunner().invoke(main, ["check", str(config)])
    assert "store.key" in done.output
    assert "no-key" not in done.output


def test_a_gateway_does_not_start_with_a_key_that_is_not_the_store_s(tmp_path):
    (tmp_path / "key").write_bytes(base64.b64encode(KEY))
    tables = (
        settings_text(vendor("postscale"), route("postscale")) + f'[store]\nkey = {{{{ file = "{tmp_path}/key" }}}}\n'
    )
    with run_queue(tmp_path, tables) as gateway:
        message_id = id_of(submit(gateway, "ann@cust.example"))
        until(lambda: Kept(gateway).attempts(message_id), gateway)
        gateway.stop()
        (tmp_path / "key").write_bytes(base64.b64encode(OTHER))
        with pytest.raises(pytest.fail.Exception), run_again(gateway):
            pass
        assert "sealed with another key than that of [store] key" in (tmp_path / "log-again.txt").read_text()


def _now():
    return datetime.datetime.now(datetime.UTC)
