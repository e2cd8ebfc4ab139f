"""Why an association was rejected, and what to do about it: for whoever connects a PACS and reads the log."""

from typing import NamedTuple

from oxidicom.association.associate import AssociationRequest
from oxidicom.association.negotiation import unusable_calling_ae_title
from oxidicom.association.pdu import AcseRejectReason, PresentationRejectReason, RejectReason, UserRejectReason
from oxidicom.settings import Settings
from workers.channels.ending import UNWELCOME


class Rejection(NamedTuple):
    """What the log and the history say of it."""

    reason: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.reason}; to do: {self.remedy}" if self.remedy else self.reason


def explain(request: AssociationRequest, settings: Settings, address: str, reason: RejectReason) -> Rejection:
    """Return the reason in words and the remedy, for a peer at `address`."""
    # By identity: the codes of different sources are equal numbers.
    if reason is UserRejectReason.CALLED_AE_TITLE_NOT_RECOGNIZED:
        return Rejection(
            f"this gateway is called {settings.ae_title}",
            f"have the sender call {settings.ae_title}, set CHRIS_SCP_AET to what it calls, or unset "
            "CHRIS_SCP_CHECK_CALLED_AET",
        )
    if reason is UserRejectReason.CALLING_AE_TITLE_NOT_RECOGNIZED:
        return _explain_calling(request.calling_ae_title, settings, address)
    if reason is UserRejectReason.APPLICATION_CONTEXT_NAME_NOT_SUPPORTED:
        return Rejection(
            "its application context is not that of DICOM", "find out what program this is: it does not speak DICOM"
        )
    if reason is AcseRejectReason.PROTOCOL_VERSION_NOT_SUPPORTED:
        return Rejection(
            "it does not speak version 1 of the protocol", "find out what program this is: DICOM has no other version"
        )
    if reason is PresentationRejectReason.LOCAL_LIMIT_EXCEEDED:
        return Rejection(
            f"it has {settings.max_associations_per_ae} associations already",
            "raise CHRIS_SCP_MAX_ASSOCIATIONS_PER_AE, or have the sender open fewer at a time",
        )
    return Rejection(reason.name.lower().replace("_", " "), "")


def explain_busy(settings: Settings) -> Rejection:
    """Return the same for one that found no listener in time."""
    return Rejection(
        f"none of {settings.listeners} listeners was free for {settings.busy_seconds:g} s",
        "if this goes on, raise CHRIS_LISTENER_THREADS; senders try again by themselves",
    )


def explain_unwelcome(address: str) -> Rejection:
    """Return the same for one that is turned away before it says its AE title."""
    return Rejection(
        UNWELCOME.detail, f"if it may send from there, add its AE title with @{address} to CHRIS_SCP_ALLOWED_AETS"
    )


def _explain_calling(title: str, settings: Settings, address: str) -> Rejection:
    if unusable_calling_ae_title(title):
        return Rejection("its AE title cannot name a directory", "give the sender an AE title of letters and digits")
    titles = {peer.ae_title for peer in settings.allowed_peers}
    if title in titles:
        return Rejection(
            f"CHRIS_SCP_ALLOWED_AETS has this AE title for other networks only, not for {address}",
            f"if it may send from there, add {title}@{address} to CHRIS_SCP_ALLOWED_AETS",
        )
    if title.casefold() in {one.casefold() for one in titles}:
        return Rejection(
            "CHRIS_SCP_ALLOWED_AETS has this AE title, but in other upper and lower case letters",
            "write it there exactly as the sender does: PACS and pacs are two titles",
        )
    return Rejection(
        "CHRIS_SCP_ALLOWED_AETS does not have this AE title",
        f"if it may send, add {title}@{address} to CHRIS_SCP_ALLOWED_AETS",
    )
