"""A session: what was chosen on the command line, from the empty directory to the report."""

import contextlib
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from rich.console import Console

from benchmarks.database import DatabaseServer
from benchmarks.directories import workplace
from benchmarks.errors import BenchmarkError
from benchmarks.figures import Results
from benchmarks.installed import installed
from benchmarks.machine import describe_machine
from benchmarks.progress import audience
from benchmarks.senders.campaign import Campaign
from benchmarks.senders.files import SIZES, Files
from benchmarks.senders.link import delayed_link
from benchmarks.senders.pacs import Move, Pacs, Push
from benchmarks.senders.programs import PROGRAMS
from benchmarks.senders.receivers import receivers_with
from benchmarks.senders.report import Report
from benchmarks.senders.sender import LOOPBACK, Sender
from benchmarks.senders.trial import Row
from benchmarks.server import Server
from benchmarks.session import RESULTS


@dataclass(frozen=True)
class Session:
    """One run of the benchmark."""

    senders: Sequence[str]
    receivers: Sequence[str]
    sizes: Sequence[str]
    associations: Sequence[int]
    rounds: int
    directory: str
    name: str
    delay_ms: float = 0.0
    """Of each packet on its way between sender and receiver; without it they stand side by side."""

    def run(self, console: Console) -> None:
        """Measure, print the tables, write JSON; after Ctrl-C or a failure of the rounds that were complete before.

        Raise BenchmarkError when nothing that was chosen is installed, and at the end if a measurement failed.
        """
        about = describe_machine(self.directory) | {"date": time.strftime("%Y-%m-%d %H:%M:%S%z")}
        if self.delay_ms:
            about["delay of each packet"] = f"{self.delay_ms:g} ms"
        skipped: dict[str, str] = {}
        results = Results()
        with contextlib.ExitStack() as stack:
            own = stack.enter_context(workplace(self.directory))
            database = stack.enter_context(DatabaseServer(own))
            pacs = Pacs(os.path.join(own, "pacs"))
            senders = installed(_chosen((*PROGRAMS, Push(pacs), Move(pacs)), self.senders), skipped)
            receivers = installed(_chosen(receivers_with(database), self.receivers), skipped)
            if not senders or not receivers:
                raise BenchmarkError(f"nothing to measure; {'; '.join(map(': '.join, skipped.items()))}")
            if any(isinstance(sender, Push) for sender in senders):
                stack.enter_context(pacs)
            host = stack.enter_context(delayed_link(self.delay_ms / 1000)) if self.delay_ms else LOOPBACK
            campaign = Campaign(self._rows(senders, own), receivers, self.rounds, host)
            try:
                with audience(console, campaign.measurements) as told:
                    campaign.run(own, results, told)
            finally:
                if results.rounds or campaign.failures:
                    self._report(Report(campaign.rows, receivers, skipped, campaign.failures, results), about, console)
            if campaign.failures:
                raise BenchmarkError(f"{len(campaign.failures)} measurements failed")

    def _rows(self, senders: Sequence[Sender], directory: str) -> list[Row]:
        """Return the rows of all tables, table by table."""
        files = os.path.join(directory, "sent")
        os.mkdir(files)
        made = [(size, Files(SIZES[size], files)) for size in self.sizes]
        return [
            Row(sender, size, of_size, associations)
            for size, of_size in made
            for associations in self.associations
            for sender in senders
            if sender.is_parallel or associations == 1
        ]

    def _report(self, report: Report, about: dict[str, str], console: Console) -> None:
        report.show(console)
        path = os.path.join(RESULTS, f"{self.name or time.strftime('senders-%Y%m%d-%H%M%S')}.json")
        report.write(about, path)
        console.print(f"Every measurement is in {path}")


_Party = TypeVar("_Party", Sender, Server)


def _chosen(parties: Sequence[_Party], names: Sequence[str]) -> list[_Party]:
    return [party for party in parties if party.name in names]
