"""A frame has what the gateway said, whatever that was, in as many lines as there are."""

import datetime
import io

import pytest
from rich.console import Console

from oxidicom.judgement.judgement import Judgement, Level, Reason
from oxidicom.operations.live_status import (
    LiveAssociation,
    LivePacs,
    LiveSample,
    LiveSeries,
    LiveStatus,
    LiveTotals,
    SeriesBar,
    UnderWay,
)
from oxidicom.operations.top_frame import frame

NOW = datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=datetime.UTC)


def shown(status, before=None, height=None, width=80, trouble="", **options):
    kept = io.StringIO()
    Console(file=kept, width=width, **options).print(frame(status, before, height, trouble))
    return kept.getvalue()


def busy():
    bars = [SeriesBar(f"1.2.{number}", 10, 5, 0, 20) for number in range(8)]
    return LiveStatus(
        NOW,
        judgement=Judgement.of([Reason(Level.WARNING, "room", f"reason {number}") for number in range(5)]),
        under_way=UnderWay([LiveAssociation(f"PACS{number}", series=list(bars)) for number in range(20)], 7),
        pacs=[LivePacs(f"PACS{number}") for number in range(50)],
    )


def test_what_a_peer_said_is_neither_markup_nor_a_message_to_the_terminal():
    hostile = "[red]\x1b[2J\r\n\u202ex[/]"
    status = LiveStatus(NOW, ae_title=hostile, database=hostile, pacs=[LivePacs(hostile)])
    status.under_way = UnderWay([LiveAssociation(hostile, hostile, series=[SeriesBar(hostile)])])
    status.judgement = Judgement.of([Reason(Level.CRITICAL, hostile, hostile)])
    text = shown(status, width=400, trouble=hostile)
    assert "\x1b" not in text
    assert "\r" not in text
    assert "\u202e" not in text
    assert text.count("[red]\\x1b[2J\\r\\n\\u202ex[/]") == 9


@pytest.mark.parametrize("height", [1, 2, 3, 5, 10, 23, 60])
@pytest.mark.parametrize("width", [10, 40, 80])
def test_it_fits(height, width):
    lines = shown(busy(), height=height, width=width).splitlines()
    assert len(lines) <= height
    assert all(len(line) <= width for line in lines)
    assert lines[0].startswith("WARNING")


def test_everything_is_there_without_a_limit():
    text = shown(busy())
    assert text.count("PACS") == 20 + 50 + 1
    assert "under way (27)" in text
    assert "#####..............." in text
    assert "5/10 of 20" in text


@pytest.mark.parametrize(("registered", "said"), [(0, "set aside 0/5 of 5"), (3, "set aside in part 3/5 of 5")])
def test_what_was_set_aside_as_a_whole_was_not_so_in_part(registered, said):
    done = LiveSeries(NOW, "PACS", "1.2.3", 5, registered, 5, "set aside in part")
    assert said in shown(LiveStatus(NOW, series=[done]))


def test_throughput_is_that_since_the_last_frame_or_of_the_last_sample():
    before = LiveStatus(NOW, totals=LiveTotals(instances_received=10, instances_registered=10))
    after = LiveStatus(
        NOW + datetime.timedelta(seconds=2),
        totals=LiveTotals(instances_received=30, instances_registered=20),
        hour=[LiveSample(1.5, 2.5, 0.25), LiveSample(3.5, 4.5, None)],
    )
    assert "received 30 (10.0/s" in shown(after, before)
    assert "registered 20 (5.0/s" in shown(after, before)
    assert "received 30 (3.5/s" in shown(after)
    assert "lag 0.25 s" in shown(after)


def test_the_ends_of_the_calendar_are_no_trouble():
    first = datetime.datetime(datetime.MINYEAR, 1, 1, tzinfo=datetime.UTC)
    last = datetime.datetime(datetime.MAXYEAR, 12, 31, 23, 59, tzinfo=datetime.UTC)
    zones = [datetime.timezone(datetime.timedelta(hours=hours)) for hours in (-12, 0, 12)]
    for moment in (first, last):
        for zone in zones:
            assert shown(LiveStatus(moment.replace(tzinfo=zone)))


@pytest.mark.parametrize("registered", [0, 9, -9, 10**15])
@pytest.mark.parametrize("expected", [None, 0, -5, 3])
def test_a_bar_never_leaves_its_place(registered, expected):
    bar = SeriesBar("1.2", 0, registered, 1, expected)
    status = LiveStatus(NOW, under_way=UnderWay([LiveAssociation("A", series=[bar])]))
    (line,) = [line for line in shown(status).splitlines() if "1.2" in line]
    assert len(line.split()[0]) == 20


def test_no_color_is_obeyed():
    assert "\x1b[3" not in shown(busy(), force_terminal=True, no_color=True)
