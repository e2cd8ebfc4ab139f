"""How each foreign client is called, and what it can do.

A mode is one association, several at once, or one with something negotiated: a user identity, a window of asynchronous
operations, TLS. Commands of a mode run side by side, four at a time.
"""

import dataclasses
import os
import shutil
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import pydicom
from pydicom import uid

ONE, SEVERAL = "one association", "four at once"
EACH, EACH_SYNTAX = "one for each file", "one for each transfer syntax"
IDENTITY, ASYNC, TLS = "user identity", "asynchronous operations", "TLS"
EXTRAS = (IDENTITY, ASYNC, TLS)
"""Modes in which the files and their associations are those of another mode."""
_SEVERAL = 4

DICOM_RS = ("0.10.1", "0.8.1")
"""Versions of dicom-storescu: of today, and one that is still widespread."""

Command = list[str]


@dataclasses.dataclass(frozen=True, slots=True)
class Job:
    """What is to be sent, by whom and where to."""

    port: int
    ae_title: str
    files: Sequence[Path]
    certificates: Path
    """Where `authority.pem`, `client.pem`, `client.key` and, for Java, `authority.p12` and `client.p12` are."""

    def names(self) -> list[str]:
        return [str(file) for file in self.files]

    def parts(self, count: int) -> list["Job"]:
        """Return `count` jobs with a part of the files each."""
        return [dataclasses.replace(self, files=self.files[number::count]) for number in range(count)]


@dataclasses.dataclass(frozen=True, slots=True)
class Client:
    """A C-STORE client. `program` is what has to be there for it."""

    name: str
    program: str
    modes: "_Modes"
    environment: dict[str, str] = dataclasses.field(default_factory=dict)

    @property
    def is_there(self) -> bool:
        return shutil.which(self.program) is not None or Path(self.program).exists()


_Modes = dict[str, Callable[[Job], list[Command]]]


def _modes(command: Callable[[Job, str], Command], *negotiated: str) -> _Modes:
    """Return the modes of a client whose command takes all files, and as its mode one of `negotiated` or "plain"."""

    def call(mode: str) -> Callable[[Job], list[Command]]:
        return lambda job: [command(job, mode)]

    return {
        ONE: call("plain"),
        SEVERAL: lambda job: [command(part, "plain") for part in job.parts(_SEVERAL)],
        **{mode: call(mode) for mode in negotiated},
    }


def _frugal_modes(command: Callable[[Job, str], Command]) -> _Modes:
    """Return the modes of a client that gives up at the first file which it cannot read."""
    return {EACH: lambda job: [command(part, "plain") for part in job.parts(len(job.files))]}


def _storescu(job: Job, mode: str) -> list[Command]:
    """DCMTK's storescu proposes one compressed transfer syntax a run: there is one association for each."""
    commands = []
    options = {IDENTITY: ["-usr", "user", "-pwd", "secret"], TLS: _storescu_tls(job)}.get(mode, [])
    for syntax, option in _STORESCU_OPTIONS.items():
        files = [str(file) for file in job.files if _syntax_of(file) == syntax]
        if files:
            head = ["storescu", "-R", "-nh", *option, *options, "-aet", job.ae_title, "-aec", "ChRIS"]
            commands.append([*head, "localhost", str(job.port), *files])
    return commands


_STORESCU_MODES = (EACH_SYNTAX, IDENTITY, TLS)
_STORESCU_OPTIONS = {
    uid.ImplicitVRLittleEndian: ["-xi"],
    uid.ExplicitVRLittleEndian: ["-xe"],
    uid.ExplicitVRBigEndian: ["-xb"],
    uid.DeflatedExplicitVRLittleEndian: ["-xd"],
    uid.JPEGBaseline8Bit: ["-xy"],
    uid.JPEGExtended12Bit: ["-xx"],
    uid.JPEGLosslessSV1: ["-xs"],
    uid.JPEGLSLossless: ["-xt"],
    uid.JPEGLSNearLossless: ["-xu"],
    uid.JPEG2000Lossless: ["-xv"],
    uid.JPEG2000: ["-xw"],
    uid.RLELossless: ["-xr"],
    uid.MPEG2MPML: ["-xm"],
    uid.MPEG4HP41: ["-xn"],
}


def _storescu_tls(job: Job) -> Command:
    directory = job.certificates
    return ["+tls", f"{directory}/client.key", f"{directory}/client.pem", "+cf", f"{directory}/authority.pem"]


def _syntax_of(file: Path) -> str:
    return str(pydicom.filereader.read_file_meta_info(file).TransferSyntaxUID)


def _dcmsend(job: Job, _: str) -> Command:
    return ["dcmsend", "-nh", "-dn", "-aet", job.ae_title, "-aec", "ChRIS", "localhost", str(job.port), *job.names()]


def _gdcmscu(job: Job, _: str) -> Command:
    head = ["gdcmscu", "--store", "--aetitle", job.ae_title, "--call", "ChRIS", "127.0.0.1", str(job.port)]
    return [*head, *job.names()]


def _odil(job: Job, _: str) -> Command:
    return ["odil", "store", "127.0.0.1", str(job.port), job.ae_title, "ChRIS", *job.names()]


def _ctn(job: Job, _: str) -> Command:
    return ["send_image", "-q", "-a", job.ae_title, "-c", "ChRIS", "127.0.0.1", str(job.port), *job.names()]


def _pem_mode(job: Job, mode: str) -> str:
    """Return a mode as the small programs take it, with the files of TLS."""
    directory = job.certificates
    tls = f"tls:{directory}/authority.pem:{directory}/client.pem:{directory}/client.key"
    return tls if mode == TLS else _SHORT[mode]


_SHORT = {"plain": "plain", IDENTITY: "identity", ASYNC: "async"}
"""Modes as the small programs take them."""


def _pynetdicom(job: Job, mode: str) -> Command:
    head = [sys.executable, "-m", "tests.foreign.pynetdicom_scu", "localhost", str(job.port), job.ae_title]
    return [*head, _pem_mode(job, mode), *job.names()]


def _dicom_rs(program: str) -> Callable[[Job, str], Command]:
    def command(job: Job, mode: str) -> Command:
        options = {
            IDENTITY: ["--username", "user", "--password", "secret"],
            TLS: _dicom_rs_tls(job.certificates),
        }.get(mode, [])
        titles = ["--calling-ae-title", job.ae_title, "--called-ae-title", "ChRIS"]
        return [program, *titles, *options, f"localhost:{job.port}", *job.names()]

    return command


def _dicom_rs_tls(directory: Path) -> Command:
    own = ["--cert", f"{directory}/client.pem", "--key", f"{directory}/client.key"]
    return ["--tls", *own, "--add-certs", f"{directory}/authority.pem", "--peer-cert", "require"]


def foreign_clients(directory: Path) -> list[Client]:
    """Return all clients; those that are installed are in `directory`."""
    dicom_rs, old_dicom_rs = (str(directory / f"dicom-rs-{version}" / "bin" / "dicom-storescu") for version in DICOM_RS)
    jar, script = directory / "dcm4che" / "dcm4che.jar", str(Path(__file__).parent / "dcmjs" / "store.js")

    def dcmjs(job: Job, mode: str) -> Command:
        return ["node", script, "localhost", str(job.port), job.ae_title, _pem_mode(job, mode), *job.names()]

    def dcm4che(job: Job, mode: str) -> Command:
        stores = f"tls:{job.certificates}/authority.p12:{job.certificates}/client.p12"
        head = ["java", "-cp", f"{jar}{os.pathsep}{jar.parent}", "StoreScu", "localhost", str(job.port), job.ae_title]
        return [*head, stores if mode == TLS else _SHORT[mode], *job.names()]

    modules = {"NODE_PATH": str(directory / "dcmjs" / "node_modules")}
    return [
        Client("DCMTK dcmsend", "dcmsend", _modes(_dcmsend)),
        Client("DCMTK storescu", "storescu", {mode: partial(_storescu, mode=mode) for mode in _STORESCU_MODES}),
        Client("pynetdicom", sys.executable, _modes(_pynetdicom, IDENTITY, ASYNC, TLS)),
        Client("GDCM gdcmscu", "gdcmscu", _modes(_gdcmscu)),
        Client("odil", "odil", _frugal_modes(_odil)),
        Client("CTN send_image", "send_image", _frugal_modes(_ctn)),
        Client("dcm4che", str(jar.parent / "StoreScu.class"), _modes(dcm4che, IDENTITY, ASYNC, TLS)),
        Client("dcmjs-dimse", modules["NODE_PATH"], _modes(dcmjs, IDENTITY, ASYNC, TLS), modules),
        Client(f"dicom-rs {DICOM_RS[0]}", dicom_rs, _modes(_dicom_rs(dicom_rs), IDENTITY, TLS)),
        Client(f"dicom-rs {DICOM_RS[1]}", old_dicom_rs, _modes(_dicom_rs(old_dicom_rs), IDENTITY)),
    ]
