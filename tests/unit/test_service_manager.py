"""What systemd is told, and what becomes of a watchdog that makes no sense."""

import socket

import pytest

from oxidicom.service_manager import ServiceManager


@pytest.fixture
def manager(tmp_path):
    """A socket as systemd has it; reading it does not wait."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "notify"))
        listening.setblocking(False)
        yield listening


def test_signs_of_life_are_given_when_they_are_wanted(manager):
    ServiceManager(manager.getsockname(), "30000000").alive()
    assert manager.recv(100) == b"WATCHDOG=1"


def test_a_stop_that_takes_longer_than_the_unit_says_is_waited_for(manager):
    ServiceManager(manager.getsockname(), "").stopping("associations may finish", 3605.5)
    assert manager.recv(100) == b"STOPPING=1\nSTATUS=associations may finish\nEXTEND_TIMEOUT_USEC=3605500000"


@pytest.mark.parametrize("value", ["", "0", "soon", "nan", "-5", "1e6"])
def test_without_a_number_of_microseconds_none_are_given_and_the_rest_is(value, manager):
    service_manager = ServiceManager(manager.getsockname(), value)
    service_manager.alive()
    service_manager.ready("serving")
    assert manager.recv(100) == b"READY=1\nSTATUS=serving"
