"""The inquiry worker: asks a PACS how many instances a series has, and tells the storage worker that wants to know.

A PACS may be slow, dead, refusing or lying. Questions to one wait at its desk; at most two associations work on them,
each in a thread, and one serves the questions that come together. The deadline of an answer is kept here, outside the
DICOM library. Every doubt is the answer `None` (unknown), with one warning that says why.
"""

import collections
import contextlib
import os
import queue
import select
import threading
import time
from collections.abc import Callable
from functools import partial

from loguru import logger

from oxidicom.pacs.address_book import PacsAddress
from oxidicom.pacs.find import FindAssociation, PacsError, PacsUnreachableError
from workers.facts import SeriesAsked
from workers.messages import SeriesCounted, SeriesSeen
from workers.scoreboard import Counter, Histogram, Phase, Slot, State
from workers.shared import Shared

_WAIT_SECONDS = 1.0
_DEADLINE_SECONDS = 0.25
"""So often deadlines are looked at."""
_RETRY_SECONDS = 0.02
_MOST_ASSOCIATIONS = 2
_LINGER_SECONDS = 2.0
"""How long an association waits for another question: the series of a study come one after the other."""


class InquiryWorker:
    """Takes questions, gives them to the desks, and delivers the answers."""

    def __init__(self, shared: Shared, slot: Slot) -> None:
        self._shared = shared
        self._slot = slot
        self._desks: dict[str, _Desk] = {}
        self._answers: collections.deque[tuple[int, SeriesCounted]] = collections.deque()
        self._lock = threading.Lock()

    def boot(self) -> None:
        """Make the desks, one for each PACS in the address book."""
        settings = self._shared.settings
        self._answered = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        for ae_title, address in settings.pacs_addresses.items():
            self._desks[ae_title] = _Desk(
                address, settings.ae_title, settings.pacs_timeout_seconds, self._answer, self._tell
            )

    def run(self) -> None:
        """Ask and answer until the gateway stops."""
        poll = select.poll()
        poll.register(self._shared.inquiry_queue, select.POLLIN)
        poll.register(self._answered, select.POLLIN)
        while self._shared.scoreboard.phase < Phase.STOPPING:
            self._slot.beat(State.WAITING)
            poll.poll(self._wait_seconds * 1000)
            self._slot.beat(State.WORKING)
            self._take_questions()
            for desk in self._desks.values():
                desk.keep_deadlines()
            self._deliver()

    @property
    def _wait_seconds(self) -> float:
        if self._answers:
            return _RETRY_SECONDS
        return _DEADLINE_SECONDS if self._desks else _WAIT_SECONDS

    def _take_questions(self) -> None:
        while (message := self._shared.inquiry_queue.get()) is not None:
            if not isinstance(message, SeriesSeen):
                continue
            self._slot.add(Counter.QUESTIONS)
            desk = self._desks.get(message.series.calling_ae_title)
            if desk:
                desk.ask(message)
            else:
                self._answer(message, None)  # without an address there is nobody to ask, and nothing to warn of

    def _answer(self, question: SeriesSeen, count: int | None) -> None:
        """Called by the threads of the desks too."""
        answer = SeriesCounted(question.association, question.series_hash, count)
        self._answers.append((question.storage_worker, answer))
        os.eventfd_write(self._answered, 1)

    def _tell(self, fact: SeriesAsked) -> None:
        """Called by the threads of the desks too, two or more at once: counts may not be lost."""
        with self._lock:
            self._slot.observe(Histogram.FIND_SECONDS, (fact.ended_ns - fact.began_ns) / 1e9)
            self._shared.facts.tell(self._slot, fact)

    def _deliver(self) -> None:
        """Hand over answers; those whose channel is full wait here, and nobody waits for them."""
        with contextlib.suppress(BlockingIOError):
            os.eventfd_read(self._answered)
        for _ in range(len(self._answers)):
            worker, answer = self._answers.popleft()
            if not self._shared.answer_queues[worker].put(answer):
                self._answers.append((worker, answer))


class _Desk:
    """The questions for one PACS."""

    def __init__(
        self,
        address: PacsAddress,
        our_ae_title: str,
        timeout_seconds: float,
        answer: Callable[[SeriesSeen, int | None], None],
        tell: Callable[[SeriesAsked], None],
    ) -> None:
        self.address = address
        self._our_ae_title = our_ae_title
        self._timeout_seconds = timeout_seconds
        self._answer = answer
        self._tell = tell
        self._waiting: queue.SimpleQueue[SeriesSeen] = queue.SimpleQueue()
        self._inquirers: list[_Inquirer] = []

    def ask(self, question: SeriesSeen) -> None:
        """Put a question; a thread takes it when it is its turn."""
        self._waiting.put(question)
        self._staff()

    def _staff(self) -> None:
        """See that somebody works on what waits."""
        self._inquirers = [inquirer for inquirer in self._inquirers if inquirer.is_alive()]
        idle = any(inquirer.is_idle for inquirer in self._inquirers)
        at_work = sum(not inquirer.leaving_seconds for inquirer in self._inquirers)
        if not self._waiting.empty() and not idle and at_work < _MOST_ASSOCIATIONS:
            find = FindAssociation(self.address, self._our_ae_title, self._timeout_seconds)
            self._inquirers.append(_Inquirer(self, find))
            self._inquirers[-1].start()

    def next_question(self, wait_seconds: float = 0.0) -> SeriesSeen | None:
        """Return the oldest question, or None when there is none. Called by the threads."""
        try:
            return self._waiting.get(block=wait_seconds > 0, timeout=wait_seconds or None)
        except queue.Empty:
            return None

    def asked(self, question: SeriesSeen, seconds: float, count: int | None, reason: str = "") -> None:
        """A question to the PACS is over: tell the observer."""
        now_ns = time.time_ns()
        began_ns = now_ns - int(seconds * 1e9)
        self._tell(SeriesAsked(question.association, self.address.ae_title, began_ns, now_ns, count, reason))

    def answered(self, question: SeriesSeen, count: int, seconds: float) -> None:
        """The PACS said it."""
        self.asked(question, seconds, count)
        self._answer(question, count)

    def doubted(self, question: SeriesSeen, reason: str, seconds: float) -> None:
        """No number for this series."""
        self.asked(question, seconds, None, reason)
        logger.bind(association=question.association).warning(
            "{ae_title} does not tell the size of a series: {reason}",
            ae_title=self.address.ae_title,
            reason=reason,
            action="series_size_unknown",
        )
        self._answer(question, None)

    def gave_up(self, question: SeriesSeen, reason: str, seconds: float) -> None:
        """No number for this series, nor for those that wait here now: they would fare no better."""
        self.asked(question, seconds, None, reason)
        waiting = [question, *iter(self.next_question, None)]
        logger.bind(association=question.association).warning(
            "{ae_title} does not tell the size of {count} series: {reason}",
            ae_title=self.address.ae_title,
            count=len(waiting),
            reason=reason,
            action="series_size_unknown",
        )
        for one in waiting:
            self._answer(one, None)

    def keep_deadlines(self) -> None:
        """Give up questions whose time is over, and the associations that they hang in."""
        for inquirer in list(self._inquirers):
            seconds = inquirer.asked_seconds
            if seconds > self._timeout_seconds and (question := inquirer.claim()):
                self._inquirers.remove(inquirer)
                inquirer.cut()
                self.gave_up(question, f"no answer within {self._timeout_seconds:g} s", seconds)
            elif inquirer.leaving_seconds > self._timeout_seconds:
                inquirer.cut()
        self._staff()


class _Inquirer(threading.Thread):
    """Works on the questions of a desk over one association, until none waits."""

    def __init__(self, desk: _Desk, find: FindAssociation) -> None:
        super().__init__(daemon=True, name=f"find-{desk.address.ae_title}")
        self._desk = desk
        self._find = find
        self._lock = threading.Lock()
        self._question: SeriesSeen | None = None
        self._asked_at = 0.0
        self._left_at = 0.0

    def run(self) -> None:
        while question := self._desk.next_question(_LINGER_SECONDS):
            if not self._ask(question):
                return
        self._left_at = time.monotonic()
        self._find.close()

    def _ask(self, question: SeriesSeen) -> bool:
        """Ask one question. Return whether the association is good for another."""
        self._asked_at = time.monotonic()
        self._question = question
        report: Callable[[float], None]
        try:
            count = self._find.count_instances(question.series.study_instance_uid, question.series.series_instance_uid)
            report = partial(self._desk.answered, question, count)
        except PacsUnreachableError as error:
            report = partial(self._desk.gave_up, question, str(error))
        except PacsError as error:
            report = partial(self._desk.doubted, question, str(error))
        except Exception as error:  # noqa: BLE001 (what the library makes of a lying peer is not foreseeable)
            report = partial(self._desk.doubted, question, f"its answer cannot be read ({type(error).__name__})")
        seconds = time.monotonic() - self._asked_at
        if self.claim() is None:
            return False  # given up meanwhile
        report(seconds)
        return True

    def claim(self) -> SeriesSeen | None:
        """Take the question in hand, once: whoever gets it answers it."""
        with self._lock:
            question, self._question = self._question, None
            return question

    @property
    def is_idle(self) -> bool:
        """Whether it waits for a question."""
        return not self._question and not self._left_at

    @property
    def leaving_seconds(self) -> float:
        """How long it has been releasing its association, which may hang; 0 while it takes questions."""
        return time.monotonic() - self._left_at if self._left_at else 0.0

    @property
    def asked_seconds(self) -> float:
        """How long the question in hand has been asked; 0 when there is none."""
        return time.monotonic() - self._asked_at if self._question else 0.0

    def cut(self) -> None:
        """End the association, whatever it hangs in."""
        self._find.cut()
