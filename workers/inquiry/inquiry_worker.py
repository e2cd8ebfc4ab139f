"""The inquiry worker: asks PACS how many instances a series has, and tells the storage worker that wants to know.

A PACS may be slow, dead, refusing or lying: the questions to each wait at a desk of its own (`pacs_desk`), so none
holds up the others. Every doubt is the answer `None` (unknown), with one warning that says why.
"""

import collections
import contextlib
import os
import select
import time
from functools import partial

from workers.channels.facts import SeriesAsked
from workers.channels.messages import SeriesCounted, SeriesSeen
from workers.channels.scoreboard import GatewayPhase, Histogram, ProcessState, Slot
from workers.inquiry.inquirer import Question
from workers.inquiry.needs import InquiryNeeds
from workers.inquiry.pacs_desk import PacsDesk

_WAIT_SECONDS = 1.0
_BUSY_SECONDS = 0.25
"""So often deadlines are looked at while questions are open."""
_RETRY_SECONDS = 0.02


class InquiryWorker:
    """Takes questions, gives them to the desks, and delivers the answers."""

    def __init__(self, shared: InquiryNeeds, slot: Slot) -> None:
        """Make the desks, one for each PACS in the address book."""
        self._shared = shared
        self._slot = slot
        self._desks: dict[str, PacsDesk] = {}
        self._answers: collections.deque[tuple[int, SeriesCounted]] = collections.deque()
        self._said: str | None = None
        """None: what a process that died in this place said last may stand there."""
        settings = self._shared.settings
        self._reported = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        wake = partial(os.eventfd_write, self._reported, 1)
        for ae_title, address in settings.pacs_addresses.items():
            close = partial(self._close, ae_title)
            self._desks[ae_title] = PacsDesk(address, settings.ae_title, settings.pacs_timeout_seconds, close, wake)

    def run(self) -> None:
        """Ask and answer until the gateway stops."""
        poll = select.poll()
        poll.register(self._shared.inquiry_queue, select.POLLIN)
        poll.register(self._reported, select.POLLIN)
        while self._shared.scoreboard.phase < GatewayPhase.STOPPING:
            self._slot.beat(ProcessState.WAITING)
            poll.poll(self._wait_seconds * 1000)
            self._slot.beat(ProcessState.WORKING)
            with contextlib.suppress(BlockingIOError):
                os.eventfd_read(self._reported)
            self._take_questions()
            for desk in self._desks.values():
                desk.work()
            self._say_trouble()
            self._deliver()
        for desk in self._desks.values():
            desk.finish()

    def _say_trouble(self) -> None:
        """Show which PACS do not answer."""
        trouble = "; ".join(f"PACS {title}: {desk.trouble}" for title, desk in self._desks.items() if desk.trouble)
        if trouble != self._said:
            self._said = trouble
            self._slot.say(trouble)

    @property
    def _wait_seconds(self) -> float:
        if self._answers:
            return _RETRY_SECONDS
        return _BUSY_SECONDS if any(desk.is_busy for desk in self._desks.values()) else _WAIT_SECONDS

    def _take_questions(self) -> None:
        while (message := self._shared.inquiry_queue.get()) is not None:
            if not isinstance(message, SeriesSeen):
                continue
            desk = self._desks.get(message.series.calling_ae_title)
            if desk:
                desk.ask(message)
            else:
                self._answer(message, None)  # without an address there is nobody to ask, and nothing to warn of

    def _close(self, ae_title: str, question: Question, count: int | None, reason: str) -> None:
        """A desk is done with a question: tell the storage worker and, if the PACS was asked, the observer."""
        self._answer(question.seen, count)
        if question.put_at is None:
            return
        now_ns = time.time_ns()
        seconds = time.monotonic() - question.put_at
        began_ns = now_ns - int(seconds * 1e9)
        self._slot.observe(Histogram.FIND_SECONDS, seconds)
        fact = SeriesAsked(question.seen.association, ae_title, began_ns, now_ns, count, reason)
        self._shared.facts.tell(self._slot, fact)

    def _answer(self, seen: SeriesSeen, count: int | None) -> None:
        self._answers.append((seen.storage_worker, SeriesCounted(seen.association, seen.series_hash, count)))

    def _deliver(self) -> None:
        """Hand over answers; those whose channel is full wait here, and nobody waits for them."""
        for _ in range(len(self._answers)):
            worker, answer = self._answers.popleft()
            if not self._shared.answer_queues[worker].put(answer):
                self._answers.append((worker, answer))
