"""Registration alone: what a file costs by the size of the transaction. No gateway, and none is stored.

What is registered is what a gateway registers: files of one series after the other, in one PACS and a new patient now
and then; and when a series ends, the values that say so. In the tables of CUBE 6 and 7 that makes folders and series.
"""

import datetime
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.backing import fetch_memory
from benchmarks.database import DatabaseServer
from benchmarks.disk import settle
from benchmarks.figures import Figure, Measurement
from benchmarks.processes import cpu_seconds
from oxidicom.cube.database import Database
from oxidicom.embedded.schema import Schema
from oxidicom.records import PacsFile, Series, SeriesValue, SharedColumns
from oxidicom.spool.metadata_rows import committed_count_value, expected_count_value, metadata_row

LARGEST = 500
"""No transaction of the registration worker has more files."""
_SECONDS = 1.5
_MAX_ROWS = 40_000
_ROWS_PER_SERIES = 500
_SERIES_PER_PATIENT = 4
_ASSOCIATION = "01HZ7TF03EZD364005NP332RBQ"


@dataclass(frozen=True)
class Batches:
    """What is registered in one measurement."""

    rows: int
    """Files in a transaction."""
    schema: Schema = "flat"
    prefilled_rows: int = 0


def measure_batches(
    round_number: int, workload: str, name: str, batches: Batches, server: DatabaseServer
) -> Measurement:
    """Register as the registration worker does, for 1.5 s or 40,000 files. `name` stands for the server."""
    rows = batches.rows
    with server.fresh(batches.prefilled_rows, batches.schema) as fresh:
        database = Database(fresh.conninfo)
        database.register(*_batch(0, 1))
        settle()
        fetch_memory()
        fresh.begin()
        began, cpu, database_cpu = time.monotonic(), _own_cpu_seconds(), cpu_seconds(server.pid)
        done = 0
        while done < _MAX_ROWS and time.monotonic() - began < _SECONDS:
            database.register(*_batch(done + 1, rows))
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
    return Measurement(round_number, workload, name, figures)


def _own_cpu_seconds() -> float:
    times = os.times()
    return times.user + times.system


def _batch(first: int, count: int) -> tuple[Sequence[PacsFile], Sequence[SeriesValue]]:
    """Return files, and the values of the series that end with one of them."""
    files = [_file(number) for number in range(first, first + count)]
    last = _ROWS_PER_SERIES - 1
    ended = [file for number, file in enumerate(files, first) if number % _ROWS_PER_SERIES == last]
    return files, [value for file in ended for value in _values_of(file)]


def _values_of(file: PacsFile) -> list[SeriesValue]:
    columns = file.columns
    series = Series(
        columns.pacs_identifier,
        file.fname.rpartition("/")[0],
        columns.patient_id,
        columns.study_date,
        columns.study_instance_uid,
        columns.series_instance_uid,
    )
    values = (make("benchmark", _ROWS_PER_SERIES) for make in (expected_count_value, committed_count_value))
    return [SeriesValue(series, metadata_row(_ASSOCIATION, series, value)) for value in values]


def _file(number: int) -> PacsFile:
    series = f"1.2.826.0.1.3680043.8.498.11.{number // _ROWS_PER_SERIES}"
    patient = number // (_ROWS_PER_SERIES * _SERIES_PER_PATIENT)
    return PacsFile(
        f"SERVICES/PACS/BENCH/PAT{patient}-Batches_of-19500101/Thorax-ACC1-20190102/00002-Abdomen-{series[-7:]}"
        f"/{number % _ROWS_PER_SERIES:04}-{series}.{number}.dcm",
        SharedColumns(
            pacs_identifier="BENCH",
            patient_id=f"PAT{patient}",
            study_date=datetime.date(2019, 1, 2),
            study_instance_uid=f"1.2.826.0.1.3680043.8.498.12.{patient}",
            series_instance_uid=series,
            patient_name="Batches^of",
            patient_sex="O",
            study_description="Thorax",
            accession_number="ACC1",
            modality="CT",
            series_description="Abdomen",
        ),
    )
