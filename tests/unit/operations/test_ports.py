"""What `oxidicom check` says of the ports."""

import socket

import msgspec
import pytest

from oxidicom.operations.ports import of_ports
from oxidicom.settings import Settings
from oxidicom.spool.published import publish
from tests.unit.judgement.test_rules import GOOD


def settings(tmp_path, **variables):
    needed = {"CHRIS_DB_CONNECTION": "host=x", "CHRIS_FILES_ROOT": str(tmp_path / "files")}
    return Settings.from_environment({**needed, **variables})


@pytest.fixture
def taken():
    """A port that another program listens on, over IPv4 alone."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        yield other.getsockname()[1]


def test_what_another_program_listens_on_is_told_also_when_we_would_use_ipv6_too(taken, tmp_path):
    (found,) = of_ports(settings(tmp_path, PORT=str(taken), CHRIS_BIND_ADDRESS="::"))
    assert (found.verdict, found.subject) == ("note", f"port {taken}")
    assert "in use" in found.detail
    assert "set PORT" in found.detail


def test_the_gateway_of_this_storage_and_host_is_no_trouble(taken, gateway_directory, tmp_path):
    of_this_host = msgspec.structs.replace(GOOD, host=socket.gethostname(), port=taken)
    publish(gateway_directory.path, of_this_host)
    (found,) = of_ports(settings(tmp_path, PORT=str(taken)))
    assert (found.verdict, "the gateway of this storage" in found.detail) == ("good", True)
    publish(gateway_directory.path, msgspec.structs.replace(of_this_host, host="another"))
    (found,) = of_ports(settings(tmp_path, PORT=str(taken)))
    assert found.verdict == "note", "one of another host cannot have taken the port of this one"


def test_a_gateway_without_its_page_is_worth_a_warning(taken, tmp_path):
    _, page = of_ports(settings(tmp_path, CHRIS_HTTP_PORT=str(taken)))
    assert page.verdict == "warning", "who listens there does not answer as our gateway does"
    assert "set CHRIS_HTTP_PORT" in page.detail
    _, page = of_ports(settings(tmp_path, CHRIS_HTTP_PORT="1", CHRIS_HTTP_ADDRESS="192.0.2.1"))
    assert page.verdict == "warning"
    assert "set CHRIS_HTTP_ADDRESS to one that `ip address` shows" in page.detail
