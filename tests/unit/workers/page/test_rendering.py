"""What the page says in words."""

import datetime
import re

import pytest

from oxidicom.judgement.judgement import Judgement, Level
from oxidicom.spool.metadata_rows import Verdict
from workers.page.associations import AssociationsUnderWay
from workers.page.chronicle import SeriesDone
from workers.page.rendering import Renderer
from workers.page.status import SetAside, Status, Tls, Totals, Waiting

NOW = datetime.datetime(2026, 12, 1, 12, tzinfo=datetime.UTC)


def said(entries=0, oldest_seconds=0, days=0, more=0, series=()):
    """Return the text of the sections with what waits, and with the certificate."""
    expires = NOW + datetime.timedelta(days=days)
    status = Status(
        at=NOW,
        version="1",
        gateway="01JDZX2M6T3V8Q5R7W9Y0A1B2C",
        ae_title="ChRIS",
        port=104,
        phase="serving",
        judgement=Judgement(Level.OK, ()),
        database="up",
        totals=Totals(0, 0, 0, 0, 0, 0, 0),
        under_way=AssociationsUnderWay([], more),
        hour=[],
        pacs=[],
        rejections={},
        series=list(series),
        waiting=Waiting(entries, oldest_seconds),
        set_aside=SetAside([], more),
        tls=Tls(True, expires, days),
        storage=None,
    )
    html = "".join(Renderer().sections(status).values())
    return re.sub(r"\s+", " ", re.sub("<[^>]*>", "", html))


@pytest.mark.parametrize(
    ("case", "words"),
    [
        (
            (1, 0, -4, 1),
            ["expired 2026-11-27, 4 days ago", "of 1 older association;", "1 more association"],
        ),
        (
            (2, 90, 1, 2),
            ["2 things in the spool; the oldest has waited for 1 min", "2026-12-02, in 1 day", "2 more associations"],
        ),
        ((0, 0, 0, 0), ["Nothing waits", "expires 2026-12-01, within a day"]),
    ],
)  # fmt: skip
def test_one_is_no_plural_and_what_is_over_is_in_the_past(case, words):
    text = said(*case)
    assert [word for word in words if word not in text] == [], text
    assert not re.search(r"\b1 (more |older )?(things|associations|days)", text)


@pytest.mark.parametrize(("registered", "word"), [(0, "set aside"), (3, "set aside in part")])
def test_what_was_set_aside_as_a_whole_was_not_so_in_part(registered, word):
    done = SeriesDone(NOW, "A", "PACS", "h", "1.2.3", 5, 0, registered, 5 - registered, None, Verdict.SET_ASIDE)
    assert f"{registered}–{word}2026" in said(series=[done])
