"""C-STORE-RQs that are like an earlier one: of the thousands of an association two values differ.

Message ID and Affected SOP Instance UID are holes in a stencil of a request that was decoded. Where it fits, the
request is that one with two new values.
"""

from oxidicom.association.commands import Command, Element, StoreRequest
from oxidicom.association.uids import decode_uid, is_instance_uid
from oxidicom.stencil import Span, Stencil

_MAX_REQUESTS = 128
_MAX_BYTES = 1024


class _Familiar:
    """A request, and those of its length that resemble it."""

    def __init__(self, command: Command, request: StoreRequest) -> None:
        self._request = request
        self._message_id_at = command.places[Element.MESSAGE_ID]
        self._uid_at = command.places[Element.AFFECTED_SOP_INSTANCE_UID]
        self._stencil = Stencil(command.encoded, [self._message_id_at, self._uid_at])

    def recognize(self, command_set: bytearray) -> StoreRequest | None:
        if not self._stencil.fits(command_set):
            return None
        uid = decode_uid(_value(command_set, self._uid_at))
        if not is_instance_uid(uid):
            return None
        request = self._request
        return StoreRequest(
            int.from_bytes(_value(command_set, self._message_id_at), "little"),
            request.context_id,
            request.affected_sop_class_uid,
            uid,
            request.abstract_syntax_uid,
            request.transfer_syntax_uid,
        )


class FamiliarRequests:
    """Requests that could be served: the last one of each presentation context and length."""

    def __init__(self) -> None:
        self._familiar: dict[tuple[int, int], _Familiar] = {}

    def recognize(self, command_set: bytearray, context_id: int) -> StoreRequest | None:
        """Return the request that a whole command set is, if it is like an earlier one; None if it must be decoded."""
        familiar = self._familiar.get((context_id, len(command_set)))
        return None if familiar is None else familiar.recognize(command_set)

    def remember(self, command: Command, request: StoreRequest) -> None:
        """Remember a request that was decoded and can be served."""
        length = len(command.encoded)
        if length > _MAX_BYTES:
            return
        if len(self._familiar) >= _MAX_REQUESTS:
            self._familiar.clear()
        self._familiar[request.context_id, length] = _Familiar(command, request)


def _value(command_set: bytearray, span: Span) -> bytearray:
    start, end = span
    return command_set[start:end]
