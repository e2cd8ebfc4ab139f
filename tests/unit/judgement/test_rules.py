"""Each rule, at its edges."""

import datetime
import re

import msgspec
import pytest

from oxidicom.judgement.condition import Condition, DatabaseCondition, Lately, Room, Trouble
from oxidicom.judgement.judgement import Judgement, Level, Reason
from oxidicom.judgement.rules import judge

NOW = datetime.datetime(2026, 3, 1, 3, 0, tzinfo=datetime.UTC)
GOOD = Condition(
    at=NOW,
    version="1",
    host="here",
    port=104,
    phase="serving",
    room=Room(10 << 30, 100 << 30, 1 << 30, False),
    database=DatabaseCondition(True),
    waiting=3,
    oldest_seconds=1.0,
    set_aside=0,
    lately=Lately(10, taken=5),
)


def after(**parts):
    return NOW + datetime.timedelta(**parts)


def test_a_gateway_that_is_well_has_no_reasons():
    assert judge(GOOD) == Judgement(Level.OK, ())
    assert str(judge(GOOD)) == "OK"


@pytest.mark.parametrize(
    ("change", "level", "words"),
    [
        ({"phase": "starting"}, "warning", "the gateway is starting"),
        ({"silent": ("storage", "storage")}, "critical", "no sign of life from: storage"),
        ({"storage": Trouble("gone", "mount it")}, "critical", r"no instance is accepted \(A700\): gone. To do: mount"),
        ({"storage": Trouble("is it mounted?", "mount it")}, "critical", r"is it mounted\? To do: mount"),
        ({"tree": Trouble("full")}, "critical", "instances wait in the spool: full"),
        ({"room": Room(1 << 30, 9 << 30, 1 << 30, True)}, "critical", "every instance is refused"),
        ({"room": Room((2 << 30) - 1, 9 << 30, 1 << 30, False)}, "warning", "nearly full"),
        ({"database": DatabaseCondition(False)}, "warning", "has not answered yet"),
        ({"database": DatabaseCondition(True, after(minutes=-59), "why")}, "warning", "for 59 min, .*: why"),
        ({"database": DatabaseCondition(True, after(minutes=-60), "why")}, "critical", "for 1 h, .*: why"),
        ({"oldest_seconds": 900.0}, "warning", "3 things waiting to be .* the oldest for 15 min"),
        ({"oldest_seconds": 3600.0}, "critical", "3 things waiting to be .* the oldest for 1 h"),
        ({"set_aside": 2}, "warning", "2 things set aside that could not be stored or registered"),
        ({"certificate_expires": after(days=29)}, "warning", "expires in 29 days"),
        ({"certificate_expires": after(days=1)}, "warning", "expires in 1 day"),
        ({"certificate_expires": after(hours=23)}, "warning", "expires within a day"),
        ({"certificate_expires": after(seconds=-1)}, "critical", "expired less than a day ago"),
        ({"certificate_expires": after(days=-4)}, "critical", "expired 4 days ago"),
        ({"lately": Lately(10, taken=1, refused=4)}, "warning", "4 instances refused within 10 minutes. To do"),
        ({"lately": Lately(10, refused=3)}, "critical", "and none was taken"),
        ({"lately": Lately(10, refused=2)}, "warning", "2 instances .*, and none was taken"),
        (
            {"lately": Lately(10, refused=1, out_of_resources=1)},
            "critical",
            r"\(1 because .* A700\), and none was taken",
        ),
        ({"lately": Lately(10, taken=1, refused=1, out_of_resources=1)}, "warning", "A700"),
        ({"lately": Lately(10, rejected=1)}, "warning", "1 association rejected .*, and none was accepted"),
        ({"room": None}, "warning", "not been checked yet"),
        ({"page_trouble": "in use"}, "warning", "there is no page: in use"),
        ({"history_trouble": "no space"}, "warning", "no history is kept: no space"),
        ({"lately": Lately(10, respawned=1)}, "warning", "1 process died"),
        ({"lately": Lately(10, progress_lost=7)}, "warning", "7 messages of live progress"),
        ({"pacs_trouble": "PACS A: no answer"}, "warning", "whether series are complete: PACS A: no answer"),
    ],
)
def test_what_is_wrong_has_its_level_and_is_said(change, level, words):
    judgement = judge(msgspec.structs.replace(GOOD, **change))
    (reason,) = judgement.reasons
    assert judgement.level == reason.level == level
    assert re.search(words, str(reason)), str(reason)


@pytest.mark.parametrize(
    "change",
    [
        {"lately": Lately(10, rejected=3, accepted=1)},
        {"room": Room(2 << 30, 9 << 30, 1 << 30, False)},
        {"oldest_seconds": 899.0},
        {"waiting": 0, "oldest_seconds": 9999.0},
        {"certificate_expires": after(days=30)},
        {"lately": Lately()},
    ],
)
def test_what_is_not_wrong_yet_is_not_said(change):
    assert judge(msgspec.structs.replace(GOOD, **change)).level is Level.OK


def test_the_worst_comes_first_and_is_the_exit_status():
    reasons = [
        Reason(Level.WARNING, "a", "one"),
        Reason(Level.CRITICAL, "b", "two"),
        Reason(Level.WARNING, "c", "three"),
    ]
    judgement = Judgement.of(reasons)
    assert judgement.level.exit_status == 2
    assert str(judgement) == "CRITICAL: two; one; three"
