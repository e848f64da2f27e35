"""Tells twistd where the gateway is."""

from twisted.application.service import ServiceMaker

mailgateway = ServiceMaker(
    "mailgateway",
    "gateway.service",
    "An application speaks SMTP to it; the message leaves through an email vendor's HTTP API.",
    "mailgateway",
)
