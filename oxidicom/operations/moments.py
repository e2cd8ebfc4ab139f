"""Moments as people give them to a command: a date, a date and time, or how long ago."""

import datetime
import re

from oxidicom.wording import seconds_in


def moment(text: str, *, is_end: bool = False) -> datetime.datetime | None:
    """Return the moment that `text` says: a date, a date and time, or how long ago; None for ''.

    Of a date it is the beginning, or with `is_end` the end. Without a time zone it is local. Raise ValueError.
    """
    text = text.strip()
    if not text:
        return None
    try:
        if text[-1].islower():
            ago = datetime.timedelta(seconds=seconds_in(text, units="s min h d w"))
            return datetime.datetime.now(datetime.UTC) - ago
        said = datetime.datetime.fromisoformat(text)
        if is_end and re.fullmatch(r"[\d-]+", text):
            said += datetime.timedelta(days=1, microseconds=-1)
        return said.astimezone()
    except (ValueError, OverflowError, OSError):
        raise ValueError(
            f"{text!r} is not a time: 2026-01-31, '2026-01-31 14:05', or 90min, 2h, 3d (s, min, h, d, w) ago"
        ) from None
