"""The settings: every variable works, every fault is told at once."""

import re

import pytest

from oxidicom.configuration.names import misspelt_variables, unknown_variables
from oxidicom.errors import ConfigurationError
from oxidicom.former_variables import FORMER_VARIABLES, INSTEAD_OF_A_DATABASE
from oxidicom.settings import Settings, known_variables

# Every variable of the former gateway, in Rust, that has a meaning here: a value, the field, and what is read.
MEANINGFUL = [
    ("CHRIS_DB_CONNECTION", "postgresql://u@h/d", "db_connection", "postgresql://u@h/d"),
    ("CHRIS_DB_POOL", "5", "db_pool", 5),
    ("CHRIS_FILES_ROOT", "/other", "files_root", "/other"),
    ("CHRIS_SCP_AET", "GATE", "ae_title", "GATE"),
    ("CHRIS_SCP_STRICT", "true", "strict", True),
    ("CHRIS_SCP_UNCOMPRESSED_ONLY", "true", "uncompressed_only", True),
    ("CHRIS_SCP_MAX_PDU_LENGTH", "16384", "max_pdu_length_bytes", 16384),
    ("CHRIS_LISTENER_THREADS", "8", "listeners", 8),
    ("CHRIS_VERBOSE", "yes", "verbose", True),
    ("PORT", "104", "port", 104),
    ("OXIDICOM_DB_CONNECTION", "postgresql://u@h/d", "db_connection", "postgresql://u@h/d"),
    ("OXIDICOM_DB_POOL", "5", "db_pool", 5),
    ("OXIDICOM_FILES_ROOT", "/other", "files_root", "/other"),
    ("OXIDICOM_SCP_AET", "GATE", "ae_title", "GATE"),
    ("OXIDICOM_SCP_STRICT", "true", "strict", True),
    ("OXIDICOM_SCP_UNCOMPRESSED_ONLY", "true", "uncompressed_only", True),
    ("OXIDICOM_SCP_MAX_PDU_LENGTH", "16384", "max_pdu_length_bytes", 16384),
    ("OXIDICOM_LISTENER_THREADS", "8", "listeners", 8),
    ("OXIDICOM_VERBOSE", "yes", "verbose", True),
    ("OXIDICOM_LISTENER_PORT", "104", "port", 104),
    ("OXIDICOM_PORT", "104", "port", 104),
    ("TOKIO_WORKER_THREADS", "3", "storage_workers", 3),
    ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4317", "otlp_endpoint", "http://collector:4317"),
    ("OTEL_RESOURCE_ATTRIBUTES", "service.name=x", "otel_resource_attributes", "service.name=x"),
]

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


@pytest.mark.parametrize(
    ("variable", "value", "cause"),
    [
        ("PORT", "abc", "a whole number is expected"),
        ("PORT", "1.5", "a whole number is expected"),
        ("PORT", "0", "1 or more is expected"),
        ("PORT", "70000", "65535 or less is expected"),
        ("CHRIS_SCP_IDLE_SECONDS", "soon", "a number is expected"),
        ("CHRIS_SCP_IDLE_SECONDS", "0", "more than 0 is expected"),
        ("CHRIS_SCP_IDLE_SECONDS", "nan", "a number is expected"),
        ("CHRIS_LOG_FORMAT", "xml", "'auto', 'text' or 'json' is expected"),
        ("CHRIS_VERBOSE", "maybe", "yes or no is expected (also y/n, true/false, 1/0)"),
    ],
)
def test_a_fault_says_what_is_expected(variable, value, cause):
    with pytest.raises(ConfigurationError) as raised:
        settings(**{variable: value})
    assert raised.value.faults == (f"{variable}={value!r} cannot be used: {cause}",)


def test_no_words_of_the_validator_reach_a_user():
    """Each way in which a value may be wrong has a sentence of ours, or raises one itself."""
    for variable in known_variables():
        for value in ("", "x", "-1", "1e99", "0.5", "\udcff"):
            _, faults = Settings.examine({**NEEDED, variable: value})
            assert not [fault.sentence for fault in faults if "Input" in fault.sentence or "should" in fault.sentence]


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


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("CHRIS_ALLOWED_AETS", "CHRIS_SCP_ALLOWED_AETS"),
        ("OXIDICOM_ALLOWED_AETS", "CHRIS_SCP_ALLOWED_AETS"),
        ("CHRIS_TLS_CERT", "CHRIS_TLS_CERTIFICATE"),
        ("CHRIS_TLS_CA", "CHRIS_TLS_CLIENT_CA"),
        ("CHRIS_CLIENT_CA", "CHRIS_TLS_CLIENT_CA"),
        ("CHRIS_SCP_AETT", "CHRIS_SCP_AET"),
        ("CHRIS_MAX_ASSOCIATIONS", "CHRIS_SCP_MAX_ASSOCIATIONS_PER_AE"),
        ("CHRIS_DB_CONECTION", "CHRIS_DB_CONNECTION"),
        ("CHRIS_FILE_ROOT", "CHRIS_FILES_ROOT"),
        ("CHRIS_PORT", "PORT"),
        ("chris_scp_aet", "CHRIS_SCP_AET"),
        ("CRHIS_SCP_ALLOWED_AETS", "CHRIS_SCP_ALLOWED_AETS"),
        ("CHIRS_TLS_CERT", "CHRIS_TLS_CERTIFICATE"),
        ("OXDICOM_SCP_AET", "CHRIS_SCP_AET"),
    ],
)
def test_a_name_close_to_a_setting_is_a_fault_that_names_it(given, meant):
    (fault,) = misspelt_variables({given: "secret", "HOME": "/"})
    assert fault == (given, f"{given} is not a setting of oxidicom; did you mean {meant}?")
    assert unknown_variables({given: "secret"}) == []


@pytest.mark.parametrize(
    ("word", "settings"),
    [
        ("ALLOWED_AE_TITLES", "CHRIS_SCP_AET, CHRIS_SCP_ALLOWED_AETS or CHRIS_SCP_CHECK_CALLED_AET"),
        ("SCP_WHITELIST", "CHRIS_SCP_AET, CHRIS_SCP_ALLOWED_AETS or CHRIS_SCP_CHECK_CALLED_AET"),
        ("ALLOWED_PEERS", "CHRIS_SCP_AET, CHRIS_SCP_ALLOWED_AETS or CHRIS_SCP_CHECK_CALLED_AET"),
        ("AET", "CHRIS_SCP_AET, CHRIS_SCP_ALLOWED_AETS or CHRIS_SCP_CHECK_CALLED_AET"),
        ("TLS", "CHRIS_TLS_CERTIFICATE, CHRIS_TLS_KEY or CHRIS_TLS_CLIENT_CA"),
        ("TLS_CA_FILE", "CHRIS_TLS_CERTIFICATE, CHRIS_TLS_KEY or CHRIS_TLS_CLIENT_CA"),
        ("TLS_KEY_FILE", "CHRIS_TLS_CERTIFICATE, CHRIS_TLS_KEY or CHRIS_TLS_CLIENT_CA"),
        ("TLS_CACERT", "CHRIS_TLS_CERTIFICATE, CHRIS_TLS_KEY or CHRIS_TLS_CLIENT_CA"),
        ("TLS_CRT", "CHRIS_TLS_CERTIFICATE, CHRIS_TLS_KEY or CHRIS_TLS_CLIENT_CA"),
        ("SSL_CERT", "CHRIS_TLS_CERTIFICATE, CHRIS_TLS_KEY or CHRIS_TLS_CLIENT_CA"),
        ("SCP_TLS_CERT", "CHRIS_TLS_CERTIFICATE, CHRIS_TLS_KEY or CHRIS_TLS_CLIENT_CA"),
        ("TRUSTED_PROXIES", "CHRIS_PROXY_PROTOCOL or CHRIS_PROXY_TRUSTED"),
    ],
)
@pytest.mark.parametrize("prefix", ["CHRIS_", "OXIDICOM_", "CRHIS_"])
def test_a_name_about_who_may_send_or_encryption_is_a_fault_that_names_the_settings_that_are(prefix, word, settings):
    (fault,) = misspelt_variables({prefix + word: "x"})
    assert fault.sentence == f"{prefix}{word} is not a setting of oxidicom; did you mean {settings}?"
    assert unknown_variables({prefix + word: "x"}) == []
    assert set(re.findall("[A-Z_]+", settings)) <= set(known_variables())


@pytest.mark.parametrize("name", ["DICOM_AET", "CHROME_TLS_CA", "CRHIS_X", "CHRISTMAS_TLS", "SSL_CERT_FILE", "CHRIS"])
def test_a_name_of_others_is_neither(name):
    assert (misspelt_variables({name: "x"}), unknown_variables({name: "x"})) == ([], [])


@pytest.mark.parametrize(
    "name",
    [
        "CHRIS_NETWORK",
        "CHRIS_USER",
        "CHRIS_FILES_VOLUME",
        "CHRIS_",
        "CHRIS_SERVICE_HOST",
        "OXIDICOM_PORT_11111_TCP",
        "CHRIS_S",
        "CHRIS_DB",
        "CHRIS_STORAGE",
        "CHRIS_FILES",
        "CHRIS_SECRET_KEY",
    ],
)
def test_any_other_name_with_our_prefix_is_a_warning(name):
    assert misspelt_variables({name: "x"}) == []
    assert unknown_variables({name: "x"}) == [f"{name} is set but is not a setting of oxidicom"]


def test_a_misspelt_name_without_a_value_does_no_harm():
    assert misspelt_variables({"CHRIS_TLS_CERT": " "}) == []


@pytest.mark.parametrize(("name", "value", "field", "wanted"), MEANINGFUL)
def test_variables_of_the_former_gateway_that_have_a_meaning_are_understood(name, value, field, wanted):
    needed = {other: known for other, known in NEEDED.items() if not name.endswith(other.removeprefix("CHRIS"))}
    assert getattr(Settings.from_environment({**needed, name: value}), field) == wanted
    assert unknown_variables({name: value}) == []


@pytest.mark.parametrize("name", ["CHRIS_PACS_ADDRESS", "OXIDICOM_PACS_ADDRESS"])
@pytest.mark.parametrize("text", ["A=h:104,B=h:105", '{A="h:104",B="h:105"}', ' { A = "h:104", "B" = "h:105" } '])
def test_both_of_its_ways_to_write_pacs_addresses_are_understood(name, text):
    assert [str(address) for address in settings(**{name: text}).pacs_addresses.values()] == ["A=h:104", "B=h:105"]


@pytest.mark.parametrize("name", FORMER_VARIABLES)
def test_variables_without_a_meaning_get_one_line_that_says_what_became_of_them(name):
    for spelled in {name, name.replace("CHRIS_", "OXIDICOM_")}:
        (line,) = unknown_variables({spelled: "amqp://user:secret@queue"})
        assert line.startswith((f"{spelled} is not needed: ", f"{spelled} is not read: "))
        assert [part for part in ("did you mean", "secret", "\n") if part in line] == []


def test_no_setting_is_called_needless():
    assert not FORMER_VARIABLES.keys() & {field.alias for field in Settings.model_fields.values()}
    assert FORMER_VARIABLES.keys() >= set(INSTEAD_OF_A_DATABASE)


@pytest.mark.parametrize(
    "name", ["OXIDICOM_AMQP_ADDRESS", "OXIDICOM_CELERY_BROKER", "CHRIS_CELERY_BROKER", "CHRIS_URL"]
)
def test_who_comes_without_a_database_is_told_why_it_is_needed(name):
    with pytest.raises(ConfigurationError) as raised:
        Settings.from_environment({"OXIDICOM_FILES_ROOT": "/data", name: "amqp://user:secret@queue"})
    (fault,) = raised.value.faults
    assert fault.startswith("CHRIS_DB_CONNECTION is not set: give CUBE's database")
    assert f"{name} cannot stand in for it" in fault
    assert "docs/migration.md" in fault
    assert "secret" not in fault


def test_nobody_else_is_told_of_a_former_gateway():
    with pytest.raises(ConfigurationError) as raised:
        Settings.from_environment({"CHRIS_FILES_ROOT": "/data", "OXIDICOM_AMQP_ADDRESS": " "})
    assert "former" not in str(raised.value)


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


SIZES = [name for name, field in Settings.model_fields.items() if "bytes" in name]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("65536", 65536),
        ("64KiB", 65536),
        ("64 kib", 65536),
        (" 0.0625 MiB ", 65536),
        ("500kB", 500_000),
        ("500000B", 500_000),
        ("1MiB", 1 << 20),
    ],
)
@pytest.mark.parametrize("field", SIZES)
def test_every_size_takes_a_number_or_a_unit(field, text, wanted):
    assert getattr(settings(**{str(Settings.model_fields[field].alias): text}), field) == wanted


@pytest.mark.parametrize("text", ["1,5 GiB", "1GiB or so", "GiB", "1 parsec", "-1GiB", "1Gbit", "1G B"])
def test_what_is_no_size_is_told_what_is_one(text):
    with pytest.raises(ConfigurationError, match=r"a number of bytes is expected, or a size with its unit: 500MB"):
        settings(CHRIS_SCP_MAX_INSTANCE_BYTES=text)


@pytest.mark.parametrize("text", ["0", "0 GiB", "1,5", "-1"])
def test_limits_of_sizes_hold_with_and_without_a_unit(text):
    with pytest.raises(ConfigurationError, match="CHRIS_SCP_MAX_INSTANCE_BYTES"):
        settings(CHRIS_SCP_MAX_INSTANCE_BYTES=text)


def test_what_can_be_read_is_read_beside_what_cannot():
    found, faults = Settings.examine({"PORT": "abc", "CHRIS_NATS_ADDRESS": "x://", "CHRIS_NATS_CREDENTIALS": __file__})
    assert [fault.variable for fault in faults] == [
        "CHRIS_DB_CONNECTION",
        "CHRIS_FILES_ROOT",
        "PORT",
        "CHRIS_NATS_ADDRESS",
    ]
    assert (found.port, found.nats_credentials) == (11111, "")


def test_servers_for_live_progress_under_both_spellings(tmp_path):
    credentials = tmp_path / "x.creds"
    credentials.touch()
    for prefix in ("CHRIS", "OXIDICOM"):
        variables = {
            f"{prefix}_NATS_ADDRESS": "a, tls://b:1",
            f"{prefix}_NATS_CREDENTIALS": str(credentials),
            f"{prefix}_PROGRESS_INTERVAL": "2.5s",
            f"{prefix}_ROOT_SUBJECT": "a.b",
        }
        one = settings(**variables)
        assert one.nats_addresses == ("nats://a", "tls://b:1")
        assert (one.nats_credentials, one.progress_interval_seconds, one.root_subject) == (
            str(credentials),
            2.5,
            "a.b",
        )


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


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("CHRIS_STORAGE_RESERVE_BYTES", "99999999999999999999"),
        ("CHRIS_STORAGE_RESERVE_BYTES", "9EiB"),
        ("CHRIS_SCP_MAX_INSTANCE_BYTES", "99999999999999999999"),
        ("CHRIS_SCP_MAX_PDU_BYTES", "99999999999999999999"),
        ("CHRIS_SCP_MIN_BYTES_PER_SECOND", "99999999999999999999"),
        ("CHRIS_SCP_IDLE_SECONDS", "1e300"),
        ("CHRIS_SCP_STALL_SECONDS", "inf"),
        ("CHRIS_SCP_BUSY_SECONDS", "nan"),
        ("CHRIS_SCP_REQUEST_SECONDS", "1e12"),
        ("CHRIS_TLS_HANDSHAKE_SECONDS", "1e12"),
        ("OTEL_METRIC_EXPORT_INTERVAL", "99999999999999999999"),
    ],
)
def test_what_no_field_and_no_deadline_can_hold_is_a_fault(variable, value):
    with pytest.raises(ConfigurationError) as raised:
        settings(**{variable: value})
    assert all(fault.startswith(variable) for fault in raised.value.faults)
