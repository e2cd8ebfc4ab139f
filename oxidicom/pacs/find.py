"""C-FIND at a PACS: how many instances does a series have? (PS3.4, annex C: Study Root, level SERIES.)

Every doubt is an error: a number is returned only when the PACS said it of our series and ended with Success.
"""

import contextlib
import socket
import warnings
from collections.abc import Iterable

from pydicom import Dataset
from pynetdicom import AE
from pynetdicom.association import Association

from oxidicom.errors import OxidicomError
from oxidicom.pacs.address_book import PacsAddress

_STUDY_ROOT_FIND = "1.2.840.10008.5.1.4.1.2.2.1"
_SUCCESS = 0x0000
_PENDING = (0xFF00, 0xFF01)  # FF01: some optional keys are not supported; ours shows by its value
_MOST_ANSWERS = 10_000
_MOST_INSTANCES = 2**31 - 1


class PacsError(OxidicomError):
    """A PACS does not answer, or not so that the answer could be trusted."""


class PacsUnreachableError(PacsError):
    """No association with the PACS: the next question would fare no better."""


class FindAssociation:
    """One association with a PACS, for any number of questions, one after the other. Used by one thread.

    pynetdicom's own deadlines do not hold against a peer that stalls inside a PDU: whoever waits for this thread calls
    `cut` when its time is over.
    """

    def __init__(self, address: PacsAddress, our_ae_title: str, timeout_seconds: float) -> None:
        self._address = address
        self._entity = AE(our_ae_title)
        self._entity.add_requested_context(_STUDY_ROOT_FIND)
        self._entity.connection_timeout = timeout_seconds
        self._entity.acse_timeout = self._entity.dimse_timeout = self._entity.network_timeout = timeout_seconds
        self._association: Association | None = None
        self._is_cut = False

    def count_instances(self, study_instance_uid: str, series_instance_uid: str) -> int:
        """Return the NumberOfSeriesRelatedInstances that the PACS has. Raise PacsError when it is in doubt."""
        association = self._established()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what is odd in an answer is judged below
            return _judge(
                association.send_c_find(_query(study_instance_uid, series_instance_uid), _STUDY_ROOT_FIND),
                series_instance_uid,
            )

    def _established(self) -> Association:
        if self._association is None or not self._association.is_established:
            association = self._entity.associate(
                self._address.host, self._address.port, ae_title=self._address.ae_title
            )
            self._association = association
            if not association.is_established:
                raise PacsUnreachableError(
                    "it rejects the association" if association.is_rejected else "there is no association with it"
                )
            if not association.accepted_contexts:
                raise PacsUnreachableError("it does not serve C-FIND (Study Root)")
        return self._association

    def cut(self) -> None:
        """From another thread, at any time: end whatever this one waits for."""
        self._is_cut = True
        transport = self._association.dul.socket if self._association else None
        connection = transport.socket if transport else None
        if connection is not None:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Release the association."""
        if self._association is not None and self._association.is_established and not self._is_cut:
            self._association.release()


def _query(study_instance_uid: str, series_instance_uid: str) -> Dataset:
    query = Dataset()
    query.QueryRetrieveLevel = "SERIES"
    query.StudyInstanceUID = study_instance_uid
    query.SeriesInstanceUID = series_instance_uid
    query.NumberOfSeriesRelatedInstances = None
    return query


def _judge(answers: Iterable[tuple[Dataset, Dataset | None]], series_instance_uid: str) -> int:
    """Return the number that the answers agree on. Raise PacsError."""
    counts: set[int] = set()
    for number, (status, identifier) in enumerate(answers, 1):
        code = status.get("Status")
        if code is None:
            raise PacsError("it ended the association before its answer was complete")
        if code == _SUCCESS:
            return _only(counts)
        if code not in _PENDING:
            raise PacsError(f"it answers with status {code:04X}H")
        if number > _MOST_ANSWERS:
            raise PacsError(f"it has more than {_MOST_ANSWERS} answers to a question for one series")
        if identifier is not None and _is_ours(identifier, series_instance_uid):
            counts.add(_count(identifier))
    raise PacsError("its answer has no end")


def _only(counts: set[int]) -> int:
    if not counts:
        raise PacsError("it does not know the series")
    if len(counts) > 1:
        raise PacsError("it gives several numbers for one series")
    return counts.pop()


def _is_ours(identifier: Dataset, series_instance_uid: str) -> bool:
    level = str(identifier.get("QueryRetrieveLevel", "SERIES")).strip()
    return level == "SERIES" and str(identifier.get("SeriesInstanceUID", "")).strip(" \0") == series_instance_uid


def _count(identifier: Dataset) -> int:
    text = str(identifier.get("NumberOfSeriesRelatedInstances", "")).strip(" \0")
    if not (text.isascii() and text.isdigit()) or int(text) > _MOST_INSTANCES:
        raise PacsError("it gives no number of instances")
    return int(text)
