"""The workloads: what is sent over how many associations, and which servers meet it. This file is a table."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.datasets import Content, templates_of

DCMTK, DCMTK_BITS, PYNETDICOM, ORTHANC, DICOM_RS = "dcmtk", "dcmtk-b", "pynetdicom", "orthanc", "dicom-rs"
FLOOR_DISCARD, FLOOR_WRITE = "floor-discard", "floor-write"
GATEWAY, BASELINE = "oxidicom", "baseline"
EVERYONE = (DCMTK, DCMTK_BITS, PYNETDICOM, ORTHANC, DICOM_RS, FLOOR_DISCARD, FLOOR_WRITE)
FAST = (DCMTK, DCMTK_BITS, DICOM_RS, FLOOR_WRITE)

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
    peers: Sequence[str] = ()
    """Which servers meet it beside this gateway."""
    max_pdu_bytes: int = _SHORT_PDU
    """Servers are told to announce it, where they can be told; the sender obeys the lesser of the two."""
    instances: int = 100_000
    """At most, of each association."""
    seconds: float = 2.0
    until_synced: bool = False
    """Time ends when `syncfs` has returned: the peer's files are then as durable as ours."""
    pace: Pace | None = None
    prefilled_rows: int = 0

    @property
    def associations(self) -> int:
        return len(self.contents)

    @property
    def largest_bytes(self) -> int:
        """The length of its longest dataset."""
        return max(template.size_bytes for content in self.contents for template in templates_of(content))


def _small(name: str, title: str, associations: int = 2, **changes: object) -> Workload:
    workload = Workload(name, title, [Content.SMALL_EXPLICIT] * associations, FAST, instances=8000 // associations)
    return _made(workload, changes)


def _large(name: str, title: str, associations: int = 2, **changes: object) -> Workload:
    # About 512 MB: below what Linux lets become dirty before it makes writers wait.
    workload = Workload(name, title, [Content.LARGE_EXPLICIT] * associations, FAST, _LONG_PDU, 1024 // associations)
    return _made(dataclasses.replace(workload, seconds=10.0), changes)


def _made(workload: Workload, changes: dict[str, object]) -> Workload:
    return dataclasses.replace(workload, **changes)  # type: ignore[arg-type]


_MIX = (*[Content.SMALL_EXPLICIT] * 2, *[Content.SMALL_IMPLICIT] * 2, *[Content.LARGE_EXPLICIT] * 2)

WORKLOADS: Sequence[Workload] = (
    _small("10k", "10 KB, 2 associations", peers=EVERYONE),
    _large("512k", "512 KB, 2 associations", peers=EVERYONE),
    _large("512k-synced", "512 KB, 2 associations, until syncfs returns", until_synced=True, peers=(DCMTK, DICOM_RS)),
    _small("10k-1", "10 KB, 1 association", 1, peers=(DCMTK,)),
    _small("10k-8", "10 KB, 8 associations", 8, peers=(DCMTK,)),
    _small("10k-32", "10 KB, 32 associations", 32, peers=(DCMTK,)),
    _large("512k-1", "512 KB, 1 association", 1, peers=(DCMTK,)),
    _large("512k-8", "512 KB, 8 associations", 8, peers=(DCMTK,)),
    _large("512k-32", "512 KB, 32 associations", 32, peers=(DCMTK,)),
    _small("10k-implicit", "10 KB, implicit VR", contents=[Content.SMALL_IMPLICIT] * 2, peers=(DCMTK,)),
    _large("512k-implicit", "512 KB, implicit VR", contents=[Content.LARGE_IMPLICIT] * 2, peers=(DCMTK,)),
    _large("512k-pdu16", "512 KB, PDUs of 16 KiB", max_pdu_bytes=_SHORT_PDU, peers=(DCMTK,)),
    Workload("ct", "CT series of 531 slices, 1 association", [Content.CT_SERIES], (DCMTK,), _LONG_PDU, 531, 30.0),
    Workload("1g", "one instance of 1 GiB", [Content.GIBIBYTE], (DCMTK, DCMTK_BITS), _LONG_PDU, 1, 60.0),
    Workload("mix", "mix: 4 × 10 KB, 2 × 512 KB", _MIX, (DCMTK,), _LONG_PDU, 100_000, 1.5),
    _small("10k-sustained", "10 KB, 8 associations at 70 %", 8, peers=(), pace=Pace("10k-8", 0.7), instances=100_000),
    _large("512k-sustained", "512 KB, 8 associations at 70 %", 8, peers=(), pace=Pace("512k-8", 0.7)),
    _small("10k-rows-1k", "10 KB, 1,000 rows before", peers=(), prefilled_rows=1_000),
    _small("10k-rows-1m", "10 KB, 1,000,000 rows before", peers=(), prefilled_rows=1_000_000),
)
IDLE = "idle"
"""Not a load: 64 listeners that had one association each, and nothing to do."""

QUICK = ("10k", "512k", IDLE)


def shortened(workload: Workload) -> Workload:
    """Return a workload at a size for a quick look."""
    return dataclasses.replace(workload, seconds=workload.seconds / 2, instances=max(workload.instances // 2, 1))
