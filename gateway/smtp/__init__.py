"""Speaks SMTP submission (RFC 6409) and has never heard of a vendor."""
