"""Mail data read into the neutral content, and JSON documents written as request octets.

No vendor and no Twisted in here; everything may run in a thread. No file holds a whole message in memory.
"""
