"""The credentials of a store."""

from __future__ import annotations

from gateway.scram import ScramVerifier
from gateway.store.credential import Credential
from gateway.store.database import Row, Taken
from gateway.store.part import Part, marks

COLUMNS = (
    "user_name, secret_hash, vendor, active, created_at, stream, last_used_at,"
    " scram_salt, scram_iterations, scram_stored_key, scram_server_key, sealed_secret"
)


class CredentialRows(Part):
    """What interface.Transaction says of credentials."""

    def add_credential(self, credential: Credential) -> None:
        """Keep a new credential; ValueError when the user name is taken."""
        one = credential
        known = (one.user_name, one.secret_hash, one.vendor, one.active, one.created_at, one.stream)
        row = (*known, one.last_used_at or None, *_proofs(one))
        try:
            self._changed(f"INSERT INTO credentials ({COLUMNS}) VALUES ({marks(row)})", *row)
        except Taken:
            raise ValueError(f"there is a credential with the user name {one.user_name} already") from None

    def credential(self, user_name: str) -> Credential | None:
        """The credential of that user name, active or not."""
        row = self._one(f"SELECT {COLUMNS} FROM credentials WHERE {self._database.user_name_is}", user_name)
        return _credential(row) if row else None

    def credentials(self) -> list[Credential]:
        """All credentials, by user name."""
        return [_credential(row) for row in self._all(f"SELECT {COLUMNS} FROM credentials ORDER BY lower(user_name)")]

    def deactivate_credential(self, user_name: str) -> bool:
        """Let nobody log in with it any more; False when there is none of that name."""
        sql = f"UPDATE credentials SET active = 0 WHERE {self._database.user_name_is}"
        return self._changed(sql, user_name) > 0

    def replace_secret(self, credential: Credential) -> bool:
        """Take over the secret's forms of this credential; False when there is none of that name that is active."""
        sql = (
            "UPDATE credentials SET secret_hash = ?, scram_salt = ?, scram_iterations = ?, scram_stored_key = ?,"
            f" scram_server_key = ?, sealed_secret = ? WHERE active = 1 AND {self._database.user_name_is}"
        )
        return self._changed(sql, credential.secret_hash, *_proofs(credential), credential.user_name) > 0

    def note_login(self, user_name: str, at: str) -> None:
        """Somebody logged in with it at this time (ISO 8601, UTC)."""
        self._changed(f"UPDATE credentials SET last_used_at = ? WHERE {self._database.user_name_is}", at, user_name)

    # -- the seal

    def keep_seal(self, sealed: bytes) -> None:
        """Keep this as what was sealed first, unless there is one."""
        self._changed("INSERT INTO seal (id, sealed) VALUES (1, ?) ON CONFLICT DO NOTHING", sealed)

    def first_sealed(self) -> bytes | None:
        """What was sealed first; None in a store that has never been asked."""
        row = self._one("SELECT sealed FROM seal")
        return bytes(row[0]) if row else None

    def some_sealed(self) -> tuple[str, bytes] | None:
        """A secret that is sealed and needed still, and the name it is sealed to; None when there is none."""
        row = self._one(
            "SELECT user_name, sealed_secret FROM credentials WHERE sealed_secret IS NOT NULL LIMIT 1"
        ) or self._one(
            "SELECT m.message_id, m.sealed_key FROM queue q JOIN messages m ON m.message_id = q.message_id"
            " WHERE m.sealed_key IS NOT NULL LIMIT 1"
        )
        return (str(row[0]), bytes(row[1])) if row else None


def _proofs(credential: Credential) -> tuple[object, ...]:
    """The columns of the SCRAM verifier and of the sealed secret."""
    one = credential.scram
    scram = (one.salt, one.iterations, one.stored_key, one.server_key) if one else (None,) * 4
    return (*scram, credential.sealed_secret)


def _credential(row: Row) -> Credential:
    user_name, secret_hash, vendor, active, created_at, stream, last_used_at, *scram, sealed_secret = row
    verifier = ScramVerifier(*scram) if scram[0] is not None else None
    known = (user_name, secret_hash, vendor, bool(active), created_at, verifier, sealed_secret)
    return Credential(*known, stream=stream, last_used_at=last_used_at or "")
