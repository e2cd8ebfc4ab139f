"""The answer to an association request: a pure function of proposal and policy (PS3.8, 7.1 and 9.3.3)."""

from collections.abc import Collection, Sequence
from typing import Final

import msgspec
import pydicom.uid

from oxidicom.association.access import AllowedPeer, is_allowed
from oxidicom.association.associate import (
    AnsweredContext,
    AssociationRequest,
    ContextResult,
    ProposedContext,
    RoleSelection,
)
from oxidicom.association.pdu import (
    AcseRejectReason,
    PresentationRejectReason,
    RejectReason,
    RejectResult,
    RejectSource,
    UserRejectReason,
)
from oxidicom.association.pdu_reader import MAX_REQUEST_BYTES
from oxidicom.association.syntaxes import (
    TRANSFER_SYNTAXES,
    UNCOMPRESSED_TRANSFER_SYNTAXES,
    supports_abstract_syntax,
)
from oxidicom.paths.final_path import sanitize

DICOM_APPLICATION_CONTEXT_NAME: Final = "1.2.840.10008.3.1.1.1"
"""PS3.7, annex A.2.1."""

_IMPLICIT: Final[str] = str(pydicom.uid.ImplicitVRLittleEndian)
_EXPLICIT: Final[str] = str(pydicom.uid.ExplicitVRLittleEndian)
_NOT_SIGNIFICANT: Final = _IMPLICIT
"""Stands where a rejected context has its transfer syntax, which nobody may look at (PS3.8, 9.3.3.2)."""


class AcceptancePolicy(msgspec.Struct, frozen=True):
    """What the operator decides about associations."""

    ae_title: str = "ChRIS"
    """Ours."""
    check_called_ae_title: bool = False
    """Peers have to call us by it. Else they may call us anything."""
    allowed_peers: tuple[AllowedPeer, ...] = ()
    """Whose associations are taken; empty: everybody's."""
    max_pdu_length: int = 131072
    """The maximum that we announce, in bytes after the length field; 0: no limit."""
    strict: bool = False
    """A PDU longer than announced aborts the association."""
    uncompressed_only: bool = False
    max_request_bytes: int = MAX_REQUEST_BYTES
    """Longest A-ASSOCIATE-RQ, header included; at most MAX_REQUEST_BYTES."""
    max_pdu_bytes: int = 64 * 1024 * 1024
    """Longest P-DATA-TF PDU that is taken where the announced maximum does not bind, in bytes after the length."""
    max_command_bytes: int = 64 * 1024
    """Longest command set; those of the standard have a few hundred bytes."""

    @property
    def transfer_syntaxes(self) -> frozenset[str]:
        return UNCOMPRESSED_TRANSFER_SYNTAXES if self.uncompressed_only else TRANSFER_SYNTAXES


class Accepted(msgspec.Struct, frozen=True):
    """The association is accepted, though perhaps none of its presentation contexts."""

    contexts: tuple[AnsweredContext, ...]
    """One for each proposed id, in the same order."""
    role_selections: tuple[RoleSelection, ...] = ()


class Rejected(msgspec.Struct, frozen=True):
    """The association is rejected (PS3.8, 9.3.4)."""

    result: RejectResult
    source: RejectSource
    reason: RejectReason


NO_ROOM: Final = Rejected(
    RejectResult.TRANSIENT, RejectSource.PRESENTATION_PROVIDER, PresentationRejectReason.LOCAL_LIMIT_EXCEEDED
)
"""What a peer is told that may well come again: there are too many associations at present."""


def negotiate(
    request: AssociationRequest, policy: AcceptancePolicy, peer_address: str = "0.0.0.0"
) -> Accepted | Rejected:
    """Decide about the association request of a peer at an IPv4 or IPv6 address."""
    if (rejected := _find_fault(request, policy, peer_address)) is not None:
        return rejected
    roles = {role.sop_class_uid: role for role in request.role_selections}
    contexts = tuple(
        _answer_context(context, roles.get(context.abstract_syntax_uid), policy) for context in request.contexts
    )
    accepted_uids = {context.abstract_syntax_uid for context in contexts if context.is_accepted}
    # PS3.7, D.3.3.4: the peer may be SCU as it proposes; we are never SCU of storage, so it is never SCP.
    answered_roles = tuple(
        RoleSelection(uid, scu=role.scu, scp=False) for uid, role in roles.items() if uid in accepted_uids
    )
    return Accepted(contexts, answered_roles)


def unusable_calling_ae_title(title: str) -> bool:
    """Tell whether the peer's name cannot be a directory of the storage, in which each peer has its own."""
    return sanitize(title.strip()) in ("", ".", "..")


def _find_fault(request: AssociationRequest, policy: AcceptancePolicy, peer_address: str) -> Rejected | None:
    """Return why the association as a whole cannot be, if so."""
    if not request.protocol_version & 1:
        # PS3.8, 9.3.2: only bit 0 is tested.
        return Rejected(
            RejectResult.PERMANENT,
            RejectSource.ACSE_PROVIDER,
            AcseRejectReason.PROTOCOL_VERSION_NOT_SUPPORTED,
        )
    if request.application_context_name != DICOM_APPLICATION_CONTEXT_NAME:
        return _reject_by_user(UserRejectReason.APPLICATION_CONTEXT_NAME_NOT_SUPPORTED)
    if policy.check_called_ae_title and request.called_ae_title != policy.ae_title:
        return _reject_by_user(UserRejectReason.CALLED_AE_TITLE_NOT_RECOGNIZED)
    if unusable_calling_ae_title(request.calling_ae_title) or not _is_allowed(request, policy, peer_address):
        return _reject_by_user(UserRejectReason.CALLING_AE_TITLE_NOT_RECOGNIZED)
    return None


def _is_allowed(request: AssociationRequest, policy: AcceptancePolicy, peer_address: str) -> bool:
    return not policy.allowed_peers or is_allowed(policy.allowed_peers, request.calling_ae_title, peer_address)


def _reject_by_user(reason: UserRejectReason) -> Rejected:
    return Rejected(RejectResult.PERMANENT, RejectSource.SERVICE_USER, reason)


def _answer_context(proposed: ProposedContext, role: RoleSelection | None, policy: AcceptancePolicy) -> AnsweredContext:
    """Decide about one presentation context."""
    if not supports_abstract_syntax(proposed.abstract_syntax_uid):
        return _reject_context(proposed, ContextResult.ABSTRACT_SYNTAX_NOT_SUPPORTED)
    if role is not None and not role.scu:
        # The peer wants to receive only, and we never send.
        return _reject_context(proposed, ContextResult.USER_REJECTION)
    uid = _choose(proposed.transfer_syntax_uids, policy.transfer_syntaxes)
    if uid is None:
        return _reject_context(proposed, ContextResult.TRANSFER_SYNTAXES_NOT_SUPPORTED)
    return AnsweredContext(proposed.context_id, ContextResult.ACCEPTANCE, proposed.abstract_syntax_uid, uid)


def _choose(proposed: Sequence[str], ours: Collection[str]) -> str | None:
    """Return the first of the proposed transfer syntaxes that is ours; None: there is none.

    Implicit VR Little Endian, the default of every peer, gives way to Explicit VR Little Endian: with it private
    attributes lose their VR, and some peers have data that they cannot send in it.
    """
    first = next((uid for uid in proposed if uid in ours), None)
    return _EXPLICIT if first == _IMPLICIT and _EXPLICIT in proposed else first


def _reject_context(proposed: ProposedContext, result: ContextResult) -> AnsweredContext:
    return AnsweredContext(proposed.context_id, result, proposed.abstract_syntax_uid, _NOT_SIGNIFICANT)
