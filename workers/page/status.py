"""What the page shows, as `/status.json` has it: the HTML is made of nothing else.

No patient data is in it: no names, no ids, no descriptions, no paths. Sizes are in bytes, times are UTC.
"""

import datetime

import msgspec

from oxidicom.judgement.condition import Room
from oxidicom.judgement.judgement import Judgement
from workers.page.associations import AssociationsUnderWay
from workers.page.chronicle import Sample, SeriesDone


class Totals(msgspec.Struct):
    """Since the gateway was started, but for what is under way."""

    associations_open: int
    associations_accepted: int
    associations_rejected: int
    instances_received: int
    instances_refused: int
    instances_registered: int
    """Whether their rows are new or were there already."""
    bytes_received: int


class SampleOfHour(msgspec.Struct):
    """Some seconds of the last hour."""

    at: datetime.datetime
    received_per_second: float
    registered_per_second: float
    lag_seconds: float | None
    """From the commit of an instance to that of its row, on average; null: no row was committed."""
    waiting: int


class Pacs(msgspec.Struct):
    """What a calling AE title brought."""

    calling_ae_title: str
    associations: int
    """Those that have ended."""
    instances: int
    size_bytes: int
    last_seen: datetime.datetime | None


class Waiting(msgspec.Struct):
    """What stands in the spool."""

    entries: int
    oldest_seconds: float


class AssociationSetAside(msgspec.Struct):
    """What was set aside of one association."""

    association: str
    files: int
    since: datetime.datetime
    """When that was of one of them."""
    reason: str
    """Of one of them."""
    command: str
    """It puts them back, once the cause is fixed."""


class SetAside(msgspec.Struct):
    """What was set aside, the newest first."""

    associations: list[AssociationSetAside]
    more: int


class Tls(msgspec.Struct):
    """Whether the port speaks TLS."""

    on: bool
    expires: datetime.datetime | None
    """Of the certificate in use. Null: it is off, or the gateway starts."""
    days_left: int | None


class Status(msgspec.Struct):
    """Everything."""

    at: datetime.datetime
    version: str
    gateway: str
    """Its ULID."""
    ae_title: str
    port: int
    phase: str
    judgement: Judgement
    database: str
    """`up`, `down`, or `not asked yet`."""
    totals: Totals
    under_way: AssociationsUnderWay
    hour: list[SampleOfHour]
    pacs: list[Pacs]
    rejections: dict[str, int]
    """Rejected associations by reason."""
    series: list[SeriesDone]
    """The newest first."""
    waiting: Waiting
    set_aside: SetAside
    tls: Tls
    storage: Room | None
    """Null: it is away, or was not looked at yet."""


def sample_of_hour(sample: Sample) -> SampleOfHour:
    """Return a sample as it is shown."""
    return SampleOfHour(
        datetime.datetime.fromtimestamp(sample.at, datetime.UTC),
        sample.received_per_second,
        sample.registered_per_second,
        sample.lag_seconds,
        sample.waiting,
    )
