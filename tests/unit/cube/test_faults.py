"""What libpq says when it cannot connect, in words that help and not its own, which may quote the connection string."""

import psycopg
import pytest

from oxidicom.cube.faults import outage_reason

FAILED = 'connection failed: connection to server at "10.0.0.5", port 5432 failed: '


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('FATAL:  no pg_hba.conf entry for host "10.0.0.9", user "o", database "chris", no encryption', "pg_hba.conf"),
        (
            "FATAL:  remaining connection slots are reserved for roles with the SUPERUSER attribute",
            "no connection left",
        ),
        (
            "FATAL:  remaining connection slots are reserved for non-replication superuser connections",
            "no connection left",
        ),
        ('FATAL:  sorry, too many clients already for "chris"', "no connection left"),
        ('FATAL:  role "o" is not permitted to log in', "may not log in"),
        ('FATAL:  role "o" does not exist', "no database or user of that name"),
        ("server does not support SSL, but SSL was required", "no TLS"),
        ('root certificate file "/etc/ca.pem" does not exist', "sslrootcert"),
        ('could not read certificate file "/etc/o.pem": no start line', "sslcert"),
        ('private key file "/etc/o.key" has group or world access', "sslkey"),
        ("SSL error: certificate verify failed", "not from an issuer that sslrootcert names"),
        ('server certificate for "db" does not match host name "10.0.0.5"', "another host name"),
    ],
)
def test_the_reason_is_told(text, reason):
    told = outage_reason(psycopg.OperationalError(FAILED + text))
    assert reason in told
    assert "10.0.0" not in told
