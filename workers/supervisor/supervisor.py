"""The supervisor: binds the port, forks the processes, reaps and respawns them, and ends the gateway in order.

It owns no thread, no SDK and no database connection, and never waits for anything but signals: all that are of
interest are blocked and taken one by one with `sigtimedwait`, so no handler runs at an odd moment.

    STARTING → SERVING → ACCEPTING_NO_MORE → ABORTING_ASSOCIATIONS → FLUSHING_STORAGE → FLUSHING_REGISTRATION
    → FLUSHING_TELEMETRY → STOPPING

The phase on the scoreboard says where the gateway is; the processes of a role end by themselves when theirs has come.
"""

import gc
import os
import signal
import socket
import time
from collections.abc import Callable

from loguru import logger
from setproctitle import setproctitle

from oxidicom.errors import BootError, CertificateError
from oxidicom.judgement.judgement import Judgement, Level
from oxidicom.judgement.rules import judge
from oxidicom.service_manager import ServiceManager
from oxidicom.settings import Settings
from oxidicom.spool.gateway_directory import GatewayDirectory
from oxidicom.wording import counted
from workers.channels.condition import condition_of
from workers.channels.encryption import Encryption
from workers.channels.log_facts import forward_logs
from workers.channels.messages import PhaseChanged
from workers.channels.ports import bind
from workers.channels.scoreboard import Counter, GatewayPhase, ProcessState, Role
from workers.channels.shared import Shared, share
from workers.supervisor.children import Children
from workers.supervisor.directory_keeper import DirectoryKeeper

_SIGNALS = (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_TICK_SECONDS = 0.5
_BOOT_TICK_SECONDS = 0.02
_BOOT_SECONDS = 60.0
_FLUSH_SECONDS = 3.0
"""What the drain may take beyond CHRIS_DRAIN_SECONDS: abort, storage and registration together."""
_TELEMETRY_SECONDS = 1.5
"""What the observer may take to export the last of it."""
_SPARE_SECONDS = 10.0
"""What a service manager is to wait beyond all that: a loaded host takes a while to end processes."""
_STATUS_SECONDS = 5.0
_ANSWER_SECONDS = 5.0
"""So long a start waits for the first word of database and storage: whoever reads "ready" is to know how it is."""


class Supervisor:
    """Runs the gateway from its first process to its last."""

    def __init__(
        self,
        settings: Settings,
        db_connection: str,
        service_manager: ServiceManager,
        on_ready: Callable[[Judgement], None],
    ) -> None:
        """Read the certificate, bind the port and make the spool. Raise CertificateError or BootError.

        `on_ready` is called when every process is ready, with how the gateway is then.
        """
        setproctitle("oxidicom: supervisor")
        encryption = Encryption(settings) if settings.tls_certificate else None
        listening_socket = bind(settings)
        directory = GatewayDirectory(settings.files_root)
        self._shared: Shared = share(settings, db_connection, directory, listening_socket, encryption)
        self._settings = settings
        self._service_manager = service_manager
        self._on_ready = on_ready
        slots = self._shared.scoreboard.slots
        forward_logs(self._shared, slots[0])
        slots[0].begin(Role.SUPERVISOR, os.getpid())
        self._children = Children(self._shared)
        self._keeper = DirectoryKeeper(self._shared, self._children)
        self._failure: str | None = None
        self._answer_deadline = 0.0
        self._status_due = 0.0

    def run(self) -> int:
        """Run until SIGTERM, SIGINT or a failure to boot. Return the exit status."""
        signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        if self._shared.encryption:
            self._look_at_expiry(self._shared.encryption)
        gc.collect()
        gc.freeze()  # what exists now is never collected, so that children share its pages
        try:
            self._children.respawn(storage_is_there=self._keeper.is_made)
            self._serve()
            self._drain()
        finally:
            self._stop()
        if self._failure:
            logger.critical("The gateway stops: {reason}", reason=self._failure, action="stopped")
            return 1
        logger.info("The gateway has stopped", action="stopped")
        return 0

    def _serve(self) -> None:
        deadline = time.monotonic() + _BOOT_SECONDS
        while not self._failure:
            try:
                self._keeper.make_if_missing()
            except BootError as error:
                self._failure = str(error)
                return
            if not self._keeper.is_made:
                deadline = time.monotonic() + _BOOT_SECONDS
            starting = self._shared.scoreboard.phase is GatewayPhase.STARTING
            number = self._wait_for_signal(_BOOT_TICK_SECONDS if starting else _TICK_SECONDS)
            if number in (signal.SIGTERM, signal.SIGINT):
                logger.info("Stopping: running associations may finish", action="stopping")
                return
            if number == signal.SIGHUP:
                self._reload_certificate()
            self._children.reap()
            self._children.respawn(storage_is_there=self._keeper.is_made)
            self._children.kill_stuck()
            self._say_status()
            self._failure = self._children.failure
            if starting and not self._failure:
                self._begin_if_all_have(deadline)

    def _begin_if_all_have(self, deadline: float) -> None:
        """The gateway is ready when all processes are at work, and fails when they are not in time."""
        late = self._children.late
        if self._keeper.is_made and not late:
            if not self._waits_for_answers():
                self._shared.scoreboard.phase = GatewayPhase.SERVING
                self._service_manager.ready(self._status())
                self._on_ready(self._judgement())
        elif time.monotonic() > deadline:
            self._failure = f"not ready within {_BOOT_SECONDS:g} s: {', '.join(late)}"

    def _waits_for_answers(self) -> bool:
        self._answer_deadline = self._answer_deadline or time.monotonic() + _ANSWER_SECONDS
        condition = condition_of(self._shared)
        is_known = condition.database.is_known and condition.room is not None
        return not is_known and time.monotonic() < self._answer_deadline

    def _judgement(self) -> Judgement:
        return judge(condition_of(self._shared))

    def _reload_certificate(self) -> None:
        encryption, scoreboard = self._shared.encryption, self._shared.scoreboard
        if encryption is None:
            logger.info("There is no certificate to reload", action="tls_reload_ignored")
            return
        generation = scoreboard.tls_generation + 1
        try:
            encryption.reload(generation)
        except CertificateError as error:
            logger.error("The old certificate stays in use: {reason}", reason=str(error), action="tls_kept")
            return
        scoreboard.slots[0].set(Counter.TLS_GENERATION, generation)
        logger.info("Certificate and key were reloaded", action="tls_reloaded")
        self._look_at_expiry(encryption)

    def _look_at_expiry(self, encryption: Encryption) -> None:
        encryption.warn_of_expiry()
        self._shared.scoreboard.slots[0].set(Counter.CERTIFICATE_EXPIRES_SECONDS, int(encryption.expires.timestamp()))

    def _status(self) -> str:
        total = self._shared.scoreboard.total
        judgement = self._judgement()
        return (
            ("" if judgement.level is Level.OK else f"{judgement}; ")
            + f"port {self._settings.port}: {counted(total(Counter.INSTANCES_COMMITTED), 'instance')} committed, "
            f"{counted(total(Counter.ROWS_REGISTERED), 'row')} registered, {total(Counter.BACKLOG)} waiting"
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

    def _drain(self) -> None:
        """End role after role, each when those that give it work are gone. A second signal ends all at once."""
        seconds = self._settings.drain_seconds
        deadline = time.monotonic() + seconds
        self._enter(GatewayPhase.ACCEPTING_NO_MORE)
        at_most = seconds + _FLUSH_SECONDS + _TELEMETRY_SECONDS + _SPARE_SECONDS
        self._service_manager.stopping("running associations may finish", at_most)
        self._shared.listening_socket.shutdown(socket.SHUT_RDWR)  # wakes every accept; closing it here would not
        if self._failure:
            return
        for process in self._children:  # nobody starts them any more
            process.finished = not process.pid and (process.role is Role.LISTENER or not self._keeper.is_made)
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
        while not all(process.finished for process in self._children if process.role is role):
            if time.monotonic() > deadline:
                return False
            if self._wait_for_signal(_BOOT_TICK_SECONDS) in (signal.SIGTERM, signal.SIGINT):
                return None
            for process, status in self._children.ended():
                process.finished = status == 0 or process.role is Role.LISTENER
                if status:
                    self._children.bury(process, status)
            self._children.respawn(storage_is_there=self._keeper.is_made)
        return True

    def _stop(self) -> None:
        """End what is left. SIGKILL is safe at any moment: what is not finished is in the spool."""
        self._enter(GatewayPhase.STOPPING)
        self._children.kill_all()
        self._shared.listening_socket.close()
        self._keeper.remove_if_empty()
