"""`oxidicom send-test`: sends a made instance through the gateway, and follows it to its file and its row.

Each step is a line: what it was, its verdict, how long it took, and what was found. What it sends is nobody's, so its
path may be shown.
"""

import contextlib
import datetime
import io
import os
import ssl
import stat
import time
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.dsutils import encode
from rich.console import Console

from oxidicom.association.commands import Element
from oxidicom.dataset.description import describe
from oxidicom.dataset.header import read_header
from oxidicom.errors import CertificateError, OxidicomError
from oxidicom.operations.finding import Verdict
from oxidicom.operations.made_instance import make_instance
from oxidicom.operations.printing import print_json
from oxidicom.operations.row_watch import RowWatch
from oxidicom.operations.running_here import ports_here
from oxidicom.operations.send_test_hints import hint
from oxidicom.operations.send_test_report import LeftBehind, Outcome, Step, print_left_behind, print_step
from oxidicom.pacs.address_book import PacsAddress
from oxidicom.pacs.echo import echo
from oxidicom.pacs.errors import PacsError
from oxidicom.pacs.proposal import IMPLICIT_VR
from oxidicom.pacs.requestor import request_association
from oxidicom.records import Description
from oxidicom.settings import Settings
from oxidicom.tls import build_client_context
from oxidicom.wording import as_sentence

_STORE_SECONDS = 15.0
_PACS_SECONDS = 10.0
"""`echo` takes so long at most."""
_LOOK_SECONDS = 0.1
_SUCCESS = 0x0000
_IS_WARNING = 0xB000
"""The first digit of the statuses that are warnings (PS3.7, annex C)."""


class Target(NamedTuple):
    """Where to send to, and as whom."""

    calling_ae_title: str
    host: str = ""
    """Empty: this host."""
    port: int | None = None
    """None: that of the gateway."""
    at_most_seconds: float = 60.0
    """For all steps together."""


class _StepError(OxidicomError):
    """A step went wrong. The message says how, and what to do."""


def run_send_test(settings: Settings, target: Target, as_json: bool, console: Console) -> int:
    """Send an instance and print what became of it. Return the exit status: 0 good, 1 warning, 2 critical."""
    said = None if as_json else console
    outcome = _SendTest(settings, target, said).run()
    if as_json:
        print_json(outcome)
    return outcome.level.exit_status


class _SendTest:
    """One run: its steps follow each other, the first that fails ends it; the PACS are asked in any case."""

    def __init__(self, settings: Settings, target: Target, console: Console | None) -> None:
        """`console`: where each step is told as it is done."""
        self._settings = settings
        self._calling = target.calling_ae_title
        self._goes_by_settings = not target.host and target.port is None
        self._address = PacsAddress(
            settings.ae_title, target.host or _own_host(settings.bind_address), target.port or settings.port
        )
        self._console = console
        self._deadline = time.monotonic() + target.at_most_seconds
        self._tls: ssl.SSLContext | None = None
        self._dataset = make_instance(datetime.datetime.now().astimezone())
        self._description = _describe(self._dataset, self._calling)
        self._done: list[Step] = []
        self._is_sent = self._is_there = False

    def run(self) -> Outcome:
        steps: list[tuple[str, Callable[[], str]]] = [
            ("association", self._associate),
            ("store", self._store),
            ("file", self._await_file),
            ("row", self._await_row),
        ]
        all(self._step(name, work, Verdict.CRITICAL) for name, work in steps)
        for address in self._settings.pacs_addresses.values():
            self._step(f"PACS {address.ae_title}", partial(self._ask, address), Verdict.WARNING)
        left = self._left_behind() if self._is_sent else None
        if left and self._console:
            print_left_behind(left, self._settings.files_root, self._console)
        worst = max((step.verdict.level for step in self._done), key=lambda level: level.exit_status)
        return Outcome(worst, self._done, left)

    def _step(self, name: str, work: Callable[[], str], failure: Verdict) -> bool:
        """Do one step and tell of it. Return whether it went well."""
        began = time.monotonic()
        try:
            verdict, detail = Verdict.GOOD, work()
        except (_StepError, PacsError, CertificateError) as error:
            verdict, detail = failure, str(error)
        except OSError as error:
            verdict, detail = failure, _what_fails(error)
        step = Step(name, verdict, round(time.monotonic() - began, 3), detail)
        self._done.append(step)
        if self._console:
            print_step(step, self._console)
        return verdict is not failure

    def _associate(self) -> str:
        ports = ports_here(self._settings.files_root) if self._goes_by_settings else []
        if ports and self._settings.port not in ports:
            raise _StepError(
                f"the gateway on {self._settings.files_root} listens on port {' and '.join(map(str, ports))}, not on "
                f"{self._settings.port}: give this command its settings (PORT), or choose a port by --port"
            )
        if self._settings.tls_certificate:
            self._tls = build_client_context(self._settings)
        try:
            echo(self._address, self._calling, self._tls, at_most_seconds=self._left_seconds)
        except PacsError as error:
            advice = hint(self._settings, self._calling, self._address)
            raise _StepError(f"{as_sentence(_of_gateway(error))} {advice}") from None
        return f"{self._address} answers C-ECHO{' over TLS' if self._tls else ''}, called by {self._calling}"

    def _store(self) -> str:
        deadline = min(self._deadline, time.monotonic() + _STORE_SECONDS)
        with contextlib.closing(
            request_association(self._address, self._calling, SecondaryCaptureImageStorage, deadline, self._tls)
        ) as association:
            request = C_STORE()
            request.MessageID = association.next_message_id()
            request.AffectedSOPClassUID = self._dataset.SOPClassUID
            request.AffectedSOPInstanceUID = self._dataset.SOPInstanceUID
            request.Priority = 0
            request.DataSet = io.BytesIO(_encoded(self._dataset, association.transfer_syntax_uid))
            association.send(request, deadline)
            command = association.receive(deadline).command
            association.release(deadline)
        status = command.unsigned_short(Element.STATUS)
        if status != _SUCCESS and status & 0xF000 != _IS_WARNING:
            raise _StepError(f"C-STORE is refused with status {status:04X}: the log of the gateway says why")
        self._is_sent = True
        return f"C-STORE is answered with status {status:04X}"

    def _await_file(self) -> str:
        path = os.path.join(self._settings.files_root, self._description.file.fname)
        if not self._wait_for(lambda: _is_file(path)):
            raise _StepError(
                f"the instance is safe in the spool, but is not below {self._settings.files_root}: is that the "
                "CHRIS_FILES_ROOT of the gateway? `oxidicom status` says what it waits for"
            )
        self._is_there = True
        return self._description.file.fname

    def _await_row(self) -> str:
        watch = RowWatch(self._settings, self._description.file.fname)
        if self._wait_for(watch.has_seen):
            return "it is registered in CUBE's database"
        trouble = watch.trouble
        why = f"the database cannot be used: {trouble}" if trouble else "the database has no row of it"
        raise _StepError(
            f"{as_sentence(why)} The row waits in the spool; `oxidicom status` and `oxidicom check` say for what"
        )

    def _ask(self, address: PacsAddress) -> str:
        if self._left_seconds <= 0:
            raise _StepError("not asked, since the time is up: `oxidicom check` asks every PACS")
        echo(address, self._settings.ae_title, at_most_seconds=self._left_seconds)
        return f"{address} answers C-ECHO"

    @property
    def _left_seconds(self) -> float:
        return self._deadline - time.monotonic()

    def _wait_for(self, condition: Callable[[], bool]) -> bool:
        """Wait until it is so, but leave time to ask a PACS."""
        deadline = self._deadline - (_PACS_SECONDS if self._settings.pacs_addresses else 0.0)
        while not condition():
            if time.monotonic() >= deadline:
                return False
            time.sleep(_LOOK_SECONDS)
        return True

    def _left_behind(self) -> LeftBehind:
        name = self._description.file.fname
        path = os.path.join(self._settings.files_root, name)
        return LeftBehind(path, name, self._description.series.series_instance_uid, self._is_there)


def _what_fails(error: OSError) -> str:
    return f"{os.fsdecode(error.filename or 'what is needed')} cannot be used: {error.strerror}"


def _is_file(path: str) -> bool:
    """Tell whether a file is there. Raise OSError when that cannot be told."""
    try:
        return stat.S_ISREG(os.stat(path).st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False


def _own_host(bind_address: str) -> str:
    """Return where this host reaches the port."""
    return {"::": "127.0.0.1", "0.0.0.0": "127.0.0.1"}.get(bind_address, bind_address)


def _of_gateway(error: PacsError) -> str:
    return f"the gateway does not take the test instance: {error}"


def _describe(dataset: Dataset, calling_ae_title: str) -> Description:
    """Return where the gateway stores it, by the gateway's own rules."""
    header = read_header(_encoded(dataset, ExplicitVRLittleEndian), ExplicitVRLittleEndian, complete=True)
    assert header is not None
    return describe(header, calling_ae_title)


def _encoded(dataset: Dataset, transfer_syntax_uid: str) -> bytes:
    return encode(dataset, transfer_syntax_uid == IMPLICIT_VR, True) or b""
