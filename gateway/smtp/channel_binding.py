"""Channel binding data (RFC 5056) of a TLS connection: what both ends see alike, and nobody in the middle can.

Called once, behind the handshake. Which SASL mechanism uses it is not told here.
"""

from __future__ import annotations

from collections.abc import Mapping

from cryptography.hazmat.primitives import hashes, serialization
from OpenSSL import SSL

EXPORTER_LABEL = b"EXPORTER-Channel-Binding"
EXPORTER_OCTETS = 32


def channel_bindings(connection: SSL.Connection) -> Mapping[str, bytes]:
    """The data by type; empty where the connection has none that can be trusted.

    TLS 1.3: tls-exporter (RFC 9266 §2). TLS 1.2: tls-unique (RFC 5929 §3), and only with an extended master secret,
    because without one two connections can be made to share it (RFC 7627 §1). Both: tls-server-end-point (RFC 5929 §4).
    """
    if connection.get_protocol_version_name() == "TLSv1.3":
        data = {"tls-exporter": connection.export_keying_material(EXPORTER_LABEL, EXPORTER_OCTETS, b"")}
    elif _has_extended_master_secret(connection):
        data = {"tls-unique": _first_finished(connection) or b""}
    else:
        return {}
    end_point = _server_end_point(connection)
    return data | {"tls-server-end-point": end_point} if end_point else data


def _has_extended_master_secret(connection: SSL.Connection) -> bool:
    return _ask_openssl(connection, "SSL_get_extms_support") == 1


def _ask_openssl(connection: SSL.Connection, name: str) -> int | None:
    """A question that pyOpenSSL has no public face for; None, so no binding for TLS 1.2, where its inside is new."""
    ask, inside = getattr(getattr(SSL, "_lib", None), name, None), getattr(connection, "_ssl", None)
    return int(ask(inside)) if ask is not None and inside is not None else None


def _first_finished(connection: SSL.Connection) -> bytes | None:
    """The first Finished message: the client's, or in a session that was taken up again the server's."""
    return (
        connection.get_finished() if _ask_openssl(connection, "SSL_session_reused") else connection.get_peer_finished()
    )


def _server_end_point(connection: SSL.Connection) -> bytes | None:
    """The hash of our certificate, by its signature's own algorithm unless that is too old (RFC 5929 §4.1)."""
    certificate = connection.get_certificate(as_cryptography=True)
    algorithm = certificate.signature_hash_algorithm if certificate is not None else None
    if certificate is None or algorithm is None:
        return None
    if isinstance(algorithm, hashes.MD5 | hashes.SHA1):
        algorithm = hashes.SHA256()
    digest = hashes.Hash(algorithm)
    digest.update(certificate.public_bytes(serialization.Encoding.DER))
    return digest.finalize()
