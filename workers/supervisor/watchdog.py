"""Watching for signs of life: how the supervisor tells that a process is stuck."""

import time

from workers.channels.scoreboard import ProcessState, Slot

_MAX_TICK_SECONDS = 1.0


class Watchdog:
    """Watches the heartbeat of one process.

    Silence is counted in ticks of the watcher, not by the clock: if the whole gateway was stopped for an hour (a
    frozen container, a laptop asleep), nobody is stuck when it goes on.
    """

    def __init__(self, stuck_seconds: float) -> None:
        self._stuck_seconds = stuck_seconds
        self.begin()

    def begin(self) -> None:
        """A new process is watched."""
        self._beat_ns = -1
        self._silent_seconds = 0.0
        self._looked = time.monotonic()

    def is_stuck(self, slot: Slot) -> bool:
        """Look at the slot, and tell whether its process was silent for too long. A slow sync is not stuck."""
        now = time.monotonic()
        tick_seconds, self._looked = min(now - self._looked, _MAX_TICK_SECONDS), now
        beat_ns = slot.heartbeat_ns
        if beat_ns != self._beat_ns or slot.state in (ProcessState.SYNCING, ProcessState.ENDED):
            self._beat_ns, self._silent_seconds = beat_ns, 0.0
        else:
            self._silent_seconds += tick_seconds
        return self._silent_seconds > self._stuck_seconds


def waits_for_disk(pid: int) -> bool:
    """Tell whether a process is in an uninterruptible wait (state D, proc(5)): that is the disk or the network storage.

    It is not stuck by itself, and a kill would not end it before the disk answers.
    """
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return file.read().rpartition(b")")[2].split()[0] == b"D"
    except OSError:
        return False
