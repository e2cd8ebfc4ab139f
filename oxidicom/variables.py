"""The names of environment variables: their spellings, and what is meant by a name that no setting has. Pure."""

import difflib
from collections.abc import Collection, Sequence

_PREFIX = "CHRIS_"
_ALIAS_PREFIX = "OXIDICOM_"
_ALIASES = {"OXIDICOM_LISTENER_PORT": "PORT", "OXIDICOM_PORT": "PORT"}
_MIN_RATIO = 0.75
"""Of difflib: so much alike are a name and what it was meant to be, letters swapped, lost or doubled."""


def canonical(name: str) -> str:
    """Return the name of a setting. Later releases of the Rust gateway spell CHRIS_X as OXIDICOM_X."""
    if name in _ALIASES:
        return _ALIASES[name]
    return _PREFIX + name.removeprefix(_ALIAS_PREFIX) if name.startswith(_ALIAS_PREFIX) else name


def is_meant_for_us(name: str) -> bool:
    """Tell whether a name has one of our prefixes, in whatever case."""
    return name.upper().startswith((_PREFIX, _ALIAS_PREFIX))


def meant_by(name: str, known: Collection[str]) -> str | None:
    """Return the one of the `known` names that a name with one of our prefixes is close to.

    It is close when each of its words begins a word of the other, in their order (TLS_CERT: TLS_CERTIFICATE), or when
    it is spelled much alike. Of several it is the most alike.
    """
    given = canonical(name.upper()).removeprefix(_PREFIX)
    bare = {one.removeprefix(_PREFIX): one for one in known}
    shortened = [one for one in bare if _abbreviates(given.split("_"), one.split("_"))]
    closest = difflib.get_close_matches(given, shortened, 1, 0) or difflib.get_close_matches(given, bare, 1, _MIN_RATIO)
    return bare[closest[0]] if closest else None


def _abbreviates(parts: Sequence[str], words: Sequence[str]) -> bool:
    following = iter(words)  # goes on after each word that was found
    return any(parts) and all(any(word.startswith(part) for word in following) for part in parts)
