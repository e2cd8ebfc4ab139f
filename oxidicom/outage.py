"""An outage in the log: a line when it begins, one an hour while it lasts, one when it is over.

A reason that changes meanwhile is a line too, at most one a minute. What comes and goes by the second is not told each
time: three beginnings a minute are. Whoever meets the trouble says so as often as it meets it; this file decides what
is news. Each belongs to one process and one thread.
"""

import collections
import time
from typing import Any

from loguru import logger

from oxidicom.durations import duration

_MINUTE_SECONDS = 60.0
_HOUR_SECONDS = 3600.0
_MAX_BEGINNINGS = 3


class Outage:
    """A thing that may be away: `{name}_unavailable` and `{name}_available` are the actions of its lines."""

    def __init__(self, name: str, level: str = "WARNING") -> None:
        """`level` is that of all lines but the last, which is INFO."""
        self._name = name
        self._level = level
        self._began: float | None = None
        self._beginnings: collections.deque[float] = collections.deque(maxlen=_MAX_BEGINNINGS)
        """When those that were told began."""
        self._told_at: float | None = None
        """When a line last said that it is away; None: this time none has."""
        self._told_reason = ""

    @property
    def lasts(self) -> bool:
        """Whether it is away."""
        return self._began is not None

    def goes_on(self, what: str, reason: str, *, remedy: str = "", waits: str = "", **fields: Any) -> None:  # noqa: ANN401
        """It is away: write a line if that is news. All are words without a full stop, and without patient data.

        `what` is the consequence, `reason` the cause, `remedy` what to do, which
        may name fields in braces; `waits` is what has gathered meanwhile.
        """
        now = time.monotonic()
        if self._began is None:
            self._began = now
        lasted = ""
        if self._told_at is None:
            if not self._may_begin(now):
                return
            self._beginnings.append(now)
        elif now - self._told_at >= _HOUR_SECONDS:
            lasted = f"for {duration(now - self._began)} now" + (f"; {waits}" if waits else "")
        elif reason == self._told_reason or now - self._told_at < _MINUTE_SECONDS:
            return
        self._told_at, self._told_reason = now, reason
        message = what + ", because {reason}" + (" ({lasted})" if lasted else "")
        said = {"lasted": lasted, "seconds": round(now - self._began)} if lasted else {}
        if remedy:
            said["remedy"] = remedy.format(**fields)
            message += (
                " " if message.endswith("{reason}") and reason.endswith(("?", ".", "!")) else ". "
            ) + "To do: {remedy}"
        logger.log(self._level, message, reason=reason, **said, **fields, action=f"{self._name}_unavailable")

    def is_over(self, what: str, **fields: Any) -> None:  # noqa: ANN401
        """It is there: write a line if one had said that it is not. `what` may name fields in braces."""
        if self._began is None:
            return
        seconds, self._began = time.monotonic() - self._began, None
        if self._told_at is None:
            return
        self._told_at = None
        logger.info(
            f"After {{lasted}}: {what}",
            lasted=duration(seconds),
            seconds=round(seconds),
            **fields,
            action=f"{self._name}_available",
        )

    def _may_begin(self, now: float) -> bool:
        return len(self._beginnings) < _MAX_BEGINNINGS or now - self._beginnings[0] >= _MINUTE_SECONDS
