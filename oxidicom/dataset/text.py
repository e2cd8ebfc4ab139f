"""Text of a dataset, in the character sets of SpecificCharacterSet (PS3.5, 6.1; PS3.3, C.12.1.1.2).

The law of this file: every byte string becomes text that can be written as UTF-8. What does not fit its
character set is replaced and reported, never raised.
"""

import re
import warnings
from functools import lru_cache
from typing import NamedTuple

from pydicom.charset import STAND_ALONE_ENCODINGS, decode_bytes, default_encoding, python_encoding

_ESCAPE = b"\x1b"
_ESCAPE_SEQUENCE = re.compile(r"\x1b(?:\$[()]?|[()-])[@-~]")
_FRAGMENT = re.compile(rb"^[^\x1b]+|\x1b[^\x1b]*")
"""What is in one encoding: up to the next escape sequence."""

_LATIN_9 = "iso8859_15"
_ESCAPE_TO_LATIN_9 = b"\x1b-b"
"""ISO 2022 IR 203 (PS3.3, table C.12-3), which pydicom does not know."""

DOES_NOT_FIT = "does not fit SpecificCharacterSet"
UNLABELLED_UTF_8 = "is UTF-8, which SpecificCharacterSet does not say"
"""Flaws of a text, as they stand in warnings behind the name of the attribute."""

_TEXT_DELIMITERS = frozenset(b"\\\r\n\t\f")
_NAME_DELIMITERS = frozenset(b"\\\r\n\t\f^=")
"""Where a code extension ends of itself (PS3.5, 6.1.2.5.3)."""


def _spelling(term: str) -> str:
    """Return a defined term in the spelling that all its usual misspellings have in common."""
    return re.sub(r"[\s\0_.-]+", " ", term.upper()).strip()


_ENCODINGS = {_spelling(term): encoding for term, encoding in python_encoding.items()} | {
    "UTF 8": "UTF8",
    "UTF8": "UTF8",
    "LATIN1": "latin_1",
    "ISO 8859 1": "latin_1",
    "ISO IR 203": _LATIN_9,
    "ISO 2022 IR 203": _LATIN_9,
}
_STAND_ALONE = frozenset(python_encoding[term] for term in STAND_ALONE_ENCODINGS)


class CharacterSet(NamedTuple):
    """What SpecificCharacterSet says."""

    encodings: tuple[str, ...]
    """As Python knows them; the first holds until an escape sequence names another."""
    is_default: bool
    """Nothing but ASCII was declared."""
    is_known: bool


@lru_cache(maxsize=64)
def parse_character_set(raw: bytes) -> CharacterSet:
    """Parse a value of SpecificCharacterSet, b'' where missing. Terms that nobody knows are left out."""
    terms = [_spelling(term) for term in raw.decode("latin-1").split("\\")]
    encodings = [_ENCODINGS[term] for term in terms if term in _ENCODINGS]
    if not encodings:
        return CharacterSet((default_encoding,), is_default=True, is_known=False)
    known = len(encodings) == len(terms)
    if encodings[0] in _STAND_ALONE:
        return CharacterSet((encodings[0],), is_default=False, is_known=known)
    together = tuple(encoding for encoding in encodings if encoding not in _STAND_ALONE)
    return CharacterSet(together, is_default=set(together) == {default_encoding}, is_known=known)


def decode_text(raw: bytes, character_set: CharacterSet, *, is_name: bool = False) -> tuple[str, str]:
    """Return the first value of a text, without NULs and surrounding blanks, and what is wrong with it; '': nothing.

    Values are told apart after decoding: a byte of a character may look like a backslash. `is_name` for PN.
    """
    if raw.isascii() and _ESCAPE not in raw:
        return clean(raw.decode("ascii")), ""
    text, flaw = _decode(raw, character_set, is_name)
    return clean(text.encode("utf-8", "replace").decode("utf-8")), flaw


def clean(text: str) -> str:
    """Return the first of several values without NULs and surrounding blanks."""
    return text.partition("\\")[0].replace("\0", "").strip()


def _decode(raw: bytes, character_set: CharacterSet, is_name: bool) -> tuple[str, str]:
    if _ESCAPE in raw:
        return _decode_extended(raw, character_set, _NAME_DELIMITERS if is_name else _TEXT_DELIMITERS)
    if character_set.is_default:
        return _decode_unlabelled(raw)
    encoding = character_set.encodings[0]
    try:
        return raw.decode(encoding), ""
    except UnicodeDecodeError:
        return raw.decode(encoding, "replace"), DOES_NOT_FIT


def _decode_unlabelled(raw: bytes) -> tuple[str, str]:
    """Decode text beyond ASCII of which nothing is declared: other text than UTF-8 is hardly ever valid UTF-8."""
    try:
        return raw.decode("utf-8"), UNLABELLED_UTF_8
    except UnicodeDecodeError:
        return raw.decode(default_encoding), DOES_NOT_FIT


def _decode_extended(raw: bytes, character_set: CharacterSet, delimiters: frozenset[int]) -> tuple[str, str]:
    """Decode text with code extensions (PS3.5, 6.1.2.5). pydicom warns where it has to guess."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            text = "".join(
                [_decode_fragment(fragment, character_set.encodings, delimiters) for fragment in _FRAGMENT.findall(raw)]
            )
        except (LookupError, ValueError):
            return _ESCAPE_SEQUENCE.sub("", raw.decode("latin-1")), DOES_NOT_FIT
    return _ESCAPE_SEQUENCE.sub("", text), DOES_NOT_FIT if caught else ""


def _decode_fragment(raw: bytes, encodings: tuple[str, ...], delimiters: frozenset[int]) -> str:
    if not (raw.startswith(_ESCAPE_TO_LATIN_9) and _LATIN_9 in encodings):
        return decode_bytes(raw, list(encodings), set(delimiters))
    raw = raw[len(_ESCAPE_TO_LATIN_9) :]
    end = next((at for at, byte in enumerate(raw) if byte in delimiters), len(raw))
    return raw[:end].decode(_LATIN_9) + raw[end:].decode(encodings[0])
