"""A gateway (RFC 5598 §5.4): applications speak SMTP to it, their mail leaves through an email vendor's HTTP API."""

__version__ = "0.1.0"
