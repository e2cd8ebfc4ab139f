"""`oxidicom settings`: value, source, default and fault of each setting, and no secret."""

import io
import json

import pytest
from rich.console import Console

from oxidicom.configuration.faults import examine
from oxidicom.configuration.names import unknown_variables
from oxidicom.operations.show_settings import print_settings, show_settings
from oxidicom.setting_groups import GROUPS


def shown(file_of=(), **variables):
    examined = examine(variables, lambda settings: None)
    return show_settings(variables, dict(file_of), examined, ["a remark"])


def test_each_setting_has_value_source_and_default():
    of = {
        one.variable: one
        for one in shown(
            {"CHRIS_FILES_ROOT": "/x.env"}.items(),
            CHRIS_DB_CONNECTION="embedded",
            CHRIS_FILES_ROOT="/data",
            OXIDICOM_SCP_AET="OTHER",
            CHRIS_SCP_MAX_INSTANCE_BYTES="2GiB",
            CHRIS_VERBOSE="",
        ).settings
    }
    assert list(of) == [variable for variables in GROUPS.values() for variable in variables]
    assert [of["CHRIS_FILES_ROOT"].value, of["CHRIS_FILES_ROOT"].origin] == ["/data", "/x.env"]
    aet = of["CHRIS_SCP_AET"]
    assert (aet.value, aet.default, aet.origin) == ("OTHER", "ChRIS", "environment, as OXIDICOM_SCP_AET")
    assert of["CHRIS_SCP_MAX_INSTANCE_BYTES"].value == 2 << 30
    assert (of["CHRIS_VERBOSE"].value, of["CHRIS_VERBOSE"].origin) == (False, "default")


@pytest.mark.parametrize("as_json", [True, False])
@pytest.mark.parametrize(
    "variables",
    [
        {
            "CHRIS_DB_CONNECTION": "postgresql://u:hush@h/d?sslpassword=hush",
            "CHRIS_NATS_ADDRESS": "tls://hush:hush@h,hush@i",
            "OTEL_EXPORTER_OTLP_ENDPOINT": "http://u:hush@collector:4317",
        },
        {"CHRIS_DB_CONNECTION": "password=very hush", "CHRIS_NATS_ADDRESS": "x://u:hush@h", "CHRIS_PASWORD": "hush"},
        {"CHRIS_DB_CONNECTION": "postgresql://u:p@ss/hush@h/d", "CHRIS_NATS_ADDRESS": "nats://hush:hush@h:x"},
        {"CHRIS_DB_CONNECTION": "postgresql://u:hush/x@h/d", "OTEL_EXPORTER_OTLP_ENDPOINT": "u:hu/sh@hush@h:4317"},
        {"CHRIS_DB_CONNECTION": "postgresql://u:1/hush@h/d", "OTEL_EXPORTER_OTLP_ENDPOINT": "u:hush@collector:4317"},
    ],
)
def test_secrets_are_never_shown(variables, as_json, capsys):
    print_settings(shown(CHRIS_FILES_ROOT="/data", **variables), as_json, Console(width=1000))
    text = capsys.readouterr().out
    assert "CHRIS_NATS_ADDRESS" in text
    assert "hush" not in text
    assert "hu/sh" not in text


@pytest.mark.parametrize(("terminal", "width"), [(True, 80), (True, 40), (False, 80)])
def test_no_name_is_cut_or_broken(terminal, width):
    out = io.StringIO()
    print_settings(shown(), False, Console(file=out, width=width, force_terminal=terminal))
    for variables in GROUPS.values():
        for variable in variables:
            assert variable in out.getvalue()
    assert "\u2026" not in out.getvalue()


def test_without_a_terminal_each_setting_is_a_line_of_three_fields():
    out = io.StringIO()
    print_settings(shown(CHRIS_FILES_ROOT="/data", OXIDICOM_SCP_AET="OTHER"), False, Console(file=out, width=80))
    lines = out.getvalue().splitlines()
    assert "CHRIS_FILES_ROOT=/data\tenvironment\trequired" in lines
    assert "CHRIS_SCP_AET=OTHER\tenvironment, as OXIDICOM_SCP_AET\tChRIS" in lines
    assert "CHRIS_VERBOSE=no\tdefault\tno" in lines


def test_what_is_faulty_is_shown_with_its_fault(capsys):
    found = shown(PORT="abc", CHRIS_TLS_CERT="x")
    of = {one.variable: one for one in found.settings}
    assert of["PORT"].value == "abc"
    assert of["PORT"].faults[0].startswith("PORT='abc' cannot be used")
    assert of["CHRIS_DB_CONNECTION"].value is None
    assert found.faults == ["CHRIS_TLS_CERT is not a setting of oxidicom; did you mean CHRIS_TLS_CERTIFICATE?"]
    print_settings(found, False, Console(width=1000))
    text = capsys.readouterr().out
    assert len([line for line in text.splitlines() if line.startswith("fault ")]) == 4
    assert "a remark" in text
    print_settings(found, True, Console())
    assert json.loads(capsys.readouterr().out)["faults"] == found.faults


@pytest.mark.parametrize("variable", ["CHRIS_FILES_ROOT", "CHRIS_SCP_AET", "CHRIS_FOREIGN\udcff"])
@pytest.mark.parametrize("as_json", [True, False])
def test_bytes_that_are_no_text_are_shown_as_such(variable, as_json, capsys):
    environment = {"CHRIS_DB_CONNECTION": "embedded", "CHRIS_FILES_ROOT": "/data", variable: "/\udcff"}
    configuration = show_settings(
        environment, {}, examine(environment, lambda settings: None), unknown_variables(environment)
    )
    print_settings(configuration, as_json, Console(width=1000))
    printed = capsys.readouterr().out
    if as_json:
        assert "\\xff" in json.dumps(json.loads(printed)).replace("\\\\", "\\")
    assert "\\udcff" in printed or as_json
    if variable == "CHRIS_FILES_ROOT":
        assert "it is not UTF-8" in printed
