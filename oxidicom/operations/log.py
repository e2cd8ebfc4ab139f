"""`oxidicom log`: what associations brought, from the history. It only reads; a gateway may run or not."""

import sqlite3
import sys
from collections.abc import Iterable

from oxidicom.errors import OperationError
from oxidicom.history.reader import Gap, HistoryReader, Wanted
from oxidicom.history.records import AssociationRecord
from oxidicom.history.schema import DamagedHistoryError, NewerHistoryError
from oxidicom.moments import local_time
from oxidicom.operations.log_following import follow
from oxidicom.operations.log_lines import Show, print_json, print_lines
from oxidicom.settings import Settings
from oxidicom.wording import counted

_LAST_BEFORE_FOLLOWING = 10


def run_log(settings: Settings, wanted: Wanted, *, limit: int | None, following: bool, as_json: bool) -> int:
    """Print the associations that are wanted. Return the exit status. Raise OperationError."""
    path = settings.history_path
    if not settings.history_days:
        raise OperationError("there is no history: CHRIS_HISTORY_DAYS is 0")
    show: Show = print_json if as_json else lambda record: print_lines(record, wanted)
    try:
        with HistoryReader(path) as reader:
            if following:
                follow(reader, wanted, _LAST_BEFORE_FOLLOWING if limit is None else limit, show)
            else:
                _print_all(reader.records(wanted, limit), show, path)
                _print_gaps(reader.gaps(wanted))
    except KeyboardInterrupt:
        return 0
    except FileNotFoundError:
        raise OperationError(
            f"there is no history yet: {path} does not exist. A gateway with this CHRIS_FILES_ROOT and STATE_DIRECTORY "
            "writes it, if its user may write there"
        ) from None
    except NewerHistoryError as error:
        raise OperationError(f"the history in {path} was written by a later version: {error}") from error
    except (DamagedHistoryError, sqlite3.Error) as error:
        raise OperationError(f"the history in {path} cannot be read: {error}") from error
    return 0


def _print_all(records: Iterable[AssociationRecord], show: Show, path: str) -> None:
    is_empty = True
    for record in records:
        is_empty = False
        show(record)
    if is_empty:
        print(f"oxidicom: no association was found in the history {path}", file=sys.stderr)


def _print_gaps(gaps: Iterable[Gap]) -> None:
    for gap in gaps:
        reports = "some reports" if gap.reports is None else counted(gap.reports, "report")
        since, noticed = local_time(gap.since), local_time(gap.noticed)
        print(
            f"oxidicom: {reports} did not reach the history between {since} and {noticed}: "
            "associations of that time may be missing or incomplete here",
            file=sys.stderr,
        )
