"""A C-STORE SCU that sends datasets as the bytes that they are, under whatever UIDs and title it is told to."""

from struct import pack

from tests.acceptance.network.wire import ACCEPTED, DATA, Wire
from tests.unit.association.association_peer import RELEASE_RQ, associate_rq, decode_responses, p_data, pdv

_STORE_RQ = 0x0001
_HAS_DATASET = 0x0000
_COMMAND, _LAST = 0b01, 0b10
_FRAGMENT_BYTES = 60_000
_TITLE = "CALLING"
"""Stands in for the calling AE title: pynetdicom, which encodes the request, takes only good ones."""


class NotAcceptedError(Exception):
    """The association or the presentation context was refused."""


class RawSender:
    """One association with one presentation context."""

    def __init__(self, port, sop_class, transfer_syntax, calling="TEST"):
        self._wire = Wire(port)
        request = associate_rq([(1, sop_class, [transfer_syntax])], calling=_TITLE)
        self._wire.send(request.replace(_TITLE.ljust(16).encode(), calling.ljust(16).encode("latin-1")))
        pdu_type, body = self._wire.receive()
        result = body.find(b"\x21\0")  # the one answered presentation context (PS3.8, table 9-18)
        if pdu_type != ACCEPTED or body[result + 6]:
            self._wire.socket.close()
            raise NotAcceptedError
        self._messages = 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._wire.send(RELEASE_RQ).receive()
        self._wire.socket.close()

    def store(self, dataset, sop_class, sop_instance):
        """Send a dataset and return the command set of the response."""
        self._messages += 1
        command = _command_set(self._messages, sop_class, sop_instance)
        self._wire.send(p_data(pdv(command, _COMMAND | _LAST)))
        for at in range(0, max(1, len(dataset)), _FRAGMENT_BYTES):
            last = _LAST if at + _FRAGMENT_BYTES >= len(dataset) else 0
            self._wire.send(p_data(pdv(dataset[at : at + _FRAGMENT_BYTES], last)))
        pdu_type, body = self._wire.receive()
        assert pdu_type == DATA, (pdu_type, body)
        ((_, response),) = decode_responses(pack(">BxL", pdu_type, len(body)) + body)
        return response


def _command_set(message_id, sop_class, sop_instance):
    elements = b"".join(
        pack("<HHL", 0, element, len(value)) + value
        for element, value in (
            (0x0002, _uid(sop_class)),
            (0x0100, pack("<H", _STORE_RQ)),
            (0x0110, pack("<H", message_id)),
            (0x0700, pack("<H", 0)),
            (0x0800, pack("<H", _HAS_DATASET)),
            (0x1000, _uid(sop_instance)),
        )
    )
    return pack("<HHLL", 0, 0, 4, len(elements)) + elements


def _uid(uid):
    value = uid.encode("latin-1")
    return value + b"\0" * (len(value) % 2)
