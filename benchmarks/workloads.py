"""The workloads: what is sent over how many associations, and which servers meet it. This file is a table."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from benchmarks.datasets import Content

DCMTK, DCMTK_BITS, PYNETDICOM, ORTHANC, DICOM_RS = "dcmtk", "dcmtk-b", "pynetdicom", "orthanc", "dicom-rs"
FLOOR_DISCARD, FLOOR_WRITE = "floor-discard", "floor-write"
GATEWAY, BASELINE = "oxidicom", "baseline"
GATEWAY_6 = "oxidicom-6"
"""This gateway with the tables of CUBE 6 and 7: folders, and two rows for each file."""
EVERYONE = (DCMTK, DCMTK_BITS, PYNETDICOM, ORTHANC, DICOM_RS, FLOOR_DISCARD, FLOOR_WRITE, GATEWAY_6)

_LEAST_LISTENERS = 16
_SHORT_PDU, _LONG_PDU = 16 * 1024, 128 * 1024


@dataclass(frozen=True)
class Pace:
    """Not as fast as possible, but at a share of the rate of another workload."""

    workload: str
    share: float


@dataclass(frozen=True)
class Workload:
    """What is sent, and to whom. The load ends at the count or at the time, whichever comes first."""

    name: str
    title: str
    contents: Sequence[Content]
    """One for each association."""
    instances: int
    """At most, of all associations together."""
    seconds: float
    """No instance is begun after so many."""
    peers: Sequence[str] = ()
    """Which servers meet it beside this gateway."""
    max_pdu_bytes: int = _SHORT_PDU
    """Servers are told to announce it, where they can be told; the sender obeys the lesser of the two."""
    until_synced: bool = False
    """Time ends when `syncfs` has returned: the peer's files are then as durable as ours."""
    pace: Pace | None = None
    prefilled_rows: int = 0

    @property
    def associations(self) -> int:
        return len(self.contents)

    @property
    def listeners(self) -> int:
        """How many a gateway is told to have: no association waits for one."""
        return max(self.associations, _LEAST_LISTENERS)

    @property
    def instances_each(self) -> int:
        """At most, of each association."""
        return max(self.instances // self.associations, 1)


_SMALL = Workload("10k", "10 KB, 2 associations", [Content.SMALL_EXPLICIT] * 2, 8000, 2.0, (DCMTK,))
# 512 MB: below what Linux lets become dirty before it makes writers wait.
_LARGE = Workload("512k", "512 KB, 2 associations", [Content.LARGE_EXPLICIT] * 2, 1024, 10.0, (DCMTK,), _LONG_PDU)
_SMALL_8 = replace(
    _SMALL,
    name="10k-8",
    title="10 KB, 8 associations",
    contents=[Content.SMALL_EXPLICIT] * 8,
    peers=(GATEWAY_6, DCMTK),
)
_LARGE_8 = replace(_LARGE, name="512k-8", title="512 KB, 8 associations", contents=[Content.LARGE_EXPLICIT] * 8)
_MIX = [*[Content.SMALL_EXPLICIT] * 2, *[Content.SMALL_IMPLICIT] * 2, *[Content.LARGE_EXPLICIT] * 2]

WORKLOADS: Sequence[Workload] = (
    replace(_SMALL, peers=EVERYONE),
    replace(_LARGE, peers=EVERYONE),
    replace(
        _LARGE,
        name="512k-synced",
        title="512 KB, 2 associations, until syncfs returns",
        until_synced=True,
        peers=(DCMTK, DICOM_RS),
    ),
    replace(_SMALL, name="10k-1", title="10 KB, 1 association", contents=[Content.SMALL_EXPLICIT]),
    _SMALL_8,
    replace(_SMALL, name="10k-32", title="10 KB, 32 associations", contents=[Content.SMALL_EXPLICIT] * 32),
    replace(_LARGE, name="512k-1", title="512 KB, 1 association", contents=[Content.LARGE_EXPLICIT]),
    _LARGE_8,
    replace(_LARGE, name="512k-32", title="512 KB, 32 associations", contents=[Content.LARGE_EXPLICIT] * 32),
    replace(_SMALL, name="10k-implicit", title="10 KB, implicit VR", contents=[Content.SMALL_IMPLICIT] * 2),
    replace(_LARGE, name="512k-implicit", title="512 KB, implicit VR", contents=[Content.LARGE_IMPLICIT] * 2),
    replace(_LARGE, name="512k-pdu16", title="512 KB, PDUs of 16 KiB", max_pdu_bytes=_SHORT_PDU),
    Workload("ct", "CT series of 531 slices", [Content.CT_SERIES], 531, 30.0, (DCMTK,), _LONG_PDU),
    Workload("1g", "one instance of 1 GiB", [Content.GIBIBYTE], 1, 60.0, (DCMTK, DCMTK_BITS), _LONG_PDU),
    Workload("mix", "mix: 4 × 10 KB, 2 × 512 KB", _MIX, 60_000, 1.5, (DCMTK,), _LONG_PDU),
    replace(
        _SMALL_8,
        name="10k-sustained",
        title="10 KB, 8 associations at 70 %",
        instances=100_000,
        peers=(GATEWAY_6,),
        pace=Pace("10k-8", 0.7),
    ),
    replace(
        _LARGE_8, name="512k-sustained", title="512 KB, 8 associations at 70 %", peers=(), pace=Pace("512k-8", 0.7)
    ),
    replace(_SMALL, name="10k-rows-1k", title="10 KB, 1,000 rows before", peers=(GATEWAY_6,), prefilled_rows=1_000),
    replace(
        _SMALL,
        name="10k-rows-1m",
        title="10 KB, 1,000,000 rows before",
        peers=(GATEWAY_6,),
        prefilled_rows=1_000_000,
    ),
)
IDLE = "idle"
"""Not a load: 64 listeners that had one association each, and nothing to do."""
REGISTRATION = "registration"
"""No load either: registration alone, in transactions as large as they get, without a gateway."""

QUICK = ("10k", "512k", REGISTRATION, IDLE)


def shortened(workload: Workload) -> Workload:
    """Return a workload at a size for a quick look."""
    return replace(workload, seconds=workload.seconds / 2, instances=max(workload.instances // 2, 1))
