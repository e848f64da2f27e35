"""Dialog files: what a client says and what it must hear, octet by octet.

"# ..." is a comment; "name: value" lines before the first step are settings; then the steps:
    C: text      a client line, CRLF added          C~ octets    Python-escaped octets as they are
    S: reply     a reply line; "..." at its end stands for any rest
    S* code      a whole reply of that code, however many lines it has
    P: class     Postfix answers with another class (2 to 5, or "-" for hanging up) than the reply line before, and a
                 comment "# Postfix:" says why
    TLS          the handshake happens here         CLOSE        the server closes
    REPEAT n     the steps up to END, n times; {n} in them is the number of the turn, from 1
<<x*n>> in client lines stands for x, n times. Settings: listener, enhanced, limits (name=number ...),
together: no (the client has to wait, so its blocks cannot go in one segment), octets: no (must be one segment),
portable: yes (another server should give replies of the same classes, and Postfix does but for the P lines).
"""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass, field
from pathlib import Path

FOLDER = Path(__file__).parents[1] / "dialogs"
SETTINGS = ("listener", "enhanced", "limits", "together", "octets", "portable")
_REPETITION = re.compile(r"<<([^<>]+?)\*(\d+)>>")


class DialogSyntaxError(Exception):
    """A dialog file has a line that means nothing."""


@dataclass(slots=True)
class Block:
    """What the client says in one go, the reply lines it hears then, and what happens after them.

    postfix holds the class of Postfix's reply where it is another one, by the index of the reply line.
    """

    says: bytes = b""
    hears: list[str] = field(default_factory=list)
    postfix: dict[int, str] = field(default_factory=dict)
    then: str = ""


@dataclass(slots=True)
class Dialog:
    settings: dict[str, str]
    blocks: list[Block]

    @property
    def listener(self) -> str:
        return self.settings.get("listener", "starttls")

    @property
    def enhanced(self) -> bool:
        return self.settings.get("enhanced") == "yes"

    @property
    def limits(self) -> dict[str, int]:
        words = (word.partition("=") for word in self.settings.get("limits", "").split())
        return {name: int(value) for name, _, value in words}

    def together(self) -> list[Block]:
        """The same dialog with everything up to the next TLS marker said in one go."""
        first, *rest = self.blocks
        joined = [first, Block()] if not first.then else [first]
        for block in rest:
            if joined[-1].then or len(joined) == 1:
                joined.append(Block())
            joined[-1].says += block.says
            joined[-1].hears += block.hears
            joined[-1].then = block.then
        return joined


def read_dialog(path: Path) -> Dialog:
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if line and not line.startswith("#")]
    settings: dict[str, str] = {}
    while lines and lines[0].partition(":")[0] in SETTINGS:
        name, _, value = lines.pop(0).partition(":")
        settings[name] = value.strip()
    return Dialog(settings, _read_blocks(_repeated(lines)))


def _repeated(lines: list[str]) -> list[str]:
    out: list[str] = []
    while lines:
        line = lines.pop(0)
        if line.startswith("REPEAT "):
            end = lines.index("END")
            body, lines = lines[:end], lines[end + 1 :]
            out += [one.replace("{n}", str(turn)) for turn in range(1, int(line[7:]) + 1) for one in body]
        else:
            out.append(line)
    return out


def _read_blocks(lines: list[str]) -> list[Block]:
    blocks = [Block()]
    for line in lines:
        kind, rest = line[:3], line[3:]
        if kind in ("C: ", "C~ ") or line == "C:":
            if blocks[-1].hears or blocks[-1].then:
                blocks.append(Block())
            blocks[-1].says += _octets(kind, rest)
        elif kind == "S: ":
            blocks[-1].hears.append(rest)
        elif kind == "S* ":
            blocks[-1].hears.append("*" + rest)
        elif kind == "P: ":
            blocks[-1].postfix[len(blocks[-1].hears) - 1] = rest
        elif line in ("TLS", "CLOSE"):
            blocks[-1].then = line
        else:
            raise DialogSyntaxError(line)
    return blocks


def _octets(kind: str, text: str) -> bytes:
    text = _REPETITION.sub(lambda match: match[1] * int(match[2]), text)
    if kind == "C~ ":
        octets: bytes = codecs.escape_decode(text.encode())[0]
        return octets
    return text.encode() + b"\r\n"


def fits(said: bytes, hears: list[str]) -> bool:
    """Whether the reply octets are exactly the expected lines, each with CRLF and nothing behind the last."""
    lines = said.split(b"\r\n")
    if lines.pop() != b"":
        return False
    for expected in hears:
        wanted = expected
        if expected.startswith("*"):
            wanted = f"{expected[1:]} ..."
            while lines and lines[0].startswith(f"{expected[1:]}-".encode()):
                lines.pop(0)
        if not lines or not _line_fits(lines.pop(0), wanted.encode()):
            return False
    return not lines


def _line_fits(line: bytes, wanted: bytes) -> bool:
    return line.startswith(wanted[:-3]) if wanted.endswith(b"...") else line == wanted
