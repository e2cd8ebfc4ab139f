"""How an association ends."""

import enum

import msgspec

from oxidicom.association.pdu import RejectReason


class EndKind(enum.StrEnum):
    """How the listener saw it end; the value is how that is said in the log and in the ledger."""

    RELEASED = "released"
    ABORTED = "aborted by the peer"
    CONNECTION_LOST = "connection lost"
    PROTOCOL_VIOLATED = "protocol violated"
    DEADLINE = "deadline"
    REJECTED = "rejected"
    TURNED_AWAY = "turned away"
    NO_TLS = "the peer does not speak TLS"
    HANDSHAKE_FAILED = "TLS handshake failed"
    NO_PROXY_HEADER = "PROXY protocol"
    GATEWAY_STOPPED = "gateway stopped"
    FAILED = "failed because of a bug in the gateway"


class Ending(msgspec.Struct, frozen=True, array_like=True):
    """One end."""

    kind: EndKind
    detail: str = ""
    """Why, without patient data."""

    def __str__(self) -> str:
        return f"{self.kind.value}: {self.detail}" if self.detail else self.kind.value


def rejected(reason: RejectReason) -> Ending:
    """Return the end of an association that was rejected."""
    return Ending(EndKind.REJECTED, reason.name.lower().replace("_", " "))


UNWELCOME = Ending(EndKind.TURNED_AWAY, "CHRIS_SCP_ALLOWED_AETS lists nobody on the peer's network")
