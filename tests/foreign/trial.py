"""One client in one mode: it sends the files to the gateway, and what came of them is judged.

What a client does not get into DCMTK's storescp either, or only so that pydicom cannot read it there, is its own
limit. A client that encodes anew what it sends is measured by the bytes that it sent there, or, where it chose
another transfer syntax for us, by the values.
"""

import dataclasses
import os
import subprocess
import warnings
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeAlias

import pydicom

from tests.dicom import dataset_bytes, file_meta_of
from tests.foreign.clients import EXTRAS, Client, Command, Job
from tests.foreign.peers import Receiver, storescp

_SECONDS = 180
_AT_ONCE = 4
_ROOT = Path(__file__).parents[2]

Measured: TypeAlias = Mapping[str, Sequence[Path]]
"""What came of a client at storescp, by SOP Instance UID."""


@dataclasses.dataclass(slots=True)
class Outcome:
    """What came of the files."""

    client: str
    mode: str
    sent: int
    stored: int = 0
    own_limit: int = 0
    """Neither stored by the gateway nor by storescp."""
    same_as_file: int = 0
    same_as_sent: int = 0
    """Not those of the file, but those that the client sent to storescp."""
    same_values: int = 0
    """Encoded in another way than for storescp, with the values that it sent there or those of the file."""
    rows: int = 0
    """Rows whose values are those of the stored file."""
    trouble: list[str] = dataclasses.field(default_factory=list)

    @property
    def is_right(self) -> bool:
        whole = self.same_as_file + self.same_as_sent + self.same_values == self.stored == self.rows
        return whole and self.stored + self.own_limit == self.sent


def measure(client: Client, job: Job, directory: Path) -> Measured:
    """Let a client send to storescp, over one association and over several; return what can be read of that.

    A client may encode a file otherwise when other files are proposed beside it.
    """
    measured: dict[str, list[Path]] = {}
    for number, commands in enumerate([mode for name, mode in client.modes.items() if name not in EXTRAS]):
        received = directory / str(number)
        received.mkdir(parents=True)
        with storescp(received) as port:
            _send(client, commands(dataclasses.replace(job, port=port)))
        for path in received.iterdir():
            if path.name != "log.txt" and _is_readable(path):
                measured.setdefault(_uid_of(path), []).append(path)
    return measured


def _is_readable(path: Path) -> bool:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return "SOPInstanceUID" in pydicom.dcmread(path)
        except Exception:  # noqa: BLE001 (of a file that is damaged in whatever way)
            return False


def try_mode(client: Client, mode: str, job: Job, receiver: Receiver, measured: Measured) -> Outcome:
    """Let a client send to the gateway in one mode, and judge."""
    outcome = Outcome(client.name, mode, len(job.files))
    outcome.trouble += _send(client, client.modes[mode](job))
    rows = receiver.rows(job.ae_title)
    for file in job.files:
        uid = _uid_of(file)
        row = rows.get(uid)
        if row is None:
            outcome.own_limit += uid not in measured
            if uid in measured:
                outcome.trouble.insert(0, f"{file.name} is not stored")
            continue
        outcome.stored += 1
        _judge_bytes(outcome, file, receiver.path(row), measured.get(uid, []))
        outcome.rows += _agrees(row, receiver.path(row))
    return outcome


def _send(client: Client, commands: Sequence[Command]) -> list[str]:
    """Run commands, four side by side; return what those said that did not end well."""
    with ThreadPoolExecutor(_AT_ONCE) as threads:
        return [line for lines in threads.map(lambda command: _run(client, command), commands) for line in lines]


def _run(client: Client, command: Command) -> list[str]:
    environment = {**os.environ, "TCP_NODELAY": "1", **client.environment}
    try:
        done = subprocess.run(
            command,
            env=environment,
            cwd=_ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=_SECONDS,
        )
    except subprocess.TimeoutExpired:
        return [f"{command[0]} took longer than {_SECONDS} s"]
    return done.stdout.strip().splitlines()[-3:] if done.returncode else []


def _uid_of(path: Path) -> str:
    return str(file_meta_of(path).MediaStorageSOPInstanceUID)


def _judge_bytes(outcome: Outcome, file: Path, stored: Path, measured: Sequence[Path]) -> None:
    data = dataset_bytes(stored)
    if data == dataset_bytes(file):
        outcome.same_as_file += 1
    elif any(data == dataset_bytes(path) for path in measured):
        outcome.same_as_sent += 1
    elif any(_has_values_of(stored, path) for path in (*measured, file)):
        outcome.same_values += 1
    else:
        outcome.trouble.append(f"{file.name} is stored otherwise than it was sent")


def _has_values_of(stored: Path, other: Path) -> bool:
    """Compare all values; of a client that transcodes all but the pixel data, which are encoded otherwise."""
    values = _values_of(stored), _values_of(other)
    if file_meta_of(stored).TransferSyntaxUID != file_meta_of(other).TransferSyntaxUID:
        for dataset in values:
            dataset.pop("PixelData", None)
    return values[0] == values[1]


def _values_of(path: Path) -> pydicom.Dataset:
    """Return all values but group lengths and padding, which say nothing and which encoders leave out."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dataset = pydicom.dcmread(path)
        dataset.walk(_drop_group_length)
        dataset.pop("DataSetTrailingPadding", None)
    return pydicom.Dataset(dataset)


def _drop_group_length(parent: pydicom.Dataset, element: pydicom.DataElement) -> None:
    if element.tag.element == 0:
        del parent[element.tag]


_COLUMNS = ("PatientID", "StudyInstanceUID", "SeriesInstanceUID", "Modality", "StudyDescription", "SeriesDescription")


def _agrees(row: dict[str, object], path: Path) -> bool:
    """Tell whether a row says what pydicom reads in the file."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dataset = pydicom.dcmread(path, stop_before_pixels=True)
        return all(row[column] == str(dataset.get(column) or "").replace("\0", "").strip() for column in _COLUMNS)
