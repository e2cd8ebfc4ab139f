"""What the history is told of the instances of one association: why some were refused, and which series the others are.

Both are bounded, whatever the peer sends: what is beyond is counted elsewhere.
"""

from collections.abc import Sequence

from oxidicom.association.uids import is_class_uid
from oxidicom.history.records import Refusal, SeriesCount
from oxidicom.records import Series
from oxidicom.spool.spool_writer import MAX_SERIES

_MAX_KINDS = 20
_MAX_UIDS = 100
_MAX_REASON_CHARACTERS = 200


class Refusals:
    """Refused instances by status and reason."""

    def __init__(self) -> None:
        self._counts: dict[tuple[str, str], int] = {}
        self._uids: dict[tuple[str, str], list[str]] = {}
        self._room = _MAX_UIDS

    def add(self, status: str, reason: str, sop_instance_uid: str) -> None:
        """Note an instance. Of more than 20 kinds nothing is kept, of more than 100 instances no UID.

        What is no UID may be anything, and is not kept either.
        """
        kind = status, reason[:_MAX_REASON_CHARACTERS]
        if kind not in self._counts:
            if len(self._counts) >= _MAX_KINDS:
                return
            self._counts[kind], self._uids[kind] = 0, []
        self._counts[kind] += 1
        if self._room and is_class_uid(sop_instance_uid):
            self._room -= 1
            self._uids[kind].append(sop_instance_uid)

    def listed(self) -> list[Refusal]:
        """Return what is kept."""
        return [Refusal(*kind, count, self._uids[kind]) for kind, count in self._counts.items()]


class SeriesCounts:
    """Number of committed instances of the first MAX_SERIES series."""

    def __init__(self) -> None:
        self._series: dict[str, Series] = {}
        self._counts: dict[str, int] = {}

    def add(self, series_hash: str, series: Series) -> None:
        """Count an instance. It is on the way of each one: two look-ups."""
        counts = self._counts
        if series_hash in counts:
            counts[series_hash] += 1
        elif len(counts) < MAX_SERIES:
            counts[series_hash] = 1
            self._series[series_hash] = series

    def listed(self) -> Sequence[SeriesCount]:
        """Return what is counted."""
        return [
            SeriesCount(series_hash, series.study_instance_uid, series.series_instance_uid, self._counts[series_hash])
            for series_hash, series in self._series.items()
        ]
