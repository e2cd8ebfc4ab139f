"""Registration alone as part of a campaign: for each generation of CUBE's tables, in the rounds of everything else."""

from dataclasses import dataclass

from benchmarks.batches import LARGEST, Batches, measure_batches
from benchmarks.database import DatabaseServer
from benchmarks.figures import Measurement
from benchmarks.workloads import REGISTRATION
from oxidicom.embedded.schema import Schema


@dataclass(frozen=True)
class Alone:
    """Registration alone; `name` and `title` are those of the gateway that has the same tables."""

    name: str
    title: str
    schema: Schema
    database: DatabaseServer

    def measure(self, round_number: int) -> Measurement:
        """Register in transactions that are as large as they get."""
        return measure_batches(round_number, REGISTRATION, self.name, Batches(LARGEST, self.schema), self.database)
