"""Which codec stands behind a charset name, and how octets without a trustworthy charset are read.

Names come from the mail, so only a closed list of text codecs is honoured.
"""

from __future__ import annotations

import codecs
from encodings import normalize_encoding
from encodings.aliases import aliases
from functools import cache, lru_cache

# No text, or no charset (the _codec ones and rot_13 turn octets into octets), or a way to smuggle (UTF-7, RFC 2152).
_NEVER = {
    "base64_codec",
    "bz2_codec",
    "hex_codec",
    "mbcs",
    "quopri_codec",
    "rot_13",
    "utf_7",
    "uu_codec",
    "zlib_codec",
}
_ALLOWED = (set(aliases.values()) | {"koi8_r", "koi8_u", "iso8859_1", "cp874", "cp1125", "cp856"}) - _NEVER
# Read as the superset that mail programs really write under the smaller name, as the WHATWG Encoding Standard does.
_SUPERSETS = {
    "latin_1": "cp1252",
    "iso8859_1": "cp1252",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "euc_kr": "cp949",
    "shift_jis": "cp932",
    "big5": "big5hkscs",
    "iso2022_jp": "iso2022_jp_ext",
    "tis_620": "cp874",
    "iso8859_9": "cp1254",
    "iso8859_11": "cp874",
}
# Names seen in mail that the library does not know.
_STRAYS = {
    "ks_c_5601_1987": "cp949",
    "x_sjis": "cp932",
    "utf8mb4": "utf_8",
    "x_gbk": "gb18030",
    "ansi_x3_4_1968": "ascii",
    "gb_2312_80": "gb18030",
    "iso_8859_8_e": "iso8859_8",
    "iso_8859_8_i": "iso8859_8",
    "windows_874": "cp874",
    "x_mac_roman": "mac_roman",
}
# Longer than any registered name (RFC 2978 §2.3 allows 40).
NAME_CHARACTERS = 40


def codec_name(charset: str) -> str | None:
    """The Python codec for a charset name, or None for an unknown or unwanted one."""
    if len(charset) > NAME_CHARACTERS or not charset.isascii():
        return None
    return _known_codec(charset)


@lru_cache(maxsize=256)
def _known_codec(charset: str) -> str | None:
    """The same for a short name: mail has a dozen of them, and to look one up takes longer than to read a text."""
    name = normalize_encoding(charset.strip()).lower()
    name = _STRAYS.get(name) or aliases.get(name, name)
    return _installed(_SUPERSETS.get(name, name)) if name in _ALLOWED else None


@cache
def _installed(name: str) -> str | None:
    """The name if this platform has the codec; asked for allowed names only, so the cache is bounded."""
    try:
        codecs.lookup(name)
    except LookupError:
        return None
    return name


def keeps_its_own(codec: str) -> bool:
    """Whether broken text in this codec is still best read in it: several octets a character, and not UTF-8.

    One bad octet in a Japanese text read as cp1252 would spoil all of it.
    """
    return codec.startswith(("iso2022", "gb18030", "big5", "cp932", "cp949", "euc_", "johab", "hz", "shift_jis"))


def is_seven_bit(codec: str) -> bool:
    """Whether the codec writes its characters in US-ASCII octets, so that every text in it is valid UTF-8 too."""
    return codec.startswith(("iso2022", "hz"))


def is_wide(codec: str) -> bool:
    """Whether the codec writes US-ASCII characters with NUL octets, so that text in it passes for UTF-8 with NULs."""
    return codec.startswith(("utf_16", "utf_32"))


def with_byte_order(codec: str, start: bytes, first_nul: int) -> str | None:
    """The codec of UTF-16 or UTF-32 whose order of octets is not declared; None when nothing tells it.

    The mark at the start tells (RFC 2781 §3.3), else on which side of the first character of Latin 1 its NULs are:
    RFC 2781 §4.3 says big-endian, and most programs write little-endian.
    """
    little, big = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
    if codec == "utf_32":
        little, big = (codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)
    if start.startswith((little, big)):
        return f"{codec}_le" if start.startswith(little) else f"{codec}_be"
    if first_nul < 0:
        return None
    return f"{codec}_le" if first_nul % len(little) else f"{codec}_be"


def decode_octets(octets: bytes) -> str:
    """Octets whose charset nobody told: UTF-8 when they are valid in it, else cp1252, else ISO 8859-1."""
    for codec in ("utf_8", "cp1252"):
        try:
            return octets.decode(codec)
        except UnicodeDecodeError:
            continue
    return octets.decode("latin_1")


def decode_as(octets: bytes, charset: str) -> str:
    """Octets in a declared charset; read by decode_octets when the charset is unknown or does not fit."""
    codec = codec_name(charset)
    if codec is None:
        return decode_octets(octets)
    try:
        return octets.decode(codec)
    except UnicodeError:
        return octets.decode(codec, "replace") if keeps_its_own(codec) else decode_octets(octets)
