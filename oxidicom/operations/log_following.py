"""`oxidicom log --follow`: shows associations as they come, until somebody ends it."""

import sys
import time

from oxidicom.history.reader import HistoryReader, Wanted
from oxidicom.history.records import AssociationRecord
from oxidicom.operations.log_lines import Show

_FOLLOW_SECONDS = 0.5
_SETTLE_SECONDS = 5.0
"""What follows associations waits so long for their series, to have one line for each."""


def follow(reader: HistoryReader, wanted: Wanted, limit: int, show: Show) -> None:
    """Show the last ones, then each that comes: once its series are decided, or after a while, and then again."""
    seen = reader.last_change
    for record in reader.records(wanted, limit):
        show(record)
    waiting: dict[str, tuple[float, AssociationRecord]] = {}
    shown: set[str] = set()
    while True:
        sys.stdout.flush()
        time.sleep(_FOLLOW_SECONDS)
        last = reader.last_change
        for record in reader.changed(wanted, seen, last):
            if record.settled:
                waiting.pop(record.association, None)
                shown.discard(record.association)
                show(record)
            elif record.association not in shown:
                began, _ = waiting.get(record.association, (time.monotonic(), None))
                waiting[record.association] = began, record
        seen = last
        for association, (began, record) in list(waiting.items()):
            if time.monotonic() - began >= _SETTLE_SECONDS:
                del waiting[association]
                shown.add(association)
                show(record)
