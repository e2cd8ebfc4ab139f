"""One line of what `oxidicom check` prints."""

import dataclasses

GOOD, REMARK, TROUBLE = "good", "remark", "TROUBLE"


@dataclasses.dataclass(frozen=True)
class Finding:
    """What was looked at, and what was found."""

    subject: str
    verdict: str
    detail: str
    statements: tuple[str, ...] = ()
    """SQL to be pasted into psql."""
