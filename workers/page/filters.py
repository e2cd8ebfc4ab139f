"""How the templates of the page write numbers and times."""

import datetime
from collections.abc import Callable, Mapping

from markupsafe import Markup
from rich.filesize import decimal

from oxidicom.spool.metadata_rows import shown_verdict
from oxidicom.wording import days_away, duration, noun_of


def _count(number: int) -> str:
    return f"{number:,}".replace(",", "\N{NARROW NO-BREAK SPACE}")


def _counted(number: int, noun: str) -> str:
    return f"{_count(number)} {noun_of(number, noun)}"


def _rate(per_second: float) -> str:
    return f"{per_second:.0f}" if per_second >= 10 or per_second == int(per_second) else f"{per_second:.1f}"


def _seconds(seconds: float | None) -> str:
    if seconds is None:
        return "–"
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    return f"{seconds:.1f} s" if seconds < 60 else duration(seconds)


def _clock(moment: datetime.datetime | None) -> Markup:
    """Return a moment as an element that a script can turn into local time."""
    if moment is None:
        return Markup("–")
    whole = moment.replace(microsecond=0)
    return Markup('<time datetime="{}">{}</time>').format(whole.isoformat(), f"{whole:%Y-%m-%d %H:%M:%S} UTC")


def _day(moment: datetime.datetime) -> str:
    return f"{moment:%Y-%m-%d}"


FILTERS: Mapping[str, Callable[..., str]] = {
    "bytes": decimal,
    "count": _count,
    "counted": _counted,
    "rate": _rate,
    "seconds": _seconds,
    "clock": _clock,
    "day": _day,
    "days_away": days_away,
    "age": duration,
    "verdict": shown_verdict,
}
"""By the names that the templates use."""
