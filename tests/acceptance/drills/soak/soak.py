"""Load and blows side by side, with a line now and then; then the account."""

import collections
import concurrent.futures
import contextlib
import time

from benchmarks.datasets import Identity
from tests.acceptance.drills.soak.blows import Blow, Blows
from tests.acceptance.drills.soak.senders import senders
from tests.acceptance.drills.soak.site import Site
from tests.acceptance.drills.soak.verdict import free_bytes, judge, waiting

_SENDERS = 6
_TELL_SECONDS = 10.0
_LEAST_FREE_BYTES = 256 << 20
"""With less the load ends, so that the storage is full only when it is meant to be."""


class Soak:
    """One soak."""

    def __init__(self, site: Site, seed: int, per_second: float) -> None:
        """`per_second` is how many blows fall, if the machine can."""
        self._site = site
        self._blows = Blows(site, seed)
        self._pause_seconds = 1 / per_second
        self._senders = senders([gateway.port for gateway in site.gateways], _SENDERS, seed)
        self._struck: collections.Counter[str] = collections.Counter()
        self.kills = 0
        self._lasting = concurrent.futures.ThreadPoolExecutor(1)
        """Its thread stays: the database that it starts ends with it."""
        self._under_way: concurrent.futures.Future[int] = self._lasting.submit(int)
        self._began = time.monotonic()
        self._tell_due = 0.0

    def run(self, kills: int, seconds: float) -> None:
        """Strike until there were so many kills, or it is so late, or somebody interrupts; 0 is no limit.

        Then let the senders end, and set the clocks right.
        """
        for sender in self._senders:
            sender.start()
        with contextlib.suppress(KeyboardInterrupt):
            self._strike(kills, seconds)
        self.kills += self._under_way.result()
        for sender in self._senders:
            sender.stop()
        for sender in self._senders:
            sender.join()
        for gateway in self._site.gateways:
            gateway.set_clock(0)
        self._tell(now=True)

    def _strike(self, kills: int, seconds: float) -> None:
        while not (kills and self.kills >= kills) and not (seconds and self._seconds >= seconds):
            next_due = time.monotonic() + self._pause_seconds
            blow = self._blows.choose()
            if not blow.lasts:
                self._count(blow, blow.strike(self._blows))
            elif self._under_way.done():
                self.kills += self._under_way.result()
                self._count(blow, 0)
                self._under_way = self._lasting.submit(blow.strike, self._blows)
            self._tell()
            time.sleep(max(0.0, next_due - time.monotonic()))

    @property
    def _seconds(self) -> float:
        return time.monotonic() - self._began

    @property
    def acknowledged(self) -> list[Identity]:
        """What was answered with Success."""
        return [identity for sender in self._senders for identity in sender.acknowledged]

    def _count(self, blow: Blow, kills: int) -> None:
        self._struck[blow.name] += 1
        self.kills += kills

    def _tell(self, *, now: bool = False) -> None:
        if not now and time.monotonic() < self._tell_due:
            return
        self._tell_due = time.monotonic() + _TELL_SECONDS
        sent = sum(len(sender.acknowledged) for sender in self._senders)
        if free_bytes(self._site) < _LEAST_FREE_BYTES and self._site.can_be_filled and sent > 100_000:
            for sender in self._senders:
                sender.stop()
        struck = ", ".join(f"{name} {count}" for name, count in self._struck.most_common())
        left = waiting(self._site)
        print(
            f"{self._seconds:7.0f} s  {self.kills} kills  {sent} acknowledged  {left} waiting  ({struck})", flush=True
        )

    def judge(self) -> str:
        """Return what came of it. What was acknowledged is written down before. Raise LostError."""
        with open(self._site.directory / "acknowledged", "w", encoding="ascii") as file:
            file.writelines(f"{one.sop_instance_uid}\n" for one in self.acknowledged)
        verdict = judge(self._site, self.acknowledged)
        return f"{self.kills} kills in {self._seconds:.0f} s: {verdict}"
