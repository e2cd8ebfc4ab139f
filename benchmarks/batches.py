"""Registration alone: what a row costs by the size of the transaction. No gateway, no files."""

import datetime
import os
import time
from collections.abc import Sequence

from benchmarks.backing import fetch_memory
from benchmarks.database import DatabaseServer
from benchmarks.disk import settle
from benchmarks.figures import Figure, Measurement
from benchmarks.processes import cpu_seconds
from oxidicom.cube.database import Database
from oxidicom.records import PacsFile, SharedColumns

_SECONDS = 1.5
_MAX_ROWS = 40_000
_ROWS_PER_SERIES = 500


def measure_batches(round_number: int, workload: str, rows: int, server: DatabaseServer) -> Measurement:
    """Register as the registration worker does, in transactions of `rows`, for 1.5 s or 40,000 rows."""
    with server.fresh() as fresh:
        database = Database(fresh.conninfo)
        database.register(_files(0, 1))
        settle()
        fetch_memory()
        fresh.begin()
        began, cpu, database_cpu = time.monotonic(), _own_cpu_seconds(), cpu_seconds(server.pid)
        done = 0
        while done < _MAX_ROWS and time.monotonic() - began < _SECONDS:
            database.register(_files(done + 1, rows))
            done += rows
        seconds = time.monotonic() - began
        own = (_own_cpu_seconds() - cpu) / done
        figures = {
            Figure.ROWS_PER_SECOND: done / seconds,
            Figure.SERVER_CPU_SECONDS: own,
            Figure.TOTAL_CPU_SECONDS: own + (cpu_seconds(server.pid) - database_cpu) / done,
            Figure.WAL_BYTES_PER_ROW: fresh.wal_bytes() / done,
        }
        database.close()
    return Measurement(round_number, workload, str(rows), figures)


def _own_cpu_seconds() -> float:
    times = os.times()
    return times.user + times.system


def _files(first: int, count: int) -> Sequence[PacsFile]:
    return [_file(number) for number in range(first, first + count)]


def _file(number: int) -> PacsFile:
    series = f"1.2.826.0.1.3680043.8.498.11.{number // _ROWS_PER_SERIES}"
    return PacsFile(
        f"SERVICES/PACS/BENCH/PAT1-Batches_of-19500101/Thorax-ACC1-20190102/00002-Abdomen-{series[-7:]}"
        f"/{number % _ROWS_PER_SERIES:04}-{series}.{number}.dcm",
        SharedColumns(
            pacs_identifier="BENCH",
            patient_id="PAT1",
            study_date=datetime.date(2019, 1, 2),
            study_instance_uid="1.2.826.0.1.3680043.8.498.12",
            series_instance_uid=series,
            patient_name="Batches^of",
            patient_sex="O",
            study_description="Thorax",
            accession_number="ACC1",
            modality="CT",
            series_description="Abdomen",
        ),
    )
