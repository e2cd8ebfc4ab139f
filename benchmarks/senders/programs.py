"""The programs that send, each called with nothing but where to and what."""

import glob
import importlib.util
import os
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from benchmarks.floors import ROOT
from benchmarks.peers import find_dicom_rs
from benchmarks.senders.files import Series
from benchmarks.senders.running import Ran, run_side_by_side
from benchmarks.senders.sender import Address, Sender

_FOREIGN = os.path.join(ROOT, ".foreign")
_DICOM_STORESCU = "dicom-storescu"
_DICOM_RS_VARIABLE = "DICOM_STORESCU"
_DCM4CHE = os.path.join(_FOREIGN, "dcm4che")


@dataclass(frozen=True)
class Program(Sender):
    """A program that sends the files of its command line over one association."""

    name: str
    title: str
    find: Callable[[], str | None]
    """Returns its path, or None."""
    arguments: Callable[[str, str], Sequence[str]]
    """Before the files; of host and port."""
    remedy: str
    is_parallel: bool = True

    def why_missing(self) -> str:
        return "" if self.find() else f"not installed: {self.remedy}"

    def send(self, series: Sequence[Series], to: Address) -> Ran:
        head = [self.find() or "", *self.arguments(to.host, str(to.port))]
        return run_side_by_side([[*head, *one.paths] for one in series])


def _find_dicom_storescu() -> str | None:
    built = glob.glob(os.path.join(_FOREIGN, "dicom-rs-*", "bin", _DICOM_STORESCU))
    return find_dicom_rs(_DICOM_STORESCU, _DICOM_RS_VARIABLE) or max(built, default=None)


def _find_java() -> str | None:
    return shutil.which("java") if os.path.exists(os.path.join(_DCM4CHE, "StoreScu.class")) else None


_DCM4CHE_CLASSES = os.pathsep.join((os.path.join(_DCM4CHE, "dcm4che.jar"), _DCM4CHE))

PROGRAMS: Sequence[Program] = (
    Program(
        "storescu",
        "DCMTK storescu",
        lambda: shutil.which("storescu"),
        lambda host, port: [host, port],
        "apt-get install dcmtk",
    ),
    Program(
        "dcmsend",
        "DCMTK dcmsend",
        lambda: shutil.which("dcmsend"),
        lambda host, port: [host, port],
        "apt-get install dcmtk",
    ),
    Program(
        "pynetdicom",
        "pynetdicom storescu",
        lambda: sys.executable if importlib.util.find_spec("pynetdicom") else None,
        lambda host, port: ["-m", "pynetdicom", "storescu", host, port],
        "pip install pynetdicom",
    ),
    Program(
        "dicom-rs",
        "dicom-rs dicom-storescu",
        _find_dicom_storescu,
        lambda host, port: [f"{host}:{port}"],
        f"cargo install dicom-storescu (then on the PATH, or name it in {_DICOM_RS_VARIABLE}), or make foreign-clients",
    ),
    Program(
        "gdcmscu",
        "GDCM gdcmscu",
        lambda: shutil.which("gdcmscu"),
        lambda host, port: ["--store", host, port],
        "apt-get install libgdcm-tools",
    ),
    Program(
        "dcm4che",
        "dcm4che, its library",
        _find_java,
        lambda host, port: ["-cp", _DCM4CHE_CLASSES, "StoreScu", host, port, "DCM4CHE", "plain"],
        "make foreign-clients, with a JDK (apt-get install default-jdk-headless)",
    ),
)
