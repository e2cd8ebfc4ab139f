"""Whatever a configuration is wrong in, it is told together with all the rest, and without secrets."""

import pytest

from oxidicom.configuration.faults import examine
from oxidicom.setting_faults import Fault

NEEDED = {"CHRIS_DB_CONNECTION": "embedded", "CHRIS_FILES_ROOT": "/data"}


def faults(budget=None, **variables):
    return examine({**NEEDED, **variables}, lambda settings: budget)[1]


def test_what_is_right_has_no_fault(authority, tmp_path):
    certificate, key = authority.issue("gateway")
    credentials = tmp_path / "x.creds"
    credentials.write_text("-----BEGIN NATS USER JWT-----\nx\n-----BEGIN USER NKEY SEED-----\ny\n")
    assert not faults(
        CHRIS_DB_CONNECTION="postgresql://u:secret@h/d?sslmode=require",
        CHRIS_TLS_CERTIFICATE=str(certificate),
        CHRIS_TLS_KEY=str(key),
        CHRIS_TLS_CLIENT_CA=str(authority.path),
        CHRIS_NATS_ADDRESS="nats://h",
        CHRIS_NATS_CREDENTIALS=str(credentials),
    )


def test_faults_of_all_kinds_are_told_at_once(authority, tmp_path):
    _, encrypted = authority.issue("gateway", password=b"secret")
    nonsense = tmp_path / "nonsense"
    nonsense.write_bytes(b"secret")
    found = faults(
        "too few files",
        PORT="abc",
        CHRIS_DB_CONNECTION="password=my secret",
        CHRIS_ALLOWED_AETS="A",
        CHRIS_TLS_CERTIFICATE=str(nonsense),
        CHRIS_TLS_KEY=str(encrypted),
        CHRIS_TLS_CLIENT_CA=str(tmp_path / "missing"),
        CHRIS_NATS_ADDRESS="nats://h",
        CHRIS_NATS_CREDENTIALS=str(nonsense),
    )
    assert [fault.variable for fault in found] == [
        "PORT",
        "CHRIS_ALLOWED_AETS",
        "CHRIS_TLS_CERTIFICATE",
        "CHRIS_TLS_KEY",
        "CHRIS_TLS_CLIENT_CA",
        "CHRIS_DB_CONNECTION",
        "CHRIS_NATS_CREDENTIALS",
        "",
    ]
    assert found[-1] == Fault("", "too few files")
    assert "secret" not in str(found)
    assert "the key is encrypted" in found[3].sentence


def test_the_key_of_another_certificate_is_a_fault_of_the_key(authority):
    certificate, _ = authority.issue("gateway")
    _, other = authority.issue("other")
    (fault,) = faults(CHRIS_TLS_CERTIFICATE=str(certificate), CHRIS_TLS_KEY=str(other))
    assert fault.variable == "CHRIS_TLS_KEY"
    assert "the key is not that of the certificate" in fault.sentence


def test_a_certificate_without_the_key_that_should_be_in_its_file(authority):
    certificate, _ = authority.issue("gateway")
    (fault,) = faults(CHRIS_TLS_CERTIFICATE=str(certificate))
    assert fault.variable == "CHRIS_TLS_CERTIFICATE"


@pytest.mark.parametrize(
    ("conninfo", "reason"),
    [
        ("garbage", "a part of it has no `=`"),
        ("host=h password=my secret", "a part of it has no `=`"),
        ("mysql://u:secret@h/d", "a part of it has no `=`"),
        ("hots=h password=secret", "did you mean `host`?"),
        ("password=my secret=1", "it has an option that libpq does not know"),
        ("postgresql://u@h/d?sslmod=require", "did you mean `sslmode`?"),
        ("postgresql://u:se cret@h/d", "write %20"),
        ("password='secret", "not closed"),
        ("postgresql://u:secret%zz@h/d", "write %25"),
        ("postgresql://u:secret@[::1/d", "it cannot be parsed"),
    ],
)
def test_a_connection_string_that_libpq_cannot_parse_is_a_fault_and_not_shown(conninfo, reason):
    (fault,) = faults(CHRIS_DB_CONNECTION=conninfo)
    assert fault.variable == "CHRIS_DB_CONNECTION"
    assert reason in fault.sentence
    assert "secret" not in fault.sentence
    assert "cret" not in fault.sentence
