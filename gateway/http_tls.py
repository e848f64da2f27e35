"""TLS towards the vendors: verified by service-identity, and closed when anything at all is in doubt.

Twisted's own client check lets a certificate pass when service-identity finds it unfit rather than mismatched (26.4 to
26.10), and reads the trust store anew for each connection; this policy does neither.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from pathlib import Path

from OpenSSL import SSL, crypto
from service_identity.hazmat import DNS_ID, IPAddress_ID, verify_service_identity
from service_identity.pyopenssl import extract_patterns
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator
from twisted.protocols.tls import TLSMemoryBIOProtocol
from twisted.python.failure import Failure
from twisted.web.iweb import IPolicyForHTTPS
from zope.interface import implementer

TRUST_SECONDS = 3600  # so that an update of the system's trust store arrives without a restart


@implementer(IPolicyForHTTPS)
class VerifiedHttps:
    """Makes client connections that a vendor's certificate has to convince.

    ca_file holds further roots to trust in place of the system's, in PEM form.
    """

    def __init__(self, seconds: Callable[[], float], ca_file: Path | None = None) -> None:
        self._seconds = seconds
        self._ca_file = ca_file
        self._context = self._make_context()
        self._made_at = seconds()

    def creatorForNetloc(self, hostname: bytes, port: int) -> VerifiedConnections:
        """The maker of connections to this host."""
        if self._seconds() - self._made_at > TRUST_SECONDS:
            self._context = self._make_context()
            self._made_at = self._seconds()
        return VerifiedConnections(self._context, hostname.decode("ascii"))

    def _make_context(self) -> SSL.Context:
        context = SSL.Context(SSL.TLS_CLIENT_METHOD)
        context.set_min_proto_version(SSL.TLS1_2_VERSION)
        context.set_options(SSL.OP_NO_COMPRESSION)
        if self._ca_file is None:
            context.set_default_verify_paths()
        else:
            context.load_verify_locations(str(self._ca_file))
        return context


@implementer(IOpenSSLClientConnectionCreator)
class VerifiedConnections:
    """Makes connections to one host."""

    def __init__(self, context: SSL.Context, hostname: str) -> None:
        self._context = context
        self._hostname = hostname
        self._address = _ip_address(hostname)

    def clientConnectionForTLS(self, tlsProtocol: TLSMemoryBIOProtocol) -> SSL.Connection:
        """A connection that fails its handshake unless the chain and the name are good."""
        connection = SSL.Connection(self._context, None)
        if self._address is None:
            connection.set_tlsext_host_name(self._hostname.encode("ascii"))  # RFC 6066 §3: names, no addresses

        def verify(_: SSL.Connection, certificate: crypto.X509, error: int, depth: int, chain_ok: int) -> bool:
            if not chain_ok or depth > 0:
                return bool(chain_ok)
            return self._is_named(certificate, tlsProtocol)

        connection.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, verify)
        return connection

    def _is_named(self, certificate: crypto.X509, tls_protocol: TLSMemoryBIOProtocol) -> bool:
        wanted = DNS_ID(self._hostname) if self._address is None else IPAddress_ID(self._address)
        try:
            verify_service_identity(extract_patterns(certificate), [wanted], [])
        except Exception:  # a certificate that cannot be judged is not good
            tls_protocol.failVerification(Failure())
            return False
        return True


def _ip_address(hostname: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(hostname.strip("[]"))
    except ValueError:
        return None
