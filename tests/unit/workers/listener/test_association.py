"""One association: what a bug of ours costs."""

import socket

import pytest
from loguru import logger

from workers.channels.scoreboard import Counter, Role
from workers.listener.association import Association
from workers.listener.connections import Peer


@pytest.fixture
def log():
    records = []
    sink = logger.add(lambda message: records.append(message.record))
    yield records
    logger.remove(sink)


@pytest.fixture
def connection():
    ours, theirs = socket.socketpair()
    yield ours, theirs
    theirs.close()


def test_a_bug_costs_one_association_and_not_its_listener(shared, connection, log, monkeypatch):
    ours, theirs = connection
    slot = shared.scoreboard.of_role(Role.LISTENER)[0]
    association = Association(shared, slot, ours, Peer("10.1.2.3", 104))

    def fail(count):
        raise ValueError("Doe^John")

    monkeypatch.setattr(association._acceptor, "received", fail)
    theirs.send(b"x")
    theirs.shutdown(socket.SHUT_WR)
    association.serve()
    assert theirs.recv(100)[:1] == b"\x07", "A-ABORT"
    messages = [record["message"] for record in log]
    assert any("Unexpected ValueError in test_association.py" in message for message in messages)
    assert not any("Doe" in message for message in messages)
    assert slot.association == ""
    assert slot[Counter.ASSOCIATIONS_ACCEPTED] == 0
