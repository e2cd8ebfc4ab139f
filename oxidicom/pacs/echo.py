"""C-ECHO: does a PACS answer us?"""

from pynetdicom import AE

from oxidicom.pacs.address_book import PacsAddress
from oxidicom.pacs.find import PacsError

_VERIFICATION = "1.2.840.10008.1.1"
_TIMEOUT_SECONDS = 10


def echo(address: PacsAddress, our_ae_title: str) -> None:
    """Return when the PACS answered C-ECHO with Success. Raise PacsError (PS3.4, annex A)."""
    entity = AE(our_ae_title)
    entity.connection_timeout = entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = _TIMEOUT_SECONDS
    entity.add_requested_context(_VERIFICATION)
    association = entity.associate(address.host, address.port, ae_title=address.ae_title)
    if not association.is_established:
        why = "it rejects the association" if association.is_rejected else "there is no answer"
        raise PacsError(f"{why}; are its address and AE title right, and does it know {our_ae_title}?")
    try:
        status = association.send_c_echo()
    finally:
        association.release()
    if "Status" not in status or status.Status != 0:
        raise PacsError("C-ECHO has no Success")
