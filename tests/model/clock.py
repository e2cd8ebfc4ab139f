"""Time as a model: it goes on when somebody waits, and when the model says so. And a turn ends where a worker waits."""

import select
import time
import types

_TICK_SECONDS = 1e-6

CLOCKED = (
    "workers.storage.storage_rescan",
    "workers.storage.tree_watch",
    "workers.storage.retries",
    "workers.storage.storage_worker",
    "workers.registration.progress_telling",
    "workers.registration.batch_clearing",
    "workers.registration.registration_worker",
    "workers.registration.registration_rescan",
    "workers.registration.completion",
    "workers.channels.repetitions",
    "workers.channels.setting_aside",
    "workers.channels.backoff",
    "oxidicom.spool.spool_writer",
    "oxidicom.tree.group_sync",
)
"""The modules whose `time` is this one."""

WAITING = ("workers.storage.storage_worker", "workers.registration.registration_worker")
"""The modules whose `select` is a `Turns`."""


class TurnOverError(BaseException):
    """The worker waits for the second time: it is the turn of others."""


class Clock(types.SimpleNamespace):
    """What is used of the module `time`."""

    def __init__(self) -> None:
        super().__init__(time=time.time, time_ns=time.time_ns)
        self._now = 1000.0

    def monotonic(self) -> float:
        self._now += _TICK_SECONDS
        return self._now

    def monotonic_ns(self) -> int:
        return int(self.monotonic() * 1e9)

    def sleep(self, seconds: float) -> None:
        self._now += seconds


class Turns:
    """What is used of the module `select`, for one worker at a time."""

    POLLIN = select.POLLIN

    def __init__(self) -> None:
        self._has_waited = False

    def begin(self) -> None:
        """A worker begins, or goes on."""
        self._has_waited = False

    def wait(self) -> None:
        """The worker waits."""
        if self._has_waited:
            raise TurnOverError
        self._has_waited = True

    def poll(self) -> "_Poll":
        return _Poll(self)


class _Poll:
    def __init__(self, turns: Turns) -> None:
        self._turns = turns

    def register(self, *_: object) -> None:
        """What it waits for does not matter: it looks at all of it."""

    def poll(self, _: float) -> None:
        self._turns.wait()
