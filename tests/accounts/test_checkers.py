"""Who a login belongs to: a vendor's API key, or a credential of the operator; and what is refused in which words."""

from __future__ import annotations

import datetime

import pytest
from twisted.cred.credentials import UsernamePassword
from twisted.cred.error import UnauthorizedLogin
from twisted.cred.portal import Portal
from twisted.internet.defer import Deferred, succeed
from twisted.mail.smtp import IMessageDelivery
from zope.interface import Interface

from gateway.accounts.account import Account, fingerprint
from gateway.accounts.checkers import ApiKeyChecker, CredentialChecker, DialectChecker
from gateway.accounts.credentials import StoredCredentials, make_credential
from gateway.accounts.realm import SubmissionRealm
from gateway.accounts.remembered import RememberedAnswers
from gateway.errors import LoginRefused, LoginUndecided
from gateway.outcome import Cause
from tests.store.waiting import WaitingStore

NOW = datetime.datetime(2026, 11, 21, 16, 0, 5, 123456, tzinfo=datetime.UTC)
KEY = "ps_live_good"


class Vendor:
    """Knows one key; is down for another."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def __call__(self, key: str) -> bool | None:
        self.asked.append(key)
        return {KEY: True, "ps_down_": None}.get(key, False)


class Threads:
    """Runs the call at once, and counts."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, call):
        self.calls += 1
        return succeed(call())


@pytest.fixture
def vendor():
    return Vendor()


@pytest.fixture
def threads():
    return Threads()


@pytest.fixture
def store(tmp_path):
    made = WaitingStore(tmp_path / "store.sqlite")
    made.open()
    yield made
    made.close()


@pytest.fixture
def checker(vendor, store, threads):
    keys = ApiKeyChecker("postscale", "main", vendor, RememberedAnswers(lambda: 0.0))
    stored = StoredCredentials(store, RememberedAnswers(lambda: 0.0), threads)
    credentials = CredentialChecker("postscale", stored, frozenset({"main"}))
    return DialectChecker("postscale", keys, credentials)


def log_in(checker, user_name, password):
    """The account, or the error that the login ended in."""
    told: list[object] = []
    credentials = UsernamePassword(user_name.encode(), password.encode())
    checker.requestAvatarId(credentials).addCallbacks(told.append, lambda failure: told.append(failure.value))
    (only,) = told
    return only


def refused(error, cause=Cause.AUTHENTICATION_FAILED):
    return isinstance(error, LoginRefused) and isinstance(error, UnauthorizedLogin) and error.cause is cause


# -- the vendor's own keys


@pytest.mark.parametrize("user_name", ["postscale", "Postscale", "POSTSCALE"])
def test_a_good_key_is_an_account_named_by_its_fingerprint(checker, user_name):
    account = log_in(checker, user_name, KEY)
    assert account == Account(f"main/key-{fingerprint(KEY)}", "postscale", "main", KEY)
    assert KEY not in f"{account} {account!r}"


def test_a_bad_key_is_refused_and_one_that_cannot_be_checked_is_undecided(checker):
    assert refused(log_in(checker, "postscale", "ps_live_bad"))
    undecided = log_in(checker, "postscale", "ps_down_")
    assert isinstance(undecided, LoginUndecided)
    assert "ps_down_" not in str(undecided)


@pytest.mark.parametrize(
    "password",
    ["", " ", "ps live", " ps_live", "ps_live\r\nX-Evil: 1", "ps_live\n", "ps\0live", "ps_\x7f", "pä", "x" * 4097],
)
def test_what_cannot_be_a_key_is_refused_without_asking_the_vendor(checker, vendor, password):
    assert refused(log_in(checker, "postscale", password))
    assert vendor.asked == []


def test_the_longest_key_is_asked_about(checker, vendor):
    log_in(checker, "postscale", "x" * 4096)
    assert vendor.asked == ["x" * 4096]


def test_the_vendor_is_asked_once_about_a_key(checker, vendor):
    for _ in range(3):
        log_in(checker, "postscale", KEY)
        log_in(checker, "postscale", "ps_live_bad")
    assert vendor.asked == [KEY, "ps_live_bad"]


# -- credentials of the operator


def test_a_credential_stands_for_its_vendor_and_holds_no_key(checker, store):
    secret = make_credential(store, "shop-1", "main", NOW)
    assert log_in(checker, "shop-1", secret) == Account("main/user-shop-1", "postscale", "main", None, "shop-1")


def test_a_user_name_is_compared_without_case_and_is_one_account(checker, store):
    secret = make_credential(store, "Shop-1", "main", NOW)
    assert log_in(checker, "SHOP-1", secret) == log_in(checker, "shop-1", secret)


@pytest.mark.parametrize("user_name", ["nobody", "", "postscale2", "shop-1' OR 1=1 --", "ö", "a\0b"])
def test_a_user_name_that_nobody_made_is_told_apart(checker, user_name):
    assert refused(log_in(checker, user_name, "x"), Cause.USER_NAME_INVALID)


def test_a_wrong_secret_is_refused(checker, store):
    secret = make_credential(store, "shop-1", "main", NOW)
    for wrong in ("", secret[:-1], secret + " ", secret.swapcase(), "x" * 100_000, "\0"):
        assert refused(log_in(checker, "shop-1", wrong))


def test_a_deactivated_credential_is_refused_even_when_it_was_good_a_moment_ago(checker, store):
    secret = make_credential(store, "shop-1", "main", NOW)
    assert isinstance(log_in(checker, "shop-1", secret), Account)
    store.run(lambda one: one.deactivate_credential("shop-1"))
    assert refused(log_in(checker, "shop-1", secret))


def test_a_credential_whose_vendor_has_no_key_has_to_wait(checker, store):
    secret = make_credential(store, "shop-2", "keyless", NOW)
    error = log_in(checker, "shop-2", secret)
    assert isinstance(error, LoginUndecided)
    assert "vendors.keyless" in str(error)


def test_a_store_that_cannot_be_read_leaves_the_login_undecided(checker, store):
    store.path.write_bytes(b"this is no database, but it is long enough to be read as one" * 100)
    assert isinstance(log_in(checker, "shop-1", "x"), LoginUndecided)


def test_the_slow_hash_is_computed_once_for_a_good_secret(checker, store, threads):
    secret = make_credential(store, "shop-1", "main", NOW)
    log_in(checker, "shop-1", secret)
    before = threads.calls
    log_in(checker, "shop-1", secret)
    assert threads.calls == before == 1  # the hash is remembered


# -- making credentials


def test_a_secret_is_shown_once_and_kept_as_argon2id_only(store):
    secret = make_credential(store, "shop-1", "main", NOW)
    (kept,) = store.look(lambda one: one.credentials())
    assert len(secret) == 32
    assert kept.secret_hash.startswith("$argon2id$")
    assert kept.created_at == "2026-11-21T16:00:05+00:00"
    assert secret.encode() not in store.path.read_bytes()


def test_two_secrets_differ(store):
    assert make_credential(store, "shop-1", "main", NOW) != make_credential(store, "shop-2", "main", NOW)


@pytest.mark.parametrize("user_name", ["shop-1", "SHOP-1"])
def test_a_user_name_that_is_taken_is_refused_and_the_old_secret_goes_on_working(checker, store, user_name):
    secret = make_credential(store, "shop-1", "main", NOW)
    with pytest.raises(ValueError, match="already"):
        make_credential(store, user_name, "main", NOW)
    assert isinstance(log_in(checker, "shop-1", secret), Account)


@pytest.mark.parametrize("user_name", ["", "ab", "a b", "-ab", "a\nb", "abc\n", "äöü", "x" * 65, "a:b", "a\0bc"])
def test_a_user_name_that_would_trouble_somebody_is_refused(store, user_name):
    with pytest.raises(ValueError, match="3 to 64"):
        make_credential(store, user_name, "main", NOW)


# -- the realm


def test_a_login_gets_a_delivery_of_its_own(checker):
    portal = Portal(SubmissionRealm(lambda account: ["delivery", account.name]), [checker])
    told: list[object] = []
    portal.login(UsernamePassword(b"postscale", KEY.encode()), None, IMessageDelivery).addCallback(told.append)
    ((interface, avatar, logout),) = told
    assert (interface, avatar) == (IMessageDelivery, ["delivery", f"main/key-{fingerprint(KEY)}"])
    assert logout() is None


def test_the_realm_gives_nothing_else():
    with pytest.raises(NotImplementedError):
        SubmissionRealm(lambda account: account).requestAvatar("a", None, Interface)


def test_the_answer_is_a_deferred_as_cred_wants_it(checker):
    answer = checker.requestAvatarId(UsernamePassword(b"postscale", b""))
    assert isinstance(answer, Deferred)
    answer.addErrback(lambda failure: None)
