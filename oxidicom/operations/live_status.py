"""What a running gateway says at `/status.json`, as far as `oxidicom top` shows it.

Another version may say less or more: what is missing has a default, what is unknown is passed over.
"""

import http.client
import urllib.error
import urllib.request
from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from oxidicom.errors import OperationError
from oxidicom.files.foreign_json import NOT_READABLE
from oxidicom.judgement.judgement import Judgement, Level
from oxidicom.moments import Moment

_TIMEOUT_SECONDS = 5.0
_MAX_BYTES = 8 * 1024 * 1024


class LiveTotals(msgspec.Struct):
    """Since the gateway was started, but for what is under way."""

    associations_open: int = 0
    associations_accepted: int = 0
    associations_rejected: int = 0
    instances_received: int = 0
    instances_refused: int = 0
    instances_registered: int = 0
    bytes_received: int = 0


class LiveSample(msgspec.Struct):
    """Some seconds of the last hour."""

    received_per_second: float = 0.0
    registered_per_second: float = 0.0
    lag_seconds: float | None = None


class SeriesBar(msgspec.Struct):
    """A series under way."""

    series_instance_uid: str = ""
    received: int = 0
    registered: int = 0
    set_aside: int = 0
    expected: int | None = None


class LiveAssociation(msgspec.Struct):
    """An association that is not wholly registered."""

    calling_ae_title: str = ""
    peer: str = ""
    is_open: bool = False
    received: int = 0
    received_per_second: float = 0.0
    registered: int = 0
    series: list[SeriesBar] = []
    more_series: int = 0


class UnderWay(msgspec.Struct):
    """All of them."""

    associations: list[LiveAssociation] = []
    more: int = 0


class LivePacs(msgspec.Struct):
    """What a calling AE title brought."""

    calling_ae_title: str = ""
    associations: int = 0
    instances: int = 0
    size_bytes: int = 0
    last_seen: Moment | None = None


class LiveSeries(msgspec.Struct):
    """What became of a series."""

    at: Moment
    calling_ae_title: str = ""
    series_instance_uid: str = ""
    received: int = 0
    registered: int = 0
    expected: int | None = None
    verdict: str = ""


class LiveWaiting(msgspec.Struct):
    """What stands in the spool."""

    entries: int = 0
    oldest_seconds: float = 0.0


class AssociationAside(msgspec.Struct):
    """What was set aside of one association."""

    files: int = 0


class LiveAside(msgspec.Struct):
    """What was set aside."""

    associations: list[AssociationAside] = []
    more: int = 0


class LiveStorage(msgspec.Struct):
    """The room in the storage."""

    free_bytes: int = 0
    total_bytes: int = 0


class LiveStatus(msgspec.Struct):
    """Everything that is shown."""

    at: Moment
    version: str = ""
    ae_title: str = ""
    port: int = 0
    phase: str = ""
    judgement: Judgement = Judgement(Level.OK, ())
    database: str = ""
    totals: LiveTotals = msgspec.field(default_factory=LiveTotals)
    under_way: UnderWay = msgspec.field(default_factory=UnderWay)
    hour: list[LiveSample] = []
    pacs: list[LivePacs] = []
    series: list[LiveSeries] = []
    waiting: LiveWaiting = msgspec.field(default_factory=LiveWaiting)
    set_aside: LiveAside = msgspec.field(default_factory=LiveAside)
    storage: LiveStorage | None = None


def status_address(page: str) -> str:
    """Return where the status of the page at `page` is. Raise OperationError."""
    if not page.startswith(("http://", "https://")):
        raise OperationError(f"{page} is not the address of a page: http://host:port/ is expected")
    return page if page.endswith("/status.json") else f"{page.rstrip('/')}/status.json"


class Page(NamedTuple):
    """The page that is asked."""

    address: str
    """Of its status."""
    ports: Sequence[int] = ()
    """The DICOM ports of the gateways whose page it may be; none: any gateway's."""

    def fetch(self) -> LiveStatus:
        """Ask the gateway how it is. Raise OperationError when it does not answer as that gateway does."""
        status = fetch(self.address)
        if self.ports and status.port and status.port not in self.ports:
            ours = ", ".join(map(str, self.ports))
            raise OperationError(
                f"{self.address} is the page of another gateway, with PORT={status.port}; ours has PORT={ours}: "
                "set CHRIS_HTTP_PORT to a port of its own, or choose a page by --url"
            )
        return status


def fetch(address: str) -> LiveStatus:
    """Ask the gateway how it is. Raise OperationError when it does not answer as a gateway does."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(address, timeout=_TIMEOUT_SECONDS) as response:
            data = response.read(_MAX_BYTES)
    except urllib.error.HTTPError as error:
        error.close()
        raise OperationError(
            f"{address} answers with HTTP status {error.code}: is that the page of a gateway?"
        ) from None
    except (OSError, ValueError, http.client.HTTPException) as error:
        reason = error.reason if isinstance(error, urllib.error.URLError) else error
        trouble = reason.strerror if isinstance(reason, OSError) and reason.strerror else reason
        raise OperationError(f"no answer from {address}: {trouble}") from None
    try:
        return msgspec.json.decode(data, type=LiveStatus)
    except NOT_READABLE:
        raise OperationError(f"what {address} answers is not the status of a gateway") from None
