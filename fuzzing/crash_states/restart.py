"""A gateway that starts where the power failed: the program's own start-up, adoption, storage and registration.

The quick way, for states by the thousand: what supervisor, steward, inquiry, storage and registration do is done by
their own classes in one process, one role after the other as at a stop; waits that only gather work are left out, and
links are refused where the recorded storage refused them. The slow way runs the gateway by its command.
"""

import contextlib
import errno
import gc
import os
import socket
import threading
from collections.abc import Iterator
from typing import NoReturn

from loguru import logger

from fuzzing.crash_states.scenario import Scenario
from oxidicom.settings import Settings
from oxidicom.spool.gateway_directory import GatewayDirectory, gateway_paths, spool_of
from workers.channels.messages import PhaseChanged
from workers.channels.scoreboard import GatewayPhase, Role
from workers.channels.shared import Shared, share
from workers.inquiry.inquiry_worker import InquiryWorker
from workers.registration import registration_worker
from workers.registration.registration_worker import RegistrationWorker
from workers.steward.steward import Steward
from workers.storage import storage_worker
from workers.storage.storage_worker import StorageWorker
from workers.supervisor.children import Children
from workers.supervisor.directory_keeper import DirectoryKeeper

MAX_PASSES = 4
"""So often storage and registration may have to look through the spool, each after the other, until nothing is left."""


class Restart:
    """Starts one gateway after the other in the same place."""

    def __init__(self, scenario: Scenario, files_root: str, conninfo: str) -> None:
        self._scenario = scenario
        environment = scenario.environment(files_root, conninfo, f"{files_root}-state")
        self._settings = Settings.from_environment(
            environment | {"CHRIS_LISTENER_THREADS": "1", "TOKIO_WORKER_THREADS": "1"}
        )
        storage_worker._GATHER_SECONDS = registration_worker._GATHER_SECONDS = 0.0
        storage_worker._WAIT_SECONDS = registration_worker._WAIT_SECONDS = 0.02
        self._lines: list[str] = []
        logger.remove()
        logger.add(self._keep, level="WARNING", format="{message}")

    def _keep(self, line: str) -> None:
        self._lines.append(line.strip())

    def run(self) -> list[str]:
        """Start, store, register and stop. Return what is wrong by the gateway's own account."""
        self._lines.clear()
        with self._refused_links(), _shared(self._settings) as shared:
            return self._run(shared)

    def _run(self, shared: Shared) -> list[str]:
        keeper = DirectoryKeeper(shared, Children(shared))
        if not keeper.is_made:
            return ["the storage is not taken for one"]
        steward = Steward(shared, shared.scoreboard.steward)
        if steward._look():
            return ["the steward finds trouble with the storage"]
        steward._keep()
        with _inquiry(shared):
            wrong = self._work_off(shared)
        keeper.remove_if_empty()
        shared.directory.release()
        return wrong + [line for line in self._lines if "Please report this line" in line]

    def _work_off(self, shared: Shared) -> list[str]:
        shared.scoreboard.phase = GatewayPhase.FLUSHING_REGISTRATION
        storage = StorageWorker(shared, shared.scoreboard.of_role(Role.STORAGE)[0], 0)
        registration = RegistrationWorker(shared, shared.scoreboard.of_role(Role.REGISTRATION)[0])
        try:
            for _ in range(MAX_PASSES):
                shared.hint_rescan(shared.scoreboard.slots[0])
                shared.storage_queues[0].put(PhaseChanged(shared.scoreboard.phase))  # so that nobody waits for more
                shared.registration_queue.put(PhaseChanged(shared.scoreboard.phase))
                storage.run()
                registration.run()
                if not _spooled(shared):
                    return []
            left = sorted(os.path.basename(path) for path in _spooled(shared))
            return [f"it does not come to an end: {', '.join(sorted({name.rpartition('.')[2] for name in left}))} left"]
        finally:
            storage._tree.close()
            storage._sync.close()
            registration._thread.shutdown()
            os.close(registration._batch_done)

    @property
    def lines(self) -> list[str]:
        """What the gateway warned of."""
        return self._lines

    @contextlib.contextmanager
    def _refused_links(self) -> Iterator[None]:
        if self._scenario.way == "links":
            yield
            return
        link = os.link
        os.link = _refuse
        try:
            yield
        finally:
            os.link = link


def _refuse(*_: object, **__: object) -> NoReturn:
    raise OSError(errno.EPERM, os.strerror(errno.EPERM))


def _spooled(shared: Shared) -> list[str]:
    return [
        os.path.join(directory, name)
        for gateway in gateway_paths(shared.settings.files_root)
        for directory, directories, names in os.walk(spool_of(gateway))
        for name in (*directories, *names)
    ]


@contextlib.contextmanager
def _shared(settings: Settings) -> Iterator[Shared]:
    """What the processes of a gateway share, and its end."""
    shared = share(settings, settings.db_connection, GatewayDirectory(settings.files_root), socket.socket(), None)
    try:
        yield shared
    finally:
        shared.directory.release()
        shared.listening_socket.close()
        for close in (
            *(queue.close for queue in shared.storage_queues),
            *(queue.close for queue in shared.answer_queues),
            shared.inquiry_queue.close,
            shared.registration_queue.close,
            shared.facts.queue.close,
        ):
            close()
        with shared.unfinished, shared.finished:
            pass
        gc.collect(0)


@contextlib.contextmanager
def _inquiry(shared: Shared) -> Iterator[None]:
    """The inquiry worker, which knows no PACS: after a power failure it may be gone too."""
    worker = InquiryWorker(shared, shared.scoreboard.of_role(Role.INQUIRY)[0])
    thread = threading.Thread(target=worker.run)
    thread.start()
    try:
        yield
    finally:
        shared.scoreboard.phase = GatewayPhase.STOPPING
        shared.inquiry_queue.put(PhaseChanged(GatewayPhase.STOPPING))
        thread.join()
        os.close(worker._reported)
