"""The spool gives back what was written, from memory and from its file, whoever reads meanwhile."""

from __future__ import annotations

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.content import spool as spool_module
from gateway.content.spool import Spool

from .spooled import spooled


def test_small_mail_stays_in_memory():
    spool = Spool(None, 10)
    spool.write(b"12345")
    spool.write(b"67890")
    assert spool.in_memory
    assert spool.size_octets == 10
    assert spool.read(0, 10) == b"1234567890"


def test_larger_mail_moves_to_an_unnamed_file(tmp_path):
    spool = Spool(tmp_path, 10)
    spool.write(b"1234567890")
    spool.write(b"x")
    assert not spool.in_memory
    assert spool.read(0, 100) == b"1234567890x"
    assert list(tmp_path.iterdir()) == []


@given(st.lists(st.binary(max_size=40), max_size=12), st.integers(0, 100), st.integers(0, 60), st.integers(0, 400))
def test_every_slice_is_what_was_written(blocks, memory_octets, start, length):
    spool = Spool(None, memory_octets)
    for block in blocks:
        spool.write(block)
    whole = b"".join(blocks)
    assert spool.size_octets == len(whole)
    assert spool.read(start, start + length) == whole[start : start + length]
    spool.close()


@given(st.binary(max_size=200), st.binary(min_size=1, max_size=3), st.integers(0, 100), st.integers(0, 210))
def test_find_in_a_file_is_find_in_memory(octets, needle, start, stop):
    windows = spool_module.FIRST_WINDOW_OCTETS, spool_module.LAST_WINDOW_OCTETS
    spool_module.FIRST_WINDOW_OCTETS, spool_module.LAST_WINDOW_OCTETS = 2, 5
    try:
        file = spooled(octets, memory_octets=0)
        assert file.find(needle, start, stop) == octets.find(needle, start, stop)
        assert spooled(octets).find(needle, start, stop) == octets.find(needle, start, stop)
        file.close()
    finally:
        spool_module.FIRST_WINDOW_OCTETS, spool_module.LAST_WINDOW_OCTETS = windows


def test_a_needle_across_two_windows_is_found():
    border = spool_module.FIRST_WINDOW_OCTETS
    octets = b"." * (border - 3) + b"needle" + b"." * border
    assert spooled(octets, memory_octets=0).find(b"needle", 0, len(octets)) == border - 3


def test_a_folder_that_is_gone_is_an_os_error_and_nothing_is_lost(tmp_path):
    spool = Spool(tmp_path / "gone", 4)
    spool.write(b"1234")
    with pytest.raises(OSError):
        spool.write(b"5")
    assert spool.read(0, 10) == b"1234"
    assert spool.size_octets == 4


def test_a_full_disk_is_an_os_error_and_a_later_write_goes_on_where_it_stopped(tmp_path, monkeypatch):
    spool = Spool(tmp_path, 0)
    spool.write(b"kept")
    real = spool_module.os.pwrite
    written = []

    def half_then_full(descriptor, octets, offset):
        if written:
            raise OSError(28, "No space left on device")
        written.append(offset)
        return real(descriptor, bytes(octets)[:2], offset)

    monkeypatch.setattr(spool_module.os, "pwrite", half_then_full)
    with pytest.raises(OSError, match="No space"):
        spool.write(b"lost")
    monkeypatch.undo()
    assert spool.read(0, 100) == b"kept"
    spool.write(b"more")
    assert spool.read(0, 100) == b"keptmore"


def test_a_thread_reads_while_the_mail_goes_on_arriving(tmp_path):
    spool = Spool(tmp_path, 3000)
    block = bytes(range(256))
    wrong = []

    def read():
        while spool.size_octets < 256 * 200:
            size = spool.size_octets
            if spool.read(0, size) != (block * 200)[:size]:
                wrong.append(size)

    reader = threading.Thread(target=read)
    reader.start()
    for _ in range(200):
        spool.write(block)
    reader.join()
    assert wrong == []
    assert spool.read(0, 256 * 200) == block * 200


def test_close_can_be_called_again(tmp_path):
    for spool in (spooled(b"x", tmp_path), spooled(b"x", tmp_path, 0)):
        spool.close()
        spool.close()
        assert spool.size_octets == 0
