"""What we propose to a PACS (A-ASSOCIATE-RQ; PS3.8, 9.3.2), and what its rejection says (A-ASSOCIATE-RJ; 9.3.4)."""

from pynetdicom.pdu import A_ASSOCIATE_RJ, A_ASSOCIATE_RQ
from pynetdicom.pdu_primitives import (
    A_ASSOCIATE,
    ImplementationClassUIDNotification,
    ImplementationVersionNameNotification,
    MaximumLengthNotification,
)
from pynetdicom.presentation import build_context

from oxidicom import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from oxidicom.association.pdu import RejectResult
from oxidicom.pacs.errors import PacsError, PacsRefusesError, PacsUnavailableError

IMPLICIT_VR = "1.2.840.10008.1.2"
EXPLICIT_VR = "1.2.840.10008.1.2.1"
CONTEXT_ID = 1
"""That of the one presentation context."""
_APPLICATION_CONTEXT_NAME = "1.2.840.10008.3.1.1.1"
_MAX_PDU_LENGTH = 65536


def encode_request(our_ae_title: str, called_ae_title: str, abstract_syntax_uid: str) -> bytes:
    """Return the A-ASSOCIATE-RQ PDU (PS3.8, 9.3.2). Raise PacsRefusesError when an AE title cannot be sent."""
    context = build_context(abstract_syntax_uid, [IMPLICIT_VR, EXPLICIT_VR])
    context.context_id = CONTEXT_ID
    longest = MaximumLengthNotification()
    longest.maximum_length_received = _MAX_PDU_LENGTH
    implementation = ImplementationClassUIDNotification()
    implementation.implementation_class_uid = IMPLEMENTATION_CLASS_UID
    version = ImplementationVersionNameNotification()
    version.implementation_version_name = IMPLEMENTATION_VERSION_NAME
    request = A_ASSOCIATE()
    try:
        request.calling_ae_title = our_ae_title
        request.called_ae_title = called_ae_title
    except ValueError as error:
        raise PacsRefusesError(f"it cannot be called: {error}") from None
    request.application_context_name = _APPLICATION_CONTEXT_NAME
    request.presentation_context_definition_list = [context]
    request.user_information = [longest, implementation, version]
    return bytes(A_ASSOCIATE_RQ(request).encode())


def decode_rejection(encoded: bytes, our_ae_title: str, called_ae_title: str) -> PacsError:
    """Return the error that an A-ASSOCIATE-RJ is (PS3.8, 9.3.4)."""
    pdu = A_ASSOCIATE_RJ()
    pdu.decode(encoded.ljust(10, b"\0"))
    try:
        reason = str(pdu.reason_str)
    except (KeyError, ValueError):
        reason = f"source {pdu.source}, reason {pdu.reason_diagnostic}"
    if pdu.result != RejectResult.PERMANENT:
        return PacsUnavailableError(f"it rejects the association for now ({reason})")
    return PacsRefusesError(
        f"it rejects the association ({reason}); we called it {called_ae_title} and ourselves {our_ae_title}"
    )
