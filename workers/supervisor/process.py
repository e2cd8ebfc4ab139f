"""How a process of the gateway begins and ends: the fork, and all that must happen right after it."""

import contextlib
import ctypes
import os
import signal
import sys
from collections.abc import Callable
from typing import Protocol

from loguru import logger
from setproctitle import setproctitle

from oxidicom.errors import BootError
from oxidicom.logs import rename_role
from workers.channels.bugs import place_of
from workers.channels.log_facts import forward_logs
from workers.channels.scoreboard import ProcessState, Role, Slot
from workers.channels.shared import Shared

EXIT_CANNOT_BOOT = 3
"""Exit status of a process that could not begin its work: what it needs is not there."""

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


class Worker(Protocol):
    """The work of a role. Its constructor runs in the child, so it may make threads and connections.

    It raises BootError when that is impossible.
    """

    def run(self) -> None:
        """Work until the phase on the scoreboard says that it is over."""


def spawn(shared: Shared, slot: Slot, role: Role, index: int, make: Callable[[], Worker]) -> int:
    """Fork a process for `role` and return its pid. In the child this does not return."""
    supervisor = os.getpid()
    _flush_stderr()
    pid = os.fork()
    if pid:
        return pid
    status = 1
    try:
        slot.begin(role, os.getpid())
        _settle_in(shared, f"{role.name.lower()}-{index}", supervisor)
        forward_logs(shared, slot)
        status = _work(slot, make)
        shared.repetitions.tell_rest(all_of_it=True)
    finally:  # no way leads back to the caller: a second supervisor would end the work of the first
        try:
            _flush_stderr()
        finally:
            os._exit(status)  # no exit handlers: they belong to the supervisor


def _flush_stderr() -> None:
    with contextlib.suppress(OSError, ValueError):  # whoever read it may be gone
        sys.stderr.flush()


def _settle_in(shared: Shared, name: str, supervisor: int) -> None:
    # Children end with the supervisor, however it ends; what they leave undone is in the spool.
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != supervisor:
        os._exit(1)
    # A terminal and systemd send these to every process; the supervisor alone conducts.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    os.umask(shared.settings.umask)
    setproctitle(f"oxidicom: {name}")
    rename_role(name)


def _work(slot: Slot, make: Callable[[], Worker]) -> int:
    try:
        worker = make()
        slot.beat(ProcessState.WAITING)
        worker.run()
    except BootError as error:
        logger.critical(str(error), action="cannot_boot")
        return EXIT_CANNOT_BOOT
    except Exception as error:  # noqa: BLE001 (the last resort of a process)
        # A bug of ours. It costs this process, which is spawned again; its work is in the spool.
        logger.opt(exception=error).error(
            "Unexpected {error} in {place}; this process ends and another takes over",
            error=type(error).__name__,
            place=place_of(error),
            action="process_failed",
        )
        return 1
    slot.beat(ProcessState.ENDED)
    return 0
