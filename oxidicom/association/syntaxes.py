"""Which abstract syntaxes (kinds of objects) and transfer syntaxes (their encodings) this program takes.

The tables are derived from pydicom's dictionary of UIDs, so that a newer pydicom brings newer ones. pynetdicom adds
some to it when it is imported: it is imported here, so that it does not matter who imports it when.
"""

from collections.abc import Mapping
from typing import Final

import pydicom.uid
import pynetdicom  # noqa: F401 (see above)
from pydicom._uid_dict import UID_dictionary

from oxidicom.association.uids import is_class_uid

_NAMES_OF_UIDS: Final[Mapping[str, tuple[str, str, str, str, str]]] = UID_dictionary
"""UID → name, type, remark, 'Retired' or '', keyword."""

VERIFICATION: Final = "1.2.840.10008.1.1"
"""PS3.4, annex A.4."""

_WITHOUT_PATIENT: Final = frozenset(
    {
        pydicom.uid.MediaStorageDirectoryStorage,
        pydicom.uid.HangingProtocolStorage,
        pydicom.uid.ColorPaletteStorage,
        pydicom.uid.GenericImplantTemplateStorage,
        pydicom.uid.ImplantAssemblyTemplateStorage,
        pydicom.uid.ImplantTemplateGroupStorage,
        pydicom.uid.CTDefinedProcedureProtocolStorage,
        pydicom.uid.XADefinedProcedureProtocolStorage,
        pydicom.uid.ProtocolApprovalStorage,
        pydicom.uid.InventoryStorage,
    }
)
"""Non-Patient Object Storage (PS3.4, annex GG) and DICOMDIR: they belong to no study, so CUBE has no place
for them."""

STORAGE_CLASSES: Final[frozenset[str]] = frozenset(
    uid
    for uid, (name, kind, *_) in _NAMES_OF_UIDS.items()
    if kind == "SOP Class" and "Storage" in name and "Commitment" not in name and uid not in _WITHOUT_PATIENT
)
"""All known Storage SOP Classes (PS3.4, annex B.5), the retired ones included."""

_NOT_STORABLE: Final = ("JPIP", "SMPTE", "MIME", "XML", "Papyrus")
"""Words in the names of transfer syntaxes whose datasets are incomplete without a server or a stream, or
are none."""

UNCOMPRESSED_TRANSFER_SYNTAXES: Final[frozenset[str]] = frozenset(
    map(
        str,
        (
            pydicom.uid.ImplicitVRLittleEndian,
            pydicom.uid.ExplicitVRLittleEndian,
            pydicom.uid.ExplicitVRBigEndian,
        ),
    )
)

TRANSFER_SYNTAXES: Final[frozenset[str]] = frozenset(
    uid
    for uid, (name, kind, *_) in _NAMES_OF_UIDS.items()
    if kind == "Transfer Syntax" and not any(word in name.split() for word in _NOT_STORABLE)
)
"""All transfer syntaxes that can be written to a file as they come: nothing here decodes pixels."""


def is_storage_class(uid: str) -> bool:
    """Tell whether we store objects of this class: a known Storage SOP Class, or whatever nobody knows.

    Devices send private storage classes, and newer ones than our table has; nothing tells them from other
    unknown UIDs.
    """
    return uid in STORAGE_CLASSES or (is_class_uid(uid) and uid not in _NAMES_OF_UIDS)


def supports_abstract_syntax(uid: str) -> bool:
    """Tell whether we take messages about this class: storage and Verification."""
    return uid == VERIFICATION or is_storage_class(uid)


def is_for_storage(uid: str) -> bool:
    """Tell whether a sender that proposes it means to store something: whether we take that or not."""
    name = name_of_uid(uid)
    return not name or ("Storage" in name and "Commitment" not in name)


def name_of_uid(uid: str) -> str:
    """Return the name of a UID of the standard; '' for one that nobody knows."""
    return _NAMES_OF_UIDS[uid][0] if uid in _NAMES_OF_UIDS else ""
