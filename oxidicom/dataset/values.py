"""Values that are no free text (PS3.5, 6.2). A parser returns None for what is unusable."""

import datetime
import re

MAX_INTEGER = 2**31 - 1
"""The largest number that an int4 column of the database holds."""

_DATE = re.compile(r"([0-9]{4})([-.]?)([0-9]{2})\2([0-9]{2})")
_AGE = re.compile(r"0*([0-9]{1,10})([DWMY])")
_DAYS = {"D": 1.0, "W": 7.0, "M": 30.44, "Y": 365.24}
_UID = re.compile(r"[!-~]{1,64}")
_MAX_UID_CHARACTERS = 64
_STRICT_UID = re.compile(r"(?:0|[1-9][0-9]*)(?:\.(?:0|[1-9][0-9]*))*")


def parse_date(text: str) -> datetime.date | None:
    """Parse a DA: YYYYMMDD, or with `-` or `.` between the parts. It must be a day of the calendar."""
    match = _DATE.fullmatch(text)
    if match is None:
        return None
    try:
        return datetime.date(int(match[1]), int(match[3]), int(match[4]))
    except ValueError:
        return None


def parse_age_days(text: str) -> int | None:
    """Parse an AS such as `030Y` into days, rounded; fewer digits are tolerated."""
    match = _AGE.fullmatch(text)
    if match is None:
        return None
    days = round(int(match[1]) * _DAYS[match[2]])
    return days if days <= MAX_INTEGER else None


def is_uid(text: str) -> bool:
    """Tell whether `text` can be used as a UID: 1 to 64 visible characters of ASCII.

    Some anonymisers write hashes, with letters in them.
    """
    return _UID.fullmatch(text) is not None


def is_strict_uid(text: str) -> bool:
    """Tell whether `text` keeps all rules for UIDs (PS3.5, 9.1), which real devices break."""
    return len(text) <= _MAX_UID_CHARACTERS and _STRICT_UID.fullmatch(text) is not None
