"""Strict local stand-ins of the vendors' send APIs, and the inbox that shows what they received.

A stand-in answers as the vendor's contract says and delivers nothing. Which address it listens on is the wiring's.
"""
