"""An inquirer: a thread that puts questions to a PACS, one after the other, over an association of its own.

It decides nothing. It is handed a question, asks, reports the outcome, and waits for the next one; each wait for the
PACS ends by itself at the deadline of the question.
"""

import dataclasses
import queue
import threading
import time
from collections.abc import Callable

from oxidicom.pacs.errors import PacsError
from oxidicom.pacs.find import FindAssociation
from workers.channels.messages import SeriesSeen


@dataclasses.dataclass(slots=True, eq=False)
class Question:
    """How many instances does this series have? Times are moments of `time.monotonic`."""

    seen: SeriesSeen
    asked_at: float
    """When it came to the desk."""
    deadline: float
    """From then on it is unknown, whatever the PACS says."""
    due_at: float
    """When it may be put to the PACS (again)."""
    attempts: int = 0
    """How often it was put to the PACS over an association that was lost before the answer."""
    put_at: float | None = None
    """When it was last given to an inquirer."""
    in_hand: bool = False
    """An inquirer has it."""
    trouble: str = ""
    """What stood in the way of an answer when it was tried last."""


@dataclasses.dataclass(frozen=True, slots=True)
class Report:
    """What an inquirer has to say: the outcome of a question, or, without one, that it has left."""

    inquirer: "Inquirer"
    question: Question | None
    outcome: int | PacsError = 0


class Inquirer(threading.Thread):
    """Asks what it is handed, until it is dismissed."""

    def __init__(self, find: FindAssociation, report: Callable[[Report], None]) -> None:
        """`report` is called by this thread."""
        super().__init__(daemon=True, name="inquirer")
        self._find = find
        self._report = report
        self._questions: queue.SimpleQueue[Question | None] = queue.SimpleQueue()
        # The desk alone looks at what follows.
        self.idle_since: float | None = time.monotonic()
        """None while it has a question, or is dismissed."""
        self.answers = 0
        """How many questions were answered since one was lost."""
        self.is_leaving = False

    def hand(self, question: Question) -> None:
        """Give it the next question."""
        self.idle_since = None
        self._questions.put(question)

    def dismiss(self) -> None:
        """Let it release its association and end; its last report comes then."""
        self.is_leaving = True
        self.idle_since = None
        self._questions.put(None)

    def run(self) -> None:
        try:
            while question := self._questions.get():
                self._report(Report(self, question, self._ask(question)))
            self._find.close()
        finally:
            self._report(Report(self, None))

    def _ask(self, question: Question) -> int | PacsError:
        series = question.seen.series
        try:
            return self._find.count_instances(series.study_instance_uid, series.series_instance_uid, question.deadline)
        except PacsError as error:
            return error
        except Exception as error:  # noqa: BLE001 (what the library makes of a lying peer is not foreseeable)
            return PacsError(f"its answer cannot be read ({type(error).__name__})")
