"""The long run: python -m tests.fuzz.run [--inputs N] [--seed N] [--guided] [target ...]

Feeds mutated seeds to every target, N inputs in all; prints a line for each target, and every input that broke it.
"""

from __future__ import annotations

import argparse
import sys
import time
import traceback
from pathlib import Path

from tests.fuzz import guided
from tests.fuzz.mutation import FAILURES, TOKENS, Mutator, seeds_of
from tests.fuzz.targets import LANGUAGES, TARGETS

# A broken target breaks again and again; so many different places tell enough.
MOST_FAILURES = 5


def run_target(name: str, inputs: int, seed: int) -> dict[str, bytes]:
    """Feed that many inputs; the inputs that broke the invariant, by the place where it broke."""
    target = TARGETS[name]
    mutator = Mutator(seeds_of(name), TOKENS[LANGUAGES[name]], seed)
    failures: dict[str, bytes] = {}
    slowest_seconds = 0.0
    began = time.monotonic()
    for _ in range(inputs):
        octets = mutator.next_input()
        started = time.monotonic()
        try:
            target(octets)
        except Exception as error:
            place = traceback.extract_tb(error.__traceback__)[-1]
            failures.setdefault(f"{type(error).__name__} at {Path(place.filename).name}:{place.lineno}", octets)
            if len(failures) >= MOST_FAILURES:
                break
        slowest_seconds = max(slowest_seconds, time.monotonic() - started)
    took_seconds = time.monotonic() - began
    print(
        f"{name:14} {inputs:>9,} inputs {took_seconds:8.1f} s, slowest {slowest_seconds * 1000:7.1f} ms, "
        f"{len(failures)} broken",
        flush=True,
    )
    return failures


def report(name: str, failures: dict[str, bytes]) -> None:
    """Keep each breaking input in a file, and say where it is."""
    for number, (place, octets) in enumerate(failures.items(), 1):
        FAILURES.mkdir(parents=True, exist_ok=True)
        path = FAILURES / f"{name}-{number}"
        path.write_bytes(octets)
        print(f"  {place}: {path}", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--inputs", type=int, default=1_500_000, help="over all targets")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--guided", action="store_true", help="coverage-guided, needs atheris")
    parser.add_argument("targets", nargs="*", choices=[[], *TARGETS])
    options = parser.parse_args()
    names = options.targets or list(TARGETS)
    inputs = -(-options.inputs // len(names))
    if options.guided:
        broken = sum(guided.run(name, inputs, options.seed) != 0 for name in names)
        return 1 if broken else 0
    broken = 0
    for name in names:
        failures = run_target(name, inputs, options.seed)
        report(name, failures)
        broken += len(failures)
    print(f"{inputs * len(names):,} inputs in all, {broken} broken")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
