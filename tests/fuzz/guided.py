"""Coverage-guided runs with atheris (libFuzzer), one process a target: python -m tests.fuzz.guided target corpus ...

libFuzzer ends its process by itself, and new inputs go into a folder of their own, not into the committed corpus.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from tests.fuzz.mutation import FAILURES, MOST_OCTETS, seeds_of


def run(name: str, inputs: int, seed: int) -> int:
    """Run one target for that many inputs; not 0 when an input broke it (left in FAILURES) or without atheris."""
    with tempfile.TemporaryDirectory() as folder:
        for number, octets in enumerate(seeds_of(name)):
            Path(folder, str(number)).write_bytes(octets)
        FAILURES.mkdir(parents=True, exist_ok=True)
        limits = [f"-runs={inputs}", f"-seed={seed}", f"-max_len={MOST_OCTETS}", "-timeout=10", "-print_final_stats=1"]
        options = [*limits, f"-artifact_prefix={FAILURES}/{name}-", "-verbosity=1"]
        print(f"{name}, guided:", flush=True)
        command = [sys.executable, "-m", "tests.fuzz.guided", name, folder, *options]
        return subprocess.run(command, check=False).returncode


def main() -> None:
    import atheris  # type: ignore[import-not-found]  # optional, see docs/FUZZING.md

    with atheris.instrument_imports(include=["gateway.content", "gateway.smtp"]):
        from tests.fuzz.targets import TARGETS

    name = sys.argv.pop(1)
    atheris.Setup(sys.argv, TARGETS[name])
    atheris.Fuzz()


if __name__ == "__main__":
    main()
