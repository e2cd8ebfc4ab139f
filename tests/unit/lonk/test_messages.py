"""Subjects and payloads are those that CUBE's relay knows."""

import pytest

from oxidicom.lonk.messages import DONE, count_payload, error_payload, subject_of


@pytest.mark.parametrize(
    ("title", "token"),
    [
        ("PACS", "PACS"),
        ("MY PACS.*>", "MY_PACS___"),
        ("PADDED\0\0", "PADDED"),
        ("A\r\nPUB x", "A__PUB_x"),
        ("\0", "_"),
        ("Ä", "Ä"),
    ],
)
def test_what_has_a_meaning_in_subjects_becomes_an_underscore(title, token):
    assert subject_of("oxidicom", title, "1.2.840") == f"oxidicom.{token}.1_2_840"


def test_payloads():
    assert count_payload(1) == b"\x01\x01\0\0\0"
    assert count_payload(0x01020304) == b"\x01\x04\x03\x02\x01"
    assert count_payload(2**40) == b"\x01\xff\xff\xff\xff"
    assert error_payload("Fehler: ä") == b"\x02Fehler: \xc3\xa4"
    assert DONE == b"\0"
