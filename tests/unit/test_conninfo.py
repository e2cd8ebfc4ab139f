"""A connection string is shown without its secrets."""

import pytest

from oxidicom.cube.conninfo import display


@pytest.mark.parametrize(
    ("conninfo", "shown"),
    [
        ("postgresql://chris:secret@db:5433/chris?sslmode=require", "postgresql://chris@db:5433/chris"),
        ("host=db user=chris password='se cret' dbname=chris passfile=/secret", "postgresql://chris@db/chris"),
        ("postgresql://db/chris?password=secret&sslpassword=secret", "postgresql://db/chris"),
        ("postgresql://u:secret@a,b:1/d", "postgresql://u@a,b:,1/d"),
        ("dbname=chris", "postgresql:///chris"),
        ("embedded", "the embedded PostgreSQL"),
        ("password=secret host", "no libpq connection string or URL"),
        ("postgresql://u:secret@h:port:x/d", None),
    ],
)
def test_no_secret_is_shown(conninfo, shown):
    assert "secret" not in display(conninfo)
    assert shown is None or display(conninfo) == shown
