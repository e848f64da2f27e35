"""Credentials, as every backend keeps them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gateway.scram import make_verifier
from gateway.store.credential import Credential

ANN = Credential("ann", "$argon2id$x", "main", active=True, created_at="2026-11-21T16:00:00+00:00")


def add(store, credential):
    store.run(lambda one: one.add_credential(credential))


def kept(store, user_name):
    return store.look(lambda one: one.credential(user_name))


def test_what_is_kept_is_found_again_by_another_gateway(store, open_store):
    full = replace(ANN, user_name="Full", scram=make_verifier("s", b"salt" * 4), sealed_secret=b"\0\xff", stream="news")
    add(store, full)
    add(store, ANN)
    again = open_store()
    assert again.look(lambda one: one.credentials()) == [ANN, full]
    assert kept(again, "ANN") == ANN
    assert kept(again, "bob") is None


def test_a_user_name_is_kept_once(store):
    add(store, ANN)
    with pytest.raises(ValueError, match="already"):
        add(store, replace(ANN, user_name="Ann", secret_hash="other"))
    assert kept(store, "ann") == ANN


def test_deactivating_keeps_the_name_and_says_whether_there_was_one(store):
    add(store, ANN)
    assert store.run(lambda one: one.deactivate_credential("ANN"))
    assert not store.run(lambda one: one.deactivate_credential("bob"))
    assert kept(store, "ann") == replace(ANN, active=False)
    with pytest.raises(ValueError, match="already"):
        add(store, ANN)


def test_a_secret_is_replaced_while_the_credential_is_active(store):
    add(store, ANN)
    new = replace(ANN, secret_hash="new", sealed_secret=b"new")
    assert store.run(lambda one: one.replace_secret(replace(new, user_name="ANN")))
    assert kept(store, "ann") == new
    store.run(lambda one: one.deactivate_credential("ann"))
    assert not store.run(lambda one: one.replace_secret(ANN))
    assert kept(store, "ann") == replace(new, active=False)


def test_the_last_login_is_noted(store):
    add(store, ANN)
    store.run(lambda one: one.note_login("Ann", "2026-11-22T00:00:00+00:00"))
    assert kept(store, "ann").last_used_at == "2026-11-22T00:00:00+00:00"
