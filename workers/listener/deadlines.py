"""How long a peer is waited for: the deadlines of one association.

Its clock runs only while we wait for the peer: what a slow disk of ours costs is not the peer's fault. So it needs
no timer and no system call, only how long each wait was and what it brought.
"""

from oxidicom.association.acceptor import Acceptor, AssociationState
from oxidicom.settings import Settings

_LOOK_SECONDS = 1.0


class Deadlines:
    """The deadlines of one peer. Seconds are seconds of waiting."""

    def __init__(self, settings: Settings, acceptor: Acceptor) -> None:
        self._settings = settings
        self._acceptor = acceptor
        self._waited = 0.0
        self._silent_since = 0.0
        self._look_at = _LOOK_SECONDS
        self._measured_since = 0.0
        """Since when the rate of the message at hand is measured, anew every CHRIS_SCP_STALL_SECONDS."""
        self._bytes = 0
        """What came since then."""

    def waited(self, seconds: float, received_bytes: int) -> str | None:
        """Take note of a wait. Return what did not come in time when a deadline has passed, else None."""
        self._waited += seconds
        self._bytes += received_bytes
        if received_bytes:
            self._silent_since = self._waited
        if self._waited < self._look_at:
            return None
        self._look_at = self._waited + _LOOK_SECONDS
        return self._look()

    def _look(self) -> str | None:
        settings = self._settings
        silent_seconds = self._waited - self._silent_since
        if self._acceptor.state is AssociationState.AWAITING_REQUEST:
            return _within("no association request", self._waited, settings.association_request_seconds)
        if self._acceptor.inside_message:
            return _within("nothing more of a message", silent_seconds, settings.stall_seconds) or self._look_at_rate()
        self._measure_anew()
        return _within("no new message", silent_seconds, settings.idle_seconds)

    def _look_at_rate(self) -> str | None:
        """A byte now and then is no progress: else a few trickling peers would hold all listeners."""
        if self._waited - self._measured_since <= self._settings.stall_seconds:
            return None
        least_bytes = self._settings.min_bytes_per_second * self._settings.stall_seconds
        if self._bytes < least_bytes:
            return f"fewer than {least_bytes:g} bytes of a message within {self._settings.stall_seconds:g} s"
        self._measure_anew()
        return None

    def _measure_anew(self) -> None:
        self._measured_since, self._bytes = self._waited, 0


def _within(what: str, seconds: float, limit_seconds: float) -> str | None:
    return f"{what} within {limit_seconds:g} s" if seconds > limit_seconds else None
