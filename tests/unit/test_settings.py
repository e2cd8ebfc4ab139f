"""The settings: every variable works, every fault is told at once."""

import pytest

from oxidicom.errors import ConfigurationError
from oxidicom.settings import Settings, unknown_variables

NEEDED = {"CHRIS_DB_CONNECTION": "embedded", "CHRIS_FILES_ROOT": "/data"}


def settings(**variables):
    return Settings.from_environment({**NEEDED, **variables})


def test_defaults_are_those_of_the_table():
    defaults = settings()
    assert (defaults.ae_title, defaults.port, defaults.listeners, defaults.db_pool) == ("ChRIS", 11111, 16, 10)
    assert (defaults.max_pdu_length_bytes, defaults.strict, defaults.uncompressed_only) == (131072, False, False)
    assert (defaults.drain_seconds, defaults.umask, defaults.bind_address) == (30, 0o022, "::")


def test_all_faults_are_told_at_once_with_variable_value_and_remedy():
    variables = {"PORT": "abc", "CHRIS_VERBOSE": "maybe", "CHRIS_PACS_ADDRESS": "A=b", "CHRIS_UMASK": "9"}
    with pytest.raises(ConfigurationError) as raised:
        Settings.from_environment(variables)
    faults = raised.value.faults
    assert len(faults) == 6
    for name, value in variables.items():
        assert any(fault.startswith(f"{name}={value!r}") for fault in faults)
    assert any(fault.startswith("CHRIS_DB_CONNECTION is not set") and "`embedded`" in fault for fault in faults)


@pytest.mark.parametrize("text", ["yes", "Y", "TRUE", "1"])
def test_booleans_have_many_spellings(text):
    assert settings(CHRIS_VERBOSE=text).verbose is True


@pytest.mark.parametrize("text", ["no", "N", "False", "0", ""])
def test_no_has_as_many(text):
    assert settings(CHRIS_VERBOSE=text).verbose is False


def test_the_password_of_the_database_is_never_in_a_fault():
    with pytest.raises(ConfigurationError) as raised:
        Settings.from_environment({"CHRIS_DB_CONNECTION": "postgresql://u:secret@h/d"})
    assert "secret" not in str(raised.value)


def test_later_spellings_are_aliases():
    both = settings(OXIDICOM_LISTENER_PORT="104", OXIDICOM_SCP_AET="OTHER")
    assert (both.port, both.ae_title) == (104, "OTHER")


def test_two_spellings_that_differ_are_a_fault():
    with pytest.raises(ConfigurationError, match="the same setting but differ"):
        settings(CHRIS_SCP_AET="ONE", OXIDICOM_SCP_AET="TWO")


def test_a_misspelled_variable_gets_the_closest_name():
    (warning,) = unknown_variables({"CHRIS_SCP_AETT": "x", "HOME": "/"})
    assert "did you mean CHRIS_SCP_AET?" in warning


def test_pacs_addresses_ignore_blanks_and_a_trailing_comma():
    book = settings(CHRIS_PACS_ADDRESS=" A = host:104 , B=[::1]:105,").pacs_addresses
    assert (book["A"].host, book["A"].port, book["B"].host, book["B"].port) == ("host", 104, "::1", 105)


@pytest.mark.parametrize("text", ["A", "A=", "A=host", "A=host:x", "A=host:0", "=host:1", "A=::1:104", "A=h:1,A=h:2"])
def test_a_bad_pacs_address_is_named(text):
    with pytest.raises(ConfigurationError, match="CHRIS_PACS_ADDRESS"):
        settings(CHRIS_PACS_ADDRESS=text)


def test_a_short_pdu_length_is_refused_and_none_is_allowed():
    assert settings(CHRIS_SCP_MAX_PDU_LENGTH="0").max_pdu_length_bytes == 0
    with pytest.raises(ConfigurationError):
        settings(CHRIS_SCP_MAX_PDU_LENGTH="100")


def test_servers_for_live_progress_under_both_spellings():
    for prefix in ("CHRIS", "OXIDICOM"):
        variables = {
            f"{prefix}_NATS_ADDRESS": "a, tls://b:1",
            f"{prefix}_NATS_CREDENTIALS": "/x.creds",
            f"{prefix}_PROGRESS_INTERVAL": "2.5s",
            f"{prefix}_ROOT_SUBJECT": "a.b",
        }
        one = settings(**variables)
        assert one.nats_addresses == ("nats://a", "tls://b:1")
        assert (one.nats_credentials, one.progress_interval_seconds, one.root_subject) == ("/x.creds", 2.5, "a.b")


@pytest.mark.parametrize(("text", "seconds"), [("500ms", 0.5), ("0s", 0), ("1 s", 1), ("1min", 60), ("60min", 3600)])
def test_intervals_have_a_unit(text, seconds):
    assert settings(CHRIS_PROGRESS_INTERVAL=text).progress_interval_seconds == seconds


@pytest.mark.parametrize(
    ("name", "text"),
    [
        *(("CHRIS_PROGRESS_INTERVAL", text) for text in ("500", "-1s", "1h", "ms", "61min", "1e3s")),
        *(("CHRIS_ROOT_SUBJECT", text) for text in ("a b", "a.*", ">", "a..b", ".a", "a.", "ä")),
        ("CHRIS_NATS_ADDRESS", "http://host"),
        ("CHRIS_NATS_CREDENTIALS", "/x.creds"),
    ],
)
def test_what_is_wrong_with_live_progress_is_named(name, text):
    with pytest.raises(ConfigurationError, match=name):
        settings(**{name: text})


def test_a_password_for_nats_is_never_in_a_fault_and_not_shown():
    with pytest.raises(ConfigurationError) as raised:
        settings(CHRIS_NATS_ADDRESS="nats://me:secret@host:port")
    assert "secret" not in str(raised.value)
    good = settings(CHRIS_NATS_ADDRESS="nats://me:secret@host")
    assert "secret" not in repr(good)
    assert "secret" not in good.model_dump_json()
