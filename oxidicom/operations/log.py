"""`oxidicom log`: what associations brought, from the history. It only reads; a gateway may run or not."""

import datetime
import re
import sqlite3
import sys
import time
from collections.abc import Callable, Iterable, Iterator

import msgspec
from rich.filesize import decimal

from oxidicom.association.uids import shown_uid
from oxidicom.errors import OperationError
from oxidicom.history.reader import Gap, HistoryReader, Wanted
from oxidicom.history.records import AssociationRecord, SeriesRecord
from oxidicom.history.schema import DamagedHistoryError, NewerHistoryError
from oxidicom.logs import printable
from oxidicom.settings import Settings
from oxidicom.spool.metadata_rows import Verdict
from oxidicom.wording import counted

_FOLLOW_SECONDS = 0.5
_SETTLE_SECONDS = 5.0
"""What follows associations waits so long for their series, to have one line for each."""
_LAST_BEFORE_FOLLOWING = 10
_SECONDS_OF = {"s": 1, "min": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
_MAX_UIDS_SHOWN = 10
"""Of each reason; the JSON form has more."""

Print = Callable[[AssociationRecord], None]


# -- which are wanted --------------------------------------------------------------------------------------------------


def moment(text: str, *, is_end: bool = False) -> datetime.datetime | None:
    """Return the moment that `text` says: a date, a date and time, or how long ago; None for ''.

    Of a date it is the beginning, or with `is_end` the end. Without a time zone it is local. Raise ValueError.
    """
    if not text:
        return None
    try:
        if ago := re.fullmatch(r"(\d{1,9}) ?(s|min|h|d|w)", text.strip(), re.ASCII):
            return datetime.datetime.now(datetime.UTC) - datetime.timedelta(seconds=int(ago[1]) * _SECONDS_OF[ago[2]])
        said = datetime.datetime.fromisoformat(text.strip())
        if is_end and re.fullmatch(r"[\d-]+", text.strip()):
            said += datetime.timedelta(days=1, microseconds=-1)
        return said.astimezone()
    except (ValueError, OverflowError, OSError):
        raise ValueError(
            f"{text!r} is no moment: 2026-01-31, '2026-01-31 14:05', or 90min, 2h, 3d (s, min, h, d, w) ago"
        ) from None


# -- the command -------------------------------------------------------------------------------------------------------


def run_log(settings: Settings, wanted: Wanted, *, limit: int | None, follow: bool, as_json: bool) -> int:
    """Print the associations that are wanted. Return the exit status. Raise OperationError."""
    path = settings.history_path
    if not settings.history_days:
        raise OperationError("there is no history: CHRIS_HISTORY_DAYS is 0")
    show: Print = _print_json if as_json else lambda record: _print_lines(record, wanted)
    try:
        with HistoryReader(path) as reader:
            if follow:
                _follow(reader, wanted, _LAST_BEFORE_FOLLOWING if limit is None else limit, show)
            else:
                _print_all(reader.records(wanted, limit), show)
                _print_gaps(reader.gaps(wanted))
    except KeyboardInterrupt:
        return 0
    except FileNotFoundError:
        raise OperationError(
            f"there is no history yet: {path} is not there. A gateway with this CHRIS_FILES_ROOT and STATE_DIRECTORY "
            "writes it, run by a user who may"
        ) from None
    except NewerHistoryError as error:
        raise OperationError(f"the history in {path} is of a later version: {error}") from error
    except (DamagedHistoryError, sqlite3.Error) as error:
        raise OperationError(f"the history in {path} cannot be read: {error}") from error
    return 0


def _print_all(records: Iterable[AssociationRecord], show: Print) -> None:
    is_empty = True
    for record in records:
        is_empty = False
        show(record)
    if is_empty:
        print("oxidicom: the history has no such association", file=sys.stderr)


def _print_gaps(gaps: Iterable[Gap]) -> None:
    for gap in gaps:
        reports = "some reports" if gap.reports is None else counted(gap.reports, "report")
        print(
            f"oxidicom: {reports} did not reach the history between {_shown(gap.since)} and {_shown(gap.noticed)}: "
            "associations of that time may be missing or incomplete here",
            file=sys.stderr,
        )


def _follow(reader: HistoryReader, wanted: Wanted, limit: int, show: Print) -> None:
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


# -- what is printed ---------------------------------------------------------------------------------------------------


def _print_json(record: AssociationRecord) -> None:
    print(msgspec.json.encode(record).decode())


def _print_lines(record: AssociationRecord, wanted: Wanted) -> None:
    print(printable(line_of(record)))
    if wanted.refused:
        for line in _refusals_of(record):
            print(f"    {printable(line)}")
    if wanted.study_instance_uid or wanted.series_instance_uid:
        for series in record.series:
            if _is_of(series, wanted):
                print(f"    {printable(_series_line(series, record))}")


def line_of(record: AssociationRecord) -> str:
    """Return the line of an association. Its values are as the peer sent them."""
    host = record.peer.rpartition(":")[0].strip("[]") or "unknown host"
    parts = [f"{_shown(record.ended)}  {record.calling_ae_title} -> {record.called_ae_title or '?'}  {host} "]
    if record.rejected:
        return f"{parts[0]} {record.how}"
    parts.append(", ".join(_numbers_of(record)))
    if record.how != "released":
        parts.append(f" ({record.how})")
    if not record.whole:
        parts.append("  [not all of it is known]")
    return f"{parts[0]} {''.join(parts[1:])}"


def _numbers_of(record: AssociationRecord) -> Iterator[str]:
    refused = sum(record.refused.values())
    if not record.stored and not refused:
        yield "no instance"
        return
    yield f"{counted(record.stored, 'instance')} stored, {decimal(record.bytes)} in {record.seconds:.1f} s"
    if record.warned:
        yield f"{record.warned} with a warning"
    if refused:
        yield f"{refused} refused ({', '.join(f'{count} {status}' for status, count in record.refused.items())})"
    yield from _verdicts_of(record)


def _verdicts_of(record: AssociationRecord) -> Iterator[str]:
    """Say how many series there are, by what became of them; of one alone, how many instances are missing."""
    by_verdict: dict[str, list[SeriesRecord]] = {}
    for series in record.series:
        by_verdict.setdefault(_verdict_of(series, record), []).append(series)
    for verdict, group in by_verdict.items():
        of = f" ({_registered_of(group[0])})" if len(group) == 1 and group[0].verdict in _TROUBLE else ""
        yield f"{len(group)} series {verdict}{of}"


_TROUBLE = (Verdict.INCOMPLETE, Verdict.MORE_THAN_EXPECTED, Verdict.SET_ASIDE)


def _verdict_of(series: SeriesRecord, record: AssociationRecord) -> str:
    if series.verdict is None:
        return "of which nobody knows the end" if record.settled else "not registered yet"
    return "of unknown size" if series.verdict is Verdict.UNKNOWN else series.verdict.value


def _registered_of(series: SeriesRecord) -> str:
    registered = "?" if series.registered is None else series.registered
    return f"{registered} of {series.stored if series.expected is None else series.expected}"


def _series_line(series: SeriesRecord, record: AssociationRecord) -> str:
    expected = "the PACS did not say how many it has" if series.expected is None else f"{series.expected} expected"
    registered = "" if series.registered is None else f", {series.registered} registered"
    again = f" ({series.repeated} of them again)" if series.repeated else ""
    return (
        f"series {series.series_instance_uid} of study {series.study_instance_uid}: {_verdict_of(series, record)}; "
        f"{series.stored} stored{again}{registered}, {expected}"
    )


def _is_of(series: SeriesRecord, wanted: Wanted) -> bool:
    return _names(wanted.study_instance_uid, series.study_instance_uid) and _names(
        wanted.series_instance_uid, series.series_instance_uid
    )


def _names(wanted: str, shown: str) -> bool:
    return not wanted or shown_uid(wanted) == shown


def _refusals_of(record: AssociationRecord) -> Iterator[str]:
    for one in record.refusals:
        uids = one.sop_instance_uids[:_MAX_UIDS_SHOWN]
        more = f" and {one.count - len(uids)} more" if one.count > len(uids) else ""
        yield f"{one.status} {one.reason}: {counted(one.count, 'instance')}: {', '.join(uids)}{more}"
    told = sum(one.count for one in record.refusals)
    if (untold := sum(record.refused.values()) - told) > 0:
        yield f"{counted(untold, 'instance')} for reasons that are not known here"


def _shown(at: datetime.datetime) -> str:
    return f"{at.astimezone():%Y-%m-%d %H:%M:%S}"
