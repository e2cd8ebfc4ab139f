"""Times and numbers as people write and read them."""

import datetime
import math
import re
from collections.abc import Sequence

_SECONDS_OF = {"ms": 0.001, "s": 1, "min": 60, "h": 3600, "d": 86400, "w": 7 * 86400}


def duration(seconds: float) -> str:
    """Return a time in its two largest units; less than nothing is nothing."""
    whole = max(0, int(seconds))
    parts = [(whole // 86400, "d"), (whole // 3600 % 24, "h"), (whole // 60 % 60, "min"), (whole % 60, "s")]
    first = next((at for at, (count, _) in enumerate(parts) if count), 3)
    return " ".join(f"{count} {unit}" for count, unit in parts[first : first + 2] if count or first == 3)


def seconds_in(
    text: str, examples: str = "90s, 15min, 2h, 1d", *, units: str = "s min h d", most_seconds: float = math.inf
) -> float:
    """Return the seconds of a number with one of the `units`: `90s`, `15min`, `1.5h`, `2d`.

    Raise ValueError, which gives the `examples`, also when it is more than `most_seconds`.
    """
    match = re.fullmatch(rf"(\d+(?:\.\d+)?) ?({'|'.join(units.split())})", text.strip(), re.ASCII)
    seconds = float(match[1]) * _SECONDS_OF[match[2]] if match else math.inf
    if match is None or seconds > most_seconds:
        most = "" if most_seconds == math.inf else f", up to {duration(most_seconds)}"
        raise ValueError(f"{text!r} is not a duration: a number with its unit is expected{most}, such as {examples}")
    return seconds


def counted(number: int, noun: str) -> str:
    """Return how many there are of something whose plural has an s, or es after an s."""
    return f"{number} {noun_of(number, noun)}"


def noun_of(number: int, noun: str) -> str:
    """Return the noun as it stands after a number: its plural has an s, or es after an s."""
    return noun if number == 1 else f"{noun}{'es' if noun.endswith('s') else 's'}"


def days_away(left: datetime.timedelta) -> str:
    """Return how far away a moment is, in whole days: `in 3 days`, `within a day`, `1 day ago`."""
    days = abs(left) // datetime.timedelta(days=1)
    if left < datetime.timedelta():
        return f"{counted(days, 'day')} ago" if days else "less than a day ago"
    return f"in {counted(days, 'day')}" if days else "within a day"


def as_sentence(text: str) -> str:
    """Return a text with a full stop, unless it ends with a mark of its own, as a question does."""
    return text if text.endswith(("?", ".", "!")) else f"{text}."


def one_of(words: Sequence[str]) -> str:
    """Return alternatives: `A, B or C`."""
    return " or ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)
