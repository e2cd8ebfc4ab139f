"""The reading side of the history: beside a gateway that writes it, or for none that runs."""

import datetime
import sqlite3
from collections.abc import Iterator
from typing import NamedTuple, Self

import msgspec

from oxidicom.history.records import AssociationRecord, Refusal, SeriesCount, record_of
from oxidicom.history.schema import damage_told, open_to_read
from oxidicom.moments import moment_at
from oxidicom.spool.association_directory import DEATHS

_PAGE = 500
"""So many records are read at a time: a reading that takes long would keep the writer's log from being cleared."""
_IS_WANTED = (
    "began <= :until AND ended >= :since AND (:calling = '' OR calling = :calling) "
    "AND (NOT :refused OR is_rejected OR refused != '{}') "
    "AND (:study = '' OR id IN (SELECT association FROM series WHERE study = :study)) "
    "AND (:series = '' OR id IN (SELECT association FROM series WHERE uid = :series))"
)
_REFUSED: msgspec.json.Decoder[dict[str, int]] = msgspec.json.Decoder(dict[str, int])
_REFUSALS: msgspec.json.Decoder[list[Refusal]] = msgspec.json.Decoder(list[Refusal])


class Wanted(NamedTuple):
    """Which associations are wanted: those of which all of this holds."""

    since: datetime.datetime | None = None
    """Not over by then."""
    until: datetime.datetime | None = None
    """Begun by then."""
    calling_ae_title: str = ""
    study_instance_uid: str = ""
    series_instance_uid: str = ""
    refused: bool = False
    """Something was refused, or the association itself rejected."""


class Gap(NamedTuple):
    """Reports that did not reach the history."""

    since: datetime.datetime
    noticed: datetime.datetime
    reports: int | None
    """None: nobody knows how many."""


class HistoryReader:
    """An open history. Every method may raise sqlite3.Error or DamagedHistoryError."""

    def __init__(self, path: str) -> None:
        """Raise FileNotFoundError when there is none, NewerHistoryError, DamagedHistoryError or sqlite3.Error."""
        self._connection = open_to_read(path)
        self._connection.row_factory = sqlite3.Row

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def records(self, wanted: Wanted, limit: int | None = None) -> Iterator[AssociationRecord]:
        """Yield what is wanted, in the order in which it ended; with a `limit` the last ones."""
        values = _values_of(wanted)
        at, at_id = self._start(values, limit)
        while True:
            rows = self._rows(
                f"{_IS_WANTED} AND (ended, id) > (:at, :at_id) ORDER BY ended, id LIMIT {_PAGE}",
                {**values, "at": at, "at_id": at_id},
            )
            yield from map(self._record_of, rows)
            if len(rows) < _PAGE:
                return
            at, at_id = rows[-1]["ended"], rows[-1]["id"]

    def _start(self, values: dict[str, str | int], limit: int | None) -> tuple[int, str]:
        """Return behind which record to begin."""
        if limit is None:
            return 0, ""
        query = f"{_IS_WANTED} ORDER BY ended DESC, id DESC LIMIT 1 OFFSET :limit"
        rows = self._rows(query, {**values, "limit": limit})
        return (rows[0]["ended"], rows[0]["id"]) if rows else (0, "")

    @property
    def last_change(self) -> int:
        """Number of the last transaction."""
        with damage_told():
            (change,) = self._connection.execute("SELECT coalesce(max(change), 0) FROM association").fetchone()
            return int(change)

    def changed(self, wanted: Wanted, after: int, until: int) -> list[AssociationRecord]:
        """Return what was written or changed by the transactions behind `after`, up to `until`."""
        values = {**_values_of(wanted), "after": after, "last": until}
        query = f"{_IS_WANTED} AND change > :after AND change <= :last ORDER BY ended, id"
        return list(map(self._record_of, self._rows(query, values)))

    def gaps(self, wanted: Wanted) -> list[Gap]:
        """Return what is missing of the time that is wanted."""
        values = _values_of(wanted)
        query = "SELECT * FROM gap WHERE since <= :until AND noticed >= :since ORDER BY noticed"
        with damage_told():
            rows = self._connection.execute(query, values).fetchall()
        return [Gap(moment_at(row["since"] / 1e9), moment_at(row["noticed"] / 1e9), row["reports"]) for row in rows]

    def _rows(self, condition: str, values: dict[str, str | int]) -> list[sqlite3.Row]:
        with damage_told():
            return self._connection.execute(
                f"SELECT * FROM association WHERE {condition}",  # noqa: S608 (conditions of ours)
                values,
            ).fetchall()

    def _record_of(self, row: sqlite3.Row) -> AssociationRecord:
        with damage_told():
            series = self._connection.execute(
                "SELECT hash, study, uid, stored, set_aside, expected, is_settled, repeated FROM series "
                "WHERE association = ? ORDER BY study, uid, hash",
                (row["id"],),
            ).fetchall()
        return AssociationRecord(
            association=row["id"],
            gateway=row["gateway"],
            began=moment_at(row["began"] / 1e9),
            ended=moment_at(row["ended"] / 1e9),
            seconds=None if row["how"] in DEATHS else round((row["ended"] - row["began"]) / 1e9, 3),
            peer=row["peer"],
            calling_ae_title=row["calling"],
            called_ae_title=row["called"],
            tls=row["tls"],
            how=row["how"],
            rejected=bool(row["is_rejected"]),
            received=row["received"],
            stored=row["stored"],
            warned=row["warned"],
            bytes=row["bytes"],
            refused=_REFUSED.decode(row["refused"]),
            refusals=_REFUSALS.decode(row["refusals"]),
            settled=bool(row["is_settled"]),
            whole=row["received"] is not None and not row["is_lost"],
            series=[record_of(SeriesCount(*one)) for one in series],
        )


def _values_of(wanted: Wanted) -> dict[str, str | int]:
    return {
        "since": _nanoseconds(wanted.since) if wanted.since else 0,
        "until": _nanoseconds(wanted.until) if wanted.until else (1 << 63) - 1,
        "calling": wanted.calling_ae_title,
        "study": wanted.study_instance_uid,
        "series": wanted.series_instance_uid,
        "refused": wanted.refused,
    }


def _nanoseconds(moment: datetime.datetime) -> int:
    return min(max(0, int(moment.timestamp() * 1e9)), (1 << 63) - 1)
