"""What `oxidicom log` says of an association, and the moments that it understands."""

import datetime

import pytest

from oxidicom.history.records import AssociationRecord, SeriesCount, record_of
from oxidicom.logs import printable
from oxidicom.operations.log_lines import line_of
from oxidicom.operations.moments import moment

AT = datetime.datetime(2026, 1, 31, 12, tzinfo=datetime.UTC)


def record(**fields):
    return AssociationRecord(
        **{
            "association": "A",
            "gateway": "G",
            "began": AT,
            "ended": AT,
            "seconds": 2.5,
            "peer": "[fe80::1]:104",
            "calling_ae_title": "PACS",
            "called_ae_title": "ChRIS",
            "tls": "",
            "how": "released",
            "rejected": False,
            "received": 5,
            "stored": 5,
            "warned": 0,
            "bytes": 5000,
            "refused": {},
            "refusals": [],
            "settled": True,
            "whole": True,
            "series": [],
            **fields,
        }
    )


def series(stored, expected, set_aside=0, settled=True):
    return record_of(SeriesCount("h", "1", "2", stored, set_aside, expected, settled))


def said(**fields):
    return line_of(record(**fields)).partition("PACS -> ChRIS  ")[2]


def test_a_line_says_what_became_of_it():
    assert said(series=[series(5, 5)]) == "fe80::1  5 instances received, 5.0 kB in 2.5 s, 1 series complete"
    assert said(series=[series(5, 9)]).endswith(", 1 series incomplete (5 of 9)")
    assert said(series=[series(5, None), series(1, None)]).endswith(", 2 series of unknown size")
    assert said(series=[series(5, 5, settled=False)], settled=False).endswith(", 1 series not registered yet")
    assert said(series=[series(5, 5, settled=False)], whole=False).endswith(
        "whose end is not known  [not all of it is known]"
    )
    assert said(series=[series(5, 5, set_aside=2)]).endswith(", 1 series set aside in part (3 of 5)")
    assert said(series=[series(5, 5, set_aside=5)]).endswith(", 1 series set aside"), "not in part, if nothing is left"
    assert said(how="gateway died", seconds=None) == "fe80::1  5 instances received, 5.0 kB (gateway died)"
    assert "2 refused (1 C000, 1 A900)" in said(refused={"C000": 1, "A900": 1})
    assert said(rejected=True, how="rejected: local limit exceeded") == "fe80::1  rejected: local limit exceeded"
    assert said(stored=0, how="connection lost") == "fe80::1  no instance (connection lost)"


def test_a_title_cannot_fake_a_line_or_talk_to_the_terminal():
    line = printable(line_of(record(calling_ae_title="A\n\x1b[2J\u202e")))
    assert "A\\n\\x1b[2J\\u202e" in line
    assert line.isprintable()


def test_moments():
    assert moment("") is None
    local = datetime.datetime(2026, 1, 31).astimezone()
    assert moment("2026-01-31") == local
    assert moment("2026-01-31", is_end=True) == local + datetime.timedelta(days=1, microseconds=-1)
    assert moment("2026-01-31 14:05", is_end=True) == local + datetime.timedelta(hours=14, minutes=5)
    assert moment("2026-01-31T14:05:00+00:00") == datetime.datetime(2026, 1, 31, 14, 5, tzinfo=datetime.UTC)
    then = moment("90min")
    assert then is not None
    ago = datetime.datetime.now(datetime.UTC) - then
    assert datetime.timedelta(minutes=89) <= ago < datetime.timedelta(minutes=95)


@pytest.mark.parametrize("text", ["tuesday", "3", "3y", "2026-13-01", "999999999w", "-1d", "٣d"])
def test_what_is_no_moment(text):
    with pytest.raises(ValueError, match="is not a time"):
        moment(text)
