"""The inquiry worker, in a process of its own, and PACS that do not serve: unknown in time, told once, nothing kept."""

import contextlib
import threading
import time

import pytest
from pynetdicom import AE

from tests.fixtures.inquiry import series
from tests.fixtures.pacs import STUDY_ROOT_FIND, answer
from tests.fixtures.raw_pacs import answered, associate_ac, response, serve
from tests.processes import private_kilobytes, sockets, threads
from tests.waiting import wait_until


def silent(pacs, peer, _):
    peer.wait_for_the_end()


def inside_the_answer_to_the_request(pacs, peer, _):
    peer.send(associate_ac()[:20])
    peer.wait_for_the_end()


def after_the_question(pacs, peer, _):
    peer.accept()
    peer.wait_for_the_end()


def inside_an_answer(pacs, peer, _):
    peer.accept()
    peer.send(answered(*peer.read_query())[:40])
    peer.wait_for_the_end()


def without_reading(pacs, peer, _):
    pacs.over.wait(60)


def slow(seconds):
    """It thinks so long about each question."""

    def script(pacs, peer, _):
        peer.accept()
        while True:
            message_id, query = peer.read_query()
            pacs.over.wait(seconds)
            peer.send(answered(message_id, query))

    return script


def byte_after_byte(pacs, peer, _):
    peer.read_pdu()
    for byte in associate_ac() * 10_000:
        peer.send(bytes((byte,)))
        pacs.over.wait(0.05)


def empty_fragments_for_ever(pacs, peer, _):
    peer.accept()
    peer.read_query()
    empty = bytes((4, 0, 0, 0, 0, 6, 0, 0, 0, 2, 1, 1))
    while not pacs.over.is_set():
        peer.send(empty * 1000)


def a_claim_of_4_gigabytes(pacs, peer, _):
    peer.read_pdu()
    peer.send(b"\x02\x00\xff\xff\xff\xff", bytes(1000))
    peer.wait_for_the_end()


def an_answer_without_end(pacs, peer, _):
    peer.accept()
    message_id, query = peer.read_query()
    while not pacs.over.is_set():
        peer.send(response(message_id, 0xFF00, answer(query, 1)))


def at_the_release(pacs, peer, _):
    """It serves, and says nothing more when the association is to be released."""
    with contextlib.suppress(EOFError):
        peer.send = swallow_release(peer.send)
        serve(pacs, peer)
    pacs.over.wait(60)


def swallow_release(send):
    return lambda *data: None if data == (bytes((6, 0, 0, 0, 0, 4, 0, 0, 0, 0)),) else send(*data)


STALLS = {
    "before a word": (silent, "it does not answer the request of an association"),
    "inside A-ASSOCIATE-AC": (inside_the_answer_to_the_request, "it does not answer the request of an association"),
    "after the question": (after_the_question, "it does not answer the question"),
    "inside an answer": (inside_an_answer, "it does not answer the question"),
    "and does not read": (without_reading, "it does not answer the request of an association"),
    "byte after byte": (byte_after_byte, "it does not"),
    "with empty fragments": (empty_fragments_for_ever, "it does not answer the question"),
    "behind a claim of 4 GB": (a_claim_of_4_gigabytes, "claims 4294967295 bytes"),
}


TOO_LATE = "the lookup of its host name takes longer"
"""What is said where an inquirer does not say itself how far it came, half a second after the deadline: it looks up a
name, or the machine is so busy that it had no turn.
"""


@pytest.fixture
def stalling(raw_pacs):
    """A function that starts a raw PACS whose scripts end when the test does."""
    over = threading.Event()

    def start(script):
        pacs = raw_pacs(script)
        pacs.over = over
        return pacs

    yield start
    over.set()


@pytest.mark.parametrize("name", STALLS)
def test_a_pacs_that_stalls_costs_neither_time_nor_threads_nor_sockets(name, make_inquiry, stalling):
    script, reason = STALLS[name]
    inquiry = make_inquiry(stalling(script).port, timeout_seconds=4)
    before = threads(inquiry.pid), len(sockets(inquiry.pid))
    began = time.monotonic()
    inquiry.ask(series(20))
    assert set(inquiry.wait(20).values()) == {None}
    assert time.monotonic() - began < 60, "one after the other would take 80 s"
    wait_until(
        lambda: (threads(inquiry.pid), len(sockets(inquiry.pid))) == before, "threads and sockets are given back"
    )
    inquiry.ask(series(1, first=20))
    inquiry.wait(21)
    wait_until(lambda: (threads(inquiry.pid), len(sockets(inquiry.pid))) == before, "and again")
    assert inquiry.stop() == 0
    lines = inquiry.lines("series_size_unknown")
    assert sum(int(line["count"]) for line in lines) == 21
    told = [line["message"] for line in lines]
    assert any(reason in one or TOO_LATE in one for one in told), told
    assert all("no answer within 4 s" in line["message"] for line in lines)


def test_a_pacs_that_stalls_at_the_release_gives_its_numbers_and_keeps_nothing(make_inquiry, stalling):
    inquiry = make_inquiry(stalling(at_the_release).port)
    before = threads(inquiry.pid), len(sockets(inquiry.pid))
    inquiry.ask(series(4))
    assert set(inquiry.wait(4).values()) == {100, 101, 102, 103}
    wait_until(
        lambda: (threads(inquiry.pid), len(sockets(inquiry.pid))) == before, "threads and sockets are given back"
    )


def test_a_pacs_that_answers_without_end_costs_no_memory(make_inquiry, stalling):
    inquiry = make_inquiry(stalling(an_answer_without_end).port, timeout_seconds=3)
    inquiry.ask(series(1))
    wait_until(lambda: threads(inquiry.pid) > 1, "it is asked")
    before = private_kilobytes(inquiry.pid)
    assert inquiry.wait(1) == {"1.2.9.0": None}
    assert private_kilobytes(inquiry.pid) - before < 8_000


def test_each_of_1000_series_waits_for_a_slow_pacs_as_long_as_the_setting_says_and_no_longer(make_inquiry, stalling):
    inquiry = make_inquiry(stalling(slow(3)).port, timeout_seconds=5)
    began = time.monotonic()
    inquiry.ask(series(1000))
    answers = inquiry.wait(1000, 60)
    assert 5 <= time.monotonic() - began < 60
    found = {uid: count for uid, count in answers.items() if count is not None}
    assert 1 <= len(found) <= 4
    assert all(count == 100 + int(uid.rpartition(".")[2]) for uid, count in found.items())
    inquiry.stop()
    lines = inquiry.lines("series_size_unknown")
    assert len(lines) <= 6
    assert sum(int(line["count"]) for line in lines) == 1000 - len(found)
    assert any("it answers more slowly than it is asked" in line["message"] for line in lines)


def test_a_pacs_that_is_slower_than_questions_come_is_asked_what_it_can_still_answer(make_inquiry, stalling):
    pacs = stalling(slow(1))
    inquiry = make_inquiry(pacs.port, timeout_seconds=4)
    began = time.monotonic()
    for number, uid in enumerate(series(80)):
        inquiry.ask([uid])
        wait_until(lambda due=began + number / 8: time.monotonic() > due, "the next series comes")
    found = [count for count in inquiry.wait(80).values() if count is not None]
    assert len(found) >= 14, "about two a second, and not only those of the first seconds"
    assert pacs.connections <= 8


@pytest.mark.parametrize(
    ("entity", "reason"),
    [
        ({"require_calling_aet": ["SOMEONE"]}, "Calling AE title not recognised); we called it TEST and ourselves"),
        ({"require_called_aet": True, "ae_title": "OTHER"}, "Called AE title not recognised); we called it TEST"),
        ({"contexts": ["1.2.840.10008.1.1"]}, "it accepts the association but not the service"),
    ],
    ids=["calling AE title", "called AE title", "no C-FIND"],
)
def test_a_pacs_that_does_not_want_us_is_told_once_and_at_once(entity, reason, make_inquiry):
    peer = AE(entity.pop("ae_title", "TEST"))
    for context in entity.pop("contexts", [STUDY_ROOT_FIND]):
        peer.add_supported_context(context)
    for name, value in entity.items():
        setattr(peer, name, value)
    server = peer.start_server(("127.0.0.1", 0), block=False)
    try:
        inquiry = make_inquiry(server.server_address[1], timeout_seconds=60)
        inquiry.ask(series(10))
        assert set(inquiry.wait(10, 20).values()) == {None}
    finally:
        server.shutdown()
    inquiry.stop()
    lines = inquiry.lines("series_size_unknown")
    assert len(lines) <= 2
    assert all(reason in line["message"] for line in lines), lines
    assert sum(int(line["count"]) for line in lines) == 10


def test_a_pacs_that_speaks_something_else_is_named(make_inquiry, raw_pacs):
    def script(pacs, peer, _):
        peer.read_pdu()
        peer.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    inquiry = make_inquiry(raw_pacs(script).port, timeout_seconds=1)
    inquiry.ask(series(1))
    inquiry.wait(1)
    (line,) = inquiry.lines("series_size_unknown")
    assert "the peer seems to speak HTTP" in line["message"]


def test_a_host_name_that_is_not_known_is_told(make_inquiry):
    inquiry = make_inquiry(104, timeout_seconds=1, host="pacs.invalid")
    inquiry.ask(series(3))
    inquiry.wait(3)
    assert "its host name 'pacs.invalid' is not resolved" in inquiry.lines("series_size_unknown")[0]["message"]


def test_a_series_that_is_asked_for_twice_is_asked_of_the_pacs_once(make_inquiry, raw_pacs):
    gate = threading.Event()

    def script(pacs, peer, _):
        gate.wait(30)
        serve(pacs, peer)

    pacs = raw_pacs(script)
    inquiry = make_inquiry(pacs.port)
    inquiry.ask([*series(3), *series(3)])
    wait_until(lambda: inquiry.is_idle, "all questions are at the desk")
    gate.set()
    assert inquiry.wait(3) == {uid: number for number, uid in enumerate(series(3), 100)}
    assert sorted(pacs.queries) == series(3)
