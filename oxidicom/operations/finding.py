"""One line of what `oxidicom check` prints."""

import dataclasses
import enum

from oxidicom.judgement.judgement import Level
from oxidicom.operations.styles import LEVEL_STYLES


class Verdict(enum.StrEnum):
    """What was found; the words are those of the judgement."""

    GOOD = "good"
    NOTE = "note"
    """As it may be, and worth knowing."""
    WARNING = "warning"
    CRITICAL = "critical"

    @property
    def level(self) -> Level:
        """The level of the judgement."""
        return {Verdict.WARNING: Level.WARNING, Verdict.CRITICAL: Level.CRITICAL}.get(self, Level.OK)

    @property
    def label(self) -> str:
        """How it is written for people: what is wrong is louder."""
        return self.upper() if self.level is not Level.OK else self.value

    @property
    def style(self) -> str:
        """How it looks on a terminal."""
        return "cyan" if self is Verdict.NOTE else LEVEL_STYLES[self.level]


@dataclasses.dataclass(frozen=True)
class Finding:
    """What was looked at, and what was found."""

    subject: str
    verdict: Verdict
    detail: str
    statements: tuple[str, ...] = ()
    """SQL to be pasted into psql."""
