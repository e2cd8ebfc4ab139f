"""One frame of `oxidicom top`: from what the gateway says to lines of text.

The law of this file: what came over the network is text, never markup, and has no control characters.
"""

import datetime
from collections.abc import Sequence

from rich.console import Group
from rich.filesize import decimal
from rich.text import Text

from oxidicom.logs import printable
from oxidicom.moments import local_time
from oxidicom.operations.live_status import LiveAssociation, LiveStatus, SeriesBar
from oxidicom.operations.styles import LEVEL_STYLES
from oxidicom.spool.metadata_rows import shown_verdict
from oxidicom.wording import counted, duration

_BAR = 20
_GOOD_VERDICTS = ("complete", "unknown")

Section = list[Text]
"""A heading and its lines."""


def frame(status: LiveStatus, before: LiveStatus | None, height: int | None, trouble: str = "") -> Group:
    """Return the frame in at most `height` lines (None: as many as there are).

    `before` is what was shown before, for the throughput. `trouble`: why `status` is old.
    """
    sections = [
        _head(status, trouble),
        _numbers(status, before),
        _under_way(status),
        _pacs(status),
        _series(status),
    ]
    sections = [section for section in sections if section]
    if height is not None:
        _fit(sections, height)
    return Group(*(line for section in sections for line in section))


def _fit(sections: list[Section], height: int) -> None:
    """Cut the longest section, line by line, until all fit; of each the heading stays."""
    hidden = [0] * len(sections)
    while sum(map(len, sections)) > height:
        longest = max(range(len(sections)), key=lambda at: (len(sections[at]), at))
        if len(sections[longest]) < 2:
            del sections[-1]
            continue
        del sections[longest][-1]
        hidden[longest] += 1
    for section, count in zip(sections, hidden, strict=False):
        if count:
            section[0].append(f"  ({counted(count, 'line')} more)", "dim")


def _line(*parts: str | tuple[str, str]) -> Text:
    """Return a line that is cut at the edge. A part is text, or text and style."""
    line = Text(no_wrap=True, overflow="ellipsis", end="\n")
    for part in parts:
        text, style = part if isinstance(part, tuple) else (part, "")
        line.append(printable(text), style)
    return line


def _head(status: LiveStatus, trouble: str) -> Section:
    level = status.judgement.level
    lines = [
        _line(
            (level.upper(), f"bold {LEVEL_STYLES[level]}"),
            f"  oxidicom {status.version}  {status.ae_title} port {status.port}  {status.phase}  ",
            (_clock(status.at), "dim"),
        )
    ]
    if trouble:
        lines.append(_line(("  this is old: ", "bold red"), trouble))
    lines += [
        _line("  ", (reason.level, LEVEL_STYLES[reason.level]), f"  {reason.subject}: {reason}")
        for reason in status.judgement.reasons
    ]
    return lines


def _numbers(status: LiveStatus, before: LiveStatus | None) -> Section:
    totals, waiting, storage = status.totals, status.waiting, status.storage
    received, registered = _throughput(status, before)
    lag = next((one.lag_seconds for one in reversed(status.hour) if one.lag_seconds is not None), None)
    aside = sum(one.files for one in status.set_aside.associations)
    more = f" and that of {counted(status.set_aside.more, 'association')}" if status.set_aside.more else ""
    free = f"{decimal(storage.free_bytes)} free of {decimal(storage.total_bytes)}" if storage else "away"
    return [
        _line(
            f"received {totals.instances_received} ({received:.1f}/s, {decimal(totals.bytes_received)})  "
            f"registered {totals.instances_registered} ({registered:.1f}/s)  refused {totals.instances_refused}"
        ),
        _line(
            f"waiting {waiting.entries}{f' (oldest {duration(waiting.oldest_seconds)})' if waiting.entries else ''}  "
            f"lag {'unknown' if lag is None else f'{lag:.2f} s'}  set aside {aside}{more}"
        ),
        _line(
            f"associations {totals.associations_open} open, {totals.associations_accepted} accepted, "
            f"{totals.associations_rejected} rejected  database {status.database}  storage {free}"
        ),
    ]


def _throughput(status: LiveStatus, before: LiveStatus | None) -> tuple[float, float]:
    """Return the instances received and registered per second: since the last frame, or in the last sample."""
    seconds = (status.at - before.at).total_seconds() if before else 0.0
    if before and seconds > 0:
        now, then = status.totals, before.totals
        return (
            max(0, now.instances_received - then.instances_received) / seconds,
            max(0, now.instances_registered - then.instances_registered) / seconds,
        )
    if not status.hour:
        return 0.0, 0.0
    return status.hour[-1].received_per_second, status.hour[-1].registered_per_second


def _under_way(status: LiveStatus) -> Section:
    associations = status.under_way.associations
    count = len(associations) + status.under_way.more
    lines = [_line((f"under way ({count})", "bold"))]
    for one in associations:
        lines.append(_association_line(one))
        lines += [_bar_line(series) for series in one.series]
        if one.more_series:
            lines.append(_line(f"    and {one.more_series} more series"))
    return lines


def _association_line(one: LiveAssociation) -> Text:
    state = f"{one.received_per_second:.1f}/s" if one.is_open else "ended"
    return _line(
        "  ",
        (one.calling_ae_title or "?", "cyan"),
        f" {one.peer}  {state}  {one.received} received, {one.registered} registered",
    )


def _bar_line(series: SeriesBar) -> Text:
    whole = series.received if series.expected is None else series.expected
    filled = max(0, min(_BAR, _BAR * series.registered // whole)) if whole > 0 else 0
    aside = f", {series.set_aside} set aside" if series.set_aside else ""
    return _line(
        "    ",
        ("#" * filled + "." * (_BAR - filled), "green"),
        f" {series.registered}/{series.received} of {'?' if series.expected is None else series.expected}{aside}  ",
        (series.series_instance_uid, "dim"),
    )


def _pacs(status: LiveStatus) -> Section:
    newest = sorted(status.pacs, key=lambda one: (_seconds(one.last_seen), one.calling_ae_title), reverse=True)
    return _table(
        "PACS",
        [
            [
                one.calling_ae_title,
                counted(one.associations, "association"),
                counted(one.instances, "instance"),
                decimal(one.size_bytes),
                _clock(one.last_seen),
            ]
            for one in newest
        ],
    )


def _series(status: LiveStatus) -> Section:
    section = [_line(("last series", "bold"))] if status.series else []
    for one in status.series:
        expected = "?" if one.expected is None else one.expected
        section.append(
            _line(
                f"  {_clock(one.at)}  {one.calling_ae_title:<16} ",
                (shown_verdict(one.verdict, one.registered), "green" if one.verdict in _GOOD_VERDICTS else "yellow"),
                f" {one.registered}/{one.received} of {expected}  ",
                (one.series_instance_uid, "dim"),
            )
        )
    return section


def _table(heading: str, rows: Sequence[Sequence[str]]) -> Section:
    if not rows:
        return []
    shown = [[printable(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*shown, strict=True)]
    return [
        _line((heading, "bold")),
        *(_line("  " + "  ".join(map(str.ljust, row, widths)).rstrip()) for row in shown),
    ]


def _clock(moment: datetime.datetime | None) -> str:
    """Return the local time of day."""
    return local_time(moment, "%H:%M:%S") if moment else ""


def _seconds(moment: datetime.datetime | None) -> float:
    return moment.timestamp() if moment else 0.0
