"""A session: what was chosen on the command line, from the empty directory to the report."""

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from rich.console import Console

from benchmarks.alone import Alone
from benchmarks.campaign import Campaign
from benchmarks.database import DatabaseServer
from benchmarks.datasets import templates_of
from benchmarks.directories import workplace
from benchmarks.disk import filesystem_type
from benchmarks.errors import BenchmarkError
from benchmarks.figures import Results
from benchmarks.floors import FLOORS, ROOT
from benchmarks.gateway import Gateway
from benchmarks.goals import GOALS, goals_against
from benchmarks.guest import Guest
from benchmarks.installed import installed
from benchmarks.invocation import Invocation
from benchmarks.machine import describe_machine
from benchmarks.peers import PEERS
from benchmarks.plot import write_plot
from benchmarks.progress import audience
from benchmarks.report import print_report, write_json
from benchmarks.server import Server
from benchmarks.workloads import BASELINE, GATEWAY_6, REGISTRATION, WORKLOADS, Workload, shortened

RESULTS = os.path.join(ROOT, "benchmarks", "results")
_IN_MEMORY = ("tmpfs", "ramfs")


@dataclass(frozen=True)
class Session:
    """One run of the benchmark."""

    workloads: Sequence[str]
    peers: Sequence[str]
    rounds: int
    idle_seconds: float
    is_quick: bool
    settings: Mapping[str, str]
    baseline: str
    guests: Mapping[str, Invocation]
    """Other gateways by name."""
    directory: str
    name: str

    def run(self, console: Console) -> None:
        """Measure, print the tables, write JSON and plot; after Ctrl-C or a failure for what was done before."""
        if filesystem_type(self.directory) in _IN_MEMORY:
            console.print(f"{self.directory} is in memory, where a sync costs nothing: name a disk with --directory")
        machine = describe_machine(self.directory) | self._describe()
        results = Results()
        skipped: dict[str, str] = {}
        with workplace(self.directory) as own, DatabaseServer(own) as database:
            servers = installed(self._servers(database), skipped)
            workloads, alone = self._workloads(skipped), self._alone(servers, database)
            campaign = Campaign(workloads, servers, self.rounds, self.idle_seconds, alone)
            try:
                with audience(console, campaign.measurements) as told:
                    campaign.run(own, results, told)
            finally:
                titles = {server.name: server.title for server in servers}
                if results.rounds:
                    self._report(results, titles, machine, skipped, console)

    def _describe(self) -> dict[str, str]:
        return {
            "date": time.strftime("%Y-%m-%d %H:%M:%S%z"),
            "size": "quick" if self.is_quick else "whole",
            "settings": " ".join(map("=".join, self.settings.items())),
            "guests": "; ".join(f"{name}={invocation}" for name, invocation in self.guests.items()),
        }

    def _servers(self, database: DatabaseServer) -> list[Server]:
        servers: list[Server] = [Gateway(database, settings=self.settings)]
        if self.baseline:
            servers.append(Gateway(database, BASELINE, "oxidicom, baseline", os.path.abspath(self.baseline)))
        if GATEWAY_6 in self.peers:
            servers.append(Gateway(database, GATEWAY_6, "oxidicom, CUBE 6", settings=self.settings, schema="folders"))
        servers += [Guest(name, name, invocation, database) for name, invocation in self.guests.items()]
        return servers + [server for server in (*PEERS, *FLOORS) if server.name in self.peers]

    def _alone(self, servers: Sequence[Server], database: DatabaseServer) -> list[Alone]:
        """Return the registration of each gateway of this version without the rest of it, if that was chosen."""
        if REGISTRATION not in self.workloads:
            return []
        gateways = [one for one in servers if isinstance(one, Gateway) and one.name != BASELINE]
        return [Alone(one.name, one.title, one.schema, database) for one in gateways]

    def _workloads(self, skipped: dict[str, str]) -> list[Workload]:
        """Return the chosen workloads, and those that others take their pace from; without what cannot be made here."""
        named = {workload.name: workload for workload in WORKLOADS}
        wanted = set(self.workloads)
        wanted |= {pace.workload for name in wanted & named.keys() if (pace := named[name].pace)}
        chosen = []
        for workload in WORKLOADS:
            if workload.name not in wanted:
                continue
            try:
                for content in set(workload.contents):
                    templates_of(content)
            except BenchmarkError as error:
                skipped[workload.title] = str(error)
                continue
            chosen.append(self._with_guests(shortened(workload) if self.is_quick else workload))
        return chosen

    def _with_guests(self, workload: Workload) -> Workload:
        """Return a workload that the guests meet too, unless it needs rows that name files as this gateway does."""
        return workload if workload.prefilled_rows else replace(workload, peers=(*workload.peers, *self.guests))

    def _report(
        self,
        results: Results,
        titles: Mapping[str, str],
        machine: Mapping[str, str],
        skipped: Mapping[str, str],
        console: Console,
    ) -> None:
        heading = _heading(machine, results)
        console.print(heading)
        goals = [*GOALS, *(goal for guest in self.guests for goal in goals_against(guest))]
        print_report(results, titles, skipped, console, goals)
        default = time.strftime("%Y%m%d-%H%M%S") + ("-quick" if self.is_quick else "")
        path = os.path.join(RESULTS, self.name or default)
        write_json(results, machine, skipped, f"{path}.json", goals)
        try:
            write_plot(results, titles, heading, f"{path}.png")
        except ImportError:
            console.print("No plot without matplotlib: pip install 'oxidicom[benchmark]'")
        console.print(f"Every measurement is in {path}.json")


def _heading(machine: Mapping[str, str], results: Results) -> str:
    words = [machine[name] for name in ("processor", "memory", "filesystem", "date") if name in machine]
    return f"{', '.join(words)}: medians and ranges of {results.rounds} rounds, {machine['size']} loads"
