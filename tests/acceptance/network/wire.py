"""A peer that sends whatever bytes it likes, and the PDUs that it gets."""

import contextlib
import socket
import ssl
import struct
import time

from tests.unit.association.association_peer import associate_rq, with_calling_ae_title

ACCEPTED, REJECTED, DATA, RELEASED, ABORTED = 2, 3, 4, 6, 7
"""PDU types (PS3.8, 9.3) that a gateway sends."""

LOST = None
"""What is received when the gateway closes the connection without a word."""


class Wire:
    """One connection to a gateway."""

    def __init__(self, port, host="127.0.0.1"):
        self.socket = socket.create_connection((host, port), 10)
        self.socket.settimeout(30)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)
        return self

    def associate(self, calling=b"TEST", **proposal):
        """Ask for an association under any 16 bytes as AE title, and return the answer."""
        return self.send(with_calling_ae_title(associate_rq(**proposal), calling.ljust(16))).receive()

    def receive(self):
        """Return type and body of the next PDU, or LOST."""
        header = self._read(6)
        if header is LOST:
            return LOST
        pdu_type, length = struct.unpack(">BxL", header)
        return pdu_type, self._read(length)

    def _read(self, count):
        data = b""
        while len(data) < count:
            try:
                piece = self.socket.recv(count - len(data))
            except ConnectionResetError:
                return LOST
            if not piece:
                return LOST
            data += piece
        return data

    def half_close(self):
        self.socket.shutdown(socket.SHUT_WR)
        return self

    def reset(self):
        """Close with RST instead of FIN, as a crashed peer or some load balancers do."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def trickle(self, data, interval_seconds):
        """Send a byte now and then until the gateway ends the connection. Return after how many seconds it did."""
        began = time.monotonic()
        self.socket.settimeout(interval_seconds)
        for at in range(len(data)):
            with contextlib.suppress(TimeoutError):
                try:
                    self.socket.sendall(data[at : at + 1])
                    if not self.socket.recv(1000):
                        break
                except ConnectionError:
                    break
        else:
            raise AssertionError("the gateway took all of it")
        return time.monotonic() - began


def client_context(authority, client=None, version=None):
    context = ssl.create_default_context(cafile=authority.path)
    if version:
        context.minimum_version = context.maximum_version = version
    if client:
        context.load_cert_chain(*client)
    return context


class SecureWire(Wire):
    """A wire within TLS."""

    def __init__(self, port, context):
        super().__init__(port)
        self.socket = context.wrap_socket(self.socket, server_hostname="localhost", suppress_ragged_eofs=False)


class RecordWire(Wire):
    """A wire within TLS whose records can be cut into pieces."""

    def __init__(self, port, context):
        super().__init__(port)
        self._from_peer, self._to_peer = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._from_peer, self._to_peer, server_hostname="localhost")
        self._exchange(self._tls.do_handshake)

    def send(self, data):
        return super().send(self.encrypt(data))

    def encrypt(self, data):
        """Return what is to be sent instead of `data`."""
        self._tls.write(data)
        return self._to_peer.read()

    def _read(self, count):
        data = b""
        while len(data) < count:
            data += self._exchange(self._tls.read, count - len(data))
        return data

    def _exchange(self, step, *arguments):
        """Return what a step of TLS returns once it is through."""
        while True:
            try:
                done = step(*arguments)
            except ssl.SSLWantReadError:
                self.socket.sendall(self._to_peer.read())
                self._from_peer.write(self.socket.recv(65536))
                continue
            self.socket.sendall(self._to_peer.read())
            return done
