"""The inquiry worker: asks a PACS how many instances a series has, and tells the storage worker that wants to know."""

import collections

from workers.messages import SeriesCounted, SeriesSeen
from workers.scoreboard import Counter, Phase, Slot, State
from workers.shared import Shared

_WAIT_SECONDS = 0.5
_RETRY_SECONDS = 0.05


class InquiryWorker:
    """Answers every question with `None` (unknown): no PACS is asked yet."""

    def __init__(self, shared: Shared, slot: Slot) -> None:
        self._shared = shared
        self._slot = slot
        self._answers: collections.deque[tuple[int, SeriesCounted]] = collections.deque()

    def boot(self) -> None:
        """Nothing to get ready."""

    def run(self) -> None:
        """Answer until the gateway stops."""
        while self._shared.scoreboard.phase < Phase.STOPPING:
            self._slot.beat(State.WAITING)
            message = self._shared.inquiry_queue.get(_RETRY_SECONDS if self._answers else _WAIT_SECONDS)
            if isinstance(message, SeriesSeen):
                self._slot.add(Counter.QUESTIONS)
                answer = SeriesCounted(message.association, message.series_hash, None)
                self._answers.append((message.storage_worker, answer))
            self._deliver()

    def _deliver(self) -> None:
        """Hand over answers; those whose channel is full wait here, and nobody waits for them."""
        for _ in range(len(self._answers)):
            worker, answer = self._answers.popleft()
            if not self._shared.answer_queues[worker].put(answer):
                self._answers.append((worker, answer))
