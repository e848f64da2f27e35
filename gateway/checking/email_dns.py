"""The DNS that mail from a domain needs so that it is believed: SPF (RFC 7208), DKIM (RFC 6376), DMARC (RFC 7489)."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import AsyncIterator, Sequence
from typing import Any, Protocol

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_der_public_key
from twisted.internet.defer import TimeoutError as DeferredTimeoutError
from twisted.names.error import DNSNameError, DomainError, ResolverError

from gateway.checking.finding import Finding, good, note, problem

TXT = 16  # RFC 1035 §3.2.2
TIMEOUTS_SECONDS = (1, 2, 4)  # a question is asked again after each of these, and given up after the last
SPF_LOOKUPS = 10  # RFC 7208 §4.6.4
LEAST_RSA_BITS, GOOD_RSA_BITS = 1024, 2048  # RFC 8301 §3.2
LOOKUP_TERM = re.compile(r"[+?~-]?(?:include|a|mx|ptr|exists)(?:[:/]|\Z)|redirect=", re.IGNORECASE)


class Resolver(Protocol):
    """As much of twisted.names' resolver as is needed."""

    def lookupText(self, name: str, timeout: Sequence[int] | None = None) -> Any:
        """A Deferred of three lists of records: answers, authority, additional."""


class NoAnswerError(Exception):
    """The DNS could not be asked; the text says why."""


async def look_at_domain(domain: str, selectors: Sequence[str], resolver: Resolver) -> list[Finding]:
    """What is found for the From field's domain; selectors are those of the vendors' DKIM keys."""
    findings = []
    for check in (_spf(domain, resolver), _dkim(domain, selectors, resolver), _dmarc(domain, resolver)):
        try:
            findings += [one async for one in check]
        except NoAnswerError as error:
            findings.append(problem(domain, f"the DNS gave no answer: {error}", "ask again, or use --resolver"))
    return findings


async def _spf(domain: str, resolver: Resolver) -> AsyncIterator[Finding]:
    records = [one for one in await _texts(domain, resolver) if re.match(r"v=spf1(?: |\Z)", one, re.IGNORECASE)]
    path = f"{domain} SPF"
    if not records:
        yield problem(path, "there is no record", f'add a TXT record at {domain}: "v=spf1 include:... ~all"')
    elif len(records) > 1:
        yield problem(path, f"there are {len(records)} records, so none counts", "put them together in one")
    else:
        yield _spf_record(path, records[0])


def _spf_record(path: str, record: str) -> Finding:
    terms = record.split()[1:]
    lookups = sum(bool(LOOKUP_TERM.match(one)) for one in terms)
    if lookups > SPF_LOOKUPS:
        return problem(path, f"{lookups} lookups in {record}", f"have at most {SPF_LOOKUPS}, those of includes counted")
    if any(one.lower() in ("+all", "all") for one in terms):
        return problem(path, f"anybody may send: {record}", "end it with ~all or -all")
    return good(path, record)


async def _dkim(domain: str, selectors: Sequence[str], resolver: Resolver) -> AsyncIterator[Finding]:
    if not selectors:
        advice = "give the vendor's selector with --selector, or as dkim_selectors of its entry"
        yield note(f"{domain} DKIM", "not looked at", advice)
    for selector in selectors:
        name = f"{selector}._domainkey.{domain}"
        records = await _texts(name, resolver)
        path = f"{domain} DKIM {selector}"
        if not records:
            yield problem(path, f"there is no record at {name}", "add the record that the vendor shows for this domain")
        elif len(records) > 1:
            yield problem(path, f"there are {len(records)} records at {name}", "leave the vendor's alone")
        else:
            yield _dkim_record(path, records[0])


def _dkim_record(path: str, record: str) -> Finding:
    tags = _tags(record)
    key = tags.get("p")
    if key is None:
        return problem(path, f"there is no key in {record[:80]}", "add the record as the vendor shows it")
    if not key:
        return problem(path, "the key has been withdrawn (p= is empty)", "add the vendor's present key")
    if tags.get("k", "rsa").lower() != "rsa":
        return good(path, f"a key of kind {tags['k']}")
    return _rsa_key(path, key)


def _rsa_key(path: str, key: str) -> Finding:
    try:
        public = load_der_public_key(base64.b64decode(key, validate=True))
    except (binascii.Error, ValueError, UnsupportedAlgorithm):
        return problem(path, "the key cannot be read; it may have been cut", "add the record as the vendor shows it")
    bits = public.key_size if isinstance(public, RSAPublicKey) else 0
    if bits < LEAST_RSA_BITS:
        return problem(path, f"an RSA key of {bits} bits counts nowhere", f"use one of {GOOD_RSA_BITS} bits")
    if bits < GOOD_RSA_BITS:
        return note(path, f"an RSA key of {bits} bits", f"{GOOD_RSA_BITS} bits are the custom now")
    return good(path, f"an RSA key of {bits} bits")


async def _dmarc(domain: str, resolver: Resolver) -> AsyncIterator[Finding]:
    """The domain's own record, or that of a domain above it, which then holds for it too."""
    path, labels = f"{domain} DMARC", domain.split(".")
    for start in range(max(1, len(labels) - 1)):
        above = ".".join(labels[start:])
        records = [one for one in await _texts(f"_dmarc.{above}", resolver) if re.match(r"v=DMARC1\s*(?:;|\Z)", one)]
        if len(records) > 1:
            yield problem(path, f"there are {len(records)} records at _dmarc.{above}, so none counts", "keep one")
            return
        if records:
            yield _dmarc_record(path, records[0], above)
            return
    advice = f'add a TXT record at _dmarc.{domain}: "v=DMARC1; p=none; rua=mailto:..."'
    yield problem(path, "there is no record", advice)


def _dmarc_record(path: str, record: str, at: str) -> Finding:
    policy = _tags(record).get("p", "").lower()
    if policy not in ("none", "quarantine", "reject"):
        return problem(path, f"no policy in {record}", "have p=none, p=quarantine or p=reject in it")
    if policy == "none":
        return note(path, f"at {at}: {record}", "p=none only watches; go on to quarantine once the reports are good")
    return good(path, f"at {at}: {record}")


def _tags(record: str) -> dict[str, str]:
    """The tags of a record, "name=value;..." (RFC 6376 §3.2); blanks in values count for nothing in what we read."""
    pairs = (one.partition("=") for one in record.split(";"))
    return {name.strip(): re.sub(r"\s", "", value) for name, mark, value in pairs if mark}


async def _texts(name: str, resolver: Resolver) -> list[str]:
    """The TXT records at a name, each in one piece; none when the name does not exist."""
    try:
        answers, _, _ = await resolver.lookupText(name, timeout=TIMEOUTS_SECONDS)
    except DNSNameError:
        return []
    except (DomainError, ResolverError, DeferredTimeoutError, OSError) as error:
        raise NoAnswerError(f"{name}: {type(error).__name__}") from None
    records = (one.payload.data for one in answers if one.type == TXT)
    # Octets that are no text belong to something else than these three
    return [b"".join(pieces).decode("utf-8", "replace") for pieces in records]
