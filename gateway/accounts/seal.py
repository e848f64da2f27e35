"""The key in the state folder: it encrypts the secrets that must be kept, and makes what looks like a credential.

Whoever has the key and the store has the secrets, so the key is not in the store, and a copy of the store is worthless.
Gateways that share a store share the key too: by the setting, which stands in place of the file.
"""

from __future__ import annotations

import base64
import hmac
import os
import secrets
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gateway.scram import HASH_OCTETS, LEAST_ITERATIONS, SALT_OCTETS, ScramVerifier
from gateway.store.interface import Store, StoreError, Transaction

KEY_FILE = "credentials.key"
KEY_OCTETS = 32
SETTING = "[store] key"
FIRST = "mailgateway"
"""What each store has sealed from its first start on, under this name."""
NONCE_OCTETS = 12  # what AES-GCM is made for; random ones are good for 2^32 secrets (NIST SP 800-38D §8.3)


class Seal:
    """Seals secrets, each to its user name. StoreError when the key file cannot be made or read."""

    def __init__(self, folder: Path, key: bytes | None = None) -> None:
        """With this key; without one, read that of this folder, or make it."""
        self._place = KEY_FILE if key is None else SETTING
        if key is None:
            key = _of_folder(folder)
        self._cipher = AESGCM(_derive(key, b"seal"))
        self._false_key = _derive(key, b"false")

    def seal(self, user_name: str, secret: str) -> bytes:
        """The secret, encrypted; it opens under this user name alone, so that nobody can move it to another."""
        nonce = secrets.token_bytes(NONCE_OCTETS)
        return nonce + self._cipher.encrypt(nonce, secret.encode(), _bound(user_name))

    def open(self, user_name: str, sealed: bytes) -> str:
        """The secret. StoreError when it was not sealed with this key, under this name."""
        try:
            return self._cipher.decrypt(sealed[:NONCE_OCTETS], sealed[NONCE_OCTETS:], _bound(user_name)).decode()
        except (InvalidTag, ValueError):
            raise StoreError(f"the sealed secret of {user_name} does not fit {self._place}") from None

    def misfit(self, store: Store) -> str:
        """Why secrets in this store cannot be opened with this key; "" when they can. Blocks; StoreError."""
        first = store.run(self._first)
        name, sealed = first if isinstance(first, tuple) else (FIRST, first)
        try:
            self.open(name, sealed)
        except StoreError:
            other = "its secrets were sealed with another key"
            return f"{store.name}: {other} than that of {self._place}: expected the one that this store was begun with"
        return ""

    def _first(self, transaction: Transaction) -> bytes | tuple[str, bytes]:
        """What this key has to open. A store that is older than the question answers with a secret."""
        first = transaction.first_sealed()
        if first is not None:
            return first
        some = transaction.some_sealed()
        if some is not None:
            try:
                self.open(*some)
            except StoreError:
                return some
        transaction.keep_seal(self.seal(FIRST, FIRST))
        return transaction.first_sealed() or b""

    def false_verifier(self, user_name: str) -> ScramVerifier:
        """For a name without a verifier: the salt is the same each time, as a real one's would be; no proof fits it."""
        salt = hmac.digest(self._false_key, _bound(user_name), "sha256")[:SALT_OCTETS]
        keys = secrets.token_bytes(HASH_OCTETS), secrets.token_bytes(HASH_OCTETS)
        return ScramVerifier(salt, LEAST_ITERATIONS, *keys)

    def false_sealed_secret(self, user_name: str) -> bytes:
        """For a name without a sealed secret: one that opens as any other does, and that nobody has ever seen."""
        return self.seal(user_name, secrets.token_urlsafe(24))


def key_of_text(text: str) -> bytes:
    """The key as the setting has it. ValueError, without the text, when it is none."""
    try:
        key = base64.b64decode(text, validate=True)
    except ValueError:
        key = b""
    if len(key) != KEY_OCTETS:
        raise ValueError(f"expected {KEY_OCTETS} octets in base64, as `openssl rand -base64 {KEY_OCTETS}` makes them")
    return key


def _of_folder(folder: Path) -> bytes:
    path = folder / KEY_FILE
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        key = _read_or_make(path)
    except StoreError:
        raise
    except OSError as error:
        raise StoreError(f"{path}: {error.strerror}") from None
    if len(key) != KEY_OCTETS:
        raise StoreError(f"{path}: not a key of {KEY_OCTETS} octets")
    return key


def _read_or_make(path: Path) -> bytes:
    """The key file's octets. Made whole under another name first, so that two at once end with one key."""
    if not path.exists():
        new = path.with_name(f"{KEY_FILE}.{secrets.token_hex(8)}")
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(secrets.token_bytes(KEY_OCTETS))
            file.flush()
            os.fsync(descriptor)
        try:
            path.hardlink_to(new)
        except FileExistsError:
            pass  # somebody else was first, and theirs counts
        finally:
            new.unlink()
    if path.stat().st_mode & 0o077:
        raise StoreError(f"{path}: others may read it; expected mode 0600")
    return path.read_bytes()


def _derive(key: bytes, purpose: bytes) -> bytes:
    """A key for one purpose alone; the key is random already, so this is all that HKDF would do (RFC 5869 §3.3)."""
    return hmac.digest(key, purpose, "sha256")


def _bound(user_name: str) -> bytes:
    """The store compares user names without case."""
    return user_name.lower().encode()
