"""Registration lag: from Success to the moment when the row is visible to other sessions.

An observer asks PostgreSQL every 5 ms for its snapshot, `pg_current_snapshot()`: which transactions are visible. That
touches no table, so it neither slows the registration down nor depends on how it is done, and the order of commits
does not matter. Afterwards the rows themselves tell which transaction each of them came with (`xmin`). Where a file has
two rows, of itself and of its permission, it is visible to users with the later one.
"""

import math
import time
from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import LiteralString

import psycopg

from benchmarks.companion import Companion, Ended
from benchmarks.datasets import parse_sop_instance_uid
from benchmarks.errors import BenchmarkError
from benchmarks.figures import Figure, percentile
from benchmarks.load import Outcome
from oxidicom.embedded.schema import Schema

_INTERVAL_SECONDS = 0.005
_ROWS: Mapping[Schema, LiteralString] = {
    "flat": """
SELECT fname, ARRAY[file.xmin::text::bigint]
FROM pacsfiles_pacsfile AS file JOIN pacsfiles_pacs AS pacs ON pacs.id = file.pacs_id WHERE identifier = %s
""",
    "folders": """
SELECT fname, ARRAY[file.xmin::text::bigint, permission.xmin::text::bigint]
FROM pacsfiles_pacs AS pacs JOIN core_chrisfolder AS folder ON folder.id = pacs.folder_id
JOIN core_chrisfile AS file ON fname ~>~ (path || '/') AND fname ~<~ (path || '0')
JOIN core_filegrouppermission AS permission ON permission.file_id = file.id
WHERE identifier = %s
""",
}


@dataclass(frozen=True)
class Snapshot:
    """Which transactions were visible at a moment, in PostgreSQL's terms."""

    seen: float
    """When the answer was there, on the monotonic clock."""
    xmin: int
    """All transactions below are over."""
    xmax: int
    """None from here on is."""
    in_progress: frozenset[int]
    """Those between which are not."""

    def shows(self, transaction: int) -> bool:
        """Return whether the rows of a committed transaction are visible."""
        return transaction < self.xmin or (transaction < self.xmax and transaction not in self.in_progress)


def parse_snapshot(text: str, seen: float) -> Snapshot:
    """Parse `xmin:xmax:xip,xip` (PostgreSQL, "Transaction ID and Snapshot Information Functions")."""
    xmin, xmax, in_progress = text.split(":")
    return Snapshot(seen, int(xmin), int(xmax), frozenset(map(int, filter(None, in_progress.split(",")))))


def watch_snapshots(conninfo: str) -> Companion[list[Snapshot]]:
    """Return an observer of the database. The number that it says is the process of its session."""
    return Companion(lambda say_ready, ended: _observe(conninfo, say_ready, ended))


def _observe(conninfo: str, say_ready: Callable[[int], None], ended: Ended) -> list[Snapshot]:
    seen: list[tuple[str, float]] = []
    with psycopg.connect(conninfo, autocommit=True) as connection:
        say_ready(connection.info.backend_pid)
        is_over = False
        while not is_over:
            is_over = ended(_INTERVAL_SECONDS)
            row = connection.execute("SELECT pg_current_snapshot()::text").fetchone()
            text = str(row[0]) if row else ""
            if not seen or seen[-1][0] != text:
                seen.append((text, time.monotonic()))
    return [parse_snapshot(text, at) for text, at in seen]


@dataclass(frozen=True)
class Registered:
    """The rows of a load, and when each became visible."""

    rows: dict[str, float]
    """By `fname`; on the monotonic clock, at most one interval and one query late."""

    def figures(self, outcome: Outcome) -> dict[Figure, float]:
        """Return lag and rate. Raise BenchmarkError when the rows are not those of the instances sent."""
        visible = {_instance_of(name): at for name, at in self.rows.items()}
        lags = []
        for sender in outcome.sent:
            for number, answered in enumerate(sender.answered):
                at = visible.get((sender.association, number))
                if at is None:
                    raise BenchmarkError(f"instance {number} of association {sender.association} has no row")
                lags.append(max(at - answered, 0.0))
        if len(lags) != len(self.rows):
            raise BenchmarkError(f"{len(self.rows)} rows for {len(lags)} instances")
        lags.sort()
        last = max(visible.values())
        return {
            Figure.LAG_P50_SECONDS: percentile(lags, 50),
            Figure.LAG_P99_SECONDS: percentile(lags, 99),
            Figure.ROWS_PER_SECOND: len(lags) / (last - outcome.began),
            Figure.LAST_ROW_SECONDS: max(last - outcome.last_success, 0.0),
        }


def read_registered(
    connection: psycopg.Connection[tuple[str, list[int]]],
    schema: Schema,
    pacs_identifier: str,
    snapshots: Sequence[Snapshot],
) -> Registered:
    """Read the files of a PACS, and find for each the first snapshot that shows all of its rows."""
    rows = connection.execute(_ROWS[schema], [pacs_identifier]).fetchall()
    transactions = {transaction for _, its in rows for transaction in its}
    first_seen = {transaction: _first_seen(transaction, snapshots) for transaction in transactions}
    return Registered({name: max(first_seen[transaction] for transaction in its) for name, its in rows})


def _first_seen(transaction: int, snapshots: Sequence[Snapshot]) -> float:
    """Return when `transaction` was first visible: what one snapshot shows, all later ones do."""
    at = bisect_left(snapshots, True, key=lambda snapshot: snapshot.shows(transaction))
    if at == len(snapshots):
        raise BenchmarkError("a row became visible after the observer had ended")
    return snapshots[at].seen


def all_over(transactions: Iterable[int], snapshots: Sequence[Snapshot]) -> float:
    """Return when a snapshot first said that all `transactions` and all older ones were over; infinity if none did.

    That is never too early, not even where savepoints were used, whose numbers no snapshot lists among those in
    progress. It is late while older transactions, whoever's they are, go on.
    """
    newest = max(transactions)
    return next((snapshot.seen for snapshot in snapshots if snapshot.xmin > newest), math.inf)


def _instance_of(fname: str) -> tuple[int, int]:
    return parse_sop_instance_uid(fname.rpartition("-")[2].removesuffix(".dcm"))
