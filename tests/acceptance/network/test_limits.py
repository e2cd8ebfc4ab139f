"""Deadlines and caps: what a listener puts up with."""

import resource
import struct

import pytest

from tests.acceptance.network.connections import keep_alive_seconds
from tests.acceptance.network.wire import ABORTED, ACCEPTED, LOST, Wire
from tests.dicom import make_instance, make_series, send
from tests.processes import own_bytes
from tests.unit.association.association_peer import associate_rq, echo_rq, p_data, pdv, store_rq
from tests.waiting import wait_until

SHORT = {
    "CHRIS_SCP_REQUEST_SECONDS": "2",
    "CHRIS_SCP_IDLE_SECONDS": "4",
    "CHRIS_SCP_STALL_SECONDS": "2",
}


@pytest.fixture
def impatient(make_gateway):
    return make_gateway(**SHORT)


def ended(gateway, action):
    (line,) = wait_until(lambda: gateway.lines(action), "the closing line")
    return line["how"]


def test_a_peer_that_asks_for_nothing_is_left_without_a_word(impatient):
    with Wire(impatient.port) as wire:
        assert wire.receive() is LOST
    assert ended(impatient, "no_association") == "deadline: no association request within 2 s"


def test_a_trickled_request_is_no_excuse(impatient):
    with Wire(impatient.port) as wire:
        assert wire.trickle(associate_rq(), 0.2) < 6


def test_a_peer_without_a_next_message_is_aborted(impatient):
    with Wire(impatient.port) as wire:
        assert wire.associate()[0] == ACCEPTED
        assert wire.receive() == (ABORTED, bytes((0, 0, 2, 0)))
    assert ended(impatient, "association_ended") == "deadline: no new message within 4 s"


def test_a_peer_that_stalls_inside_a_pdu_is_aborted(impatient):
    with Wire(impatient.port) as wire:
        assert wire.associate()[0] == ACCEPTED
        wire.send(store_rq(bytes(100_000))[:50_000])
        assert wire.receive() == (ABORTED, bytes((0, 0, 2, 0)))
    assert ended(impatient, "association_ended") == "deadline: nothing more of a message within 2 s"


def test_a_trickle_of_bytes_does_not_hold_a_listener(impatient):
    with Wire(impatient.port) as wire:
        assert wire.associate()[0] == ACCEPTED
        assert wire.trickle(store_rq(bytes(1000)), 0.2) < 8
    assert ended(impatient, "association_ended") == "deadline: fewer than 2000 bytes of a message within 2 s"


def test_a_peer_that_takes_no_answers_does_not_hold_a_listener(impatient):
    with Wire(impatient.port) as wire:
        wire.socket.settimeout(1)
        wire.send(associate_rq())
        echoes = echo_rq() * 1000
        with pytest.raises((TimeoutError, ConnectionError)):
            for _ in range(1000):
                wire.send(echoes)
        how = ended(impatient, "association_ended")
        assert how == "deadline: the peer does not read its answers"


@pytest.mark.parametrize(
    "pdu",
    [
        pytest.param(struct.pack(">BxL", 4, (64 << 20) + 1), id="PDU over 64 MiB"),
        pytest.param(struct.pack(">BxL", 4, 0xFFFFFFFF), id="PDU of 4 GiB"),
        pytest.param(p_data(pdv(bytes(40_000), 1)) * 2, id="command set over 64 KiB"),
    ],
)
def test_what_is_too_long_is_an_invalid_parameter(gateway, pdu):
    with Wire(gateway.port) as wire:
        assert wire.associate()[0] == ACCEPTED
        assert wire.send(pdu).receive() == (ABORTED, bytes((0, 0, 2, 6)))


def test_a_request_over_1_mib_is_refused_at_its_header(gateway):
    with Wire(gateway.port) as wire:
        assert wire.send(struct.pack(">BxL", 1, 1 << 20)).receive() == (ABORTED, bytes(4))


def test_a_claimed_length_allocates_nothing(gateway):
    listeners = gateway.pids_of("listener")
    before = own_bytes(listeners)
    for _ in listeners:
        with Wire(gateway.port) as wire:
            assert wire.associate()[0] == ACCEPTED
            wire.send(struct.pack(">BxLLBB", 4, 64 << 20, (64 << 20) - 4, 1, 1)).half_close()
            assert wire.receive() is LOST
    assert own_bytes(listeners) - before < len(listeners) * (4 << 20)


def test_without_descriptors_a_listener_waits_until_there_are_some(make_gateway):
    gateway = make_gateway(CHRIS_LISTENER_THREADS="1")
    (listener,) = gateway.pids_of("listener")
    limits = resource.prlimit(listener, resource.RLIMIT_NOFILE)
    resource.prlimit(listener, resource.RLIMIT_NOFILE, (1, limits[1]))
    wait_until(lambda: gateway.lines("accept_failed"), "it is said")
    with Wire(gateway.port) as wire:
        wire.send(associate_rq())
        resource.prlimit(listener, resource.RLIMIT_NOFILE, limits)
        assert wire.receive()[0] == ACCEPTED
    assert gateway.pids_of("listener") == [listener]
    assert len(gateway.lines("accept_failed")) <= 3, "once a minute"


def test_an_instance_over_the_limit_is_refused_and_the_next_is_stored(make_gateway, rows, tmp_path):
    gateway = make_gateway(CHRIS_SCP_MAX_INSTANCE_BYTES="100000")
    small, next_small = make_series(tmp_path / "in", 2)
    large = make_instance(tmp_path / "large.dcm", 3, "1.2.3.4", PixelData=bytes(4_000_000))
    first, refused, last = send(gateway.port, [small, large, next_small])
    assert (first.Status, last.Status) == (0, 0)
    assert (refused.Status, refused.ErrorComment) == (0xC000, "Dataset is larger than CHRIS_SCP_MAX_INSTANCE_BYTES")
    wait_until(lambda: len(rows()) == 2, "the rows of the others")
    wait_until(lambda: not gateway.spooled(), "its space is given back")


def test_keep_alive_is_on(make_gateway):
    gateway = make_gateway(CHRIS_SCP_KEEP_ALIVE_SECONDS="300")
    with Wire(gateway.port) as wire:
        assert wire.associate()[0] == ACCEPTED
        (seconds,) = keep_alive_seconds(gateway.port)
        assert 100 < seconds <= 300, "not the default of 60"
