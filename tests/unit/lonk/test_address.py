"""Addresses of NATS servers: what is taken, and that no message shows what gives access."""

import pytest

from oxidicom.lonk.address import access, location, parse_addresses, shown


@pytest.mark.parametrize(
    ("text", "addresses"),
    [
        ("", ()),
        ("host", ("nats://host",)),
        ("host:4223", ("nats://host:4223",)),
        ("nats://a:1, tls://b:2,", ("nats://a:1", "tls://b:2")),
        ("me:secret@host:4222", ("nats://me:secret@host:4222",)),
        ("nats://[::1]:4222", ("nats://[::1]:4222",)),
    ],
)
def test_addresses(text, addresses):
    assert parse_addresses(text) == addresses


@pytest.mark.parametrize(
    "text", ["http://host", "ws://host", "nats://", "nats://host:0", "nats://host:x", "nats://host:99999", "nats://h/x"]
)
def test_what_is_no_address(text):
    with pytest.raises(ValueError, match="address 2"):
        parse_addresses(f"nats://good, {text}")


def test_a_fault_shows_no_password():
    with pytest.raises(ValueError, match="address 1") as raised:
        parse_addresses("nats://me:secret@host:port")
    assert "secret" not in str(raised.value)


def test_parts_of_an_address():
    address = "tls://me:p%40ss@[::1]"
    assert shown(address) == "tls://[::1]:4222"
    assert location(address) == "tls://[::1]"
    assert access(address) == ("me", "p@ss", None)
    assert access("nats://token@host") == (None, None, "token")
    assert access("nats://host") == (None, None, None)
