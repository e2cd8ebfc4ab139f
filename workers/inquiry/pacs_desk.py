"""The desk of one PACS: the questions for it, their deadlines, and who asks them.

Law of this file: every question is closed once, at its deadline at the latest, wherever it is: waiting, put to the
PACS, or in a thread that hangs. The desk belongs to the thread of the inquiry worker; inquirers only report to it.

    what an inquirer reports                      the question        the inquirer
    a number, or a doubt                          is closed           goes on
    no connection, rejected for now               waits               leaves; another may come after a pause
    the association was lost under the question   is put again        goes on with a new one, once
    the PACS does not serve us at all             all are closed      leaves

A PACS that serves one association at a time rejects the second: the questions stay with the first.
"""

import collections
import itertools
import time
from collections.abc import Callable
from functools import partial

from oxidicom.pacs.address_book import PacsAddress
from oxidicom.pacs.errors import PacsError, PacsRefusesError, PacsUnavailableError, UnansweredError
from oxidicom.pacs.find import FindAssociation
from workers.channels.backoff import Backoff
from workers.channels.messages import SeriesSeen
from workers.inquiry.doubts import Doubts
from workers.inquiry.inquirer import Inquirer, Question, Report

_MAX_ASSOCIATIONS = 2
_LINGER_SECONDS = 2.0
"""How long an association waits for another question: the series of a study come one after the other."""
_FIRST_PAUSE_SECONDS = 0.25
_LONGEST_PAUSE_SECONDS = 2.0
_SECOND_ASSOCIATION_SECONDS = 5.0
"""So long after the second association was not to be had the first does all."""
_WEIGHT = 0.5
"""Of the last answer in the average."""
_GRACE_SECONDS = 0.5
"""So long after the deadline an inquirer may take to say how far it came."""
_TROUBLE_SECONDS = 600.0
"""So long trouble is shown that no later question has ended."""
_AGAIN_SECONDS = 0.5
_LATEST_AGAIN_SECONDS = 5.0


class PacsDesk:
    """The questions for one PACS."""

    def __init__(
        self,
        address: PacsAddress,
        our_ae_title: str,
        timeout_seconds: float,
        close: Callable[[Question, int | None, str], None],
        wake: Callable[[], None],
    ) -> None:
        """`close` is called, in this thread, with each question, its number or the reason why there is none.

        `wake` is called by other threads: `work` has something to do.
        """
        self._timeout_seconds = timeout_seconds
        self._close = close
        self._wake = wake
        self._new_association = partial(FindAssociation, address, our_ae_title)
        self._open: dict[tuple[str, str], Question] = {}
        """By association and series, in the order of their deadlines."""
        self._inquirers: list[Inquirer] = []
        self._reports: collections.deque[Report] = collections.deque()
        self._pause = Backoff(_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS)
        self._second_due = 0.0
        self._answer_seconds = 0.0
        """How long the PACS takes for an answer, on average over the last few."""
        self._doubts = Doubts(address.ae_title)
        self._trouble = ""
        self._trouble_until = 0.0

    @property
    def trouble(self) -> str:
        """Why the last question had no answer; empty when it had one, be it none of use, or when it is long ago.

        Nobody asks without a series: how the PACS is by then is not known.
        """
        return self._trouble if time.monotonic() < self._trouble_until else ""

    @property
    def is_busy(self) -> bool:
        """Whether there is something to look at soon."""
        return bool(self._open or self._inquirers)

    def ask(self, seen: SeriesSeen) -> None:
        """Take a question. One that is open already is not asked twice."""
        now = time.monotonic()
        key = seen.association, seen.series_hash
        self._open.setdefault(key, Question(seen, now, now + self._timeout_seconds, now))

    def work(self) -> None:
        """Take reports, keep deadlines, and see that somebody works on what waits. Never waits."""
        while self._reports:
            self._take(self._reports.popleft())
        self._keep_deadlines()
        self._hand_out()
        self._dismiss_idle()
        self._doubts.tell()

    def finish(self) -> None:
        """Tell what was not told yet: the gateway stops."""
        self._doubts.tell(all_of_them=True)

    def _report(self, report: Report) -> None:
        """Called by the inquirers."""
        self._reports.append(report)
        self._wake()

    def _take(self, report: Report) -> None:
        question, outcome, inquirer = report.question, report.outcome, report.inquirer
        if question is None:
            self._inquirers.remove(inquirer)
            return
        inquirer.idle_since = time.monotonic()
        question.in_hand = False
        if isinstance(outcome, PacsUnavailableError):
            self._not_served(inquirer, question, outcome)
        elif isinstance(outcome, PacsRefusesError):
            self._refused(inquirer, question, outcome)
        else:
            inquirer.answers += 1
            self._pause.succeeded()
            self._settle(question, outcome)

    def _settle(self, question: Question, outcome: int | PacsError) -> None:
        self._trouble = ""
        seconds = time.monotonic() - (question.put_at or question.asked_at)
        self._answer_seconds += (seconds - self._answer_seconds) * _WEIGHT
        if isinstance(outcome, int):
            self._end(question, outcome, "")
        else:
            self._end(question, None, str(outcome))

    def _not_served(self, inquirer: Inquirer, question: Question, error: PacsUnavailableError) -> None:
        """The question waits for its next turn."""
        question.trouble = str(error)
        if isinstance(error, UnansweredError):
            question.due_at = time.monotonic() + _delay_seconds(question.attempts)
            question.attempts += 1
            if inquirer.answers:  # it may have been the last one that this association was good for
                inquirer.answers = 0
                return
        self._pause_after(inquirer)

    def _pause_after(self, inquirer: Inquirer) -> None:
        """An inquirer has no association, or one that is good for nothing: it leaves."""
        inquirer.dismiss()
        if self._others_are_at_work(inquirer):
            self._second_due = time.monotonic() + _SECOND_ASSOCIATION_SECONDS
        else:
            self._pause.failed()

    def _refused(self, inquirer: Inquirer, question: Question, error: PacsRefusesError) -> None:
        """No question would fare better, unless the PACS only means that one association is enough."""
        question.trouble = str(error)
        self._pause_after(inquirer)
        if not self._others_are_at_work(inquirer):
            self._note_trouble(str(error))
            for one in [question for question in self._open.values() if not question.in_hand]:
                self._end(one, None, str(error))

    def _others_are_at_work(self, inquirer: Inquirer) -> bool:
        return any(other is not inquirer and not other.is_leaving for other in self._inquirers)

    def _keep_deadlines(self) -> None:
        now = time.monotonic()
        for question in list(itertools.takewhile(lambda question: question.deadline <= now, self._open.values())):
            if not question.in_hand or question.deadline + _GRACE_SECONDS < now:
                reason = self._reason(question)
                self._note_trouble(reason)
                self._end(question, None, reason)

    def _note_trouble(self, reason: str) -> None:
        self._trouble, self._trouble_until = reason, time.monotonic() + _TROUBLE_SECONDS

    def _reason(self, question: Question) -> str:
        within = f"within {self._timeout_seconds:g} s"
        if question.in_hand:  # what an inquirer waits for of the PACS ends at the deadline by itself
            return f"no answer {within}: the lookup of its host name takes longer"
        if question.trouble:
            return f"no answer {within}: {question.trouble}"
        return f"no answer {within}: it answers more slowly than it is asked"

    def _end(self, question: Question, count: int | None, reason: str) -> None:
        seen = question.seen
        key = seen.association, seen.series_hash
        if self._open.get(key) is not question:
            return  # its deadline came first
        del self._open[key]
        if count is None:
            self._doubts.add(reason, seen.association)
        self._close(question, count, reason)

    def _hand_out(self) -> None:
        """Give questions that are due to inquirers that are idle, or to new ones."""
        now = time.monotonic()
        while (question := self._next_question(now)) and (inquirer := self._idle_inquirer(now)):
            question.in_hand, question.put_at = True, now
            inquirer.hand(question)

    def _next_question(self, now: float) -> Question | None:
        """Return the oldest question that is due and has the time that an answer takes; else the one with most time.

        Were it simply the oldest, a PACS that is slower than questions come would be asked only what soon expires.
        """
        latest = None
        for question in self._open.values():
            if not question.in_hand and question.due_at <= now:
                latest = question
                if question.deadline - now >= self._answer_seconds:
                    break
        return latest

    def _idle_inquirer(self, now: float) -> Inquirer | None:
        """Return an inquirer that is free, the latest first so that the others may leave; or a new one."""
        idle = [one for one in self._inquirers if one.idle_since is not None]
        if idle:
            return max(idle, key=lambda one: one.answers)
        if len(self._inquirers) >= _MAX_ASSOCIATIONS or self._pause.due_seconds:
            return None
        if self._inquirers and now < self._second_due:
            return None
        inquirer = Inquirer(self._new_association(), self._report)
        self._inquirers.append(inquirer)
        inquirer.start()
        return inquirer

    def _dismiss_idle(self) -> None:
        longest_ago = time.monotonic() - _LINGER_SECONDS
        for inquirer in self._inquirers:
            if inquirer.idle_since is not None and inquirer.idle_since < longest_ago:
                inquirer.dismiss()


def _delay_seconds(attempts: int) -> float:
    """How long a question waits that was put `attempts` times before it was lost again: at first not at all."""
    return min(_AGAIN_SECONDS * 2 ** (attempts - 1), _LATEST_AGAIN_SECONDS) if attempts else 0.0
