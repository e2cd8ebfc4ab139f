"""The inquiry worker, in a process of its own, and PACS that serve badly but do serve: every number is found."""

import socket
import subprocess
import time

import pytest
from pynetdicom import AE, evt

from tests.dicom import make_series
from tests.fixtures.gateway import free_port
from tests.fixtures.inquiry import series
from tests.fixtures.pacs import STUDY_ROOT_FIND, answer
from tests.fixtures.raw_pacs import (
    A_ABORT,
    A_RELEASE_RQ,
    REJECTED_FOR_NOW,
    answered,
    associate_ac,
    number_of,
    response,
    serve,
)
from tests.waiting import wait_until

ASKED = series(12)
NUMBERS = {uid: 100 + number for number, uid in enumerate(ASKED)}


def abort_after_each_answer(pacs, peer, _):
    serve(pacs, peer, until=1)
    peer.send(A_ABORT)


def release_after_each_answer(pacs, peer, _):
    serve(pacs, peer, until=1)
    peer.send(A_RELEASE_RQ)
    peer.wait_for_the_end()


def close_after_each_answer(pacs, peer, _):
    serve(pacs, peer, until=1)


def end_with_the_answer_of_the_third(end):
    """Serve two questions, and end the association when the third has come."""

    def script(pacs, peer, _):
        serve(pacs, peer, until=2)
        peer.read_query()
        peer.send(end)
        if end:
            peer.wait_for_the_end()

    return script


def end_inside_an_answer(pacs, peer, number):
    """The first two associations end in the middle of an answer."""
    if number >= 2:
        return serve(pacs, peer)
    peer.accept()
    message_id, query = peer.read_query()
    peer.send(answered(message_id, query)[:-30])
    return None


def end_every_other_on_sight(pacs, peer, number):
    if number % 2:
        serve(pacs, peer)


def abort_the_first_requests(pacs, peer, number):
    if number < 2:
        peer.read_pdu()
        peer.send(A_ABORT)
    else:
        serve(pacs, peer)


def answer_twice(pacs, peer, _):
    """The whole answer to the question before comes again, just before the next one is answered."""
    peer.accept()
    late = b""
    while True:
        message_id, query = peer.read_query()
        peer.send(late, answered(message_id, query))
        late = answered(message_id, query)


def end_twice(pacs, peer, _):
    """Success comes a second time after each answer."""
    peer.accept()
    while True:
        message_id, query = peer.read_query()
        peer.send(answered(message_id, query), response(message_id))


def always_the_first_message_id(pacs, peer, _):
    peer.accept()
    while True:
        _, query = peer.read_query()
        peer.send(answered(1, query))


def reject_for_now(pacs, peer, number):
    """A PACS that has no room for the first three requests."""
    if number < 3:
        peer.read_pdu()
        peer.send(REJECTED_FOR_NOW)
        peer.wait_for_the_end()
    else:
        serve(pacs, peer)


def out_of_resources_at_first(pacs, peer, _):
    peer.accept()
    while True:
        message_id, query = peer.read_query()
        known = query.SeriesInstanceUID in pacs.queries
        pacs.queries.append(query.SeriesInstanceUID)
        peer.send(answered(message_id, query) if known else response(message_id, 0xA700))


def in_small_pieces(pacs, peer, _):
    """Each byte is a segment of its own."""
    assert peer.read_pdu()[0] == 1
    for byte in associate_ac():
        peer.send(bytes((byte,)))
    while True:
        message_id, query = peer.read_query()
        for byte in answered(message_id, query):
            peer.send(bytes((byte,)))


SCRIPTS = {
    "aborts after each answer": abort_after_each_answer,
    "releases after each answer": release_after_each_answer,
    "closes after each answer": close_after_each_answer,
    "aborts at a question": end_with_the_answer_of_the_third(A_ABORT),
    "releases at a question": end_with_the_answer_of_the_third(A_RELEASE_RQ),
    "closes at a question": end_with_the_answer_of_the_third(b""),
    "ends inside an answer": end_inside_an_answer,
    "closes every other connection": end_every_other_on_sight,
    "aborts the first requests": abort_the_first_requests,
    "repeats its last answer": answer_twice,
    "ends each answer twice": end_twice,
    "answers every question as the first": always_the_first_message_id,
    "has no room at first": reject_for_now,
    "is out of resources at each first try": out_of_resources_at_first,
    "sends byte by byte": in_small_pieces,
}


@pytest.mark.parametrize("name", SCRIPTS)
def test_every_number_is_found_at_a_pacs_that(name, make_inquiry, raw_pacs):
    inquiry = make_inquiry(raw_pacs(SCRIPTS[name]).port, timeout_seconds=60)
    inquiry.ask(ASKED)
    assert inquiry.wait(len(ASKED), 90) == NUMBERS
    assert not inquiry.lines("series_size_unknown")


def test_a_pacs_that_serves_one_association_gets_all_questions_over_it(make_inquiry):
    entity = AE("TEST")
    entity.add_supported_context(STUDY_ROOT_FIND)
    entity.maximum_associations = 1
    rejected = []

    def on_find(event):
        yield 0xFF00, answer(event.identifier, number_of(event.identifier))

    handlers: list[evt.EventHandlerType] = [(evt.EVT_C_FIND, on_find), (evt.EVT_REJECTED, rejected.append)]
    server = entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)
    try:
        inquiry = make_inquiry(server.server_address[1], timeout_seconds=60)
        inquiry.ask(ASKED)
        assert inquiry.wait(len(ASKED), 90) == NUMBERS
    finally:
        server.shutdown()
    assert not inquiry.lines("series_size_unknown")
    assert len(rejected) < len(ASKED), "it is not pestered"


def test_a_pacs_that_serves_another_client_first_is_asked_when_that_has_left(make_inquiry, raw_pacs):
    began = time.monotonic()

    def script(pacs, peer, _):
        if time.monotonic() - began < 3:
            peer.read_pdu()
            peer.send(REJECTED_FOR_NOW)
        else:
            serve(pacs, peer)

    pacs = raw_pacs(script)
    inquiry = make_inquiry(pacs.port, timeout_seconds=60)
    inquiry.ask(ASKED)
    assert inquiry.wait(len(ASKED), 60) == NUMBERS
    assert pacs.connections < 12, "it is not pestered"


def test_one_answer_without_a_number_spoils_nothing_for_the_next_series(make_inquiry, pacs):
    odd = {uid for number, uid in enumerate(ASKED) if number % 3 == 0}

    def script(event):
        uid = event.identifier.SeriesInstanceUID
        count = None if uid in odd else number_of(event.identifier)
        return [(0xFF00, answer(event.identifier, count)), (0xFF00, answer(event.identifier, count))]

    inquiry = make_inquiry(pacs(script)["port"])
    inquiry.ask(ASKED)
    assert inquiry.wait(len(ASKED)) == {uid: None if uid in odd else number for uid, number in NUMBERS.items()}
    (line, *_) = inquiry.lines("series_size_unknown")
    assert "it gives no number of instances" in line["message"]
    inquiry.stop()
    told = inquiry.lines("series_size_unknown")
    assert len(told) <= 2, "many of the same kind are one line"
    assert sum(int(line["count"]) for line in told) == len(odd)


def test_a_question_that_the_pacs_aborts_each_time_costs_only_itself(make_inquiry, raw_pacs):
    poison = ASKED[4]

    def script(pacs, peer, _):
        peer.accept()
        while True:
            message_id, query = peer.read_query()
            if query.SeriesInstanceUID == poison:
                peer.send(A_ABORT)
                return
            peer.send(answered(message_id, query))

    pacs = raw_pacs(script)
    inquiry = make_inquiry(pacs.port, timeout_seconds=12)
    inquiry.ask(ASKED)
    assert inquiry.wait(len(ASKED)) == NUMBERS | {poison: None}
    (line,) = inquiry.lines("series_size_unknown")
    assert (line["count"], line["reason"]) == (1, "no answer within 12 s: it aborts the association")
    assert pacs.connections < 20, "it is not pestered"


def test_a_pacs_that_is_restarted_is_asked_again(make_inquiry, raw_pacs):
    def serve_three(pacs, peer, _):
        serve(pacs, peer, until=3)
        down.close_port()

    down = raw_pacs(serve_three)
    inquiry = make_inquiry(down.port, timeout_seconds=60)
    inquiry.ask(ASKED)
    wait_until(lambda: down.is_closed and len(inquiry.take()) >= 3, "it goes down")
    back_at = time.monotonic() + 1.5
    wait_until(lambda: time.monotonic() > back_at, "it stays away for a while")
    up = raw_pacs(lambda pacs, peer, _: serve(pacs, peer), port=down.port)
    assert inquiry.wait(len(ASKED), 60) == NUMBERS
    assert up.connections <= 3
    assert not inquiry.lines("series_size_unknown")


@pytest.fixture
def dcmqrscp(tmp_path):
    """DCMTK's query/retrieve server with room for one association, and six series of a study; its port."""
    database, port = tmp_path / "db", free_port()
    database.mkdir()
    files = [make_series(tmp_path / uid, 1, uid, StudyInstanceUID="1.2.9")[0] for uid in series(6)]
    subprocess.run(["dcmqridx", str(database), *map(str, files)], check=True, timeout=60)
    configuration = tmp_path / "dcmqrscp.cfg"
    configuration.write_text(
        f"NetworkTCPPort = {port}\nMaxPDUSize = 16384\nMaxAssociations = 1\n"
        "HostTable BEGIN\nHostTable END\nVendorTable BEGIN\nVendorTable END\n"
        f"AETable BEGIN\nTEST {database} RW (200, 1024mb) ANY\nAETable END\n"
    )
    process = subprocess.Popen(["dcmqrscp", "-v", "-c", str(configuration)], stderr=subprocess.PIPE, text=True)
    wait_until(lambda: _is_listening(port), "dcmqrscp listens")
    yield port
    process.terminate()
    process.communicate(timeout=10)


def _is_listening(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.mark.dcmtk
def test_dcmqrscp_with_one_association_is_asked_for_all_series_and_its_answers_are_understood(make_inquiry, dcmqrscp):
    """It knows the series, pads UIDs with blanks, and leaves the number out: that is what is told of it."""
    inquiry = make_inquiry(dcmqrscp, timeout_seconds=60)
    asked = series(6)
    inquiry.ask(asked)
    assert inquiry.wait(6, 90) == dict.fromkeys(asked)
    inquiry.ask(series(1, first=6))
    assert inquiry.wait(7, 60)["1.2.9.6"] is None
    inquiry.stop()
    told = dict.fromkeys(("it gives no number of instances", "it does not know the series"), 0)
    for line in inquiry.lines("series_size_unknown"):
        told[line["reason"]] += line["count"]
    assert told == {"it gives no number of instances": 6, "it does not know the series": 1}
