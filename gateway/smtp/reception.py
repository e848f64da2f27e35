"""How sessions are received on one listener: by default, by the server name of TLS, and by what their login has told.

A listener on which several dialects are spoken does not know at first which one a session speaks. The server name may
tell it (RFC 6066 §3), else the login does; what a dialect is, and how it is told, is not known here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from twisted.cred.portal import Portal

from gateway.smtp.extensions import SessionRules


@dataclass(frozen=True, slots=True)
class Reception:
    """The rules of a session and the portal that it logs in to.

    by_dialect: the rules from the login on, by the dialect that the avatar names; empty where rules holds throughout.
    """

    rules: SessionRules
    portal: Portal
    by_dialect: Mapping[str, SessionRules] = field(default_factory=dict)

    def rules_for(self, avatar: object) -> SessionRules:
        """What holds for a session once it has this avatar."""
        return self.by_dialect.get(getattr(avatar, "dialect", ""), self.rules)


@dataclass(frozen=True, slots=True)
class Receptions:
    """The receptions of one listener: by_name has server names in lower case, "*.name" standing for one label more."""

    default: Reception
    by_name: Mapping[str, Reception] = field(default_factory=dict)

    def named(self, server_name: bytes | None) -> Reception:
        """That of the server name that a client has asked for; the default when it has asked for none, or another."""
        name = (server_name or b"").decode("ascii", "replace").lower()
        return self.by_name.get(name) or self.by_name.get("*." + name.partition(".")[2]) or self.default
