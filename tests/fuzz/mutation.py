"""A mutation fuzzer: committed seeds changed by flips, cuts, splices, repeats and tokens of the target's language.

Plain Python, repeatable by its seed. Coverage-guided runs of the same targets are in guided.py.
"""

from __future__ import annotations

from pathlib import Path
from random import Random

CORPUS = Path(__file__).parents[1] / "corpus"
# Where inputs that broke a target are left, for a case to be made of each.
FAILURES = Path("build/fuzz-failures")
# Longer inputs find nothing more in these targets, and cost more.
MOST_OCTETS = 4096
MOST_CHANGES = 6

TOKENS: dict[str, tuple[bytes, ...]] = {
    "mime": (
        b"\r\n", b"\n", b"\r", b"\r\n\r\n", b"\n ", b"\t", b"--", b"--b", b"--b--", b"\r\n--b\r\n",
        b"\r\n--b--\r\n", b"From: ",
        b"To: a@b.example", b"Subject: ", b"Content-Type: ", b"multipart/mixed; boundary=b",
        b"multipart/alternative;",
        b"multipart/digest; boundary=c", b"message/rfc822", b"text/html", b"text/plain; charset=", b"; name=",
        b"*0*=",
        b"; filename*=utf-8''%C3%A9", b"Content-Transfer-Encoding: base64", b"quoted-printable", b"Content-ID: <a@b>",
        b"Content-Disposition: attachment", b"inline", b"=?utf-8?q?=C3?=", b"=?utf-8?b?w6k=?=", b"?=", b"=?",
        b"=0D=0A",
        b"=", b"==", b"=\r\n", b"QUJD", b"\xc3\xa9", b"\xff", b"\0", b"\x1b$B", b"\x1b(B", b"utf-16",
        b"iso-2022-jp", b"shift_jis",
        b"\xef\xbb\xbf", b"gb18030", b"utf-32", b"hz-gb-2312", b'"', b"\\", b"(", b")", b"<", b">", b"@", b",",
        b";", b":", b"[", b"]",
        b"iso-8859-1", b"us-ascii", b"\xe2\x80\xa8", b"\xc2\x85", b"mailto:",
    ),
    "smtp": (
        b"\r\n", b"\n", b"\r", b"\0", b".", b"\r\n.\r\n", b"\r\n..", b"\n.\n", b"\r.\r", b"EHLO a\r\n",
        b"HELO a\r\n", b"NOOP\r\n",
        b"RSET\r\n", b"AUTH PLAIN ", b"AUTH LOGIN\r\n", b"AGdvb2QAcGFzcw==\r\n", b"*\r\n", b"=\r\n",
        b"MAIL FROM:<a@b>",
        b"RCPT TO:<c@d>\r\n", b"DATA\r\n", b"BDAT 5\r\n", b"BDAT 3 LAST\r\n", b"BDAT 0 LAST\r\n", b" SIZE=9",
        b" BODY=BINARYMIME",
        b" SMTPUTF8", b" RET=FULL", b" NOTIFY=NEVER", b"QUIT\r\n", b"STARTTLS\r\n", b"\x16\x03", b"\xc3\xbc",
        b"\xff", b"x" * 90,
        b"<", b">", b"@", b'"', b"\\", b"[127.0.0.1]", b"[IPv6:::1]", b"@x,@y:", b"n,,n=ann,r=abc",
        b"c=biws,r=abcserver-nonce,p=",
        b"n,a=b,", b"\x01", b"auth=Bearer ", b"user=", b"digest-uri=\"smtp/gateway.test\"", b"username=\"ann\"",
        b",", b"=",
        b"PROXY TCP4 ", b"PROXY TCP6 ", b"PROXY UNKNOWN\r\n", b"192.0.2.1 ", b"2001:db8::1 ", b"65535", b"65536",
        b"\r\n\r\n\0\r\nQUIT\n", b"\x21\x11\0\x0c", b"\x20\0\0\0", b"\x21\x21\0\x24",
    ),
}  # fmt: skip


class Mutator:
    """Endless inputs from seeds; the same seed number gives the same inputs."""

    def __init__(self, seeds: list[bytes], tokens: tuple[bytes, ...], seed: int) -> None:
        self._seeds = seeds or [b""]
        self._tokens = tokens
        self._random = Random(seed)

    def next_input(self) -> bytes:
        """One more input of at most MOST_OCTETS."""
        octets = self._random.choice(self._seeds)
        for _ in range(self._random.randint(1, MOST_CHANGES)):
            octets = self._changed(octets)
        return octets[:MOST_OCTETS]

    def _changed(self, octets: bytes) -> bytes:
        random = self._random
        start = random.randint(0, len(octets))
        stop = min(start + random.choice((0, 1, 2, 4, 8, 32, 128)), len(octets))
        match random.randrange(6):
            case 0:  # flip a bit
                flipped = bytes((octets[start] ^ 1 << random.randrange(8),)) if start < len(octets) else b""
                return octets[:start] + flipped + octets[start + 1 :]
            case 1:  # cut out
                return octets[:start] + octets[stop:]
            case 2:  # repeat
                return octets[:stop] + octets[start:stop] * random.choice((1, 2, 9)) + octets[stop:]
            case 3:  # splice
                other = random.choice(self._seeds)
                return octets[:start] + other[random.randint(0, len(other)) :]
            case 4:  # a random octet
                return octets[:start] + random.randbytes(1) + octets[stop:]
            case _:
                return octets[:start] + random.choice(self._tokens) + octets[stop:]


def seeds_of(target: str) -> list[bytes]:
    """The committed seeds of a target, those of the MIME corpus too where they are whole messages."""
    paths = sorted((CORPUS / "fuzz" / target).glob("*"))
    if target in ("content", "structure"):
        paths += sorted((CORPUS / "mime").glob("*.eml"))
    return [octets for path in paths if len(octets := path.read_bytes()) <= MOST_OCTETS]
