"""Every vendor's cases, each a few files in the vendor's folder here; cases.py tells what they say."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.vendor import load

from .cases import Case, cases, run

FOLDERS = sorted(one for one in Path(__file__).parent.iterdir() if any(one.glob("*.eml")))
EVERY = [case for folder in FOLDERS for case in cases(folder)]


@pytest.mark.parametrize("case", EVERY, ids=lambda case: f"{case.stem.parent.name}/{case.stem.name}")
def test_a_case_is_said_and_ends_as_its_files_tell(case: Case):
    vendor = load(case.stem.parent.name)
    done = run(case, vendor, vendor)
    assert done.requests == case.requests
    assert done.outcome == case.outcome


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_every_file_of_a_folder_belongs_to_a_case(folder: Path):
    kinds = (".eml", ".envelope.json", ".request.json", ".answer.json", ".outcome.json")
    known = {f"{case.stem.name}{kind}" for case in cases(folder) for kind in kinds}
    assert {one.name for one in folder.iterdir() if one.is_file()} <= known
