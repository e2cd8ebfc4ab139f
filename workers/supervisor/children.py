"""The processes below the supervisor: forked, reaped, buried, respawned, and killed when they are stuck."""

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterable, Iterator

from loguru import logger

from workers.channels.scoreboard import Counter, GatewayPhase, ProcessState, Role
from workers.channels.shared import Shared, roles_of
from workers.supervisor.managed_process import STUCK_SECONDS, ManagedProcess, worker_for
from workers.supervisor.process import EXIT_CANNOT_BOOT, spawn
from workers.supervisor.watchdog import waits_for_disk

_LONG_LIFE_SECONDS = 10.0
"""A process that lived so long is spawned again at once."""
_KILL_SECONDS = 2.0
"""What the kernel may take to end the processes that were killed; one that waits for a dead disk it cannot end."""
_TICK_SECONDS = 0.02
_VITAL = (Role.LISTENER, Role.STORAGE)
"""Roles without which nothing can be received: when one cannot boot at the start, the gateway stops."""
_NEED_STORAGE = (Role.STORAGE, Role.REGISTRATION)
"""Roles that have nothing to do before the storage is there."""


class Children:
    """All child processes, running or due."""

    def __init__(self, shared: Shared) -> None:
        """Nothing is forked yet, but the roles can be found on the scoreboard."""
        self._shared = shared
        self.failure: str | None = None
        """Why the gateway cannot start."""
        slots = shared.scoreboard.slots
        self._processes = [
            ManagedProcess(role, index, slots[at]) for at, (role, index) in enumerate(roles_of(shared.settings), 1)
        ]
        for process in self._processes:
            process.slot.begin(process.role, 0)

    def __iter__(self) -> Iterator[ManagedProcess]:
        return iter(self._processes)

    @property
    def late(self) -> list[str]:
        """Names of the processes that are not at work yet. One that is not vital counts as begun once it has tried."""
        return [process.name for process in self._processes if not _has_begun(process)]

    def respawn(self, *, storage_is_there: bool) -> None:
        """Fork those that are not there, unless it is too early."""
        for process in self._processes:
            is_wanted = storage_is_there or process.role not in _NEED_STORAGE
            if is_wanted and not (process.pid or process.finished or self.failure or process.backoff.due_seconds):
                self._spawn(process)

    def _spawn(self, process: ManagedProcess) -> None:
        process.watchdog.begin()
        process.born = time.monotonic()
        shared = self._shared
        try:
            process.pid = spawn(shared, process.slot, process.role, process.index, lambda: worker_for(process, shared))
        except OSError as error:  # no memory or no process left (systemd's TasksMax): both may come back
            logger.error(
                "Process {process} cannot be started: {reason}; the next try is in {seconds:g} s",
                process=process.name,
                reason=error.strerror,
                seconds=process.backoff.failed(),
                action="fork_failed",
            )

    def reap(self) -> None:
        """Take note of every process that ended. Only our own pids are waited for: others belong to others."""
        for process, status in self.ended():
            if process.replaced:
                process.replaced = False
                process.slot.hold("", "")
            elif status or process.role is not Role.LISTENER:
                self.bury(process, status)  # a listener may end in order, to be replaced by a fresh one

    def ended(self) -> Iterable[tuple[ManagedProcess, int]]:
        """Yield every process that has ended, with its exit status (negative: the signal that killed it)."""
        with contextlib.suppress(ChildProcessError):
            if os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
                return  # one call instead of one for each process: nearly always nobody has ended
        for process in self._processes:
            if process.pid:
                pid, status = os.waitpid(process.pid, os.WNOHANG)
                if pid:
                    process.pid = 0
                    yield process, os.waitstatus_to_exitcode(status)

    def bury(self, process: ManagedProcess, status: int) -> None:
        """A process ended unasked: say so, tell those who continue its work, plan its successor."""
        starting = self._shared.scoreboard.phase is GatewayPhase.STARTING
        if status == EXIT_CANNOT_BOOT and process.role in _VITAL and starting:
            self.failure = f"{process.name} cannot boot"
            return
        process.slot.add(Counter.RESPAWNS)
        seconds = 0.0
        if time.monotonic() - process.born > _LONG_LIFE_SECONDS:
            process.backoff.succeeded()
        else:
            seconds = process.backoff.failed()
        logger.bind(**({"association": process.slot.association} if process.slot.association else {})).warning(
            "Process {process} ended unexpectedly ({reason}); it is restarted {when}",
            process=process.name,
            reason=f"signal {-status}" if status < 0 else f"exit status {status}",
            when=f"in {seconds:g} s" if seconds else "at once",
            action="process_died",
        )
        process.slot.hold("", "")  # its association counts no longer, however long its successor takes to come
        self._shared.hint_rescan(self._shared.scoreboard.slots[0])

    def kill_stuck(self) -> None:
        """Kill what gives no sign of life; its successor and the queue it leaves take care of the rest."""
        for process in self._processes:
            if process.pid and process.watchdog.is_stuck(process.slot) and not waits_for_disk(process.pid):
                logger.error(
                    "Process {process} gave no sign of life for {seconds:g} s and is being killed",
                    process=process.name,
                    seconds=STUCK_SECONDS,
                    action="process_stuck",
                )
                os.kill(process.pid, signal.SIGKILL)
                process.watchdog.begin()

    def replace_all(self) -> None:
        """End all processes, for fresh ones to begin. SIGKILL is safe at any moment: the spool has all that counts."""
        for process in self._processes:
            process.replaced = bool(process.pid)
        self._kill_all(self.reap)

    def kill_all(self) -> None:
        """End what is left, for good."""
        self._kill_all(lambda: list(self.ended()))
        for process in self._processes:
            if process.pid:
                logger.error(
                    "Process {process} is stuck waiting for the disk and cannot be killed; see whether the storage "
                    "answers",
                    process=process.name,
                    action="unkillable",
                )

    def _kill_all(self, reap: Callable[[], object]) -> None:
        for process in self._processes:
            if process.pid:
                os.kill(process.pid, signal.SIGKILL)
        deadline = time.monotonic() + _KILL_SECONDS
        while any(process.pid for process in self._processes) and time.monotonic() < deadline:
            reap()
            signal.sigtimedwait([signal.SIGCHLD], _TICK_SECONDS)


def _has_begun(process: ManagedProcess) -> bool:
    tried = process.role not in _VITAL and process.slot[Counter.RESPAWNS] > 0
    return tried or process.slot.state > ProcessState.BOOTING
