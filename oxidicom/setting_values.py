"""How the values of settings are written: from text to value, or a ValueError that says what is expected."""

import os
import re

import pydantic

from oxidicom.wording import seconds_in


def parse_ae_title(value: str) -> str:
    """Parse an AE title. Raise ValueError."""
    title = value.strip()
    if not 1 <= len(title) <= 16 or not title.isascii() or not title.isprintable() or "\\" in title:
        raise ValueError("an AE title has 1 to 16 printable ASCII characters and no backslash (PS3.5, 6.2)")
    return title


def parse_umask(value: str) -> int:
    """Parse an octal number. Raise ValueError."""
    if not re.fullmatch("(0o)?[0-7]{1,4}", value) or int(value, 8) > 0o777:
        raise ValueError("an octal number from 000 to 777 is expected, for example 022")
    return int(value, 8)


def parse_size(value: str) -> str | int:
    """Parse a size with its unit into bytes; a mere number stays as it is. Raise ValueError.

    What may stand beside the number is held here: ByteSize takes 1 out of `1,5 GiB`.
    """
    if not re.search("[A-Za-z]", value):
        return value
    if not re.fullmatch(r"\d+(\.\d+)? ?([kmgtpe]i?)?b", value.strip(), re.ASCII | re.IGNORECASE):
        raise ValueError("a number of bytes is expected, or a size with its unit: 500MB, 128 KiB, 1GiB")
    return int(pydantic.TypeAdapter(pydantic.ByteSize).validate_python(value.strip()))


def require_pdu_length(value: int) -> int:
    """Hold a maximum PDU length to what leaves room for a PDU. Raise ValueError."""
    if 0 < value < 4096:
        raise ValueError("0 (no limit announced) or at least 4096 bytes is expected")
    return value


def require_certificate(value: str, info: pydantic.ValidationInfo) -> str:
    """Refuse a file of TLS without a certificate. Raise ValueError."""
    if value and not info.data.get("tls_certificate"):
        raise ValueError("it has no meaning without CHRIS_TLS_CERTIFICATE")
    return value


def require_readable(path: str) -> str:
    """Hold a path, if there is one, to a file that can be read. Raise ValueError."""
    if path and not (os.path.isfile(path) and os.access(path, os.R_OK)):
        raise ValueError("it is not a file that this user can read")
    return path


def require_nats(value: str, info: pydantic.ValidationInfo) -> str:
    """Refuse what has no meaning without servers for live progress. Raise ValueError."""
    if value and not info.data.get("nats_addresses", True):  # it is not there when it has a fault of its own
        raise ValueError("it has no meaning without CHRIS_NATS_ADDRESS")
    return value


def parse_interval(value: str) -> float:
    """Parse a time of an hour at most into seconds. Raise ValueError."""
    return seconds_in(value, "500ms, 2.5s, 1min", units="ms s min", most_seconds=3600)


def show_interval(seconds: float) -> str:
    """Return a time as `parse_interval` reads it."""
    return f"{seconds:g}s" if seconds >= 1 else f"{seconds * 1000:g}ms"


def require_subject(value: str) -> str:
    """Hold a subject to one that NATS takes as it is. Raise ValueError."""
    if not re.fullmatch(r"[!-~]+", value) or set(value) & set("*>") or "" in value.split("."):
        raise ValueError("a NATS subject is expected: printable ASCII without blanks, `*` and `>`, and no empty part")
    return value
