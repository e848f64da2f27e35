"""Quickly made dataclasses are what dataclasses are: frozen, compared by value, with their defaults."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field

import msgspec
import pytest

from gateway.quickly import quickly_made


@quickly_made
@dataclass(frozen=True, slots=True)
class Letter:
    sender: str
    to: tuple[str, ...] = ()
    options: dict[str, str] = field(default_factory=dict)
    key: str = field(default="", repr=False)


def test_values_and_defaults_are_as_given():
    letter = Letter("ann", key="secret")
    assert (letter.sender, letter.to, letter.options, letter.key) == ("ann", (), {}, "secret")
    assert Letter("ann", ("bob",), {"a": "b"}) == Letter(sender="ann", to=("bob",), options={"a": "b"})
    assert type(letter) is Letter
    assert repr(letter) == "Letter(sender='ann', to=(), options={})"


def test_each_has_a_default_of_its_own():
    assert Letter("ann").options is not Letter("bob").options


def test_it_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Letter("ann").sender = "bob"
    with pytest.raises(dataclasses.FrozenInstanceError):
        del Letter("ann").sender


def test_it_can_be_replaced_and_matched():
    other = dataclasses.replace(Letter("ann", ("bob",)), sender="eve")
    assert other == Letter("eve", ("bob",))
    match other:
        case Letter(sender, to=(first,)):
            assert (sender, first) == ("eve", "bob")
        case _:
            pytest.fail("no match")


@pytest.mark.parametrize(("given", "named"), [((), {}), (("a", (), {}, "", 5), {}), (("a",), {"sender": "b"})])
def test_wrong_arguments_are_refused(given, named):
    with pytest.raises(TypeError):
        Letter(*given, **named)


def test_it_travels_between_processes():
    letter = Letter("ann", ("bob",), {"a": "b"})
    assert msgspec.convert(msgspec.to_builtins(letter), Letter) == letter


def test_equal_ones_have_equal_hashes():
    @quickly_made
    @dataclass(frozen=True, slots=True)
    class Pair:
        one: int
        other: int

    assert len({Pair(1, 2), Pair(1, 2), Pair(2, 1)}) == 2
