"""Ages for people."""

import datetime

import pytest

from oxidicom.operations.status import _age


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (-1, "0 s"), (59, "59 s"), (60, "1 min"), (61, "1 min 1 s"), (3600, "1 h"), (90061, "1 d 1 h")],
)
def test_an_age_has_its_two_largest_units(seconds, text):
    assert _age(datetime.timedelta(seconds=seconds)) == text
