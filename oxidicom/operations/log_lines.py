"""How `oxidicom log` writes an association."""

from collections.abc import Callable, Iterator

import msgspec
from rich.filesize import decimal

from oxidicom.association.uids import shown_uid
from oxidicom.history.reader import Wanted
from oxidicom.history.records import AssociationRecord, SeriesRecord
from oxidicom.logs import printable
from oxidicom.moments import local_time
from oxidicom.spool.metadata_rows import Verdict, shown_verdict
from oxidicom.wording import counted

_MAX_UIDS_SHOWN = 10
"""Of each reason; the JSON form has more."""

Show = Callable[[AssociationRecord], None]


def print_json(record: AssociationRecord) -> None:
    """Print all that is known of it, in one line."""
    print(msgspec.json.encode(record).decode())


def print_lines(record: AssociationRecord, wanted: Wanted) -> None:
    """Print its line, and below it what was asked for: why something was refused, or what became of series."""
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
    parts = [
        f"{local_time(record.ended)}  {record.calling_ae_title or '?'} -> {record.called_ae_title or '?'}  {host} "
    ]
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
    lasted = "" if record.seconds is None else f" in {record.seconds:.1f} s"
    yield f"{counted(record.stored, 'instance')} received, {decimal(record.bytes)}{lasted}"
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
        of = f" ({_registered_of(group[0])})" if len(group) == 1 and verdict in _TROUBLE else ""
        yield f"{len(group)} series {verdict}{of}"


_TROUBLE = (Verdict.INCOMPLETE, Verdict.MORE_THAN_EXPECTED, Verdict.SET_ASIDE)


def _verdict_of(series: SeriesRecord, record: AssociationRecord) -> str:
    if series.verdict is None:
        return "whose end is not known" if record.settled else "not registered yet"
    return "of unknown size" if series.verdict is Verdict.UNKNOWN else shown_verdict(series.verdict, series.registered)


def _registered_of(series: SeriesRecord) -> str:
    registered = "?" if series.registered is None else series.registered
    return f"{registered} of {series.stored if series.expected is None else series.expected}"


def _series_line(series: SeriesRecord, record: AssociationRecord) -> str:
    expected = "no PACS said how many it has" if series.expected is None else f"{series.expected} expected"
    registered = "" if series.registered is None else f", {series.registered} registered"
    again = f" ({series.repeated} of them again)" if series.repeated else ""
    return (
        f"series {series.series_instance_uid} of study {series.study_instance_uid}: {_verdict_of(series, record)}; "
        f"{series.stored} received{again}{registered}, {expected}"
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
