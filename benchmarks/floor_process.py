"""The floors' program: receives datasets in a bare loop, and discards them or writes them to files.

What a receiver in Python can hardly be faster than: a process for each connection, one large buffer that is parsed in
place, `writev` of pieces of it, an answer from a template. No negotiation, no check, no file meta, no rename.

    python -m benchmarks.floor_process {discard|write} PORT DIRECTORY MAX_PDU_BYTES
"""

import os
import socket
import struct
import sys

_BUFFER_BYTES = 1 << 20
_PDU_HEADER = struct.Struct(">BxL")
_PDV_HEADER = struct.Struct(">LBB")
_P_DATA_TF, _ASSOCIATE_RQ = 4, 1
_IS_COMMAND, _IS_LAST = 1, 2
_RELEASE_RP = b"\6\0\0\0\0\4\0\0\0\0"
_MESSAGE_ID = struct.pack("<HHL", 0x0000, 0x0110, 2)
_REAP = struct.pack("ll", 0, 50_000)  # struct timeval: how often the parent looks for children that have ended
_FOR_EVER = struct.pack("ll", 0, 0)


def main() -> None:
    """Listen, and fork for each connection."""
    kind, port, directory, max_pdu_bytes = sys.argv[1:]
    listening = socket.create_server(("127.0.0.1", int(port)), backlog=128)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, _REAP)
    while True:
        try:
            connection, _ = listening.accept()
        except BlockingIOError:
            _reap()
            continue
        if os.fork() == 0:
            try:
                _Floor(connection, directory if kind == "write" else "", int(max_pdu_bytes)).serve()
            finally:
                os._exit(0)
        connection.close()


def _reap() -> None:
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass


class _Floor:
    """One association."""

    def __init__(self, connection: socket.socket, directory: str, max_pdu_bytes: int) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, _FOR_EVER)  # the listening socket's was inherited
        self._connection = connection
        self._directory = directory
        self._max_pdu_bytes = max_pdu_bytes
        self._view = memoryview(bytearray(_BUFFER_BYTES))
        self._pieces: list[memoryview] = []
        self._file = -1
        self._number = 0
        self._message_id = 0

    def serve(self) -> None:
        """Receive until the peer closes the connection."""
        view, left = self._view, 0
        while count := self._connection.recv_into(view[left:]):
            end = left + count
            start = self._take_pdus(end)
            self._write()  # the pieces lie in the buffer that is filled next
            left = end - start
            view[:left] = view[start:end]

    def _take_pdus(self, end: int) -> int:
        """Take all PDUs that are whole; return where the first one that is not begins."""
        start = 0
        while end - start >= _PDU_HEADER.size:
            pdu_type, length = _PDU_HEADER.unpack_from(self._view, start)
            body_at = start + _PDU_HEADER.size
            if end - body_at < length:
                break
            start = body_at + length
            if pdu_type == _P_DATA_TF:
                self._take_values(body_at, start)
            else:
                self._connection.sendall(self._answer(pdu_type, bytes(self._view[body_at:start])))
        return start

    def _take_values(self, at: int, end: int) -> None:
        while at < end:
            item_length, _, control = _PDV_HEADER.unpack_from(self._view, at)
            piece = self._view[at + 6 : at + 4 + item_length]
            at += 4 + item_length
            if control & _IS_COMMAND:
                command = bytes(piece)
                found = command.index(_MESSAGE_ID) + len(_MESSAGE_ID)
                self._message_id = int.from_bytes(command[found : found + 2], "little")
                continue
            if self._directory:
                self._pieces.append(piece)
            if control & _IS_LAST:
                self._write()
                self._close()
                self._connection.sendall(_response(self._message_id))

    def _write(self) -> None:
        if not self._pieces:
            return
        if self._file < 0:
            self._number += 1
            path = f"{self._directory}/{os.getpid()}-{self._number}"
            self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
        os.writev(self._file, self._pieces)
        self._pieces.clear()

    def _close(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _answer(self, pdu_type: int, body: bytes) -> bytes:
        """Accept whatever is proposed, and grant the release."""
        if pdu_type != _ASSOCIATE_RQ:
            return _RELEASE_RP
        context = body.index(b"\x20\0", 68)  # the one presentation context (PS3.8, table 9-13)
        syntax = body.index(b"\x40\0", context)  # and its one transfer syntax
        syntax_length = int.from_bytes(body[syntax + 2 : syntax + 4], "big")
        accepted = _item(0x21, bytes((body[context + 4], 0, 0, 0)) + body[syntax : syntax + 4 + syntax_length])
        longest = _item(0x51, struct.pack(">L", self._max_pdu_bytes))
        user_information = _item(0x50, longest + _item(0x52, b"1.2.3"))
        answer = body[:68] + _item(0x10, b"1.2.840.10008.3.1.1.1") + accepted + user_information
        return _PDU_HEADER.pack(2, len(answer)) + answer


def _item(item_type: int, value: bytes) -> bytes:
    return struct.pack(">BxH", item_type, len(value)) + value


def _response(message_id: int) -> bytes:
    """Return a C-STORE-RSP with Success (PS3.7, table 9.3-2), without what is optional in it."""
    # Group length 40; command field, message id being responded to, no dataset, status.
    command_set = struct.pack(
        "<HHLLHHLHHHLHHHLHHHLH",
        *(0, 0x0000, 4, 40, 0, 0x0100, 2, 0x8001, 0, 0x0120, 2, message_id, 0, 0x0800, 2, 0x0101, 0, 0x0900, 2, 0),
    )
    return _PDU_HEADER.pack(4, len(command_set) + 6) + _PDV_HEADER.pack(len(command_set) + 2, 1, 3) + command_set


if __name__ == "__main__":
    main()
