"""What is kept of a credential for SASL mechanisms, and what a login finds there, whether the name exists or not."""

from __future__ import annotations

import datetime
import sqlite3

import pytest
from click.testing import CliRunner
from twisted.internet.defer import Deferred

from gateway.accounts.account import Account, fingerprint
from gateway.accounts.checkers import ApiKeyChecker
from gateway.accounts.credentials import make_credential, mechanisms_of, regenerate_credential
from gateway.accounts.mechanism_checkers import BearerChecker, CertificateChecker, VerifiedChecker
from gateway.accounts.proofs import StoredProofs
from gateway.accounts.remembered import RememberedAnswers
from gateway.accounts.seal import KEY_FILE, Seal
from gateway.command import main
from gateway.errors import LoginRefused, LoginUndecided
from gateway.scram import ScramVerifier, make_verifier
from gateway.smtp.credentials import BearerToken, CertificateUser, VerifiedUser
from gateway.smtp.mechanisms.exchange import Lookup, Needs
from gateway.store.interface import StoreError
from tests.store.waiting import WaitingStore

NOW = datetime.datetime(2026, 11, 21, 16, 0, 5, tzinfo=datetime.UTC)
ALWAYS = ["SCRAM-SHA-256-PLUS", "SCRAM-SHA-256", "EXTERNAL", "PLAIN", "LOGIN"]
CHALLENGE = ["DIGEST-MD5", "CRAM-MD5"]


@pytest.fixture
def store(tmp_path):
    made = WaitingStore(tmp_path / "store.sqlite")
    made.open()
    yield made
    made.close()


@pytest.fixture
def seal(tmp_path):
    return Seal(tmp_path)


@pytest.fixture
def proofs(store, seal):
    return StoredProofs(store, seal)


def result(waited):
    """What a coroutine or Deferred that is done came to; the error when it failed."""
    told: list[object] = []
    fired = waited if isinstance(waited, Deferred) else Deferred.fromCoroutine(waited)
    fired.addCallbacks(told.append, lambda failure: told.append(failure.value))
    (only,) = told
    return only


def kept_of(store, user_name):
    return store.look(lambda one: one.credential(user_name))


def lookup(proofs, user_name, kept):
    return result(proofs.lookup(Lookup(user_name, kept)))


# -- the seal


def test_the_key_is_made_once_and_only_its_owner_can_read_it(tmp_path):
    sealed = Seal(tmp_path / "state").seal("ann", "secret")
    key_file = tmp_path / "state" / KEY_FILE
    assert key_file.stat().st_mode & 0o777 == 0o600
    assert [one.name for one in key_file.parent.iterdir()] == [KEY_FILE]
    assert Seal(tmp_path / "state").open("Ann", sealed) == "secret"


def test_a_sealed_secret_hides_itself_and_is_another_each_time(seal):
    assert b"secret" not in seal.seal("ann", "secret")
    assert seal.seal("ann", "secret") != seal.seal("ann", "secret")


def test_a_sealed_secret_opens_neither_under_another_name_nor_changed_nor_with_another_key(seal, tmp_path):
    sealed = seal.seal("ann", "secret")
    for one, name, octets in (
        (seal, "bob", sealed),
        (seal, "ann", sealed[:-1] + bytes([sealed[-1] ^ 1])),
        (seal, "ann", b""),
        (Seal(tmp_path / "other"), "ann", sealed),
    ):
        with pytest.raises(StoreError) as error:
            one.open(name, octets)
        assert "secret of" in str(error.value)


@pytest.mark.parametrize(("octets", "mode"), [(b"short", 0o600), (bytes(32), 0o644)])
def test_a_key_file_that_is_no_key_or_that_others_can_read_is_refused(tmp_path, octets, mode):
    (tmp_path / KEY_FILE).write_bytes(octets)
    (tmp_path / KEY_FILE).chmod(mode)
    with pytest.raises(StoreError, match=KEY_FILE):
        Seal(tmp_path)


# -- what is kept


def test_a_credential_has_a_verifier_and_its_secret_only_when_asked_for(store, seal):
    plain = make_credential(store, "plain", "main", NOW)
    full = make_credential(store, "full", "main", NOW, seal)
    kept_plain, kept_full = kept_of(store, "plain"), kept_of(store, "full")
    for secret, kept in ((plain, kept_plain), (full, kept_full)):
        assert kept.scram == make_verifier(secret, kept.scram.salt)
        assert kept.scram.iterations >= 4096
        assert secret not in repr(kept)
    assert kept_plain.sealed_secret is None
    assert seal.open("full", kept_full.sealed_secret) == full
    assert mechanisms_of(kept_plain) == ALWAYS
    assert mechanisms_of(kept_full) == ALWAYS + CHALLENGE


def test_the_secret_is_not_in_the_store(store, seal, tmp_path):
    secret = make_credential(store, "full", "main", NOW, seal)
    assert all(secret.encode() not in file.read_bytes() for file in tmp_path.iterdir())


def test_a_store_of_the_first_version_is_brought_up_to_date(tmp_path):
    path = tmp_path / "store.sqlite"
    with sqlite3.connect(path) as connection:
        connection.executescript(
            "CREATE TABLE credentials (user_name TEXT PRIMARY KEY COLLATE NOCASE, secret_hash TEXT NOT NULL,"
            " vendor TEXT NOT NULL, active INTEGER NOT NULL DEFAULT 1, created_at TEXT NOT NULL) STRICT;"
            "INSERT INTO credentials VALUES ('old', 'hash', 'main', 1, 'then'); PRAGMA user_version = 1;"
        )
    store = WaitingStore(path)
    store.open()
    assert mechanisms_of(kept_of(store, "old")) == ["EXTERNAL", "PLAIN", "LOGIN"]
    regenerate_credential(store, "old", NOW)
    assert mechanisms_of(kept_of(store, "old")) == ALWAYS


def test_a_secret_made_anew_takes_the_place_of_the_old_one(store, seal, proofs):
    old = make_credential(store, "ann", "main", NOW, seal)
    new = regenerate_credential(store, "ANN", NOW, seal)
    assert new != old
    assert lookup(proofs, "ann", Needs.SECRET) == new
    kept = kept_of(store, "ann")
    assert (kept.user_name, kept.vendor) == ("ann", "main")
    regenerate_credential(store, "ann", NOW)
    assert kept_of(store, "ann").sealed_secret is None


def test_no_secret_is_made_anew_for_a_name_that_is_deactivated_or_not_there(store):
    make_credential(store, "ann", "main", NOW)
    store.run(lambda one: one.deactivate_credential("ann"))
    before = kept_of(store, "ann")
    for name in ("ann", "bob"):
        with pytest.raises(ValueError, match=name):
            regenerate_credential(store, name, NOW)
    assert kept_of(store, "ann") == before


# -- what a login finds


def test_a_lookup_finds_what_is_kept(store, seal, proofs):
    secret = make_credential(store, "ann", "main", NOW, seal)
    assert lookup(proofs, "Ann", Needs.SCRAM_VERIFIER) == kept_of(store, "ann").scram
    assert lookup(proofs, "Ann", Needs.SECRET) == secret


def test_a_name_without_proofs_looks_like_one_with_a_wrong_secret(store, seal, proofs):
    secret = make_credential(store, "gone", "main", NOW, seal)
    store.run(lambda one: one.deactivate_credential("gone"))
    plain = make_credential(store, "plain", "main", NOW)
    for name in ("nobody", "gone"):
        verifier = lookup(proofs, name, Needs.SCRAM_VERIFIER)
        assert isinstance(verifier, ScramVerifier)
        assert (len(verifier.salt), verifier.iterations, len(verifier.stored_key)) == (16, 4096, 32)
        assert lookup(proofs, name.upper(), Needs.SCRAM_VERIFIER).salt == verifier.salt
        assert verifier.stored_key != make_verifier(secret, verifier.salt).stored_key
    for name in ("nobody", "gone", "plain"):
        found = lookup(proofs, name, Needs.SECRET)
        assert len(found) == len(secret)
        assert found not in (secret, plain, lookup(proofs, name, Needs.SECRET))


def test_the_false_salt_outlives_a_restart_and_differs_from_name_to_name(seal, tmp_path):
    assert Seal(tmp_path).false_verifier("ann").salt == seal.false_verifier("ann").salt
    assert seal.false_verifier("ann").salt != seal.false_verifier("bob").salt


@pytest.mark.parametrize(
    ("checker", "credentials"), [(VerifiedChecker, VerifiedUser), (CertificateChecker, CertificateUser)]
)
def test_a_name_that_was_proved_is_its_account(store, proofs, checker, credentials):
    make_credential(store, "Ann", "main", NOW)
    make_credential(store, "keyless", "other", NOW)
    one = checker("postscale", proofs, frozenset({"main"}))
    assert result(one.requestAvatarId(credentials("ANN"))) == Account("main/user-ann", "postscale", "main", None, "ann")
    assert isinstance(result(one.requestAvatarId(credentials("keyless"))), LoginUndecided)
    store.run(lambda one: one.deactivate_credential("ann"))
    for name in ("ann", "bob"):
        assert isinstance(result(one.requestAvatarId(credentials(name))), LoginRefused)


def test_a_store_that_cannot_be_used_leaves_the_login_undecided(seal, tmp_path):
    broken = StoredProofs(WaitingStore(tmp_path / "missing" / "store"), seal)
    one = VerifiedChecker("postscale", broken, frozenset({"main"}))
    assert isinstance(result(one.lookup(Lookup("ann", Needs.SECRET))), LoginUndecided)
    assert isinstance(result(one.requestAvatarId(VerifiedUser("ann"))), LoginUndecided)


def test_a_bearer_token_is_a_key_whatever_the_client_calls_itself():
    async def vendor(key: str) -> bool:
        return key == "good"

    one = BearerChecker(ApiKeyChecker("postscale", "main", vendor, RememberedAnswers(lambda: 0.0)))
    account = Account(f"main/key-{fingerprint('good')}", "postscale", "main", "good")
    assert result(one.requestAvatarId(BearerToken("ann@shop.example", "good"))) == account
    assert isinstance(result(one.requestAvatarId(BearerToken("postscale", "bad"))), LoginRefused)
    assert isinstance(result(BearerChecker(None).requestAvatarId(BearerToken("", "good"))), LoginRefused)


# -- the command line


@pytest.fixture
def command(tmp_path):
    config = tmp_path / "gateway.toml"
    config.write_text(f'state_dir = "{tmp_path / "state"}"\n[vendors.main]\napi = "postscale"\n', "utf-8")

    def run(name: str, *arguments: str):
        return CliRunner().invoke(main, ["credentials", name, "--config", str(config), *arguments])

    return run


def test_the_list_shows_which_mechanisms_a_credential_serves(command, tmp_path):
    assert command("add", "plain").exit_code == 0
    assert not (tmp_path / "state" / KEY_FILE).exists()
    assert command("add", "--challenge-mechanisms", "shop").exit_code == 0
    rows = {line.split("\t")[0]: line.split("\t")[4].split() for line in command("list").stdout.splitlines()}
    assert rows == {"plain": ALWAYS, "shop": ALWAYS + CHALLENGE}


def test_a_secret_made_anew_is_shown_once(command):
    first = command("add", "shop").stdout
    second = command("regenerate", "shop")
    assert second.exit_code == 0
    assert second.stdout.splitlines()[0] == "user name: shop"
    assert second.stdout.splitlines()[1] not in first
    assert command("regenerate", "nobody").exit_code == 1
