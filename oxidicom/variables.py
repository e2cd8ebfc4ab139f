"""The names of environment variables: their spellings, and what is meant by a name that no setting has. Pure."""

import difflib
import re
from collections.abc import Collection, Mapping, Sequence

_PREFIX = "CHRIS_"
_ALIAS_PREFIX = "OXIDICOM_"
_PREFIXES = (_PREFIX, _ALIAS_PREFIX)
_ALIASES = {"OXIDICOM_LISTENER_PORT": "PORT", "OXIDICOM_PORT": "PORT"}
_MIN_RATIO = 0.75
"""Of difflib: so much alike are a name and what it was meant to be, letters swapped, lost or doubled."""
_MIN_PREFIX_RATIO = 0.8
"""The same of a prefix: two letters swapped in CHRIS, but not DICOM for OXIDICOM, which others have."""
_DOORS: Mapping[str, Sequence[str]] = {
    "M?TLS|SSL|CERT.*|CRTS?|CAS?|CACERTS?": ("CHRIS_TLS_CERTIFICATE", "CHRIS_TLS_KEY", "CHRIS_TLS_CLIENT_CA"),
    "PROX(Y|IES)|TRUST.*": ("CHRIS_PROXY_PROTOCOL", "CHRIS_PROXY_TRUSTED"),
    "AES?|AET.*|TITLES?|CALL(ED|ING)|PEERS?|ALLOW.*|DEN(Y|IED).*|(WHITE|BLACK|BLOCK)LIST|ACLS?": (
        "CHRIS_SCP_AET",
        "CHRIS_SCP_ALLOWED_AETS",
        "CHRIS_SCP_CHECK_CALLED_AET",
    ),
}
"""By a pattern of words about who may send, or about encryption: the settings that are about that."""


def canonical(name: str) -> str:
    """Return the name of a setting. Later releases of the Rust gateway spell CHRIS_X as OXIDICOM_X."""
    if name in _ALIASES:
        return _ALIASES[name]
    return _PREFIX + name.removeprefix(_ALIAS_PREFIX) if name.startswith(_ALIAS_PREFIX) else name


def is_meant_for_us(name: str) -> bool:
    """Tell whether a name has one of our prefixes, in whatever case."""
    return name.upper().startswith(_PREFIXES)


def has_misspelt_prefix(name: str) -> bool:
    """Tell whether a name begins with what may have been meant to be one of our prefixes: CRHIS_, OXDICOM_."""
    first, underscore, _ = name.upper().partition("_")
    prefixes = [prefix.rstrip("_") for prefix in _PREFIXES]
    return bool(underscore and difflib.get_close_matches(first, prefixes, 1, _MIN_PREFIX_RATIO))


def meant_by(name: str, known: Collection[str]) -> Sequence[str]:
    """Return which of the `known` names may be meant by a name with one of our prefixes, which may be misspelt.

    It is the one to which the name is close: each of its words, of two or more, begins a word of the other, in their
    order (TLS_CERT: TLS_CERTIFICATE), or it is spelled much alike. A name close to none, with a word about who may
    send or about encryption, was meant to close a door: then it is all those that do.
    """
    given = canonical(name.upper())
    given = given.removeprefix(_PREFIX) if given.startswith(_PREFIX) else given.partition("_")[2]
    words = given.split("_")
    bare = {one.removeprefix(_PREFIX): one for one in known}
    shortened = [one for one in bare if len(words) > 1 and _abbreviates(words, one.split("_"))]
    closest = difflib.get_close_matches(given, shortened, 1, 0) or difflib.get_close_matches(given, bare, 1, _MIN_RATIO)
    if closest:
        return [bare[closest[0]]]
    return next((doors for word, doors in _DOORS.items() if any(re.fullmatch(word, one) for one in words)), ())


def _abbreviates(parts: Sequence[str], words: Sequence[str]) -> bool:
    following = iter(words)  # goes on after each word that was found
    return any(parts) and all(any(word.startswith(part) for word in following) for part in parts)
