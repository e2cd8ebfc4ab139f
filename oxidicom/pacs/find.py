"""C-FIND at a PACS: how many instances does a series have? (PS3.4, annex C: Study Root, level SERIES.)

Law of this file: an exchange is read to its end, or its association is given up. Each question of an association has a
Message ID of its own, and only answers to it are taken for its answers. Every doubt is an error: a number is returned
only when the PACS said it of our series and ended with Success.
"""

import time
import warnings
from io import BytesIO

from pydicom import Dataset
from pydicom.uid import generate_uid
from pynetdicom.dimse_primitives import C_FIND
from pynetdicom.dsutils import decode, encode

from oxidicom.association.commands import IS_RESPONSE, Command, Element
from oxidicom.errors import ProtocolError
from oxidicom.pacs.address_book import PacsAddress
from oxidicom.pacs.errors import PacsError, PacsUnavailableError, UnansweredError, UnknownSeriesError
from oxidicom.pacs.proposal import IMPLICIT_VR
from oxidicom.pacs.requestor import RequestedAssociation, request_association

_STUDY_ROOT_FIND = "1.2.840.10008.5.1.4.1.2.2.1"
_C_FIND_RSP = 0x0020 | IS_RESPONSE
_SUCCESS = 0x0000
_OUT_OF_RESOURCES = 0xA700
_PENDING = (0xFF00, 0xFF01)  # FF01: some optional keys are not supported; ours shows by its value
_MAX_ANSWERS = 10_000
_MAX_INSTANCES = 2**31 - 1
_RELEASE_SECONDS = 1.0


class FindAssociation:
    """An association with a PACS for any number of questions, one after the other; a new one when it is over.

    Used by one thread. No call takes longer than its deadline, a moment of `time.monotonic`, but for the time that
    the operating system takes to look up the name of a host.
    """

    def __init__(self, address: PacsAddress, our_ae_title: str) -> None:
        self._address = address
        self._our_ae_title = our_ae_title
        self._association: RequestedAssociation | None = None

    def count_instances(self, study_instance_uid: str, series_instance_uid: str, deadline: float) -> int:
        """Return the NumberOfSeriesRelatedInstances that the PACS has.

        Raise PacsUnavailableError when it could not be asked, UnansweredError when it was and did not answer,
        PacsRefusesError when it takes no questions from us, any other PacsError when its answer is in doubt.
        """
        association = self._established(deadline)
        answers = _Answers(series_instance_uid)
        try:
            status = _ask(association, _query(study_instance_uid, series_instance_uid), answers, deadline)
        except BaseException as error:
            self._association = None
            association.abort()  # does nothing if it is over already
            if isinstance(error, PacsUnavailableError):
                raise UnansweredError(str(error)) from None
            raise
        return answers.judge(status)

    def _established(self, deadline: float) -> RequestedAssociation:
        if self._association is not None:
            try:
                self._association.check_is_idle()
            except PacsUnavailableError:
                self._association = None  # the PACS ended it between two questions, as it may
        if self._association is None:
            self._association = request_association(self._address, self._our_ae_title, _STUDY_ROOT_FIND, deadline)
        return self._association

    def close(self) -> None:
        """Release the association."""
        if self._association is not None:
            self._association.release(time.monotonic() + _RELEASE_SECONDS)
            self._association = None


def try_find(address: PacsAddress, our_ae_title: str, timeout_seconds: float) -> None:
    """Return when the PACS answers a C-FIND for a series that nobody has. Raise PacsError."""
    association = FindAssociation(address, our_ae_title)
    nobodys = generate_uid()
    try:
        association.count_instances(nobodys, nobodys, time.monotonic() + timeout_seconds)
    except UnknownSeriesError:
        return
    finally:
        association.close()


def _query(study_instance_uid: str, series_instance_uid: str) -> Dataset:
    query = Dataset()
    query.QueryRetrieveLevel = "SERIES"
    query.StudyInstanceUID = study_instance_uid
    query.SeriesInstanceUID = series_instance_uid
    query.NumberOfSeriesRelatedInstances = None
    return query


def _ask(association: RequestedAssociation, query: Dataset, answers: "_Answers", deadline: float) -> int:
    """Put a question, collect its answers (PS3.7, 9.3.2), and return the status that ends them."""
    is_implicit = association.transfer_syntax_uid == IMPLICIT_VR
    request = C_FIND()
    request.MessageID = association.next_message_id()
    request.AffectedSOPClassUID = _STUDY_ROOT_FIND
    request.Priority = 2  # low
    request.Identifier = BytesIO(encode(query, is_implicit, True) or b"")
    association.send(request, deadline)
    while True:
        command, identifier = association.receive(deadline)
        status = _status(command, request.MessageID)
        if status not in _PENDING:
            return status
        answers.add(identifier, is_implicit=is_implicit)


def _status(command: Command, message_id: int) -> int:
    """Return the status of a response to the question of that Message ID. Raise PacsUnavailableError for any other."""
    try:
        if command.field != _C_FIND_RSP:
            raise PacsUnavailableError(f"it sends command {command.field:04X}H instead of an answer")
        if command.unsigned_short(Element.MESSAGE_ID_BEING_RESPONDED_TO) != message_id:
            raise PacsUnavailableError("it answers a question that it was not asked")
        return command.unsigned_short(Element.STATUS)
    except ProtocolError as error:
        raise PacsUnavailableError(f"it breaks the protocol: {error}") from None


class _Answers:
    """What a PACS said about one series."""

    def __init__(self, series_instance_uid: str) -> None:
        self._series_instance_uid = series_instance_uid
        self._counts: set[int] = set()
        self._number = 0
        self._fault = ""

    def add(self, identifier: bytes, *, is_implicit: bool) -> None:
        """Take one answer. Raise PacsError when there are too many; what is wrong with one is told by `judge`."""
        self._number += 1
        if self._number > _MAX_ANSWERS:
            raise PacsError(f"it has more than {_MAX_ANSWERS} answers to a question for one series")
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # what is odd in an answer is judged here
                dataset = decode(BytesIO(identifier), is_implicit, True)
                if _is_of(dataset, self._series_instance_uid):
                    self._counts.add(_count(dataset))
        except PacsError as error:
            self._fault = str(error)
        except Exception as error:  # noqa: BLE001 (what the library makes of a lying peer is not foreseeable)
            self._fault = f"its answer cannot be read ({type(error).__name__})"

    def judge(self, status: int) -> int:
        """Return the number that the answers agree on, once the exchange has ended with `status`. Raise PacsError."""
        if status == _OUT_OF_RESOURCES:
            raise UnansweredError("it is out of resources (status A700H)")
        if status != _SUCCESS:
            raise PacsError(f"it answers with status {status:04X}H")
        if self._fault:
            raise PacsError(self._fault)
        if not self._counts:
            raise UnknownSeriesError("it does not know the series")
        if len(self._counts) > 1:
            raise PacsError("it gives several numbers for one series")
        return self._counts.pop()


def _is_of(identifier: Dataset, series_instance_uid: str) -> bool:
    level = str(identifier.get("QueryRetrieveLevel", "SERIES")).strip()
    return level == "SERIES" and str(identifier.get("SeriesInstanceUID", "")).strip(" \0") == series_instance_uid


def _count(identifier: Dataset) -> int:
    text = str(identifier.get("NumberOfSeriesRelatedInstances", "")).strip(" \0")
    if not (text.isascii() and text.isdigit()) or int(text) > _MAX_INSTANCES:
        raise PacsError("it gives no number of instances")
    return int(text)
