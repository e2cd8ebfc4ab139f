"""How long a peer is waited for, told by a clock that only runs while we wait."""

from struct import pack

import pytest

from oxidicom.association.acceptor import Acceptor
from oxidicom.settings import Settings
from tests.unit.association.association_peer import Listener, associate_rq, echo_rq, p_data, pdv, store_rq
from workers.listener.deadlines import Deadlines
from workers.listener.policy import acceptance_policy


class Peer:
    """A peer and the patience with it: `send` takes bytes after a wait, `trickle` one byte at a time."""

    def __init__(self, **variables):
        needed = {"CHRIS_DB_CONNECTION": "embedded", "CHRIS_FILES_ROOT": "/data"}
        settings = Settings.from_environment({**needed, **variables})
        self.listener = Listener(Acceptor(acceptance_policy(settings)))
        self.patience = Deadlines(settings, self.listener.acceptor)

    def associate(self):
        self.send(associate_rq())
        return self

    def send(self, data, after_seconds=0.0):
        overrun = self.patience.waited(after_seconds, len(data))
        if data:
            self.listener.receive(data)
        return overrun

    def silent(self, seconds):
        """Say nothing, in waits of a second. Return when it was too long, and why."""
        for second in range(1, seconds + 1):
            if overrun := self.send(b"", 1.0):
                return second, overrun
        return None

    def trickle(self, data, bytes_per_second=1):
        for second, at in enumerate(range(0, len(data), bytes_per_second), 1):
            if overrun := self.send(data[at : at + bytes_per_second], 1.0):
                return second, overrun
        return None


def test_a_peer_without_a_request_is_left_after_the_artim_time():
    assert Peer().silent(100) == (31, "no association request within 30 s")


def test_a_trickled_request_is_no_excuse():
    assert Peer().trickle(associate_rq()) == (31, "no association request within 30 s")


def test_a_peer_may_be_silent_between_messages_for_ten_minutes():
    peer = Peer().associate()
    assert peer.silent(600) is None
    assert peer.send(echo_rq()) is None
    assert peer.silent(700) == (601, "no new message within 600 s")


@pytest.mark.parametrize(
    "beginning",
    [pack(">BxL", 4, 1 << 20), store_rq(bytes(5000))[:1000], store_rq(bytes(5000), max_pdu_length=1000)[:-500]],
    ids=["PDU", "dataset", "between the PDUs of a dataset"],
)
def test_silence_inside_a_message_is_shorter(beginning):
    peer = Peer().associate()
    peer.send(beginning)
    assert peer.silent(100) == (31, "nothing more of a message within 30 s")


def test_a_trickle_inside_a_pdu_does_not_hold_a_listener():
    peer = Peer().associate()
    second, overrun = peer.trickle(store_rq(bytes(5000), max_pdu_length=0))
    assert second <= 32
    assert overrun == "fewer than 30000 bytes of a message within 30 s"


def test_nor_does_a_trickle_of_tiny_pdus():
    peer = Peer().associate()
    peer.send(store_rq(b"data")[:-16])
    for _ in range(31):
        overrun = peer.send(p_data(pdv(b"x", 0)), 1.0)
    assert overrun == "fewer than 30000 bytes of a message within 30 s"


def test_a_slow_line_is_fast_enough():
    peer = Peer().associate()
    assert peer.trickle(store_rq(bytes(200_000)), bytes_per_second=1100) is None
    assert peer.silent(600) is None


def test_a_message_after_a_long_silence_is_measured_from_its_own_begin():
    peer = Peer().associate()
    assert peer.silent(500) is None
    assert peer.trickle(store_rq(bytes(25_000))[:25_000], bytes_per_second=1000) is None


def test_many_short_messages_are_no_trickle():
    peer = Peer().associate()
    assert not any(peer.send(echo_rq(), 0.5) for _ in range(2000))


def test_what_we_take_ourselves_is_not_the_peers_fault():
    peer = Peer().associate()
    stream = store_rq(bytes(10_000_000), max_pdu_length=0)
    assert not any(peer.send(stream[at : at + 500_000], 0.001) for at in range(0, len(stream), 500_000))


def test_no_minimum_rate_lets_a_peer_trickle():
    peer = Peer(CHRIS_SCP_MIN_BYTES_PER_SECOND="0").associate()
    assert peer.trickle(store_rq(bytes(500))) is None
