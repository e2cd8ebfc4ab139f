"""The condition of a running gateway: what it knows of itself at one moment. It holds no patient data."""

import datetime

import msgspec


class Trouble(msgspec.Struct, frozen=True):
    """What is wrong with the storage or the tree, and what to do."""

    sentence: str
    remedy: str = ""


class DatabaseCondition(msgspec.Struct, frozen=True):
    """Whether the database takes rows. It is asked at the start, and while nothing is registered."""

    is_known: bool
    """Whether it was asked already."""
    down_since: datetime.datetime | None = None
    """None: it can be used, as far as is known."""
    reason: str = ""
    """Why it cannot."""

    @property
    def word(self) -> str:
        """`up`, `down`, or `not asked yet`."""
        return ("down" if self.down_since else "up") if self.is_known else "not asked yet"


class Room(msgspec.Struct, frozen=True):
    """The room on the storage, in bytes."""

    free_bytes: int
    total_bytes: int
    reserve_bytes: int
    """Below so many free bytes instances are refused."""
    is_full: bool
    """Whether they are refused now: for the reserve, or since few inodes are left."""


class Lately(msgspec.Struct, frozen=True):
    """What happened within the last `minutes`."""

    minutes: int = 0
    taken: int = 0
    """Instances answered with Success."""
    refused: int = 0
    """Instances answered with a failure."""
    out_of_resources: int = 0
    """Those of them that the storage did not take (A700)."""
    respawned: int = 0
    """Processes that died, and were started again."""
    progress_lost: int = 0
    """Messages of live progress that no NATS server took."""
    accepted: int = 0
    """Associations."""
    rejected: int = 0


class Condition(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that the rules look at."""

    at: datetime.datetime
    version: str
    host: str
    port: int
    phase: str
    """`serving`, or in words what the gateway does instead."""
    silent: tuple[str, ...] = ()
    """Roles of processes that give no sign of life."""
    storage: Trouble | None = None
    """Why no instance is accepted."""
    tree: Trouble | None = None
    """Why instances wait in the spool."""
    room: Room | None = None
    """None: not looked at yet."""
    database: DatabaseCondition
    waiting: int
    """Things in the spool of the gateway."""
    oldest_seconds: float
    """Age of the oldest of them that is committed; 0: none is."""
    set_aside: int
    """Things set aside now, by all gateways on this storage."""
    certificate_expires: datetime.datetime | None = None
    """None: no TLS."""
    pacs_trouble: str = ""
    """Why a PACS did not say how many instances a series has; empty when the last question was answered."""
    page_trouble: str = ""
    """Why there is no page, although one is wanted."""
    history_trouble: str = ""
    """Why no history is written."""
    lately: Lately
