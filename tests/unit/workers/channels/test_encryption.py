"""The sessions that OpenSSL keeps of associations by TLS 1.2: their number has a bound."""

import socket
import ssl
import threading

import pytest

from tests.unit.test_tls import settings
from workers.channels import encryption
from workers.channels.encryption import Encryption, say_no_more

CONNECTIONS = 40


@pytest.fixture
def bound(monkeypatch):
    monkeypatch.setattr(encryption, "_MAX_SESSIONS", 10)
    return 10


def connect(client_context, held):
    """Be associated by TLS 1.2 once: the session is kept if both sides close in order. Return how many are kept."""
    ours, theirs = socket.socketpair()
    with held.wrap(ours, 0) as server:
        server.settimeout(60)
        client = threading.Thread(target=close_in_order, args=(client_context, theirs))
        client.start()
        server.do_handshake()
        assert server.version() == "TLSv1.2"
        say_no_more(server)
        client.join()
        return server.context.session_stats()["number"]


def close_in_order(context, connection):
    connection.settimeout(60)
    with context.wrap_socket(connection) as client:
        assert client.recv(1) == b""
        client.unwrap().close()


@pytest.fixture
def client_context():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    return context


def test_the_sessions_of_associations_do_not_pile_up(authority, client_context, bound):
    held = Encryption(settings(*authority.issue("gateway")))
    kept = [connect(client_context, held) for _ in range(CONNECTIONS)]
    assert max(kept) == bound


def test_where_the_files_cannot_be_read_again_the_old_certificate_stays(authority, client_context, bound):
    """It is tried again after as many associations, and not for each."""
    certificate, key = authority.issue("gateway")
    held = Encryption(settings(certificate, key))
    content = key.read_bytes()
    key.unlink()
    assert max(connect(client_context, held) for _ in range(CONNECTIONS)) == CONNECTIONS
    key.write_bytes(content)
    assert max(connect(client_context, held) for _ in range(bound)[1:]) < CONNECTIONS + bound
    assert connect(client_context, held) <= bound
