"""The metadata rows, and what their two numbers say together."""

import pytest

from oxidicom.spool.metadata_rows import (
    Verdict,
    committed_count_value,
    expected_count_value,
    metadata_row,
    verdict_of,
)
from tests.fixtures.storage import DIRECTORY, describe_file

SERIES = describe_file().series


def test_a_row_identifies_its_series_and_has_key_and_value():
    row = metadata_row("01HZ7TF03EZD364005NP332RBQ", SERIES, committed_count_value("h" * 20, 192))
    assert row.fname == (
        f"SERVICES/PACS/org.fnndsc.oxidicom/{DIRECTORY}/01HZ7TF03EZD364005NP332RBQ/OxidicomAttemptedPushCount=192"
    )
    columns = row.columns
    assert (columns.pacs_identifier, columns.protocol_name) == ("org.fnndsc.oxidicom", "OxidicomAttemptedPushCount")
    assert (columns.series_description, columns.patient_id, columns.patient_name) == ("192", "1", "")
    assert columns.modality == ""


def test_no_number_is_unknown():
    assert expected_count_value("h", None).text == "unknown"
    assert expected_count_value("h", 0).text == "0"


@pytest.mark.parametrize(
    ("expected", "committed", "verdict"),
    [
        ("5", 5, Verdict.COMPLETE),
        ("5", 4, Verdict.INCOMPLETE),
        ("5", 6, Verdict.MORE_THAN_EXPECTED),
        ("unknown", 5, Verdict.UNKNOWN),
        (None, 5, Verdict.UNKNOWN),
    ],
)
def test_the_verdict(expected, committed, verdict):
    assert verdict_of(expected, committed) is verdict
