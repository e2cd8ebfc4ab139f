"""The desk of a PACS."""

import time

from oxidicom.pacs.address_book import PacsAddress
from oxidicom.records import Series
from tests.fixtures.storage import describe_file
from workers.channels.messages import SeriesSeen
from workers.inquiry.pacs_desk import PacsDesk


def test_trouble_without_a_later_question_ends_by_itself(monkeypatch):
    now = 1000.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    closed = []
    desk = PacsDesk(PacsAddress("PACS", "127.0.0.1", 1), "ChRIS", 10.0, lambda *told: closed.append(told), lambda: None)
    series: Series = describe_file().series
    desk.ask(SeriesSeen(0, "01JDZX2M6T3V8Q5R7W9Y0A1B2C", "abcdef0", series))
    now += 11
    desk.work()
    assert len(closed) == 1
    assert "no answer within 10 s" in desk.trouble
    now += 599
    assert desk.trouble
    now += 2
    assert desk.trouble == ""
