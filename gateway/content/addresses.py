"""Address fields (RFC 5322 §3.4, obsolete forms of §4.4 too) -> mailboxes, and a mailbox -> text for an API.

Nothing raises: what cannot be read as a mailbox is left out. Whether an address may be mailed is for others.
"""

from __future__ import annotations

import re

from gateway.content.parameters import QUOTED_STRING, after_comment, unquote
from gateway.content.words import ENCODED_WORD, decode_words, without_controls
from gateway.message import Mailbox

# An encoded word is one token, because some programs leave commas in it; blanks are a token, because they part words.
_TOKEN = re.compile(
    rf'=\?[^?\s]+\?[bBqQ]\?[^?\s]*\?=|{QUOTED_STRING}|\[[^\]]*\]?|\s+|[<>,;:(]|[^\s"(,:;<>\[]+',
    re.DOTALL | re.ASCII,
)
# A blank beyond US-ASCII is part of a name, not folding white space (RFC 5322 §3.2.2).
_BLANKS = " \t\r\n\f\v"
# What asks for the full scanner: quoting, comments, groups, literals, and encoded words that may hide a comma.
_INTRICATE = re.compile(r'["(:;\[\\]|=\?')
# What most fields are: one mailbox, whose name asks for no unquoting and no decoding.
_USUAL = re.compile(
    r"([ !#$%&'*+\-./0-9A-Z^_`a-z{|}~]*+)<([!#$%&'*+\-./0-9=A-Z^_`a-z{|}~]++@[\-.0-9A-Za-z]++)>",
)
_PLAIN_ADDRESS = re.compile(r"[^\s\"(),:;<>@\[\]\\]+@[^\s\"(),:;<>@\[\]\\]+")
_ADDRESS = re.compile(
    r'(?:[^\s"(),:;<>@\[\]\\]+|"[^"\\]*(?:\\.[^"\\]*)*")@(?:[^\s"(),:;<>@\[\]\\]+|\[[^\s\[\]\\<>]*\])', re.DOTALL
)
# Characters of a display name that need no quotes: atext (RFC 5322 §3.2.3), blanks, anything beyond US-ASCII.
_BARE_NAME = re.compile(r"[\w!#$%&'*+/=?^`{|}~\-\u0080-\U0010ffff]+(?: [\w!#$%&'*+/=?^`{|}~\-\u0080-\U0010ffff]+)*")


def folded(address: str) -> str:
    """An address, or a domain, in the form in which it is compared: ASCII letters without case, all else as it is.

    casefold() would make one mailbox of straße@ and strasse@, and so one of two recipients.
    """
    if address.isascii():
        return address.lower()
    return address.encode("utf-8", "surrogatepass").lower().decode("utf-8", "surrogatepass")


def parse_mailboxes(body: str) -> list[Mailbox]:
    """The mailboxes of an address field in order; members of groups are listed, an empty group gives none."""
    usual = _USUAL.fullmatch(body)
    if usual is not None:
        return [Mailbox(usual[1].strip(), usual[2])]
    if _INTRICATE.search(body):
        return _Scan(body).mailboxes
    return [mailbox for entry in body.split(",") if (mailbox := _plain_mailbox(entry))]


def format_mailbox(mailbox: Mailbox) -> str:
    """`address` or `Name <address>`; the name quoted where RFC 5322 asks for it, non-ASCII left as it is."""
    address = without_controls(mailbox.address)
    name = without_controls(mailbox.display_name).strip()
    if not name:
        return address
    if not _BARE_NAME.fullmatch(name):
        name = '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return f"{name} <{address}>"


def _plain_mailbox(entry: str) -> Mailbox | None:
    """An entry of plain words, with or without angle brackets."""
    name, bracket, rest = entry.partition("<")
    if bracket:
        return _mailbox(name, rest.partition(">")[0])
    entry = entry.strip()
    if _PLAIN_ADDRESS.fullmatch(entry) and entry.isprintable():
        return Mailbox("", entry)
    return _bare(entry.split(), "")


def _mailbox(phrase: str, address: str) -> Mailbox | None:
    """A mailbox of a raw phrase and what stood in the angle brackets; None when that is no address."""
    address = address.strip() if '"' in address else "".join(address.split())
    address = address.lstrip("<")  # brackets written twice
    if address[:7].lower() == "mailto:":  # pasted from a page
        address = address[7:]
    if address.startswith("@"):
        address = address.rpartition(":")[2]  # a source route, obsolete (RFC 5321 §4.1.1.3, appendix C)
    address = without_controls(address)
    if not _ADDRESS.fullmatch(address):
        return None
    return Mailbox(decode_words(phrase).strip(), address)


def _bare(words: list[str], comment: str) -> Mailbox | None:
    """An address without angle brackets, among words that are no part of it; blanks around dots and @ are allowed."""
    runs: list[list[str]] = []
    for word in words:
        if runs and (word[0] in ".@" or runs[-1][-1][-1] in ".@"):
            runs[-1].append(word)
        else:
            runs.append([word])
    texts = ["".join(run) for run in runs]
    for place, text in enumerate(texts):
        if "@" in text and (mailbox := _mailbox("", text)):
            phrase = " ".join(texts[:place] + texts[place + 1 :])
            return Mailbox(decode_words(phrase).strip() or comment, mailbox.address)
    return None


class _Scan:
    """One walk over an address field, token by token."""

    def __init__(self, body: str) -> None:
        self.mailboxes: list[Mailbox] = []
        self._begin()
        offset = 0
        while match := _TOKEN.match(body, offset):
            offset = match.end()
            if match[0] == "(":
                offset = after_comment(body, match.start())
                self._comment = body[match.end() : offset].removesuffix(")")
                self._blank = True
            else:
                self._take(match[0])
        self._end()

    def _begin(self) -> None:
        """Nothing is known yet of the next entry. words are runs of tokens without blanks between them."""
        self._words: list[list[str]] = []
        self._angle: list[str] | None = None
        self._closed = False
        self._blank = True
        self._comment = ""

    def _take(self, piece: str) -> None:
        if self._angle is not None and not self._closed:
            self._inside_angle(piece)
        elif piece in (",", ";"):
            self._end()
        elif piece == ":":
            self._begin()  # what stood before it was the name of a group
        elif piece == "<":
            self._angle = []
        elif not piece.strip(_BLANKS):
            self._blank = True
        elif piece != ">":
            self._word(piece)

    def _inside_angle(self, piece: str) -> None:
        assert self._angle is not None
        if piece == ">":
            self._closed = True
        elif piece.strip(_BLANKS):
            self._angle.append(piece)

    def _word(self, token: str) -> None:
        if self._blank or not self._words:
            self._words.append([])
        self._words[-1].append(token)
        self._blank = False

    def _end(self) -> None:
        """The entry is complete: keep it when it is a mailbox."""
        if self._angle is not None:
            phrase = _phrase(self._words) or self._comment
            mailbox = _mailbox(phrase, "".join(self._angle))
        else:
            mailbox = _bare(["".join(word) for word in self._words], decode_words(self._comment).strip())
        if mailbox:
            self.mailboxes.append(mailbox)
        self._begin()


def _phrase(words: list[list[str]]) -> str:
    """The raw text of a display name: quotes undone, words parted by single blanks, encoded words not yet decoded."""
    return " ".join("".join(_spaced(tokens)) for tokens in words)


def _spaced(tokens: list[str]) -> list[str]:
    """The tokens of one word, unquoted; an encoded word that touches its neighbour is still a word of its own."""
    if len(tokens) == 1:
        return [unquote(tokens[0])]
    return [f" {token} " if ENCODED_WORD.fullmatch(token) else unquote(token) for token in tokens]
