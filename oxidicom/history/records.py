"""What the history is told of an association, and what it tells of one. Nothing but data, and none of a patient's."""

import datetime

import msgspec

from oxidicom.association.uids import shown_uid
from oxidicom.spool.metadata_rows import Verdict, verdict_of


class Refusal(msgspec.Struct, frozen=True):
    """Instances of one association that were refused with the same status for the same reason."""

    status: str
    """Such as C000."""
    reason: str
    count: int
    sop_instance_uids: list[str]
    """Of the first of them; what is no UID is not among them."""


class SeriesCount(msgspec.Struct, frozen=True, array_like=True):
    """How far a series of an association is."""

    series_hash: str
    """Tells series of one UID apart that differ otherwise."""
    study_instance_uid: str
    series_instance_uid: str
    """Both as the peer wrote them, so that they can be searched for; what is no UID is not shown."""
    stored: int
    """Instances that were answered with Success."""
    set_aside: int = 0
    """So many of them could not be stored or registered."""
    expected: int | None = None
    """So many the PACS says it has; None: it did not say."""
    is_settled: bool = False
    """All of them are registered or set aside."""
    repeated: int = 0
    """So many of them had come before in the same association: each is one file and one row with that."""

    @property
    def registered(self) -> int:
        """How many are registered, when it is settled."""
        return max(0, self.stored - self.repeated - self.set_aside)

    @property
    def verdict(self) -> Verdict:
        """What the numbers say, when it is settled."""
        expected = None if self.expected is None else str(self.expected)
        return verdict_of(expected, self.stored - self.repeated, self.set_aside)


class AssociationEnd(msgspec.Struct, frozen=True):
    """An association that has ended. None: not known."""

    association: str
    gateway: str
    began_ns: int
    ended_ns: int
    peer: str
    calling_ae_title: str
    called_ae_title: str
    how: str
    stored: int
    bytes: int
    is_rejected: bool = False
    is_settled: bool = False
    """Nothing more comes: all that it stored is registered or set aside."""
    tls: str | None = None
    """The version of TLS, or '' for none."""
    received: int | None = None
    warned: int | None = None
    refused: dict[str, int] = {}
    """Number of refused instances by status."""


class SeriesRecord(msgspec.Struct, frozen=True):
    """What became of a series in one association."""

    study_instance_uid: str
    series_instance_uid: str
    stored: int
    repeated: int
    """So many of those had come before in the same association; 0 also while that is not known."""
    registered: int | None
    """None: not known, or not yet."""
    expected: int | None
    """None: the PACS did not say, or not yet."""
    verdict: Verdict | None
    """None: it is not decided yet; or, if the account of the association is not whole, not known."""


class AssociationRecord(msgspec.Struct, frozen=True):
    """What became of an association. None: not known."""

    association: str
    gateway: str
    began: datetime.datetime
    ended: datetime.datetime
    seconds: float | None
    """None: nobody saw its end; `ended` is when that was noticed."""
    peer: str
    calling_ae_title: str
    called_ae_title: str
    tls: str | None
    how: str
    rejected: bool
    received: int | None
    stored: int
    warned: int | None
    bytes: int
    refused: dict[str, int]
    refusals: list[Refusal]
    settled: bool
    """All that it stored is registered or set aside."""
    whole: bool
    """Everything that there was to be told of it was told."""
    series: list[SeriesRecord]


def record_of(count: SeriesCount) -> SeriesRecord:
    """Return what a count says in the end."""
    return SeriesRecord(
        shown_uid(count.study_instance_uid),
        shown_uid(count.series_instance_uid),
        count.stored,
        count.repeated,
        count.registered if count.is_settled else None,
        count.expected,
        count.verdict if count.is_settled else None,
    )
