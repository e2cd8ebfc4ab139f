"""Orthanc as the PACS that sends what it holds: by its own push, and when it is asked by C-MOVE."""

import contextlib
import http.client
import json
import os
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from benchmarks.datasets import STUDY_INSTANCE_UID
from benchmarks.errors import BenchmarkError
from benchmarks.peers import run_orthanc
from benchmarks.senders.files import Series
from benchmarks.senders.running import Ran, run_side_by_side
from benchmarks.senders.sender import Address, Sender
from benchmarks.server import free_port

ORTHANC_PUSH, ORTHANC_MOVE = "orthanc-push", "orthanc-move"
_TITLE = "PACS"
_RECEIVER = "RECEIVER"
_SECONDS = 300.0
_SETTINGS = {
    "SyncStorageArea": False,  # it takes files in before the clock runs
    "DicomAet": _TITLE,
    "DicomAlwaysAllowMove": True,
}


class Pacs:
    """An Orthanc with its defaults, which holds what it was given. Entering starts it, leaving stops it."""

    def __init__(self, directory: str) -> None:
        """It keeps its files below `directory`."""
        self._directory = directory
        self.port, self._http_port = free_port(), free_port()
        self._ids: dict[str, str] = {}  # its own names of series, by SeriesInstanceUID
        self._ends = contextlib.ExitStack()

    def __enter__(self) -> Self:
        os.mkdir(self._directory)
        self._ends.enter_context(run_orthanc(self._directory, self.port, self._http_port, _SETTINGS, {}))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ends.close()

    def load(self, series: Series) -> None:
        """Take in the files of a series, unless it has them."""
        if series.series_instance_uid in self._ids:
            return
        for path in series.paths:
            with open(path, "rb") as file:
                answer = self._ask("POST", "/instances", file.read())
        self._ids[series.series_instance_uid] = json.loads(answer)["ParentSeries"]

    def know_receiver(self, address: Address) -> None:
        """From now on the receiver is there."""
        receiver = {"AET": _RECEIVER, "Host": address.host, "Port": address.port}
        self._ask("PUT", f"/modalities/{_RECEIVER}", json.dumps(receiver).encode())

    def push(self, series: Series) -> None:
        """Send a series to the receiver; return when it is sent."""
        wanted = {"Resources": [self._ids[series.series_instance_uid]], "Synchronous": True}
        self._ask("POST", f"/modalities/{_RECEIVER}/store", json.dumps(wanted).encode())

    def _ask(self, method: str, path: str, body: bytes) -> bytes:
        """Return the answer of its REST interface. Raise BenchmarkError when that is no success."""
        connection = http.client.HTTPConnection("127.0.0.1", self._http_port, timeout=_SECONDS)
        try:
            connection.request(method, path, body)
            response = connection.getresponse()
            answer = response.read()
        except (OSError, http.client.HTTPException) as error:
            raise BenchmarkError(f"Orthanc, {method} {path}: {error}") from error
        finally:
            connection.close()
        if response.status != http.HTTPStatus.OK:
            raise BenchmarkError(f"Orthanc, {method} {path}: {response.status} {answer.decode(errors='replace'):.500}")
        return answer


@dataclass(frozen=True)
class Push(Sender):
    """Orthanc sends because its REST interface was told to."""

    pacs: Pacs
    name: str = ORTHANC_PUSH
    title: str = "Orthanc, push"
    is_parallel: bool = False

    def why_missing(self) -> str:
        return _why_missing("Orthanc", "orthanc")

    def load(self, series: Sequence[Series]) -> None:
        for one in series:
            self.pacs.load(one)

    def send(self, series: Sequence[Series], to: Address) -> Ran:
        self.pacs.know_receiver(to)
        began = time.monotonic()
        for one in series:
            self.pacs.push(one)
        return Ran(time.monotonic() - began)


@dataclass(frozen=True)
class Move(Push):
    """Orthanc sends because DCMTK's movescu has asked it to by C-MOVE at the level of series."""

    name: str = ORTHANC_MOVE
    title: str = "Orthanc, C-MOVE"

    def why_missing(self) -> str:
        return super().why_missing() or _why_missing("movescu", "dcmtk")

    def send(self, series: Sequence[Series], to: Address) -> Ran:
        self.pacs.know_receiver(to)
        return run_side_by_side([self._command(one) for one in series])

    def _command(self, series: Series) -> list[str]:
        keys = {
            "QueryRetrieveLevel": "SERIES",
            "StudyInstanceUID": STUDY_INSTANCE_UID,
            "SeriesInstanceUID": series.series_instance_uid,
        }
        options = [word for name, value in keys.items() for word in ("-k", f"{name}={value}")]
        return ["movescu", "-S", "-aec", _TITLE, "-aem", _RECEIVER, *options, "127.0.0.1", str(self.pacs.port)]


def _why_missing(program: str, package: str) -> str:
    return "" if shutil.which(program) else f"not installed: apt-get install {package}"
