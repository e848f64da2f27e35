"""EXTERNAL (RFC 4422 appendix A): the client is who its TLS certificate says."""

from __future__ import annotations

from gateway.smtp.mechanisms.exchange import CertificateLogin, Circumstances, Exchange, RefusedLogin, name_of


def external(initial: bytes | None, circumstances: Circumstances) -> Exchange:
    """The response is empty, or the identity to act as, which has to be the certificate's own."""
    response = (yield b"") if initial is None else initial
    certificate_name = circumstances.channel.certificate_name
    wanted = name_of(response) if response else certificate_name
    if certificate_name is None:
        return RefusedLogin(wanted or "", "no client certificate")
    if wanted != certificate_name:
        return RefusedLogin(certificate_name, "authorization identity differs from the certificate's name")
    return CertificateLogin(certificate_name)
