"""One gateway of the model: the real workers on the real spool, each as a process that can be killed."""

import contextlib
import os
import types
from typing import cast

from oxidicom.association.acceptor import Acceptor
from oxidicom.errors import BootError
from oxidicom.settings import Settings
from oxidicom.spool.adoption import adopt_orphans
from oxidicom.spool.gateway_directory import GatewayDirectory
from oxidicom.spool.ledger import Started
from oxidicom.spool.names import EntryName
from oxidicom.statuses import Status
from oxidicom.storage.clock import StorageClock
from tests.fixtures.shared import close_shared, share_for_test
from tests.model.clock import TurnOverError, Turns
from tests.model.instances import SentInstance
from tests.model.power import KilledError, Power, Process
from workers.channels.messages import SeriesCounted
from workers.channels.scoreboard import Counter, GatewayPhase, Role
from workers.listener.store_service import StoreService
from workers.registration.registration_worker import RegistrationWorker
from workers.storage.storage_worker import StorageWorker

LISTENERS = 2


class NotingStoreService(StoreService):
    """The store service, which remembers what it has committed last."""

    committed: tuple[EntryName, int, str]
    """Name, moment of the commit, and final path."""

    def _queue(self, name, committed_ns, description):
        self.committed = name, committed_ns, description.file.fname
        super()._queue(name, committed_ns, description)


class Association:
    """One association: its listener, as a process, and what it answers."""

    def __init__(self, shared, slot, process, ulid, on_acknowledged):
        """`on_acknowledged` is told the instance and the moment of its commit when Success leaves."""
        self.process, self.ulid, self.slot = process, ulid, slot
        self._on_acknowledged = on_acknowledged
        self._sent: SentInstance | None = None
        acceptor = cast(Acceptor, types.SimpleNamespace(has_room=False, respond=self._respond))
        self._service = NotingStoreService(shared, slot, acceptor, Started(ulid, "TEST", "ChRIS", "127.0.0.1:1"))
        slot.hold(ulid, "TEST")

    def _respond(self, _, status, *__):
        if status == Status.SUCCESS:
            self._on_acknowledged(self.ulid, self._sent, *self._service.committed)

    def receive(self, sent, in_pieces):
        self._sent = sent
        self._service.begin(sent.request)
        data = memoryview(sent.data)
        for piece in (data[:200], data[200:]) if in_pieces else (data,):
            self._service.take(piece)
            if in_pieces:
                self._service.keep_or_flush_pieces()
        self._service.finish(sent.request)

    def end(self):
        self._service.end("released")
        self.slot.hold("", "")


class ModelGateway:
    """The processes of one gateway. Whoever dies is told of, and has a successor at its next turn."""

    def __init__(self, files_root: str, power: Power, turns: Turns) -> None:
        """Start it, up to the point where its steward has yet to look around."""
        self._power = power
        self._turns = turns
        self._directory = GatewayDirectory(files_root)
        self.ulid = self._directory.ulid
        self._supervisor = Process("supervisor", self.ulid)
        with power.runs(self._supervisor):
            self._directory.make()
        settings = Settings.from_environment(
            {
                "CHRIS_DB_CONNECTION": "host=127.0.0.1 port=1",
                "CHRIS_FILES_ROOT": files_root,
                "STATE_DIRECTORY": f"{files_root}-state",
                "CHRIS_LISTENER_THREADS": str(LISTENERS),
                "CHRIS_STORAGE_RESERVE_BYTES": "0",
                "TOKIO_WORKER_THREADS": "1",
            }
        )
        self.shared = share_for_test(settings, self._directory)
        self.shared.scoreboard.phase = GatewayPhase.SERVING
        self._storage_clock = StorageClock(files_root)
        self._workers: dict[str, tuple[Process, StorageWorker | RegistrationWorker | None]] = {}
        self._at_work: set[str] = set()
        self.associations: dict[str, Association] = {}

    # -- reception -----------------------------------------------------------------------------------------------

    def accept(self, ulid, on_acknowledged):
        slots = self.shared.scoreboard.of_role(Role.LISTENER)
        slot = next(slot for slot in slots if not slot.association)
        process = Process("listener", self.ulid)
        self.associations[ulid] = Association(self.shared, slot, process, ulid, on_acknowledged)

    def receive(self, ulid, sent, in_pieces, stroke=None):
        association = self.associations[ulid]
        with self._living_listener(association), self._power.runs(association.process, stroke):
            association.receive(sent, in_pieces)

    def end(self, ulid, stroke=None):
        association = self.associations[ulid]
        with self._living_listener(association), self._power.runs(association.process, stroke):
            association.end()
            association.process.bury()
            del self.associations[ulid]

    @contextlib.contextmanager
    def _living_listener(self, association):
        try:
            yield
        except KilledError:
            self.lose_listener(association.ulid)

    def lose_listener(self, ulid):
        association = self.associations.pop(ulid)
        association.process.bury()
        association.slot.hold("", "")
        self._tell_of_death()

    # -- the workers ---------------------------------------------------------------------------------------------

    def turn(self, role, stroke=None):
        """Let a worker go on until it would wait, or is killed."""
        process, worker = self._workers.get(role) or (Process(role, self.ulid), None)
        self._workers[role] = process, worker
        self._at_work.add(role)
        try:
            with self._power.runs(process, stroke):
                if worker is None:
                    worker = self._boot(role)
                    self._workers[role] = process, worker
                self._turns.begin()
                worker.run()
        except TurnOverError:
            pass
        except (KilledError, BootError):
            self.lose(role)
        finally:
            self._at_work.discard(role)

    def is_idle(self, role):
        """Tell whether a worker is not in the middle of a turn."""
        return role not in self._at_work

    def _boot(self, role):
        slot = self.shared.scoreboard.of_role(Role[role.upper()])[0]
        slot.begin(Role[role.upper()], os.getpid())
        return StorageWorker(self.shared, slot, 0) if role == "storage" else RegistrationWorker(self.shared, slot)

    def lose(self, role):
        """A worker dies."""
        if role not in self._workers:
            return
        process, worker = self._workers.pop(role)
        process.bury()
        if isinstance(worker, RegistrationWorker):
            os.close(worker._batch_done)
        self._tell_of_death()

    def _tell_of_death(self):
        self.shared.hint_rescan(self.shared.scoreboard.slots[0])

    def adopt(self, on_trouble, stroke=None):
        """Let the steward keep the time, and look for what other gateways left."""
        process = Process("steward", self.ulid)
        try:
            with self._power.runs(process, stroke):
                self._keep_time()
                if any(adopt_orphans(self._directory, on_trouble)):
                    self.shared.hint_rescan(self.shared.scoreboard.steward)
        except KilledError:
            self._tell_of_death()
        process.bury()

    def _keep_time(self):
        with contextlib.suppress(OSError):
            self.shared.scoreboard.steward.set(Counter.CLOCK_OFFSET_NS, self._storage_clock.synchronise())

    def answer(self, count):
        """Let inquiry answer its oldest question."""
        question = self.shared.inquiry_queue.get()
        if question:
            self.shared.answer_queues[0].put(SeriesCounted(question.association, question.series_hash, count))
        return question is not None

    def lose_inquiry(self):
        """Inquiry dies, and what it was asked with it."""
        while self.shared.inquiry_queue.get():
            pass
        self.shared.scoreboard.of_role(Role.INQUIRY)[0].begin(Role.INQUIRY, os.getpid())
        self._tell_of_death()

    # -- the end -------------------------------------------------------------------------------------------------

    def kill(self):
        """All processes die at once."""
        for association in self.associations.values():
            association.process.bury()
        for role in list(self._workers):
            self.lose(role)
        self._supervisor.bury()
        close_shared(self.shared)
