"""The web server, by itself: its addresses, its bounds, and what a bug of ours costs."""

import asyncio
import contextlib
import select
import socket
import threading
import urllib.error
import urllib.request
from typing import Any

import pytest
from loguru import logger
from starlette.applications import Starlette
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from tests.waiting import wait_until
from workers.channels.ports import open_port
from workers.channels.repetitions import Repetitions
from workers.channels.scoreboard import Scoreboard
from workers.page import events, limits, web_server
from workers.page.bug_telling import BugTelling
from workers.page.web_server import WebServer


async def nothing(_request):
    return Response(status_code=204)


async def bug(_request):
    raise LookupError("a bug")


async def everything(_request):
    async def pieces():
        while True:
            yield bytes(65536)
            await asyncio.sleep(0)

    return StreamingResponse(pieces())


@pytest.fixture
def bugs():
    return BugTelling(Repetitions(1), Scoreboard(1).slots[0])


@pytest.fixture
def serve(bugs):
    """A function that serves at an address and returns the server with its port."""
    with contextlib.ExitStack() as stack:

        def start(address):
            routes = [Route("/", nothing), Route("/bug", bug), Route("/everything", everything)]
            server = WebServer(Starlette(routes=routes), bugs)
            listening_socket = open_port(address, 0)
            port = listening_socket.getsockname()[1]
            thread = threading.Thread(target=lambda: asyncio.run(server.serve_at(listening_socket)))
            thread.start()
            stack.callback(thread.join)
            stack.callback(server.end)
            return server, port

        yield start


def status(host, port, path="/"):
    with urllib.request.urlopen(f"http://{host}:{port}{path}", timeout=20) as response:
        return response.status


@pytest.mark.parametrize(
    ("address", "hosts"),
    [("::", ["[::1]", "127.0.0.1"]), ("::1", ["[::1]"]), ("127.0.0.1", ["127.0.0.1"]), ("0.0.0.0", ["127.0.0.1"])],
)
def test_it_speaks_the_family_of_its_address(serve, address, hosts):
    _, port = serve(address)
    assert {status(host, port) for host in hosts} == {204}


def test_it_starts_without_a_question_to_the_dns(serve, monkeypatch):
    def ask(*_):
        raise AssertionError("the DNS may take half a minute to say that it does not know")

    for name in ("getfqdn", "gethostbyaddr", "gethostbyname"):
        monkeypatch.setattr(socket, name, ask)
    assert status("127.0.0.1", serve("127.0.0.1")[1]) == 204


def test_a_bug_in_a_page_is_one_line_of_log(serve, capsys):
    lines = []
    logger.remove()
    handler = logger.add(lines.append, format="{message} {extra[action]}", level="INFO")
    try:
        port = serve("127.0.0.1")[1]
        for _ in range(3):
            with pytest.raises(urllib.error.HTTPError) as caught:
                status("127.0.0.1", port, "/bug")
            caught.value.close()
        wait_until(lambda: lines, "a line")
    finally:
        logger.remove(handler)
    (line,) = lines
    assert line.startswith("Unexpected LookupError in test_web_server.py:")
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("said", [b"", b"GET / HT", b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\nGET / HTTP/1.1\r\nHos"])
def test_who_does_not_say_what_he_wants_is_cut_off(said, serve, monkeypatch):
    monkeypatch.setattr(web_server, "REQUEST_SECONDS", 0.2)
    with socket.create_connection(("127.0.0.1", serve("127.0.0.1")[1]), 60) as client:
        client.sendall(said)
        while client.recv(4096):
            pass


def test_who_does_not_take_his_answer_is_cut_off(serve, monkeypatch):
    monkeypatch.setattr(web_server, "WRITE_SECONDS", 0.2)
    server, port = serve("127.0.0.1")
    with socket.create_connection(("127.0.0.1", port), 60) as client:
        client.sendall(b"GET /everything HTTP/1.1\r\nHost: localhost\r\n\r\n")
        poll = select.poll()
        poll.register(client, 0)
        assert poll.poll(60_000), "cut off"
        wait_until(lambda: not server.server_state.connections, "forgotten")


def test_of_too_many_the_first_are_cut_off_however_long_a_request_may_take(serve, monkeypatch):
    monkeypatch.setattr(web_server, "REQUEST_SECONDS", 3600)
    server, port = serve("127.0.0.1")
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(socket.create_connection(("127.0.0.1", port), 60)) for _ in range(60)]
        with contextlib.suppress(ConnectionResetError):
            assert clients[0].recv(1) == b""
        wait_until(lambda: len(server.server_state.connections) == limits.MAX_CONNECTIONS, "the others too")
        clients[-1].sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert clients[-1].recv(100).startswith(b"HTTP/1.1 204")


def test_of_too_many_who_all_are_told_something_the_last_is_cut_off(serve):
    server, port = serve("127.0.0.1")
    with contextlib.ExitStack() as stack:
        for _ in range(limits.MAX_CONNECTIONS + 5):
            client = stack.enter_context(socket.create_connection(("127.0.0.1", port), 60))
            client.sendall(b"GET /everything HTTP/1.1\r\nHost: localhost\r\n\r\n")
            client.recv(1)
        wait_until(lambda: len(server.server_state.connections) == limits.MAX_CONNECTIONS, "the last are gone")


class Changing:
    """Tells what `state` is; asked for the second time, it tells that nothing is known yet until it is `known`."""

    def __init__(self):
        self.state = "all is well"
        self.known = asyncio.Event()
        self.known.set()

    async def status(self):
        await self.known.wait()
        return self.state

    def sections(self, status):
        return {"state": f"<p>{status}</p>"}


def test_who_comes_later_is_not_told_what_the_last_one_saw(bugs, monkeypatch):
    """A storage that hangs holds up the look: the page as it was loaded stays until then."""
    monkeypatch.setattr(events, "_TICK_SECONDS", 0.01)

    async def look():
        changing: Any = Changing()
        told = events.Events(changing, changing, bugs)
        running = asyncio.create_task(told.run())
        async with asyncio.timeout(60):
            with told.viewer():
                assert "all is well" in await anext(told.tell())
            changing.state = "needs help"
            changing.known.clear()
            with told.viewer():
                first = asyncio.ensure_future(anext(told.tell()))
                done, _ = await asyncio.wait([first], timeout=0.1)
                changing.known.set()
                news = await first
        running.cancel()
        return done, news

    done, news = asyncio.run(look())
    assert not done
    assert "needs help" in news


class Faulty:
    """Makes nothing but trouble, until it is mended."""

    is_mended = False

    async def status(self):
        return None

    def sections(self, _status):
        if not self.is_mended:
            raise LookupError("a bug in a template")
        return {"numbers": "<p>good</p>"}


def test_a_bug_in_a_section_ends_no_events(bugs, monkeypatch):
    monkeypatch.setattr(events, "_TICK_SECONDS", 0.01)
    faulty: Any = Faulty()
    lines = []
    handler = logger.add(lines.append, format="{message}", level="INFO")

    async def look():
        told = events.Events(faulty, faulty, bugs)
        running = asyncio.create_task(told.run())
        with told.viewer():
            while not lines:
                await asyncio.sleep(0)
            faulty.is_mended = True
            async with asyncio.timeout(60):
                news = await anext(told.tell())
        running.cancel()
        return news

    try:
        assert "good" in asyncio.run(look())
    finally:
        logger.remove(handler)
    (line,) = lines
    assert "the page keeps showing the last status" in line
