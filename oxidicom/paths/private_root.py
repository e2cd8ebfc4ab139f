"""The directory of the gateways in the storage, and the ULIDs by which gateways and associations are called."""

import datetime
import re

from ulid import ULID

PRIVATE_ROOT = ".oxidicom"
"""Below CHRIS_FILES_ROOT: everything of the gateways that is not CUBE's."""

_ULID = re.compile(r"[0-7][0-9A-HJKMNP-TV-Z]{25}")


def moment_of(ulid: str) -> datetime.datetime | None:
    """Return when a gateway or an association began, by its ULID, or None when that is no ULID."""
    try:
        parsed = ULID.from_str(ulid)
        return parsed.datetime if str(parsed) == ulid else None
    except ValueError:
        return None


def is_ulid(name: str) -> bool:
    """Tell whether `name` is that of a gateway or of an association."""
    return _ULID.fullmatch(name) is not None
