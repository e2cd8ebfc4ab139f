"""UIDs as they stand in PDUs and command sets."""

import re

_CLASS_UID = re.compile(r"[0-9.]{1,64}")
_INSTANCE_UID = re.compile(r"[!-\[\]-~]{1,64}")


def decode_uid(value: bytes | bytearray | memoryview) -> str:
    """Return the UID without its padding: NUL by the standard (PS3.5, 6.2), blanks from some devices.

    Never fails: bytes that belong in no UID become characters that make it unusable.
    """
    return str(value, "latin-1").strip("\0 ")


def encode_uid(uid: str) -> bytes:
    """Return the UID padded with NUL to an even length, as data elements need it (PS3.5, 9.1)."""
    value = uid.encode("latin-1")
    return value + b"\0" if len(value) % 2 else value


def is_class_uid(uid: str) -> bool:
    """Tell whether it has the length and the characters of a UID.

    PS3.5, 9.1 also forbids leading zeros and empty components; real devices break those rules.
    """
    return _CLASS_UID.fullmatch(uid) is not None


def is_instance_uid(uid: str) -> bool:
    """Tell whether it can name an instance: 1 to 64 visible characters of ASCII, and one value.

    Some anonymisers write hashes, with letters in them.
    """
    return _INSTANCE_UID.fullmatch(uid) is not None


def shown_uid(uid: str) -> str:
    """Return a UID as the log has it: one that has other characters than a UID may hold anything, and is not shown."""
    return uid if is_class_uid(uid) else "(no UID)"
