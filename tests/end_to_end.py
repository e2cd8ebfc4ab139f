"""`make integration-test`: the whole way, with a real Orthanc as the PACS and a table of what came of it.

Orthanc gets sample studies over its REST API, and pushes them by C-STORE (several at once) and by C-MOVE, compressed
ones too; then every file is compared with Orthanc's own copy, every row and both metadata rows of each series are
checked, and a second push must change nothing.

`--under service` does it with a gateway under the system call filter of the systemd unit, `--under container` with one
as in its container: `make least-power`.
"""

import argparse
import os
import shutil
import signal
import sys
import tempfile
import threading
import time
import uuid
from pathlib import Path

import psycopg
import pydicom
from pydicom.data import get_testdata_file
from pynetdicom import AE
from rich.console import Console
from rich.table import Table

from oxidicom.embedded.server import EmbeddedPostgres
from tests.dicom import dataset_bytes, make_series
from tests.fixtures.gateway import Gateway
from tests.fixtures.orthanc import Orthanc
from tests.fixtures.postgres import read_rows, with_its_password
from tests.sandbox import container, service
from tests.waiting import wait_until

_STUDY_ROOT_MOVE = "1.2.840.10008.5.1.4.1.2.2.2"
_COMPRESSED = ("JPEG2000.dcm", "MR_small_RLE.dcm", "examples_jpeg2k.dcm", "SC_rgb_jpeg_gdcm.dcm")
_COUNTS = "SELECT count(*), max(id) FROM pacsfiles_pacsfile"


class Failure(Exception):  # noqa: N818
    """Something is not as it has to be."""


def require(condition, what):
    if not condition:
        raise Failure(what)


def by_uid(paths):
    return {pydicom.dcmread(path, stop_before_pixels=True).SOPInstanceUID: path for path in paths}


def values_of(path):
    """Return all values but group lengths and padding, which say nothing and which encoders leave out."""
    dataset = pydicom.dcmread(path)
    dataset.walk(_without_group_length)
    dataset.pop("DataSetTrailingPadding", None)
    return pydicom.Dataset(dataset)


def _without_group_length(parent, element):
    if element.tag.element == 0:
        parent.pop(element.tag)


def main():
    parser = argparse.ArgumentParser(prog="python -m tests.end_to_end", description=__doc__)
    parser.add_argument("--under", choices=("service", "container"), help="what the gateway may do")
    under = parser.parse_args().under
    if under == "container" and (reason := "it needs root" if os.geteuid() else container.why_not()):
        parser.exit(1, f"{parser.prog}: {reason}\n")
    console = Console(width=max(100, Console().width))
    base = Path(tempfile.mkdtemp(prefix="oxidicom-e2e-"))
    base.chmod(0o755)
    database = EmbeddedPostgres(str(base / "postgres"))
    database.start()
    gateway = Gateway(base, with_its_password(database.conninfo), CHRIS_LISTENER_THREADS="8")
    (base / "orthanc").mkdir()
    orthanc = Orthanc(base / "orthanc", gateway.port)
    try:
        if under == "service":
            service.confine(gateway)
        if under == "container":
            container.confine(gateway, container.install(base))
        gateway.environment["CHRIS_PACS_ADDRESS"] = f"ORTHANC=127.0.0.1:{orthanc.dicom_port}"
        gateway.start()
        orthanc.wait()
        console.print(f"Orthanc {orthanc.get('/system')['Version']}, gateway on port {gateway.port}")
        run(Scenario(gateway, orthanc, database.conninfo, base), console)
    except (Failure, AssertionError, OSError, RuntimeError) as failure:
        console.print(f"[bold red]FAILED[/]: {failure}\nThe log of the gateway:")
        console.print(gateway.log_path.read_text()[-4000:], markup=False)
        return 1
    finally:
        orthanc.stop()
        if gateway.process and gateway.process.poll() is None and gateway.stop(signal.SIGTERM) != 0:
            gateway.kill_all()
        database.stop()
        shutil.rmtree(base, ignore_errors=True)
    console.print("[bold green]All of it is right.[/]")
    return 0


def run(scenario, console):
    table = Table("step", "studies", "series", "sent", "stored", "registered", "metadata", "seconds")
    scenario.load()
    for step in (scenario.push_at_once, scenario.move, scenario.push_again):
        began = time.monotonic()
        name, studies = step()
        series, sent = scenario.size_of(studies)
        scenario.settle()
        seconds = time.monotonic() - began
        rows, metadata = scenario.rows_of(studies), scenario.new_metadata()
        stored = sum((scenario.gateway.files_root / row["fname"]).is_file() for row in rows)
        table.add_row(
            name, str(len(studies)), str(series), str(sent), str(stored), str(len(rows)), str(len(metadata)),
            f"{seconds:.2f}",
        )  # fmt: skip
        require(len(rows) == stored == sent, f"{name}: {sent} sent, {stored} stored, {len(rows)} registered")
        scenario.check_metadata(name, studies, metadata)
    console.print(table)
    scenario.check_files()
    console.print(scenario.comparison)


class Scenario:
    def __init__(self, gateway, orthanc, conninfo, base):
        self.gateway, self.orthanc, self._conninfo, self._base = gateway, orthanc, conninfo, base
        self._metadata_seen = 0

    def load(self):
        """Three CT studies of two series each, and what pydicom has in compressed transfer syntaxes."""
        paths = []
        for number in range(3):
            study = f"1.2.826.0.1.3680043.2.{uuid.uuid4().int % 10**12}"
            for series in (1, 2):
                directory = self._base / f"sample-{number}-{series}"
                paths += make_series(
                    directory, 25, f"{study}.{series}", StudyInstanceUID=study, SeriesNumber=series,
                    PatientID=f"SAMPLE{number}",
                )  # fmt: skip
        for name in _COMPRESSED:
            dataset = pydicom.dcmread(str(get_testdata_file(name)))
            dataset.PatientID = dataset.get("PatientID") or "COMPRESSED"
            dataset.StudyDate = dataset.get("StudyDate") or "20200101"
            dataset.SeriesNumber, dataset.InstanceNumber = 1, 1
            path = self._base / name
            dataset.save_as(path)
            paths.append(path)
        self.orthanc.load(paths)
        studies = self.orthanc.get("/studies")
        require(len(studies) == 3 + len(_COMPRESSED), f"Orthanc has {len(studies)} studies")
        self._studies = sorted(studies, key=lambda study: -self.size_of([study])[1])

    def push_at_once(self):
        """C-STORE, each study over an association of its own, all at the same time; the largest is left for C-MOVE."""
        studies = self._studies[1:]
        threads = [threading.Thread(target=self.orthanc.store, args=[[study]]) for study in studies]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return "C-STORE, all at once", studies

    def move(self):
        study = self._studies[0]
        entity = AE("MOVER")
        entity.add_requested_context(_STUDY_ROOT_MOVE)
        association = entity.associate("127.0.0.1", self.orthanc.dicom_port, ae_title="ORTHANC")
        query = pydicom.Dataset()
        query.QueryRetrieveLevel = "STUDY"
        query.StudyInstanceUID = self._uid_of(study)
        final = [status.Status for status, _ in association.send_c_move(query, "ChRIS", _STUDY_ROOT_MOVE)][-1]
        association.release()
        require(final == 0, f"C-MOVE ended with status {final:04X}")
        return "C-MOVE", [study]

    def push_again(self):
        """What is there already: the files and their rows stay as they are."""
        before = self._fingerprint()
        self.orthanc.store(self._studies)
        self.settle()
        require(self._fingerprint() == before, "a second push changed files or rows")
        return "C-STORE again", self._studies

    def settle(self):
        wait_until(lambda: not self.gateway.spooled(), "everything is registered", 60)

    def _fingerprint(self):
        self.settle()
        return [(row["id"], row["fname"]) for row in read_rows(self._conninfo)], {
            name: dataset_bytes(self.gateway.files_root / name) for name in self.gateway.stored()
        }

    def _uid_of(self, study):
        return self.orthanc.get(f"/studies/{study}")["MainDicomTags"]["StudyInstanceUID"]

    def _series_of(self, studies):
        """Return the number of instances by Series Instance UID."""
        series = [one for study in studies for one in self.orthanc.get(f"/studies/{study}")["Series"]]
        details = [self.orthanc.get(f"/series/{one}") for one in series]
        return {one["MainDicomTags"]["SeriesInstanceUID"]: len(one["Instances"]) for one in details}

    def size_of(self, studies):
        counts = self._series_of(studies)
        return len(counts), sum(counts.values())

    def rows_of(self, studies):
        uids = {self._uid_of(study) for study in studies}
        return [row for row in read_rows(self._conninfo) if row["StudyInstanceUID"] in uids]

    def new_metadata(self):
        rows = [row for row in read_rows(self._conninfo, metadata=True) if row["id"] > self._metadata_seen]
        self._metadata_seen = max((row["id"] for row in rows), default=self._metadata_seen)
        return rows

    def check_metadata(self, name, studies, rows):
        """Both rows of each series say what Orthanc has."""
        found = sorted((row["SeriesInstanceUID"], row["ProtocolName"], row["SeriesDescription"]) for row in rows)
        expected = sorted(
            (uid, key, str(count))
            for uid, count in self._series_of(studies).items()
            for key in ("NumberOfSeriesRelatedInstances", "OxidicomAttemptedPushCount")
        )
        require(found == expected, f"{name}: metadata is {found}, and should be {expected}")

    def check_files(self):
        """Every file is Orthanc's own copy: byte for byte, or, where Orthanc encodes anew to send, value for value."""
        own = by_uid(self.orthanc.files(self._base / "own"))
        ours = by_uid(self.gateway.files_root / name for name in self.gateway.stored())
        require(own.keys() == ours.keys(), f"Orthanc has {len(own)} instances, {len(ours)} are stored")
        anew = [uid for uid in own if dataset_bytes(own[uid]) != dataset_bytes(ours[uid])]
        differing = [uid for uid in anew if values_of(own[uid]) != values_of(ours[uid])]
        require(not differing, f"{len(differing)} stored files differ from Orthanc's own copy")
        self.comparison = f"{len(own) - len(anew)} files equal Orthanc's byte for byte, {len(anew)} value for value"
        with psycopg.connect(self._conninfo) as connection:
            rows = connection.execute("SELECT fname FROM pacsfiles_pacsfile").fetchall()
        missing = [name for (name,) in rows if not os.path.exists(self.gateway.files_root / name)]
        require(not missing, f"{len(missing)} rows have no file")


if __name__ == "__main__":
    sys.exit(main())
