"""The supervisor: binds the port, forks the processes, reaps and respawns them, and ends the gateway in order.

It owns no thread, no SDK and no database connection, and never waits for anything but signals: all that are of
interest are blocked and taken one by one with `sigtimedwait`, so no handler runs at an odd moment.

    STARTING → SERVING → ACCEPTING_NO_MORE → ABORTING_ASSOCIATIONS → FLUSHING_STORAGE → FLUSHING_REGISTRATION
    → FLUSHING_TELEMETRY → STOPPING

The phase on the scoreboard says where the gateway is; the processes of a role end by themselves when theirs has come.
"""

import contextlib
import gc
import os
import signal
import socket
import time
from collections.abc import Callable, Iterable

from loguru import logger
from setproctitle import setproctitle

from oxidicom.errors import BootError, CertificateError
from oxidicom.service_manager import ServiceManager
from oxidicom.settings import Settings
from oxidicom.spool.gateway_directory import GatewayDirectory
from oxidicom.storage.clock import StorageClock
from oxidicom.storage.root import Root, look_at_root
from workers.channels.encryption import Encryption
from workers.channels.log_facts import forward_logs
from workers.channels.messages import PhaseChanged
from workers.channels.ports import bind
from workers.channels.scoreboard import Counter, GatewayPhase, ProcessState, Role
from workers.channels.shared import Shared, roles_of, share
from workers.channels.storage_condition import StorageCondition, StorageTrouble, sentence_of
from workers.supervisor.managed_process import STUCK_SECONDS, ManagedProcess, worker_for
from workers.supervisor.process import EXIT_CANNOT_BOOT, spawn
from workers.supervisor.watchdog import waits_for_disk

_SIGNALS = (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_TICK_SECONDS = 0.5
_BOOT_TICK_SECONDS = 0.02
_BOOT_SECONDS = 60.0
_FLUSH_SECONDS = 3.0
"""What the drain may take beyond CHRIS_DRAIN_SECONDS: abort, storage and registration together."""
_TELEMETRY_SECONDS = 1.5
"""What the observer may take to export the last of it."""
_KILL_SECONDS = 2.0
"""What the kernel may take to end the processes that were killed; one that waits for a dead disk it cannot end."""
_LONG_LIFE_SECONDS = 10.0
"""A process that lived so long is spawned again at once."""
_STATUS_SECONDS = 5.0
_VITAL = (Role.LISTENER, Role.STORAGE)
"""Roles without which nothing can be received: when one cannot boot at the start, the gateway stops."""
_NEED_STORAGE = (Role.STORAGE, Role.REGISTRATION)
"""Roles that have nothing to do before the storage is there."""
_MAKE_SECONDS = 2.0
"""The directory of the gateway is tried to be made so often."""


class Supervisor:
    """Runs the gateway from its first process to its last."""

    def __init__(
        self, settings: Settings, db_connection: str, service_manager: ServiceManager, on_ready: Callable[[], None]
    ) -> None:
        """Read the certificate, bind the port and make the spool. Raise CertificateError or BootError.

        `on_ready` is called when every process is ready.
        """
        setproctitle("oxidicom: supervisor")
        encryption = Encryption(settings) if settings.tls_certificate else None
        listening_socket = bind(settings)
        directory = GatewayDirectory(settings.files_root)
        self._shared: Shared = share(settings, db_connection, directory, listening_socket, encryption)
        self._made = False
        """The directory of the gateway was made, at least once."""
        self._make_due = 0.0
        self._settings = settings
        self._service_manager = service_manager
        self._on_ready = on_ready
        slots = self._shared.scoreboard.slots
        forward_logs(self._shared, slots[0])
        slots[0].begin(Role.SUPERVISOR, os.getpid())
        self._processes = [
            ManagedProcess(role, index, slots[at]) for at, (role, index) in enumerate(roles_of(settings), 1)
        ]
        for process in self._processes:  # so that the roles can be found before the first process has begun
            process.slot.begin(process.role, 0)
        for counter in (Counter.STORAGE_TROUBLE, Counter.TREE_TROUBLE):
            self._shared.scoreboard.steward.set(counter, StorageTrouble.NOT_LOOKED_AT)
        if _is_there(settings.files_root):  # else the steward finds out why not
            self._make_directory()
        self._condition = StorageCondition(self._shared.scoreboard)
        self._failure: str | None = None
        self._status_due = 0.0

    def run(self) -> int:
        """Run until SIGTERM, SIGINT or a failure to boot. Return the exit status."""
        signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        if self._shared.encryption:
            self._shared.encryption.warn_of_expiry()
        gc.collect()
        gc.freeze()  # what exists now is never collected, so that children share its pages
        try:
            self._respawn()
            self._serve()
            self._drain()
        finally:
            self._stop()
        if self._failure:
            logger.critical("The gateway stops: {reason}", reason=self._failure, action="stopped")
            return 1
        logger.info("The gateway has stopped", action="stopped")
        return 0

    # -- serving -----------------------------------------------------------------------------------------------

    def _serve(self) -> None:
        deadline = time.monotonic() + _BOOT_SECONDS
        while not self._failure:
            self._keep_directory()
            if not self._made:
                deadline = time.monotonic() + _BOOT_SECONDS
            starting = self._shared.scoreboard.phase is GatewayPhase.STARTING
            number = self._wait_for_signal(_BOOT_TICK_SECONDS if starting else _TICK_SECONDS)
            if number in (signal.SIGTERM, signal.SIGINT):
                logger.info("Stopping: running associations may finish", action="stopping")
                return
            if number == signal.SIGHUP:
                self._reload_certificate()
            self._reap()
            self._respawn()
            self._kill_stuck()
            self._say_status()
            if starting and self._made and all(map(_has_begun, self._processes)):
                self._shared.scoreboard.phase = GatewayPhase.SERVING
                self._service_manager.ready(self._status())
                self._on_ready()
            elif starting and time.monotonic() > deadline:
                late = ", ".join(process.name for process in self._processes if not _has_begun(process))
                self._failure = f"not ready within {_BOOT_SECONDS:g} s: {late}"

    # -- the directory of the gateway --------------------------------------------------------------------------

    def _keep_directory(self) -> None:
        """Make the directory when the steward says that the storage is there and it is not."""
        missing = self._condition.trouble is StorageTrouble.SPOOL_MISSING
        if not missing or time.monotonic() < self._make_due:
            return
        self._make_due = time.monotonic() + _MAKE_SECONDS
        try:
            if self._made:
                self._replace_all()
            self._make_directory()
        except BootError as error:
            if not self._made:
                self._failure = str(error)
                return
            logger.error("The spool cannot be made again: {error}", error=str(error), action="spool_failed")

    def _make_directory(self) -> None:
        """Make and lock it, and set the clock of the storage. Raise BootError."""
        shared = self._shared
        shared.directory.make()
        try:
            offset_ns = StorageClock(self._settings.files_root).synchronise()
        except OSError as error:
            raise BootError(f"the clock of the storage cannot be set: {error.strerror} ({error.filename})") from error
        steward = shared.scoreboard.steward
        steward.set(Counter.CLOCK_OFFSET_NS, max(offset_ns, steward[Counter.CLOCK_OFFSET_NS]))
        steward.set(Counter.STORAGE_TROUBLE, StorageTrouble.NONE)
        shared.scoreboard.slots[0].add(Counter.DIRECTORY_MADE)
        self._made = True

    def _replace_all(self) -> None:
        """End all processes: they have files of the storage open as it was before, and its lock.

        What they open anew is there. SIGKILL is safe at any moment, as ever; associations were being refused already.
        """
        logger.warning(
            "The storage was remounted or its spool is gone: restarting all processes", action="storage_renewed"
        )
        running = [process for process in self._processes if process.pid]
        for process in running:
            process.replaced = True
            os.kill(process.pid, signal.SIGKILL)
        deadline = time.monotonic() + _KILL_SECONDS
        while any(process.pid for process in running) and time.monotonic() < deadline:
            self._reap()
            signal.sigtimedwait([signal.SIGCHLD], _BOOT_TICK_SECONDS)

    def _reload_certificate(self) -> None:
        encryption, scoreboard = self._shared.encryption, self._shared.scoreboard
        if encryption is None:
            logger.info("There is no certificate to reload", action="tls_reload_ignored")
            return
        generation = scoreboard.tls_generation + 1
        try:
            encryption.reload(generation)
        except CertificateError as error:
            logger.error("The old certificate stays in use: {error}", error=str(error), action="tls_kept")
            return
        scoreboard.slots[0].set(Counter.TLS_GENERATION, generation)
        logger.info("Certificate and key were reloaded", action="tls_reloaded")
        encryption.warn_of_expiry()

    def _status(self) -> str:
        total = self._shared.scoreboard.total
        trouble = sentence_of(self._condition.trouble)
        return (
            (f"DEGRADED, {trouble}; " if trouble else "")
            + f"port {self._settings.port}: {total(Counter.INSTANCES_COMMITTED)} instances committed, "
            f"{total(Counter.ROWS_REGISTERED)} rows registered, {total(Counter.BACKLOG)} waiting"
        )

    def _say_status(self) -> None:
        if time.monotonic() >= self._status_due:
            self._status_due = time.monotonic() + _STATUS_SECONDS
            if self._shared.scoreboard.phase is GatewayPhase.STARTING:
                self._service_manager.starting(self._status(), 2 * _STATUS_SECONDS)
            else:
                self._service_manager.status(self._status())

    def _wait_for_signal(self, seconds: float) -> int | None:
        self._shared.scoreboard.slots[0].beat(ProcessState.WAITING)
        self._service_manager.alive()
        received = signal.sigtimedwait(_SIGNALS, seconds)
        return received.si_signo if received else None

    def _kill_stuck(self) -> None:
        """Kill what gives no sign of life; its successor and the queue it leaves take care of the rest."""
        for process in self._processes:
            if process.pid and process.watchdog.is_stuck(process.slot) and not waits_for_disk(process.pid):
                logger.error(
                    "Process {name} gave no sign of life for {seconds:g} s and is being killed",
                    name=process.name,
                    seconds=STUCK_SECONDS,
                    action="process_stuck",
                )
                os.kill(process.pid, signal.SIGKILL)
                process.watchdog.begin()

    def _spawn(self, process: ManagedProcess) -> None:
        process.watchdog.begin()
        process.born = time.monotonic()
        try:
            process.pid = spawn(
                self._shared, process.slot, process.role, process.index, lambda: worker_for(process, self._shared)
            )
        except OSError as error:  # no memory or no process left (systemd's TasksMax): both may come back
            logger.error(
                "Process {name} cannot be started: {reason}; the next try is in {seconds:g} s",
                name=process.name,
                reason=error.strerror,
                seconds=process.backoff.failed(),
                action="fork_failed",
            )

    def _reap(self) -> None:
        """Take note of every process that ended. Only our own pids are waited for: others belong to others."""
        for process, status in self._ended():
            if process.replaced:
                process.replaced = False
                process.slot.hold("", "")
            elif status or process.role is not Role.LISTENER:
                self._bury(process, status)  # a listener may end in order, to be replaced by a fresh one

    def _ended(self) -> Iterable[tuple[ManagedProcess, int]]:
        """Yield every process whose process has ended, with its exit status (negative: the signal that killed it)."""
        with contextlib.suppress(ChildProcessError):
            if os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
                return  # one call instead of one for each process: nearly always nobody has ended
        for process in self._processes:
            if process.pid:
                pid, status = os.waitpid(process.pid, os.WNOHANG)
                if pid:
                    process.pid = 0
                    yield process, os.waitstatus_to_exitcode(status)

    def _bury(self, process: ManagedProcess, status: int) -> None:
        """A process ended unasked: say so, tell those who take up its work, plan its successor."""
        starting = self._shared.scoreboard.phase is GatewayPhase.STARTING
        if status == EXIT_CANNOT_BOOT and process.role in _VITAL and starting:
            self._failure = f"{process.name} cannot boot"
            return
        process.slot.add(Counter.RESPAWNS)
        seconds = 0.0
        if time.monotonic() - process.born > _LONG_LIFE_SECONDS:
            process.backoff.succeeded()
        else:
            seconds = process.backoff.failed()
        logger.bind(**({"association": process.slot.association} if process.slot.association else {})).warning(
            "Process {name} ended unexpectedly ({status}); it is restarted {when}",
            name=process.name,
            status=f"signal {-status}" if status < 0 else f"exit status {status}",
            when=f"in {seconds:g} s" if seconds else "at once",
            action="process_died",
        )
        process.slot.hold("", "")  # its association counts no longer, however long its successor takes to come
        self._shared.hint_rescan(self._shared.scoreboard.slots[0])

    def _respawn(self) -> None:
        for process in self._processes:
            is_wanted = self._made or process.role not in _NEED_STORAGE
            if is_wanted and not (process.pid or process.finished or self._failure or process.backoff.due_seconds):
                self._spawn(process)

    # -- the end -----------------------------------------------------------------------------------------------

    def _drain(self) -> None:
        """End role after role, each when those that give it work are gone. A second signal ends all at once."""
        deadline = time.monotonic() + self._settings.drain_seconds
        self._enter(GatewayPhase.ACCEPTING_NO_MORE)
        self._service_manager.stopping("running associations may finish")
        self._shared.listening_socket.shutdown(socket.SHUT_RDWR)  # wakes every accept; closing it here would not
        if self._failure:
            return
        for process in self._processes:  # nobody starts them any more
            process.finished = not process.pid and (process.role is Role.LISTENER or not self._made)
        drained = self._await_end(Role.LISTENER, deadline)
        deadline = max(deadline, time.monotonic()) + _FLUSH_SECONDS
        if not drained:
            self._enter(GatewayPhase.ABORTING_ASSOCIATIONS)
            drained = self._await_end(Role.LISTENER, deadline - _FLUSH_SECONDS / 2)
        self._enter(GatewayPhase.FLUSHING_STORAGE)
        if drained is not None and self._await_end(Role.STORAGE, deadline) is not None:
            self._enter(GatewayPhase.FLUSHING_REGISTRATION)
            if self._await_end(Role.REGISTRATION, deadline) is None:
                return
        self._enter(GatewayPhase.FLUSHING_TELEMETRY)
        self._await_end(Role.OBSERVER, time.monotonic() + _TELEMETRY_SECONDS)

    def _enter(self, phase: GatewayPhase) -> None:
        self._shared.scoreboard.phase = phase
        for queue in self._shared.storage_queues:
            queue.put(PhaseChanged(phase))
        self._shared.inquiry_queue.put(PhaseChanged(phase))
        self._shared.registration_queue.put(PhaseChanged(phase))

    def _await_end(self, role: Role, deadline: float) -> bool | None:
        """Wait until every process of `role` ended in order. Return False at the deadline, None at a second signal.

        A process that dies meanwhile is spawned again, for its work is not done; but a listener is not.
        """
        while not all(process.finished for process in self._processes if process.role is role):
            if time.monotonic() > deadline:
                return False
            if self._wait_for_signal(_BOOT_TICK_SECONDS) in (signal.SIGTERM, signal.SIGINT):
                return None
            for process, status in self._ended():
                process.finished = status == 0 or process.role is Role.LISTENER
                if status:
                    self._bury(process, status)
            self._respawn()
        return True

    def _stop(self) -> None:
        """End what is left. SIGKILL is safe at any moment: what is not finished is in the spool."""
        self._enter(GatewayPhase.STOPPING)
        for process in self._processes:
            if process.pid:
                os.kill(process.pid, signal.SIGKILL)
        deadline = time.monotonic() + _KILL_SECONDS
        while any(process.pid for process in self._processes) and time.monotonic() < deadline:
            for _ in self._ended():
                pass
            signal.sigtimedwait(_SIGNALS, _BOOT_TICK_SECONDS)
        for process in self._processes:
            if process.pid:
                logger.error(
                    "Process {name} is stuck waiting for the disk and cannot be ended",
                    name=process.name,
                    action="unkillable",
                )
        self._shared.listening_socket.close()
        if self._made and not self._shared.directory.remove_if_empty():
            logger.info(
                "Instances that are not registered yet wait in the spool for the next start", action="backlog_kept"
            )


def _is_there(files_root: str) -> bool:
    try:
        return look_at_root(files_root) is Root.THERE
    except OSError:
        return False


def _has_begun(process: ManagedProcess) -> bool:
    """Tell whether a process is at work; it is enough that one that is not vital has tried."""
    tried = process.role not in _VITAL and process.slot[Counter.RESPAWNS] > 0
    return tried or process.slot.state > ProcessState.BOOTING
