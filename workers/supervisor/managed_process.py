"""One place for a process: a role and an index, filled by one process after another."""

import dataclasses
from collections.abc import Callable

from workers.channels.backoff import Backoff
from workers.channels.scoreboard import Role, Slot
from workers.channels.shared import Shared
from workers.inquiry.inquiry_worker import InquiryWorker
from workers.listener.doorman import Doorman
from workers.listener.listener import Listener
from workers.observer.observer import Observer
from workers.page.page import Page
from workers.registration.registration_worker import RegistrationWorker
from workers.steward.steward import Steward
from workers.storage.storage_worker import StorageWorker
from workers.supervisor.process import Worker
from workers.supervisor.watchdog import Watchdog

STUCK_SECONDS = 30.0
"""A process that gave no sign of life for so long is stuck. Each gives one every few seconds at least."""


_WORKERS: dict[Role, Callable[[Shared, Slot], Worker]] = {
    Role.LISTENER: Listener,
    Role.DOORMAN: Doorman,
    Role.INQUIRY: InquiryWorker,
    Role.REGISTRATION: RegistrationWorker,
    Role.STEWARD: Steward,
    Role.OBSERVER: Observer,
    Role.PAGE: Page,
}


@dataclasses.dataclass
class ManagedProcess:
    """A process, as the supervisor keeps it."""

    role: Role
    index: int
    slot: Slot
    pid: int = 0
    """Of the process in this place; 0 while it is empty."""
    born: float = 0.0
    """When it was started, on the monotonic clock."""
    backoff: Backoff = dataclasses.field(default_factory=lambda: Backoff(0.1, 10.0))
    watchdog: Watchdog = dataclasses.field(default_factory=lambda: Watchdog(STUCK_SECONDS))
    replaced: bool = False
    """The supervisor killed it so that a fresh one begins."""
    finished: bool = False
    """It ended in order during the drain, and has no successor."""

    @property
    def name(self) -> str:
        """What it is called in the log."""
        return f"{self.role.name.lower()} {self.index}"


def worker_for(process: ManagedProcess, shared: Shared) -> Worker:
    """Return the work of a process. Call it in that process."""
    if process.role is Role.STORAGE:
        return StorageWorker(shared, process.slot, process.index)
    return _WORKERS[process.role](shared, process.slot)
