"""What happens in an association, as its listener sees it: facts, in the order in which they come.

An association that gets this far yields `AssociationRequested`, if nothing speaks against it, and then one of
`AssociationAccepted` and `AssociationRejected`; then, for each instance, either `StoreRequested`, any number of
`DataReceived`, `DataEnded`, or `StoreRefused` alone; at the end one of `ReleaseRequested`, `Aborted`,
`ConnectionLost` and `ProtocolViolated`, which may come in the middle of an instance.
"""

import msgspec

from oxidicom.association.associate import AnsweredContext, AssociationRequest
from oxidicom.association.commands import StoreRequest
from oxidicom.association.pdu import RejectReason
from oxidicom.errors import ProtocolError


class AssociationRequested(msgspec.Struct, frozen=True):
    """A request has come that will be accepted, unless `Acceptor.reject` is called before the next event is taken."""

    request: AssociationRequest


class AssociationAccepted(msgspec.Struct, frozen=True):
    """The A-ASSOCIATE-AC is queued."""

    request: AssociationRequest
    contexts: tuple[AnsweredContext, ...]
    """One for each proposed context, the rejected ones included."""


class AssociationRejected(msgspec.Struct, frozen=True):
    """The A-ASSOCIATE-RJ is queued; the association is over."""

    request: AssociationRequest
    reason: RejectReason


class StoreRequested(msgspec.Struct, frozen=True, gc=False):
    """The command set of a C-STORE-RQ has come whole; its dataset follows."""

    request: StoreRequest


class DataReceived(msgspec.Struct, frozen=True, gc=False):
    """The next bytes of the dataset."""

    piece: memoryview
    """Never empty. A part of the receive buffer: valid until `Acceptor.writable` is called and does not keep it."""


class DataEnded(msgspec.Struct, frozen=True, gc=False):
    """The dataset has come whole; the listener owes a response to its request."""

    request: StoreRequest


class StoreRefused(msgspec.Struct, frozen=True, gc=False):
    """A C-STORE-RQ was answered with a failure for its command set alone; its dataset was dropped."""

    request: StoreRequest
    status: int
    comment: str


class Echoed(msgspec.Struct, frozen=True, gc=False):
    """A C-ECHO-RQ was answered."""


class RequestUnrecognized(msgspec.Struct, frozen=True, gc=False):
    """A request of an operation that we do not offer was answered so; its dataset was dropped."""

    command_field: int


class ReleaseRequested(msgspec.Struct, frozen=True, gc=False):
    """The A-RELEASE-RP is queued; the peer will close the connection."""


class Aborted(msgspec.Struct, frozen=True, gc=False):
    """The peer has aborted the association."""

    source: int
    """An AbortSource, if the peer keeps to the standard."""
    reason: int
    """An AbortReason, likewise."""


class ConnectionLost(msgspec.Struct, frozen=True, gc=False):
    """The peer has closed the connection without release or abort."""


class ProtocolViolated(msgspec.Struct, frozen=True):
    """The peer broke the protocol; an A-ABORT is queued."""

    error: ProtocolError


Event = (
    AssociationRequested
    | AssociationAccepted
    | AssociationRejected
    | StoreRequested
    | DataReceived
    | DataEnded
    | StoreRefused
    | Echoed
    | RequestUnrecognized
    | ReleaseRequested
    | Aborted
    | ConnectionLost
    | ProtocolViolated
)
