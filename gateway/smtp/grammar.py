"""The grammar of command lines, paths and parameters (RFC 5321 §4.1.2). Octets in, frozen values out, no state.

An address that parses here holds no control character and parses to itself again.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from gateway.outcome import Reply
from gateway.quickly import quickly_made
from gateway.smtp import replies

PATH_OCTETS = 1300
"""RFC 5321 §4.5.3.1.3 asks for 256; VERP writes whole addresses into the local-part, so room for 1,024 and a domain."""

DOMAIN_OCTETS = 255
"""RFC 5321 §4.5.3.1.2."""


class GrammarError(Exception):
    """The octets are not what the grammar allows; carries the reply that says so."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(reply.text)
        self.reply = reply


class Command(NamedTuple):
    """A command line, split: the verb in upper case and the rest without its leading space."""

    verb: str
    argument: str


@quickly_made
@dataclass(frozen=True, slots=True)
class PathArgument:
    """The argument of MAIL or RCPT: the address without angle brackets and source route, and the parameters.

    address is empty for the null reverse-path. Keywords of parameters are in upper case; a value is None when there
    is no "=".
    """

    address: str
    parameters: Mapping[str, str | None]


# RFC 5321 §4.1.2: Atom = 1*atext; RFC 6531 §3.3 adds UTF8-non-ascii to atext, qtextSMTP and sub-domain.
_ATOM = r"[A-Za-z0-9!#$%&'*+\-/=?^_`{|}~\u00a0-\U0010ffff]+"
_DOT_STRING = rf"{_ATOM}(?:\.{_ATOM})*"
# Quoted-string = DQUOTE *(qtextSMTP / quoted-pairSMTP) DQUOTE
_QUOTED_STRING = r'"(?:[ !#-\[\]-~\u00a0-\U0010ffff]|\\[ -~])*"'
# sub-domain = Let-dig [Ldh-str]; the underscore is no host name but stands in mail domains that exist
_SUB_DOMAIN = r"[A-Za-z0-9_\u00a0-\U0010ffff](?:[A-Za-z0-9_\-\u00a0-\U0010ffff]*[A-Za-z0-9_\u00a0-\U0010ffff])?"
_DOMAIN = rf"{_SUB_DOMAIN}(?:\.{_SUB_DOMAIN})*"
_MAILBOX = re.compile(rf"(?P<local>{_DOT_STRING}|{_QUOTED_STRING})@(?P<domain>{_DOMAIN}|\[[^\[\]\\ ]+\])")
# A-d-l = At-domain *("," At-domain): must be taken, should be ignored (RFC 5321 §4.1.1.3)
_SOURCE_ROUTE = re.compile(rf"@{_DOMAIN}(?:,@{_DOMAIN})*:")
# esmtp-param = esmtp-keyword ["=" esmtp-value]; xtext of AUTH may hold any printable but "=" and "+" (RFC 4954 §5)
_PARAMETER = re.compile(r"(?P<keyword>[A-Za-z0-9][A-Za-z0-9\-]*)(?:=(?P<value>[!-~\u00a0-\U0010ffff]+))?\Z")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


def parse_command(line: bytes) -> Command:
    """Split a command line without its CRLF. GrammarError for octets that are no text, and for control characters."""
    try:
        text = line.decode("utf-8")
    except UnicodeDecodeError:
        raise GrammarError(Reply(500, "Command line is not UTF-8", "5.5.2")) from None
    if "\r" in text or "\n" in text:
        raise GrammarError(replies.BARE_LINE_END)
    if not text.isprintable() and _CONTROL.search(text):
        raise GrammarError(Reply(501, "Control character in the command line", "5.5.2"))
    verb, _, argument = text.partition(" ")
    # RFC 5321 §4.1.1: verbs compare without case, and trailing white space is tolerated
    return Command(upper_ascii(verb), argument.strip(" "))


def upper_ascii(text: str) -> str:
    """Upper case for ASCII only (RFC 5321 §2.4): Python makes an "I" of a dotless i, and so a verb of what is none."""
    return text.upper() if text.isascii() else text


def parse_hello(argument: str) -> str:
    """The name a client gives in EHLO or HELO. Hosts call themselves many things: only its form is checked."""
    if not argument:
        raise GrammarError(Reply(501, "EHLO and HELO need your host name", "5.5.4"))
    if " " in argument or len(argument.encode()) > DOMAIN_OCTETS:
        raise GrammarError(Reply(501, "Host name not recognized", "5.5.4"))
    return argument


def parse_reverse_path(argument: str) -> PathArgument:
    """The argument of MAIL: "FROM:" Reverse-path [SP Mail-parameters]."""
    rest = _after_keyword(argument, "FROM:")
    if rest.startswith("<>"):
        return PathArgument("", _parse_parameters(rest[2:]))
    return _parse_path(rest)


def parse_forward_path(argument: str) -> PathArgument:
    """The argument of RCPT: "TO:" Forward-path [SP Rcpt-parameters]; a postmaster without domain is taken (§4.5.1)."""
    rest = _after_keyword(argument, "TO:")
    if rest[:12].lower() == "<postmaster>":
        return PathArgument(rest[1:11], _parse_parameters(rest[12:]))
    return _parse_path(rest)


def parse_chunk(argument: str) -> tuple[int, bool]:
    """The argument of BDAT: chunk-size [SP "LAST"] (RFC 3030 §2); chunk-size is 1*DIGIT, and 20 are enough for all."""
    size, _, end = argument.partition(" ")
    if not (size.isascii() and size.isdigit() and len(size) <= 20) or upper_ascii(end) not in ("", "LAST"):
        raise GrammarError(replies.SYNTAX_ERROR)
    return int(size), bool(end)


def _after_keyword(argument: str, keyword: str) -> str:
    if argument[: len(keyword)].upper() != keyword:
        raise GrammarError(Reply(501, f"Expected {keyword}<address>", "5.5.4"))
    # A space after the colon is wrong and common; Postfix and others take it too
    return argument[len(keyword) :].lstrip(" ")


def _parse_path(text: str) -> PathArgument:
    """Path = "<" [A-d-l ":"] Mailbox ">"; without brackets too, as printers and scanners write it."""
    bracketed = text.startswith("<")
    start = 1 if bracketed else 0
    route = _SOURCE_ROUTE.match(text, start) if bracketed else None
    mailbox = _MAILBOX.match(text, route.end() if route else start)
    if mailbox is None:
        raise GrammarError(Reply(501, "Address not recognized", "5.1.3"))
    stop = mailbox.end()
    if bracketed:
        if text[stop : stop + 1] != ">":
            raise GrammarError(Reply(501, "Address not recognized", "5.1.3"))
        stop += 1
    _check_domain(mailbox["domain"])
    if len(mailbox[0].encode()) > PATH_OCTETS:
        raise GrammarError(Reply(501, "Address too long", "5.1.3"))
    return PathArgument(mailbox[0], _parse_parameters(text[stop:]))


def _check_domain(domain: str) -> None:
    if len(domain.encode()) > DOMAIN_OCTETS:
        raise GrammarError(Reply(501, "Domain too long", "5.1.2"))
    if domain.startswith("["):
        literal = domain[1:-1]
        try:
            if "%" in literal:
                raise ValueError  # RFC 5321 §4.1.3 knows no zone, and Python takes any text for one
            if literal[:5].lower() == "ipv6:":
                ipaddress.IPv6Address(literal[5:])
            else:
                ipaddress.IPv4Address(literal)
        except ValueError:
            raise GrammarError(Reply(501, "Address literal not recognized", "5.1.2")) from None


def _parse_parameters(text: str) -> Mapping[str, str | None]:
    """Mail-parameters and Rcpt-parameters: each keyword once, separated by spaces (RFC 5321 §4.1.2)."""
    if text and not text.startswith(" "):
        raise GrammarError(replies.SYNTAX_ERROR)
    parameters: dict[str, str | None] = {}
    for word in filter(None, text.split(" ")):
        match = _PARAMETER.match(word)
        if match is None or match["keyword"].upper() in parameters:
            raise GrammarError(replies.SYNTAX_ERROR)
        parameters[match["keyword"].upper()] = match["value"]
    return parameters
