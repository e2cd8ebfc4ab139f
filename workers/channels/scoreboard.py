"""The scoreboard: shared memory in which every process says how it is. One slot a process, one writer a slot.

It is made before the fork. A slot outlives its process: the successor goes on with the counters of the dead one,
so totals stay exact. Readers may see a slot in the middle of a change; nothing is decided by two fields together. But
each number is written in one piece, by the processor: struct.pack_into would make it 0 for a moment, in which the
system may take the CPU away from the writer.
"""

import bisect
import enum
import mmap
import time

_SLOT_BYTES = 1536
_STATE_AT, _PID_AT, _GENERATION_AT, _HEARTBEAT_AT, _ASSOCIATION_AT, _TITLE_AT = 1, 4, 8, 16, 24, 50
"""The role comes first, a byte like the state. A pid has 4 bytes, generation and heartbeat (ns) have 8."""
_ASSOCIATION_BYTES, _TITLE_BYTES = 26, 16
_COUNTERS_AT = 128
_HISTOGRAMS_AT = 768
_HISTOGRAM_BYTES = 128
_NOTE_AT = 1280
_MICRO = 1_000_000


class Role(enum.IntEnum):
    """What a process does."""

    SUPERVISOR = 0
    LISTENER = 1
    STORAGE = 2
    INQUIRY = 3
    REGISTRATION = 4
    OBSERVER = 5
    DOORMAN = 6
    STEWARD = 7
    PAGE = 8


class ProcessState(enum.IntEnum):
    """What a process is doing at the moment."""

    EMPTY = 0
    BOOTING = 1
    WAITING = 2
    """For a connection or a message, a few seconds at a time at most: a heartbeat comes between."""
    WORKING = 3
    SYNCING = 4
    """Waiting for the disk, which may be slow: not stuck, however long."""
    ENDED = 5


class GatewayPhase(enum.IntEnum):
    """What the gateway is doing. The supervisor's slot holds it; everybody reads it."""

    STARTING = 0
    SERVING = 1
    ACCEPTING_NO_MORE = 2
    """Running associations may go on."""
    ABORTING_ASSOCIATIONS = 3
    """Their time is over."""
    FLUSHING_STORAGE = 4
    FLUSHING_REGISTRATION = 5
    FLUSHING_TELEMETRY = 6
    STOPPING = 7


class Counter(enum.IntEnum):
    """What is counted, each in the slots of the role that counts it; respawns by the supervisor, for the dead."""

    PHASE = 0
    ASSOCIATIONS_ACCEPTED = 1
    ASSOCIATIONS_REJECTED = 2
    ASSOCIATIONS_ABORTED = 3
    INSTANCES_COMMITTED = 4
    BYTES_COMMITTED = 5
    INSTANCES_STORED = 6
    INSTANCES_SET_ASIDE = 7
    HINTS_DROPPED = 8
    ROWS_REGISTERED = 9
    ROWS_KNOWN = 10
    ROWS_SET_ASIDE = 11
    BACKLOG = 12
    DATABASE_UP = 13
    RESPAWNS = 14
    SERIES_COMPLETE = 15
    SERIES_INCOMPLETE = 16
    SERIES_MORE_THAN_EXPECTED = 17
    SERIES_UNKNOWN = 18
    REFUSED_OUT_OF_RESOURCES = 19
    REFUSED_MISMATCH = 20
    REFUSED_CANNOT_UNDERSTAND = 21
    REFUSED_OTHERWISE = 22
    FACTS_DROPPED = 23
    CONNECTIONS_ACCEPTED = 24
    TLS_GENERATION = 25
    STORAGE_TROUBLE = 26
    """Of the steward: a member of `StorageTrouble`."""
    TREE_TROUBLE = 27
    """The same, of the final tree only. Of the steward and of each storage worker."""
    DIRECTORY_MADE = 28
    """Of the supervisor: how often the directory of the gateway was made."""
    CLOCK_OFFSET_NS = 29
    """Of the steward: the time of the storage less CLOCK_BOOTTIME."""
    SPOOL_ENTRIES = 30
    SPOOL_OLDEST_SECONDS = 31
    """When the oldest thing that waits in the spool was committed, since the epoch; 0: there is none."""
    SERIES_SET_ASIDE = 32
    TREE_DEVICE = 33
    TREE_INODE = 34
    """Of the steward: which directory SERVICES/PACS is."""
    DATABASE_DOWN = 35
    """Since when the database cannot be used, since the epoch; neither this nor DATABASE_UP: it was not asked yet."""
    INSTANCES_WITH_WARNING = 36
    PROGRESS_PUBLISHED = 37
    PROGRESS_DROPPED = 38
    STORAGE_FREE_BYTES = 39
    STORAGE_TOTAL_BYTES = 40
    STORAGE_RESERVE_BYTES = 41
    STORAGE_IS_FULL = 42
    """Of the steward: 1 while instances are refused for want of room."""
    SET_ASIDE_NOW = 43
    """Of the steward: things set aside by all gateways on this storage."""
    CERTIFICATE_EXPIRES_SECONDS = 44
    """Of the supervisor: since the epoch; 0: no TLS."""
    LATELY_MINUTES = 45
    LATELY_TAKEN = 46
    LATELY_REFUSED = 47
    LATELY_RESPAWNED = 48
    LATELY_PROGRESS_LOST = 49
    """Of the steward: what happened within so many minutes."""
    HISTORY_DROPPED = 50
    """Of the dropped facts those that the history is made of."""
    LATELY_OUT_OF_RESOURCES = 51
    LATELY_ACCEPTED = 52
    LATELY_REJECTED = 53
    ASSOCIATIONS_TURNED_AWAY = 54
    """Of the rejected ones those whose request was not read: nobody may come from their network."""


class Histogram(enum.IntEnum):
    """What is measured as a distribution, each in the slots of the role that measures it."""

    STORE_SECONDS = 0
    """From the C-STORE-RQ to its response."""
    LAG_SECONDS = 1
    """From the commit of an instance to the COMMIT of its row."""
    BATCH_ROWS = 2
    FIND_SECONDS = 3


_SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
BOUNDS: dict[Histogram, tuple[float, ...]] = {
    Histogram.STORE_SECONDS: _SECONDS,
    Histogram.LAG_SECONDS: _SECONDS,
    Histogram.BATCH_ROWS: (1, 2, 5, 10, 20, 50, 100, 150, 200, 250, 300, 400, 500, 1000),
    Histogram.FIND_SECONDS: _SECONDS,
}
"""Upper bounds of the buckets, inclusive; the last bucket has none."""


class Slot:
    """The slot of one process, for reading, and for writing by its owner."""

    def __init__(self, memory: mmap.mmap, index: int) -> None:
        self.index = index
        """Among the slots; the supervisor's is 0."""
        self._memory = memory
        self._at = index * _SLOT_BYTES
        self._pid = memoryview(memory)[self._at + _PID_AT : self._at + _GENERATION_AT].cast("I")
        self._generation = memoryview(memory)[self._at + _GENERATION_AT : self._at + _HEARTBEAT_AT].cast("Q")
        self._heartbeat = memoryview(memory)[self._at + _HEARTBEAT_AT : self._at + _ASSOCIATION_AT].cast("Q")
        self._counters = memoryview(memory)[self._at + _COUNTERS_AT : self._at + _HISTOGRAMS_AT].cast("Q")
        self._note_at = self._at + _NOTE_AT
        first = self._at + _HISTOGRAMS_AT
        self._histograms = [
            memoryview(memory)[at : at + _HISTOGRAM_BYTES].cast("Q")
            for at in range(first, first + len(Histogram) * _HISTOGRAM_BYTES, _HISTOGRAM_BYTES)
        ]

    def begin(self, role: Role, pid: int) -> None:
        """Take the slot for a new process: state BOOTING, the next generation, counters as they were."""
        self._memory[self._at] = role
        self.beat(ProcessState.BOOTING)
        self.hold("", "")
        self._generation[0] += 1
        self._pid[0] = pid

    def beat(self, state: ProcessState) -> None:
        """Say what the process does and that it is alive."""
        self._memory[self._at + _STATE_AT] = state
        self._heartbeat[0] = time.monotonic_ns()

    def hold(self, association: str, calling_ae_title: str) -> None:
        """Say which association a listener has; empty strings when it has none."""
        title = calling_ae_title.encode("latin-1", "replace")
        self._put(_TITLE_AT, _TITLE_BYTES, title)
        self._put(_ASSOCIATION_AT, _ASSOCIATION_BYTES, association.encode())

    def _put(self, at: int, size: int, text: bytes) -> None:
        self._memory[self._at + at : self._at + at + size] = text[:size].ljust(size, b"\0")

    def add(self, counter: Counter, amount: int = 1) -> None:
        """Count."""
        self._counters[counter] += amount

    def set(self, counter: Counter, value: int) -> None:
        """Set a gauge."""
        self._counters[counter] = value

    def say(self, note: str) -> None:
        """Say in a few words what is wrong; what is too long is cut. It is for people: nothing is decided by it."""
        size = _SLOT_BYTES - _NOTE_AT
        self._memory[self._note_at : self._note_at + size] = note.encode()[:size].ljust(size, b"\0")

    def observe(self, histogram: Histogram, value: float) -> None:
        """Count a measured value in its bucket."""
        buckets = self._histograms[histogram]
        buckets[bisect.bisect_left(BOUNDS[histogram], value) + 1] += 1
        buckets[0] += int(value * _MICRO)

    def histogram(self, histogram: Histogram) -> tuple[list[int], float]:
        """Return the counts of all buckets, and the sum of the values."""
        total, *counts = self._histograms[histogram]
        return counts, total / _MICRO

    def __getitem__(self, counter: Counter) -> int:
        return self._counters[counter]

    @property
    def note(self) -> str:
        """What the process said last."""
        data = self._memory[self._note_at : self._note_at + _SLOT_BYTES - _NOTE_AT]
        return data.partition(b"\0")[0].decode("utf-8", "ignore")

    @property
    def role(self) -> Role:
        return Role(self._memory[self._at])

    @property
    def state(self) -> ProcessState:
        return ProcessState(self._memory[self._at + _STATE_AT])

    @property
    def pid(self) -> int:
        return self._pid[0]

    @property
    def generation(self) -> int:
        """Counts the processes that had this slot."""
        return self._generation[0]

    @property
    def heartbeat_ns(self) -> int:
        """When the process gave its last sign of life, in ns of the monotonic clock."""
        return self._heartbeat[0]

    @property
    def association(self) -> str:
        return self._get(_ASSOCIATION_AT, _ASSOCIATION_BYTES).decode("ascii", "replace")

    @property
    def calling_ae_title(self) -> str:
        return self._get(_TITLE_AT, _TITLE_BYTES).decode("latin-1")

    def _get(self, at: int, size: int) -> bytes:
        return self._memory[self._at + at : self._at + at + size].rstrip(b"\0")


class Scoreboard:
    """All slots; the first is the supervisor's."""

    def __init__(self, slots: int) -> None:
        """Make the shared memory. Call it before the fork."""
        memory = mmap.mmap(-1, slots * _SLOT_BYTES)
        self.slots = [Slot(memory, index) for index in range(slots)]
        self._steward: Slot | None = None

    @property
    def phase(self) -> GatewayPhase:
        """What the gateway is doing."""
        return GatewayPhase(self.slots[0][Counter.PHASE])

    @phase.setter
    def phase(self, phase: GatewayPhase) -> None:
        self.slots[0].set(Counter.PHASE, phase)

    @property
    def steward(self) -> Slot:
        """The slot of the steward, which everybody reads often."""
        if self._steward is None:
            (self._steward,) = self.of_role(Role.STEWARD)
        return self._steward

    @property
    def tls_generation(self) -> int:
        """Counts how often the supervisor has read the files of TLS anew."""
        return self.slots[0][Counter.TLS_GENERATION]

    def total(self, counter: Counter) -> int:
        """Return the sum over all slots."""
        return sum(slot[counter] for slot in self.slots)

    def associations_of(self, calling_ae_title: str) -> int:
        """Return how many associations of an AE title there are."""
        return sum(slot.calling_ae_title == calling_ae_title for slot in self.of_role(Role.LISTENER))

    def has_listener(self, association: str) -> bool:
        """Tell whether some listener serves an association at the moment."""
        return any(slot.association == association for slot in self.of_role(Role.LISTENER))

    def histogram(self, histogram: Histogram) -> tuple[list[int], float]:
        """Return the counts of all buckets, and the sum of the values, over all slots."""
        parts = [slot.histogram(histogram) for slot in self.slots]
        counts = [sum(bucket) for bucket in zip(*(counts for counts, _ in parts), strict=True)]
        return counts, sum(total for _, total in parts)

    def of_role(self, role: Role) -> list[Slot]:
        """Return the slots of one role."""
        return [slot for slot in self.slots[1:] if slot.role is role]
