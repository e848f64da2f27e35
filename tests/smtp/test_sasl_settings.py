"""The settings of a listener that choose its SASL mechanisms."""

from __future__ import annotations

import pytest

from gateway.rules import session_rules
from gateway.settings import SettingsError, read_settings


@pytest.fixture
def read(tmp_path):
    def read_listener(text: str):
        path = tmp_path / "gateway.toml"
        path.write_text(f'[[listeners]]\nendpoint = "tcp:2525"\n{text}\n', "utf-8")
        settings = read_settings(path)
        return session_rules(settings, settings.listeners[0], settings.listeners[0].dialect)

    return read_listener


def test_without_a_choice_the_dialects_mechanisms_are_offered(read):
    assert read("").mechanisms == ("PLAIN", "LOGIN")


def test_a_listeners_choice_takes_the_place_of_the_dialects_and_names_each_once(read):
    assert read('mechanisms = ["SCRAM-SHA-256", "CRAM-MD5", "CRAM-MD5"]').mechanisms == ("SCRAM-SHA-256", "CRAM-MD5")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            'mechanisms = ["PLAIN", "SCRAM-SHA-1"]',
            r'listeners\[0\].mechanisms\[1\]: no mechanism "SCRAM-SHA-1" is known',
        ),
        ('mechanisms = ["plain"]', r'listeners\[0\].mechanisms\[0\]: no mechanism "plain" is known; .*PLAIN'),
        ("mechanisms = []", r"listeners\[0\].mechanisms: expected at least one"),
        ('mechanisms = "PLAIN"', r"listeners\[0\].mechanisms: expected a list"),
        ('clear_passwords = "no"', r"listeners\[0\].clear_passwords: expected true or false"),
    ],
)
def test_a_choice_that_cannot_be_is_a_problem(read, text, problem):
    with pytest.raises(SettingsError, match=problem):
        read(text)
