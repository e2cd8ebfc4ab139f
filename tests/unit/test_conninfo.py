"""A connection string is shown without its secrets."""

import pytest

from oxidicom.configuration.faults import examine
from oxidicom.cube.conninfo import conninfo_fault, display, without_secrets


@pytest.mark.parametrize(
    ("conninfo", "shown"),
    [
        ("postgresql://chris:secret@db:5433/chris?sslmode=require", "postgresql://chris@db:5433/chris"),
        ("host=db user=chris password='se cret' dbname=chris passfile=/secret", "postgresql://chris@db/chris"),
        ("postgresql://db/chris?password=secret&sslpassword=secret", "postgresql://db/chris"),
        ("postgresql://u:secret@a,b:1/d", "postgresql://u@a,b:,1/d"),
        ("dbname=chris", "postgresql:///chris"),
        ("embedded", "the embedded PostgreSQL"),
        ("password=secret host", "not a libpq connection string or URL"),
        ("postgresql://u:secret@h:port:x/d", None),
    ],
)
def test_no_secret_is_shown(conninfo, shown):
    assert "secret" not in display(conninfo)
    assert shown is None or display(conninfo) == shown


@pytest.mark.parametrize(
    "conninfo",
    [
        "postgresql://chris:s3c/ret@db/chris",
        "postgresql://chris:s3c@ret@db/chris",
        "postgresql://chris:s3c@r/et@db/chris",
        "postgresql://chris:12/s3c@db/chris",
        "postgres://chris:s3c",
        "postgresql://chris:s3c/chris",
        "postgresql://chris:s3c?x@ret@db/chris",
        "postgresql://chris:%2Fs3c/chris",
        "host=db port=s3c dbname=chris",
        "host=db dbname=chris:s3c@db",
    ],
)
def test_what_may_be_a_part_of_a_password_is_a_fault_and_not_shown(conninfo):
    shown = [display(conninfo), without_secrets(conninfo), str(conninfo_fault(conninfo))]
    _, faults = examine({"CHRIS_DB_CONNECTION": conninfo, "CHRIS_FILES_ROOT": "/tmp"}, lambda _: None)
    shown += [fault.sentence for fault in faults]
    assert "%40" in faults[0].sentence
    assert not any(part in text for text in shown for part in ("s3c", "ret"))


@pytest.mark.parametrize(
    "conninfo",
    [
        "postgresql://chris:s3%2Fc%40ret@db/chris",
        "postgresql://a:1,b:2/chris",
        "postgresql://chris@[::1]:5432/chris?user=a%40b",
        "host=/run/postgresql user=chris@server dbname=chris password=a@b/c",
        "postgresql:///chris",
    ],
)
def test_a_string_that_is_whole_has_no_fault(conninfo):
    assert conninfo_fault(conninfo) is None
