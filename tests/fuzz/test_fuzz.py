"""The short form of the fuzzing: every committed seed, then some mutated ones, always the same. The long: make fuzz."""

from __future__ import annotations

import pytest

from tests.fuzz.mutation import TOKENS, Mutator, seeds_of
from tests.fuzz.targets import LANGUAGES, TARGETS

INPUTS = {"content": 150, "session": 300}
OTHER_INPUTS = 1000


@pytest.mark.parametrize("name", TARGETS)
def test_the_invariant_holds_for_every_seed_and_for_mutated_ones(name):
    seeds = seeds_of(name)
    assert seeds
    for octets in seeds:
        TARGETS[name](octets)
    mutator = Mutator(seeds, TOKENS[LANGUAGES[name]], seed=0)
    for _ in range(INPUTS.get(name, OTHER_INPUTS)):
        TARGETS[name](mutator.next_input())


@pytest.mark.parametrize("name", TARGETS)
def test_every_target_says_its_invariant_first(name):
    assert (TARGETS[name].__doc__ or "").count("\n") == 0
    assert TARGETS[name].__doc__


def test_a_seed_number_gives_the_same_inputs_again():
    one, same, other = (Mutator(seeds_of("words"), TOKENS["mime"], seed) for seed in (1, 1, 2))
    first = [one.next_input() for _ in range(20)]
    assert [same.next_input() for _ in range(20)] == first
    assert [other.next_input() for _ in range(20)] != first
