"""Several gateways on one storage and one database receive the same series at the same time; one is killed."""

import time

import psycopg
import pytest

from tests.acceptance.drills.account import metadata_is_right, nothing_lost, settled
from tests.acceptance.drills.load import Load, Sender
from tests.dicom import make_series
from tests.fixtures.postgres import value_of

GATEWAYS = 4


class SameSeriesSender(Sender):
    """All senders send the same series, to any gateway."""

    def next_series(self, count):
        series_uid = f"1.2.{count % 20}"
        directory = self._directory / f"same-{self._number}-{count % 20}"
        return series_uid, sorted(directory.iterdir()) if directory.is_dir() else make_series(directory, 5, series_uid)


def deadlocks(database):
    with psycopg.connect(database) as connection:
        query = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
        return value_of(connection, query)


@pytest.mark.timeout(400)
def test_one_row_for_each_file_and_no_deadlock(long_drill, make_gateway, database, rows, tmp_path):
    """Four gateways, a minute (10 s in short). The survivors take up what the killed one leaves."""
    gateways = [
        make_gateway(name=f"gateway{number}", CHRIS_LISTENER_THREADS="3", TOKIO_WORKER_THREADS="1")
        for number in range(GATEWAYS)
    ]
    ports = [gateway.port for gateway in gateways]
    with Load([SameSeriesSender(ports, tmp_path, number) for number in range(4)]) as sent:
        began = time.monotonic()
        sent.await_progress(20)
        gateways[0].kill_all()
        while time.monotonic() - began < (60 if long_drill else 10):
            sent.await_progress(1)
    if not long_drill:
        gateways[0].start()  # it adopts its own leftovers; the others look each minute
    settled(gateways[1], 90)
    assert metadata_is_right(rows(metadata=True)) >= len(nothing_lost(gateways[1], rows, sent.acknowledged))
    assert deadlocks(database) == 0
    assert not [line for gateway in gateways for line in gateway.lines("row_set_aside")]
    if long_drill:
        assert [line for gateway in gateways[1:] for line in gateway.lines("spool_adopted")]
