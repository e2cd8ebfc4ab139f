"""What the settings say about associations: whom to accept, and what each calling AE title may do.

Today all titles may do the same; what is to differ by title belongs here.
"""

from typing import NamedTuple

from oxidicom.association.access import is_welcome
from oxidicom.association.negotiation import AcceptancePolicy
from oxidicom.settings import Settings


class TitlePolicy(NamedTuple):
    """What one calling AE title may do."""

    max_associations: int | None
    """At a time; 0 or None: no limit."""


def is_allowed_here(settings: Settings, address: str) -> bool:
    """Tell whether anybody may come from an address, before a byte of a request is read."""
    return is_welcome(settings.allowed_peers, address)


def acceptance_policy(settings: Settings) -> AcceptancePolicy:
    """Return what is known before a request has come: how long it may be, who may send it, what is negotiated."""
    return AcceptancePolicy(
        ae_title=settings.ae_title,
        check_called_ae_title=settings.check_called_ae_title,
        allowed_peers=settings.allowed_peers,
        max_pdu_length=settings.max_pdu_length_bytes,
        strict=settings.strict,
        uncompressed_only=settings.uncompressed_only,
        max_request_bytes=settings.max_request_bytes,
        max_pdu_bytes=settings.max_pdu_bytes,
        max_command_bytes=settings.max_command_bytes,
    )


def title_policy(settings: Settings, calling_ae_title: str) -> TitlePolicy:
    """Return what holds for a peer once its request has told its title."""
    del calling_ae_title  # all may do the same
    return TitlePolicy(settings.max_associations_per_ae)
