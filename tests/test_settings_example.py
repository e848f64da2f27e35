"""etc/gateway.toml shows every setting at its default."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

from gateway.settings import Settings, read_settings

EXAMPLE = Path(__file__).parent.parent / "etc" / "gateway.toml"
# A setting that is commented out has no blank behind its "#"; prose, and settings without a default, have one
COMMENTED_OUT = re.compile(r"^#(?=[a-z\[])", re.MULTILINE)
NO_COMMON_DEFAULT = {"hostname", "state_dir", "workers"}  # they depend on the machine


def test_the_file_as_shipped_is_all_defaults(tmp_path):
    assert read_settings(EXAMPLE) == Settings()


def test_every_setting_that_is_commented_out_stands_at_its_default(tmp_path):
    uncommented = tmp_path / "gateway.toml"
    uncommented.write_text(COMMENTED_OUT.sub("", EXAMPLE.read_text("utf-8")), "utf-8")
    read, default = read_settings(uncommented), Settings()
    for field in dataclasses.fields(Settings):
        if field.name not in NO_COMMON_DEFAULT:
            assert getattr(read, field.name) == getattr(default, field.name), field.name


def test_every_setting_is_in_the_file():
    text = EXAMPLE.read_text("utf-8")
    missing = [
        name
        for name in _setting_names(Settings)
        if not re.search(rf"^#? ?{name} = |^#? ?\[+(?:\w+\.)?{name}\b", text, re.M)
    ]
    assert missing == []


def _setting_names(kind: type) -> list[str]:
    """The keys of a table and of the tables below it, by the defaults."""
    names = []
    default = kind() if kind is Settings else None
    for field in dataclasses.fields(kind):
        names.append(field.name)
        value = getattr(default, field.name) if default else None
        nested = value[0] if isinstance(value, tuple) and value else value
        nested = next(iter(nested.values())) if isinstance(nested, dict) else nested
        if dataclasses.is_dataclass(nested):
            names += _setting_names(type(nested))
    return names
