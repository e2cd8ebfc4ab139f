"""Moments that come from elsewhere: the times of files, clocks and JSON may be anything, and are shown all the same."""

import datetime
from typing import Annotated

import msgspec

Moment = Annotated[datetime.datetime, msgspec.Meta(tz=True)]
"""In JSON, with its time zone: without one it cannot be compared with others."""

_BEGINNING = datetime.datetime.fromtimestamp(0, datetime.UTC)


def moment_at(seconds: float) -> datetime.datetime:
    """Return the moment so many seconds after 1970-01-01; that day itself for one which the calendar does not have."""
    try:
        return datetime.datetime.fromtimestamp(seconds, datetime.UTC)
    except (OverflowError, ValueError, OSError):
        return _BEGINNING


def local_time(moment: datetime.datetime, form: str = "%Y-%m-%d %H:%M:%S") -> str:
    """Return a moment in local time; at the ends of the calendar, where that may not be there, in its own."""
    try:
        return moment.astimezone().strftime(form)
    except (OverflowError, ValueError, OSError):
        return moment.strftime(form)
