"""Which of the programs that a benchmark names can be started here."""

from collections.abc import Sequence
from typing import Protocol, TypeVar


class _Party(Protocol):
    title: str

    def why_missing(self) -> str: ...


_P = TypeVar("_P", bound=_Party)


def installed(parties: Sequence[_P], skipped: dict[str, str]) -> list[_P]:
    """Return those that can be started here, and note in `skipped` by title why the others cannot."""
    skipped.update({party.title: reason for party in parties if (reason := party.why_missing())})
    return [party for party in parties if party.title not in skipped]
