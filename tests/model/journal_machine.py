"""The journal as a state machine: who may do something at any moment, and what may befall him before any operation.

Two gateways on one storage: their listeners, storage workers, registration workers, stewards and inquiries; an operator
who puts back or throws away what is set aside; a database that is away or refuses rows; a hand that damages a ledger or
stands a directory in the way. In the end nothing stands in the way any more, everybody works until nothing is left,
and the account is settled.
"""

import importlib
import itertools
import os
import tempfile
from concurrent.futures import Future
from functools import partial

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from loguru import logger
from rich.console import Console

from oxidicom.errors import BootError, OperationError
from oxidicom.operations.discard import Discard, run_discard
from oxidicom.operations.retry import Retry, run_retry
from oxidicom.records import COMMITTED_COUNT_KEY, EXPECTED_COUNT_KEY
from oxidicom.spool import gateway_directory
from tests.model.account import Account
from tests.model.clock import CLOCKED, WAITING, Clock, Turns
from tests.model.database import ModelDatabase, Tables
from tests.model.gateway import LISTENERS, ModelGateway
from tests.model.instances import SERIES, instance
from tests.model.power import TROUBLES, KilledError, Power, Process, Stroke, fails_with
from workers.registration import registration_worker

GATEWAYS = 2
WORKERS = ("storage", "registration")
_KEYS = (EXPECTED_COUNT_KEY, COMMITTED_COUNT_KEY)
_ROUNDS = 40
"""At most so many minutes until nothing is left to do."""

_OPERATIONS = st.one_of(st.integers(1, 4), st.integers(1, 40))
_STROKES = st.one_of(
    st.none(),
    st.tuples(st.just("killed"), _OPERATIONS),
    st.tuples(st.just("fails"), _OPERATIONS, st.sampled_from(TROUBLES)),
    st.tuples(st.just("overtaken"), _OPERATIONS, st.integers(0, GATEWAYS - 1), st.sampled_from([*WORKERS, "steward"])),
)
_SENT = st.tuples(st.sampled_from(SERIES), st.integers(1, 2), st.booleans())
"""Series and number of an instance, and whether it comes in pieces."""
_WHICH = st.integers(0, 7)
"""Chooses one of those there are."""


class AtOnce:
    """What is used of `concurrent.futures`: the worker's thread does its work before the worker goes on."""

    Future = Future

    class ThreadPoolExecutor:
        def __init__(self, *_, **__):
            """There is none."""

        def submit(self, function, *arguments):
            done = Future()
            try:
                done.set_result(function(*arguments))
            except Exception as error:  # noqa: BLE001 (as an executor does)
                done.set_exception(error)
            return done


class JournalMachine(RuleBasedStateMachine):
    """Everybody who moves something in the journal."""

    def __init__(self):
        super().__init__()
        self._directory = tempfile.TemporaryDirectory(prefix="oxi-", dir=_memory())
        self._root = os.path.join(self._directory.name, "files")
        os.makedirs(os.path.join(self._root, "SERVICES/PACS/EARLIER"))
        self._ulids = (f"01HZ7TF03EZD364005{number:08}" for number in itertools.count(1))
        self._versions = itertools.count(1)
        self._power = Power(self._root)
        self._turns = Turns()
        self._clock = Clock()
        self._tables = Tables()
        self._account = Account(self._root, self._tables)
        self._tables.on_commit = self._account.committed
        self._gateways: list[ModelGateway | None] = [None] * GATEWAYS
        self._obstacles: set[str] = set()
        self._monkeypatch = pytest.MonkeyPatch()
        self._install()

    def _install(self):
        patch = self._monkeypatch.setattr
        self._power.install(patch)
        for name in CLOCKED:
            patch(importlib.import_module(name), "time", self._clock)
        for name in WAITING:
            patch(importlib.import_module(name), "select", self._turns)
        patch(registration_worker, "concurrent", _Namespace(futures=AtOnce))
        patch(registration_worker, "Database", self._database)
        patch(gateway_directory, "ULID", lambda: next(self._ulids))
        for package in ("oxidicom", "workers"):
            logger.disable(package)

    def _database(self, _, *, before_commit, **__):
        return ModelDatabase(self._tables, self._power.operate, before_commit)

    # -- choosing ------------------------------------------------------------------------------------------------

    @property
    def _running(self):
        return [gateway for gateway in self._gateways if gateway]

    def _gateway(self, which):
        return self._running[which % len(self._running)]

    def _associations(self):
        return [(gateway, ulid) for gateway in self._running for ulid in gateway.associations]

    def _stroke(self, chosen):
        match chosen:
            case ("killed", operation):
                return Stroke(operation, self._power.kill)
            case ("fails", operation, number):
                return Stroke(operation, fails_with(number))
            case ("overtaken", operation, which, role):
                return Stroke(operation, lambda: self._overtake(which, role))
        return None

    def _overtake(self, which, role):
        """Let somebody else act before the one that is running goes on."""
        gateway = self._gateway(which)
        if role == "steward":
            gateway.adopt(self._no_trouble)
        elif gateway.is_idle(role):
            gateway.turn(role)

    def _no_trouble(self, path, reason):
        """What an operation that was made to fail keeps from being taken over is taken over the next time."""

    # -- gateways ------------------------------------------------------------------------------------------------
    # Of the rules there are few, each for much: hypothesis leaves some of them out of each run.

    @initialize(sent=st.lists(_SENT, min_size=1, max_size=4), obstacle=_WHICH, is_over=st.booleans())
    def begin(self, sent, obstacle, is_over):
        self._start()
        self.receive(0, True, sent, None)
        self.obstruct_or_mend(obstacle, 0)
        if is_over:
            self.end(0, None)

    def _start(self):
        gateway = ModelGateway(self._root, self._power, self._turns)
        self._gateways[self._gateways.index(None)] = gateway
        gateway.adopt(self._no_trouble)

    @rule(which=_WHICH)
    def start_or_kill_gateway(self, which):
        if None in self._gateways:
            self._start()
            return
        gateway = self._gateway(which)
        gateway.kill()
        self._gateways[self._gateways.index(gateway)] = None

    @rule(which=_WHICH, stroke=_STROKES, seconds=st.sampled_from([1, 10, 70]))
    def pass_time_and_adopt(self, which, stroke, seconds):
        self._clock.sleep(seconds)
        self._gateway(which).adopt(self._no_trouble, self._stroke(stroke))

    # -- listeners -----------------------------------------------------------------------------------------------

    @rule(which=_WHICH, is_new=st.booleans(), sent=st.lists(_SENT, min_size=1, max_size=3), stroke=_STROKES)
    def receive(self, which, is_new, sent, stroke):
        """Over an association that there is, or a new one."""
        free = [one for one in self._running if len(one.associations) < LISTENERS]
        if free and (is_new or not self._associations()):
            gateway, ulid = free[which % len(free)], next(self._ulids)
            gateway.accept(ulid, self._account.acknowledge)
        else:
            gateway, ulid = self._association(which)
        planned = self._stroke(stroke)
        for series, number, in_pieces in sent:
            if ulid in gateway.associations:
                self._account.attempted[ulid, series] += 1
                gateway.receive(ulid, instance(series, number, next(self._versions)), in_pieces, planned)

    def _association(self, which):
        associations = self._associations()
        return associations[which % len(associations)]

    @precondition(lambda self: self._associations())
    @rule(which=_WHICH, stroke=_STROKES)
    def end(self, which, stroke):
        gateway, ulid = self._association(which)
        gateway.end(ulid, self._stroke(stroke))

    # -- workers -------------------------------------------------------------------------------------------------

    @rule(which=_WHICH, stroke=_STROKES)
    def store(self, which, stroke):
        self._gateway(which).turn("storage", self._stroke(stroke))

    @rule(which=_WHICH, stroke=_STROKES)
    def register(self, which, stroke):
        self._gateway(which).turn("registration", self._stroke(stroke))

    @rule(which=_WHICH, stroke=_STROKES, count=st.sampled_from([None, 1, 2]))
    def answer_and_store(self, which, stroke, count):
        """The PACS says how many instances a series has; without an answer it is not known."""
        gateway = self._gateway(which)
        if gateway.answer(count):
            gateway.turn("storage", self._stroke(stroke))

    @rule(which=_WHICH, stroke=_STROKES, count=st.sampled_from([None, 1, 2]))
    def work(self, which, stroke, count):
        """Each in his turn, as it is when nothing goes wrong."""
        gateway, planned = self._gateway(which), self._stroke(stroke)
        for role in ("storage", "registration", "storage", "registration", "registration"):
            while gateway.answer(count):
                pass
            gateway.turn(role, planned)

    @rule(which=_WHICH, role=st.sampled_from([*WORKERS, "inquiry", "listener"]))
    def kill(self, which, role):
        if role != "listener":
            self._gateway(which).lose(role)
        elif self._associations():
            gateway, ulid = self._association(which)
            gateway.lose_listener(ulid)

    # -- what stands in the way ------------------------------------------------------------------------------------

    @rule(what=_WHICH, which=_WHICH)
    def obstruct_or_mend(self, what, which):
        known = [*self._account.acknowledged.values()]
        match what:
            case 0:
                self._tables.is_down = not self._tables.is_down
            case 1 | 2:
                self._tables.refused.add(_KEYS[what - 1])
            case 3 | 4 if known:
                self._tables.refused.add(os.path.basename(known[which % len(known)].fname))
            case 5 | 6 if known:
                self._stand_in_way(os.path.join(self._root, known[which % len(known)].fname))
            case _:
                self._tables.refused.clear()
                self._clear_way()

    def _stand_in_way(self, path):
        """A directory stands where a file belongs."""
        if not os.path.lexists(path):
            os.makedirs(path)
            self._obstacles.add(path)

    def _clear_way(self):
        for path in self._obstacles:
            os.rmdir(path)
        self._obstacles.clear()

    # -- damage --------------------------------------------------------------------------------------------------

    @precondition(lambda self: self._ledgers())
    @rule(which=_WHICH, byte=st.sampled_from([None, b"\xff", b"\n"]), at=st.integers(0, 2000))
    def damage_ledger(self, which, byte, at):
        """A byte of the ledger of an association that is over is another one; None: the ledger is lost."""
        ledgers = self._ledgers()
        path = ledgers[which % len(ledgers)]
        self._account.damaged.add(os.path.basename(os.path.dirname(path)))
        size = os.path.getsize(path)
        if byte is None:
            os.unlink(path)
        elif size:
            with open(path, "r+b") as file:
                file.seek(at % size)
                file.write(byte)

    def _ledgers(self):
        alive = {ulid for _, ulid in self._associations()}
        ledgers = self._account.find_ledgers()
        return sorted(path for path in ledgers if os.path.basename(os.path.dirname(path)) not in alive)

    # -- operator ------------------------------------------------------------------------------------------------

    @precondition(lambda self: self._account.aside())
    @rule(which=_WHICH, is_hopeless=st.booleans(), stroke=_STROKES)
    def retry_or_discard(self, which, is_hopeless, stroke):
        associations = self._account.aside()
        wanted = Discard(associations[which % len(associations)], yes=True)
        command = partial(run_discard, wanted=wanted) if is_hopeless else partial(run_retry, wanted=Retry())
        self._operate(command, self._stroke(stroke))

    def _operate(self, command, stroke=None):
        process = Process("operator")
        self._account.forget_kept()
        try:
            with self._power.runs(process, stroke):
                command(self._root, console=Console(quiet=True))
        except (KilledError, BootError, OperationError, OSError):
            pass  # he sees it, and comes again
        finally:
            process.bury()

    # -- judgement -----------------------------------------------------------------------------------------------

    @invariant()
    def nothing_is_wrong(self):
        self._account.judge()
        faults = [*self._account.faults, *self._power.faults]
        assert not faults, "\n".join(faults)

    def teardown(self):
        try:
            if not self._has_failed():
                self._come_to_rest()
        finally:
            for gateway in self._running:
                gateway.kill()
            self._monkeypatch.undo()
            for package in ("oxidicom", "workers"):
                logger.enable(package)
            self._directory.cleanup()

    def _has_failed(self):
        return bool(self._account.faults or self._power.faults)

    def _come_to_rest(self):
        """Nothing stands in the way but what is refused; then not even that, and all is put back."""
        self._tables.is_down = False
        self._clear_way()
        for gateway, ulid in self._associations():
            gateway.end(ulid)
        self._work_off()
        self._account.settle(may_be_set_aside=True)
        self.nothing_is_wrong()
        self._tables.refused.clear()
        self._operate(partial(run_retry, wanted=Retry()))
        self._work_off()
        self._account.settle(may_be_set_aside=False)
        self.nothing_is_wrong()

    def _work_off(self):
        for _ in range(_ROUNDS):
            for gateway in self._running:
                gateway.adopt(self._no_trouble)
                for role in ("storage", "storage", "registration", "registration"):
                    while gateway.answer(1):
                        pass
                    gateway.turn(role)
            self.nothing_is_wrong()
            self._clock.sleep(70)
            if not self._account.is_anything_spooled():
                return


class _Namespace:
    def __init__(self, **members):
        self.__dict__.update(members)


def _memory():
    """Return a directory in memory, if there is one: what is killed here is never the operating system."""
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
