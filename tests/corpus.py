"""`python -m tests.corpus FOLDER …`: what becomes of folders of DICOM files that are sent to a gateway as they are.

Each file is sent as the bytes of its dataset, in its own transfer syntax, to a gateway and a private PostgreSQL that
are started for it. The report has what was stored, what was refused and why, and where a row differs from what pydicom
reads of the file. Files without the required attributes are sent a second time, with these set by pydicom.
"""

import collections
import contextlib
import dataclasses
import datetime
import io
import shutil
import signal
import sys
import tempfile
import warnings
import zlib
from pathlib import Path

import pydicom
from pydicom.filebase import DicomBytesIO
from pydicom.filereader import _read_file_meta_info, read_preamble
from pydicom.filewriter import write_dataset
from rich.console import Console
from rich.table import Table

from oxidicom.embedded.server import EmbeddedPostgres
from tests.dicom import dataset_bytes
from tests.fixtures.gateway import Gateway
from tests.fixtures.postgres import read_rows
from tests.raw_sender import NotAcceptedError, RawSender
from tests.waiting import wait_until

REQUIRED = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "PatientID", "StudyDate")
TYPICAL = {
    "StudyInstanceUID": "1.2.826.0.1.1",
    "SeriesInstanceUID": "1.2.826.0.1.2",
    "PatientID": "P1",
    "StudyDate": "20200101",
}
"""What a file gets that has none of its own."""

_SYNTAXES: dict[tuple[bool | None, bool | None], str] = {
    (True, True): "1.2.840.10008.1.2",
    (False, True): "1.2.840.10008.1.2.1",
    (False, False): "1.2.840.10008.1.2.2",
}
"""By what pydicom says of an encoding: implicit, little endian."""
_DEFLATED = "1.2.840.10008.1.2.1.99"


@dataclasses.dataclass
class Sample:
    """A dataset as it is sent, and what pydicom reads of it."""

    path: Path
    encoded: bytes
    transfer_syntax: str
    sop_class: str
    sop_instance: str
    dataset: pydicom.Dataset


@dataclasses.dataclass
class Outcome:
    """What became of a sample."""

    sample: Sample
    calling: str
    """The AE title that it was sent under, and no other: its row is found by it."""
    status: int | None = None
    """None: the gateway takes nothing of its class."""
    comment: str = ""
    offending: object = None
    differences: list[str] = dataclasses.field(default_factory=list)

    @property
    def is_stored(self):
        return self.status == 0


def read_samples(folders):
    """Yield every file below the folders that pydicom takes for an instance."""
    for folder in folders:
        for path in sorted(Path(folder).rglob("*")):
            if path.is_file() and (sample := read_sample(path)):
                yield sample


def read_sample(path):
    """Return a file as a sample, or None if pydicom finds nothing in it that names an instance."""
    with warnings.catch_warnings(), contextlib.suppress(Exception):  # some are broken on purpose
        warnings.simplefilter("ignore")
        content = path.read_bytes()
        file = io.BytesIO(content)
        read_preamble(file, force=True)
        meta = _read_file_meta_info(file)
        dataset = pydicom.dcmread(path, force=True)
        if not dataset:  # of what is cut off inside its pixel data pydicom returns nothing at all
            dataset = pydicom.dcmread(path, force=True, stop_before_pixels=True)
        sop_class = dataset.get("SOPClassUID") or meta.get("MediaStorageSOPClassUID")
        sop_instance = dataset.get("SOPInstanceUID") or meta.get("MediaStorageSOPInstanceUID")
        syntax = meta.get("TransferSyntaxUID") or _SYNTAXES[dataset.original_encoding]
        if sop_class and sop_instance:
            return Sample(path, content[file.tell() :], str(syntax), str(sop_class), str(sop_instance), dataset)
    return None


def lacks(sample):
    """Tell whether a required attribute is missing or empty."""
    return any(not sample.dataset.get(keyword) for keyword in REQUIRED)


def completed(sample):
    """Return the sample with the required attributes that it lacks, or None if pydicom cannot write it."""
    with warnings.catch_warnings(), contextlib.suppress(Exception):
        warnings.simplefilter("ignore")
        dataset = pydicom.dcmread(sample.path, force=True)
        implicit, little_endian = dataset.original_encoding
        for keyword, value in (TYPICAL | {"SOPInstanceUID": sample.sop_instance}).items():
            if not dataset.get(keyword):
                setattr(dataset, keyword, value)
        return dataclasses.replace(sample, encoded=_encode(dataset, sample, implicit, little_endian), dataset=dataset)
    return None


def _encode(dataset, sample, implicit, little_endian):
    """Encode a dataset as it was, whatever its file meta says."""
    buffer = DicomBytesIO()
    buffer.is_implicit_VR, buffer.is_little_endian = implicit, little_endian
    write_dataset(buffer, dataset)
    if sample.transfer_syntax != _DEFLATED:
        return buffer.getvalue()
    deflater = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return deflater.compress(buffer.getvalue()) + deflater.flush()


def send_all(gateway, conninfo, samples, prefix):
    """Send each sample over an association of its own, wait for the rows, and compare them. Return the outcomes."""
    outcomes = [_send(gateway.port, sample, f"{prefix}{number}") for number, sample in enumerate(samples)]
    wait_until(lambda: not gateway.spooled(), "everything is registered", 120)
    rows = {row["identifier"]: row for row in read_rows(conninfo)}
    for outcome in outcomes:
        if outcome.is_stored:
            sample = outcome.sample
            outcome.differences = differences(gateway, rows.get(outcome.calling), sample.dataset, sample.encoded)
    return outcomes


def _send(port, sample, calling):
    outcome = Outcome(sample, calling)
    with (
        contextlib.suppress(NotAcceptedError),
        RawSender(port, sample.sop_class, sample.transfer_syntax, calling) as sender,
    ):
        response = sender.store(sample.encoded, sample.sop_class, sample.sop_instance)
        outcome.status = response.Status
        outcome.comment = response.get("ErrorComment", "")
        outcome.offending = response.get("OffendingElement")
    return outcome


def differences(gateway, row, dataset, encoded):
    """Say how the file and the row of what was sent as `encoded` are not what pydicom reads of it, `dataset`."""
    if row is None:
        return ["there is no row"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        is_same_file = dataset_bytes(gateway.files_root / row["fname"]) == encoded
        differing = [keyword for keyword in _TEXTS if not _is_same(row, keyword, dataset)]
        sex = str(dataset.get("PatientSex") or "")
        if row["PatientSex"] != (sex if sex in ("M", "F", "O") else ""):
            differing.append("PatientSex")
        if row["StudyDate"] != _date(dataset):
            differing.append("StudyDate")
    return ([] if is_same_file else ["the file"]) + [f"{keyword} is {row[keyword]!r}" for keyword in differing]


_TEXTS = {
    "StudyInstanceUID": 64,
    "SeriesInstanceUID": 64,
    "PatientID": 100,
    "PatientName": 150,
    "Modality": 15,
    "AccessionNumber": 100,
    "StudyDescription": 400,
    "SeriesDescription": 400,
    "ProtocolName": 64,
}
"""What a row has as text, and how much of it."""


def _is_same(row, keyword, dataset):
    # pydicom drops an empty last component group of a name; we keep what was sent
    found = row[keyword].rstrip("=")
    return found in {text[: _TEXTS[keyword]].rstrip("=") for text in _readings(dataset, keyword)}


def _readings(dataset, keyword):
    """Yield the first value as pydicom reads it, and as UTF-8, which pydicom does not recognize without its label."""
    value = dataset.get(keyword)
    first = value[0] if isinstance(value, pydicom.multival.MultiValue) and value else value
    text = str(first or "").replace("\0", "").strip()
    yield text
    with contextlib.suppress(UnicodeError):
        yield text.encode("latin-1").decode("utf-8")


def _date(dataset):
    text = str(dataset.get("StudyDate", "")).replace(".", "").replace("-", "").strip()
    return datetime.date.fromisoformat(text) if text else None


def report(console, outcomes, title):
    """Print what became of the samples, and what deserves a look."""
    counts = collections.Counter(_in_words(outcome) for outcome in outcomes)
    table = Table("outcome", "files", title=f"{title}: {len(outcomes)} files")
    for words, count in counts.most_common():
        table.add_row(words, str(count))
    console.print(table)
    for outcome in outcomes:
        if not outcome.is_stored or outcome.differences:
            details = "; ".join(outcome.differences) or f"{_in_words(outcome)} {outcome.offending or ''}"
            console.print(f"  {outcome.sample.path.name}: {details}", markup=False, highlight=False)


def _in_words(outcome):
    if outcome.status is None:
        return "class or syntax not accepted"
    if outcome.is_stored:
        return "stored, but differs" if outcome.differences else "stored"
    return f"{outcome.status:04X} {outcome.comment}"


def main(folders):
    console = Console(width=max(120, Console().width))
    if not folders:
        console.print(__doc__, markup=False)
        return 2
    base = Path(tempfile.mkdtemp(prefix="oxidicom-corpus-"))
    base.chmod(0o755)
    database = EmbeddedPostgres(str(base / "postgres"))
    database.start()
    gateway = Gateway(base, database.conninfo)
    try:
        gateway.start()
        samples = list(read_samples(folders))
        outcomes = send_all(gateway, database.conninfo, samples, "A")
        report(console, outcomes, "as they are")
        lacking = [outcome.sample for outcome in outcomes if outcome.status and lacks(outcome.sample)]
        whole = [sample for sample in map(completed, lacking) if sample]
        completed_outcomes = send_all(gateway, database.conninfo, whole, "C")
        report(console, completed_outcomes, "with the required attributes")
        return int(any(outcome.differences for outcome in outcomes + completed_outcomes))
    finally:
        if gateway.process and gateway.process.poll() is None and gateway.stop(signal.SIGTERM) != 0:
            gateway.kill_all()
        database.stop()
        shutil.rmtree(base, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
