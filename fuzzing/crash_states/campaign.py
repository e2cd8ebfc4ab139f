"""Many crash states of one recording, in several processes; what is found is gathered by kind."""

import collections
import contextlib
import hashlib
import math
import os
import random
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from multiprocessing import get_context
from typing import Any, NamedTuple

from fuzzing.crash_states.contracts import Contracts
from fuzzing.crash_states.crash import Crashes, State
from fuzzing.crash_states.promises import Promises
from fuzzing.crash_states.recording import Recording
from fuzzing.crash_states.replay import replay
from fuzzing.crash_states.restart import Restart
from fuzzing.crash_states.tables import Row, Tables, make_database
from fuzzing.crash_states.whole_gateway import WholeGateway
from oxidicom.embedded.server import EmbeddedPostgres

_CHUNK = 10
_WHOLE = "whole:"
"""So begins the seed of a state on which the whole gateway is started."""
_MAX_SECONDS = 20.0
"""What one restart may take; it takes some hundredths of that."""


class Finding(NamedTuple):
    """One state in which something is wrong."""

    seed: str
    """With the recording it makes the state again."""
    wrong: tuple[str, ...]


class Outcome(NamedTuple):
    """Of some states."""

    states: int
    digests: frozenset[bytes]
    """Of the states, so that those that are the same count once."""
    findings: tuple[Finding, ...]


class Examiner:
    """Examines one state after the other of a recording, in one directory and one database."""

    def __init__(self, recording: Recording, conninfo: str, directory: str) -> None:
        self._recording = recording
        self._root = os.path.join(directory, "files")
        self._crashes = Crashes(recording.history)
        self._moments = sorted(recording.history.moments)
        self._tables = Tables(conninfo, recording.scenario.schema)
        promises = Promises(recording)
        self._contracts = Contracts(promises, self._root, has_metadata_rows=recording.scenario.schema == "flat")
        self._restart = Restart(recording.scenario, self._root, conninfo)
        self._whole = WholeGateway(recording.scenario, self._root, conninfo)

    def state(self, seed: str) -> tuple[State, list[Row]]:
        """Return the state that a seed makes, and the rows of that moment."""
        chance = random.Random(seed)
        at = chance.randrange(len(self._moments) - 1)
        moment_us = self._moments[at] if chance.random() < 0.5 else max(self._moments[at], self._moments[at + 1] - 1)
        rows = [row for row in self._recording.rows if row.committed_us <= moment_us]
        return self._crashes.state_at(moment_us, chance), rows

    def examine(self, seed: str, *, whole: bool = False) -> tuple[bytes, list[str]]:
        """Return the digest of a state, and what is wrong with it. `whole`: the gateway is started by its command."""
        state, rows = self.state(seed)
        shutil.rmtree(self._root, ignore_errors=True)
        os.mkdir(self._root)
        replay(state, self._root)
        self._tables.set_to(rows)
        registered = [row.fname for row in rows if row.fname]
        wrong = [f"at once: {one}" for one in self._contracts.broken_at_once(registered)]
        began = time.monotonic()
        wrong += (self._whole if whole else self._restart).run()
        if not whole and time.monotonic() - began > _MAX_SECONDS:
            wrong.append("the restart takes too long")
        wrong += self._contracts.broken_in_the_end(state.moment_us, self._tables.files(), self._tables.series())
        return _digest(state, rows), wrong

    @property
    def lines(self) -> list[str]:
        """What the last gateway warned of."""
        return self._restart.lines

    def close(self) -> None:
        """Close the database and remove the directory."""
        self._tables.close()
        shutil.rmtree(self._root, ignore_errors=True)


def _digest(state: State, rows: list[Row]) -> bytes:
    digest = hashlib.blake2b(digest_size=8)
    digest.update(str(len(rows)).encode())
    for path, inode in sorted(state.names.items()):
        digest.update(f"{path}\0{inode}\0".encode("utf-8", "surrogateescape"))
    for inode, contents in sorted(state.contents.items()):
        digest.update(f"{inode}\0{len(contents.data)}\0{contents.lost}\0{contents.mtime_ns}\0".encode())
    return digest.digest()


class Campaign:
    """Examines states in several processes."""

    def __init__(self, recording: Recording, postgres: EmbeddedPostgres, seed: str, processes: int) -> None:
        self._recording = recording
        self._postgres = postgres
        self._seed = seed
        self._processes = processes

    def run(
        self,
        states: int,
        *,
        whole: int = 0,
        seconds: float = math.inf,
        on_progress: Callable[[int, int], None] = lambda *_: None,
    ) -> Outcome:
        """Examine so many states, and of these the first `whole` by the command of the gateway as well.

        After so many `seconds` no more are begun. `on_progress` is told how many were examined, and how many of them
        were wrong.
        """
        done, digests, findings = 0, set[bytes](), list[Finding]()
        seeds = [f"{self._seed}/{number}" for number in range(states)]
        chunks: list[list[str]] = [[f"{_WHOLE}{seed}"] for seed in seeds[:whole]]
        chunks += [seeds[start : start + _CHUNK] for start in range(0, states, _CHUNK)]
        context = get_context("fork")
        databases = context.SimpleQueue()
        for _ in range(self._processes):
            databases.put(make_database(self._postgres, self._recording.scenario.schema))
        deadline = time.monotonic() + seconds
        with (
            directory() as place,
            context.Pool(self._processes, _begin, (self._recording, databases, place, deadline)) as pool,
        ):
            for outcome in pool.imap_unordered(_examine, chunks):
                done += outcome.states
                digests |= outcome.digests
                findings += outcome.findings
                on_progress(done, len(findings))
        return Outcome(done, frozenset(digests), tuple(findings))


_examiner: list[tuple[Examiner, float]] = []
"""Of this process of a pool, and until when it goes on; they have no other place between two calls."""


def _begin(recording: Recording, databases: Any, place: str, deadline: float) -> None:  # noqa: ANN401 (a queue)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches every process of a terminal: the first one decides
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    own = tempfile.mkdtemp(dir=place)
    _examiner.append((Examiner(recording, databases.get(), own), deadline))


def _examine(seeds: list[str]) -> Outcome:
    ((examiner, deadline),) = _examiner
    digests, findings, states = set(), [], 0
    for seed in seeds:
        if time.monotonic() > deadline:
            break
        digest, wrong = examiner.examine(seed.removeprefix(_WHOLE), whole=seed.startswith(_WHOLE))
        states += 1
        digests.add(digest)
        if wrong:
            findings.append(Finding(seed, tuple(sorted(set(wrong)))))
    return Outcome(states, frozenset(digests), tuple(findings))


def scratch() -> str | None:
    """Return where states are written: to memory, if there is such a place, for no disk is wanted here."""
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


def by_kind(findings: tuple[Finding, ...]) -> collections.Counter[str]:
    """Return what is wrong, and in how many states."""
    return collections.Counter(wrong for finding in findings for wrong in finding.wrong)


@contextlib.contextmanager
def directory() -> Iterator[str]:
    """Have a directory that everybody can pass through: as root, PostgreSQL runs as another user."""
    path = tempfile.mkdtemp(prefix="crash-", dir=scratch())
    os.chmod(path, 0o755)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)
