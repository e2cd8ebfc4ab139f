"""A level, and the reasons for it."""

import enum
from collections.abc import Iterable
from typing import Self

import msgspec

from oxidicom.wording import as_sentence


class Level(enum.StrEnum):
    """How bad it is.

    Warning: something waits, was lost of comfort, or will break. Critical: instances are refused, or what waits does
    not go on before somebody acts.
    """

    OK = "ok"
    WARNING = "warning"
    CRITICAL = "critical"

    @property
    def exit_status(self) -> int:
        """0, 1 or 2, as monitoring plug-ins have it."""
        return _LEVELS.index(self)


_LEVELS = list(Level)


class Reason(msgspec.Struct, frozen=True):
    """Why it is not OK."""

    level: Level
    subject: str
    """What it is about: storage, database, ..."""
    sentence: str
    """Without patient data."""
    remedy: str = ""
    """What to do; empty where it passes by itself."""

    def __str__(self) -> str:
        if not self.remedy:
            return self.sentence
        return f"{as_sentence(self.sentence)} To do: {self.remedy}"


class Judgement(msgspec.Struct, frozen=True):
    """The worst level of all reasons; they are sorted, the worst first."""

    level: Level
    reasons: tuple[Reason, ...]

    @classmethod
    def of(cls, reasons: Iterable[Reason]) -> Self:
        """Judge by `reasons`; there may be none."""
        ordered = sorted(reasons, key=lambda reason: -reason.level.exit_status)
        return cls(ordered[0].level if ordered else Level.OK, tuple(ordered))

    def __str__(self) -> str:
        """One line: the level, and why."""
        return self.level.upper() + "".join(
            f"{': ' if at == 0 else '; '}{reason.sentence}" for at, reason in enumerate(self.reasons)
        )
