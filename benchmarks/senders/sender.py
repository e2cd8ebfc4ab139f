"""A sender, as the table sees it, and where it sends to."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.senders.files import Series
from benchmarks.senders.running import Ran

LOOPBACK = "127.0.0.1"


@dataclass(frozen=True)
class Address:
    """Where a receiver listens, as its senders see it."""

    host: str
    port: int


class Sender(ABC):
    """Sends files by C-STORE as it does when nobody has told it anything."""

    name: str
    """As it is chosen on the command line."""
    title: str
    is_parallel: bool
    """Whether several of it can be started at once."""

    @abstractmethod
    def why_missing(self) -> str:
        """Return why it cannot be had here and what to do about it; "" if it can."""

    def load(self, series: Sequence[Series]) -> None:  # noqa: B027 (most have nothing to do)
        """Make ready what will be sent."""

    @abstractmethod
    def send(self, series: Sequence[Series], to: Address) -> Ran:
        """Send each series over an association of its own, all at once.

        Raise BenchmarkError when that takes some minutes. To return does not mean that everything was stored.
        """
