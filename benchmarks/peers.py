"""The peers: other programs that receive by C-STORE and write files. Each is started as its makers would for speed.

All are told to announce the PDU length of the workload, and their output goes to /dev/null. They name their files by
SOPInstanceUID, which is different for each instance that is sent, so no file is written twice.
"""

import contextlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from benchmarks.errors import BenchmarkError
from benchmarks.figures import Figure
from benchmarks.load import Outcome
from benchmarks.server import RunningServer, Server, free_port, process
from benchmarks.workloads import DCMTK, DCMTK_BITS, DICOM_RS, ORTHANC, PYNETDICOM, Workload

DICOM_RS_VARIABLE = "DICOM_STORESCP"
"""Where dicom-rs's program is, when it is not on the PATH."""
_CARGO_BIN = os.path.expanduser("~/.cargo/bin")
_NO_DELAY = {"TCP_NODELAY": "1"}
"""Without it DCMTK's network code, which Orthanc uses too, waits 40 ms for an acknowledgement now and then."""


def find_dicom_rs(program: str = "dicom-storescp", variable: str = DICOM_RS_VARIABLE) -> str | None:
    """Return the path of a program of dicom-rs, whose names are others than those of DCMTK."""
    named = os.environ.get(variable)
    if named:
        return shutil.which(named)
    return shutil.which(program) or shutil.which(program, path=_CARGO_BIN)


@dataclass(frozen=True)
class Peer(Server):
    """A program that is told everything by its command line."""

    name: str
    title: str
    find: Callable[[], str | None]
    """Returns its path, or None."""
    arguments: Callable[[int, str, int], Sequence[str]]
    """Of port, directory and PDU length."""
    remedy: str
    environment: Mapping[str, str] = field(default_factory=dict)

    def why_missing(self) -> str:
        return "" if self.find() else f"not installed: {self.remedy}"

    @contextlib.contextmanager
    def running(self, directory: str, workload: Workload) -> Iterator[RunningServer]:
        port = free_port()
        command = [self.find() or "", *self.arguments(port, directory, workload.max_pdu_bytes)]
        with process(command, [port], self.environment) as started:
            yield RunningServer(started, port, directory)


@dataclass(frozen=True)
class Orthanc(Server):
    """Orthanc stores an instance and its index entry before it answers, so it is more than a writer of files."""

    name: str = ORTHANC
    title: str = "Orthanc"
    environment: Mapping[str, str] = field(default_factory=lambda: _NO_DELAY)

    def why_missing(self) -> str:
        return "" if shutil.which("Orthanc") else "not installed: apt-get install orthanc"

    @contextlib.contextmanager
    def running(self, directory: str, workload: Workload) -> Iterator[RunningServer]:
        port, http_port = free_port(), free_port()
        settings = {
            "DicomAlwaysAllowStore": True,
            "DicomThreadsCount": max(workload.associations, 4),
            "MaximumPduLength": workload.max_pdu_bytes,
        }
        with run_orthanc(directory, port, http_port, settings, self.environment) as started:
            yield _RunningOrthanc(started, port, directory, http_port)


@contextlib.contextmanager
def run_orthanc(
    directory: str, port: int, http_port: int, settings: Mapping[str, object], environment: Mapping[str, str]
) -> Iterator["subprocess.Popen[bytes]"]:
    """Start an Orthanc that keeps everything below `directory`, with `settings` besides; end it at the end."""
    configuration = {
        "StorageDirectory": os.path.join(directory, "storage"),
        "IndexDirectory": os.path.join(directory, "index"),
        "HttpPort": http_port,
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": False,
        "DicomPort": port,
        **settings,
    }
    path = os.path.join(directory, "orthanc.json")
    with open(path, "w", encoding="utf-8") as file:
        json.dump(configuration, file)
    with process(["Orthanc", path], [port, http_port], environment) as started:
        yield started


class _RunningOrthanc(RunningServer):
    def __init__(self, started: subprocess.Popen[bytes], port: int, directory: str, http_port: int) -> None:
        super().__init__(started, port, directory)
        self._http_port = http_port

    def verify(self, outcome: Outcome) -> dict[Figure, float]:
        """Its own count, and the bytes of its storage: its files have names and companions of its own."""
        statistics = self._statistics()
        if statistics["CountInstances"] != outcome.instances:
            raise BenchmarkError(
                f"{outcome.instances} instances were answered with Success, Orthanc has {statistics['CountInstances']}"
            )
        if int(statistics["TotalDiskSize"]) < sum(outcome.sizes_bytes) * 0.999:
            raise BenchmarkError(f"Orthanc has stored only {statistics['TotalDiskSize']} bytes")
        return {}

    def stored_count(self) -> int:
        return int(self._statistics()["CountInstances"])

    def _statistics(self) -> dict[str, Any]:
        url = f"http://127.0.0.1:{self._http_port}/statistics"
        with urllib.request.urlopen(url, timeout=30) as response:
            statistics: dict[str, Any] = json.load(response)
        return statistics


PEERS: Sequence[Server] = (
    Peer(
        DCMTK,
        "DCMTK storescp --fork",
        lambda: shutil.which("storescp"),
        lambda port, directory, pdu: ["--fork", "--output-directory", directory, "--max-pdu", str(pdu), str(port)],
        "apt-get install dcmtk",
        _NO_DELAY,
    ),
    Peer(
        DCMTK_BITS,
        "DCMTK storescp --fork +B",
        lambda: shutil.which("storescp"),
        lambda port, directory, pdu: [
            "--fork",
            "+B",
            "--output-directory",
            directory,
            "--max-pdu",
            str(pdu),
            str(port),
        ],
        "apt-get install dcmtk",
        _NO_DELAY,
    ),
    Peer(
        DICOM_RS,
        "dicom-rs dicom-storescp",
        find_dicom_rs,
        # Without --non-blocking it serves one association after the other.
        lambda port, directory, pdu: ["--non-blocking", "-p", str(port), "-o", directory, "-m", str(pdu)],
        f"cargo install dicom-storescp (then on the PATH, or name it in {DICOM_RS_VARIABLE})",
    ),
    Peer(
        PYNETDICOM,
        "pynetdicom storescp",
        lambda: sys.executable if importlib.util.find_spec("pynetdicom") else None,
        lambda port, directory, pdu: [
            *("-m", "pynetdicom", "storescp", "--quiet"),
            *("--output-directory", directory, "--max-pdu", str(pdu), str(port)),
        ],
        "pip install pynetdicom",
    ),
    Orthanc(),
)
