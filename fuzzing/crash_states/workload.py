"""The load of a recording: several senders at once, small and large instances, old series sent again with new content.

Beside them a PACS that tells how many instances a series has: after the crash there is none.
"""

import random
import socket
import threading
from collections.abc import Iterator
from typing import Any

from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage
from pynetdicom import AE, build_context, evt
from pynetdicom.association import Association
from pynetdicom.events import Event

SENDERS = ("SENDER1", "SENDER2", "SENDER3")
_FIND = "1.2.840.10008.5.1.4.1.2.2.1"
_COLUMNS = 256
_SMALL_ROWS, _LARGE_ROWS = (2, 40), (280, 350)
"""A large instance does not fit what is kept in the receive buffer, so it is written piece by piece."""
_IN_SERIES = (2, 5)
_SECONDS = 20.0


class Sender(threading.Thread):
    """Sends series after series, each over an association of its own, until there are enough."""

    def __init__(self, number: int, port: int, seed: str, associations: int) -> None:
        super().__init__(daemon=True)
        self._number, self._port, self._associations = number, port, associations
        self._seed = seed
        self._chance = random.Random(f"{seed}/{number}")
        self.acknowledged = 0

    def run(self) -> None:
        """Send. A gateway that dies ends it."""
        for count in range(self._associations):
            if not self._send(list(self._instances(count))):
                return

    def _instances(self, count: int) -> Iterator[Dataset]:
        """Yield the instances of one association: of two series, the second may be one that was sent before."""
        for series in (count, count - 2 if self._chance.random() < 0.4 and count > 1 else count + 100):
            for number in range(1, self._chance.randint(*_IN_SERIES) + 1):
                yield self._instance(f"1.2.826.{self._number}.{self._seed_number}.{series}", number)

    @property
    def _seed_number(self) -> int:
        return random.Random(self._seed).randrange(1, 10**6)

    def _instance(self, series_uid: str, number: int) -> Dataset:
        dataset = Dataset()
        dataset.SOPClassUID = SecondaryCaptureImageStorage
        dataset.SOPInstanceUID = f"{series_uid}.{number}"
        dataset.StudyInstanceUID = f"1.2.826.{self._number}"
        dataset.SeriesInstanceUID = series_uid
        dataset.PatientID = f"CRASH-{self._number}"
        dataset.PatientName = "CRASH^TEST"
        dataset.StudyDate = "20200101"
        dataset.Modality = "OT"
        dataset.SeriesNumber = 1
        dataset.InstanceNumber = number
        dataset.SamplesPerPixel = 1
        dataset.PhotometricInterpretation = "MONOCHROME2"
        dataset.Rows = self._chance.randint(*(_LARGE_ROWS if self._chance.random() < 0.25 else _SMALL_ROWS))
        dataset.Columns = _COLUMNS
        dataset.BitsAllocated = dataset.BitsStored = 8
        dataset.HighBit = 7
        dataset.PixelRepresentation = 0
        pixels = self._chance.randbytes(dataset.Rows * _COLUMNS)
        dataset.PixelData = pixels.replace(b"\0", b"\1")  # a page that is lost is zero
        dataset["PixelData"].VR = "OB"
        dataset.ensure_file_meta()
        dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        return dataset

    def _send(self, datasets: list[Dataset]) -> bool:
        entity = AE(SENDERS[self._number])
        entity.requested_contexts = [build_context(SecondaryCaptureImageStorage, ExplicitVRLittleEndian)]
        entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = entity.connection_timeout = _SECONDS
        opened: list[socket.socket] = []
        handlers = [(evt.EVT_CONN_OPEN, lambda event: opened.extend(_socket_of(event.assoc)))]
        association = entity.associate("127.0.0.1", self._port, evt_handlers=handlers)  # type: ignore[arg-type]
        try:
            return self._send_over(association, datasets)
        finally:  # pynetdicom leaves it open when the peer is gone: it shuts it down first, and that fails
            for one in (*opened, *_socket_of(association)):
                one.close()

    def _send_over(self, association: Association, datasets: list[Dataset]) -> bool:
        _leave_responses_to_the_caller(association)
        for dataset in datasets:
            if not association.is_established:
                return False
            status = association.send_c_store(dataset)
            self.acknowledged += "Status" in status and status.Status == 0
        if not association.is_established:
            return False
        association.release()
        return True


class Pacs:
    """Answers each C-FIND of the gateway with a number that is never right, so that no second row can equal it."""

    def __init__(self) -> None:
        entity = AE("ANY")
        entity.add_supported_context(_FIND)
        started = entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_FIND, _on_find)])
        assert started is not None
        self._server = started
        self.port: int = started.server_address[1]

    def close(self) -> None:
        """End it."""
        self._server.shutdown()


def _on_find(event: Event) -> Iterator[tuple[int, Dataset | None]]:
    query = event.identifier
    found = Dataset()
    found.QueryRetrieveLevel = query.QueryRetrieveLevel
    found.StudyInstanceUID = query.StudyInstanceUID
    found.SeriesInstanceUID = query.SeriesInstanceUID
    found.NumberOfSeriesRelatedInstances = 77
    yield 0xFF00, found


def _leave_responses_to_the_caller(association: Association) -> None:
    """Keep pynetdicom's own thread from taking a response that comes before the thread is paused."""
    get_message: Any = association.dimse.get_msg

    def get(block: bool = False) -> Any:  # noqa: ANN401 (what pynetdicom returns)
        return get_message(block) if block else (None, None)

    association.dimse.get_msg = get  # type: ignore[method-assign]


def _socket_of(association: Association) -> list[socket.socket]:
    """Return the socket of an association, if it has one."""
    transport = association.dul.socket
    return [transport.socket] if transport and transport.socket else []
