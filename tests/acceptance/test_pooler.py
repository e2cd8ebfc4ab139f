"""A gateway whose database is behind PgBouncer in transaction mode: nobody notices."""

import pytest

from tests.acceptance.drills.account import metadata_is_right, nothing_lost
from tests.dicom import make_series, send
from tests.waiting import wait_until


@pytest.mark.pgbouncer
def test_through_pgbouncer_everything_is_registered_and_nothing_is_degraded(pooled, make_gateway, rows, tmp_path):
    gateway = make_gateway(db=pooled)
    acknowledged = {}
    for series in ("1.2.1", "1.2.2", "1.2.3"):
        paths = make_series(tmp_path / series, 30, series)
        assert {status.Status for status in send(gateway.port, paths)} == {0}
        acknowledged |= {f"{series}.{number}": path for number, path in enumerate(paths, 1)}
    wait_until(lambda: not gateway.spooled(), "all is registered")
    nothing_lost(gateway, rows, acknowledged)
    assert metadata_is_right(rows(metadata=True)) == 90
    assert not gateway.lines("database_unavailable")
