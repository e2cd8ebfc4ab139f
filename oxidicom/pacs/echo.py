"""C-ECHO: does a PACS answer us?"""

import ssl
import time

from pynetdicom.dimse_primitives import C_ECHO

from oxidicom.association.commands import Element
from oxidicom.association.syntaxes import VERIFICATION
from oxidicom.errors import ProtocolError
from oxidicom.pacs.address_book import PacsAddress
from oxidicom.pacs.errors import PacsError
from oxidicom.pacs.requestor import request_association

_TIMEOUT_SECONDS = 10.0


def echo(
    address: PacsAddress,
    our_ae_title: str,
    tls: ssl.SSLContext | None = None,
    *,
    at_most_seconds: float = _TIMEOUT_SECONDS,
) -> None:
    """Return when the PACS answered C-ECHO with Success (PS3.4, annex A).

    Raise PacsError: after 10 s, or `at_most_seconds` if that is less.
    """
    deadline = time.monotonic() + min(at_most_seconds, _TIMEOUT_SECONDS)
    association = request_association(address, our_ae_title, VERIFICATION, deadline, tls)
    try:
        request = C_ECHO()
        request.MessageID = association.next_message_id()
        request.AffectedSOPClassUID = VERIFICATION
        association.send(request, deadline)
        status = association.receive(deadline).command.unsigned_short(Element.STATUS)
        association.release(deadline)
    except ProtocolError as error:
        raise PacsError(f"it breaks the protocol: {error}") from None
    finally:
        association.close()
    if status != 0:
        raise PacsError(f"it answers C-ECHO with status {status:04X}H")
