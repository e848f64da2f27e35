"""The name an attachment travels under: the one the mail gives, else one made from what is known of the part."""

from __future__ import annotations

import mimetypes
import re
from functools import cache

from gateway.content.header import PART_HEADER_OCTETS, find_body, parse_fields
from gateway.content.spool import Spool
from gateway.content.structure import Part
from gateway.content.words import decode_words, without_controls

# Names made of a Subject stay well under the 255 octets of common file systems, in any script.
SUBJECT_CHARACTERS = 60

# What the library's table lacks, or names by a rare extension.
_EXTENSIONS = {
    "application/pgp-encrypted": ".asc",
    "application/pgp-signature": ".asc",
    "application/pkcs7-mime": ".p7m",
    "application/pkcs7-signature": ".p7s",
    "application/x-pkcs7-mime": ".p7m",
    "application/x-pkcs7-signature": ".p7s",
    "image/jpeg": ".jpg",
    "message/delivery-status": ".txt",
    "message/disposition-notification": ".txt",
    "message/global": ".eml",
    "message/rfc822": ".eml",
    "text/rfc822-headers": ".txt",
    "text/calendar": ".ics",
    "text/html": ".html",
    "text/x-amp-html": ".html",
    "text/plain": ".txt",
}
_SUBJECT_FIELD = re.compile(rb"^subject[ \t]*:[^\n]*(?:\n[ \t][^\n]*)*", re.IGNORECASE | re.MULTILINE)
_NOT_IN_NAMES = str.maketrans('/\\:*?"<>|', "_________")


def given_filename(part: Part) -> str:
    """The name the mail gives: of the Content-Disposition, else of the Content-Type; empty for none."""
    for parameters, name in ((part.disposition_parameters, "filename"), (part.parameters, "name")):
        if name in parameters and (filename := without_controls(parameters[name]).strip()):
            return filename
    return ""


def made_filename(spool: Spool, part: Part, number: int) -> str:
    """A name for a part that has none; number counts the attachments from 1."""
    if _extension(part.media_type) == ".eml":
        return f"{_subject(spool, part) or 'message'}.eml"
    extension = _extension(part.media_type)
    if part.content_id and part.media_type.startswith("image/"):
        stem = part.content_id.partition("@")[0].translate(_NOT_IN_NAMES).strip(" .")
        if stem:
            return stem if "." in stem else stem + extension
    return f"attachment-{number}{extension}"


def _subject(spool: Spool, part: Part) -> str:
    """The Subject of a forwarded message as a file name without its extension."""
    octets = spool.read(part.body_start, min(part.body_stop, part.body_start + PART_HEADER_OCTETS))
    length = find_body(octets)
    # Not the whole header: a thousand forwarded messages may have ten thousand fields each
    match = _SUBJECT_FIELD.search(octets, 0, length if length >= 0 else len(octets))
    if not match:
        return ""
    fields, _ = parse_fields(match[0])
    subject = decode_words(fields[0].body) if fields else ""
    return subject.translate(_NOT_IN_NAMES).strip(" .")[:SUBJECT_CHARACTERS].rstrip(" .")


def _extension(media_type: str) -> str:
    if media_type in _EXTENSIONS:
        return _EXTENSIONS[media_type]
    fallback = ".txt" if media_type.startswith("text/") else ".bin"
    return _types().guess_extension(media_type) or fallback


@cache
def _types() -> mimetypes.MimeTypes:
    """The library's own table, without the files of the machine: the same names everywhere."""
    return mimetypes.MimeTypes()
