"""The side that requests an association, against bytes that no PACS should send: an error with a reason, in time."""

import random
import socket
import threading
import time

import pytest
from pynetdicom.dsutils import encode

from oxidicom.pacs.address_book import PacsAddress
from oxidicom.pacs.errors import PacsError, PacsRefusesError, PacsUnavailableError
from oxidicom.pacs.find import FindAssociation
from tests.fixtures.pacs import answer
from tests.fixtures.raw_pacs import A_ABORT, A_RELEASE_RQ, answered, associate_ac, response

_TIMEOUT_SECONDS = 1.5


def count(port, our_ae_title="ChRIS", ae_title="TEST", host="127.0.0.1"):
    """Ask for the size of series 1.2.9.7."""
    find = FindAssociation(PacsAddress(ae_title, host, port), our_ae_title)
    try:
        return find.count_instances("1.2.9", "1.2.9.7", time.monotonic() + _TIMEOUT_SECONDS)
    finally:
        find.close()


def peer_that_says(raw_pacs, to_the_request, to_the_question=None):
    def script(pacs, peer, _):
        peer.read_pdu()
        peer.send(to_the_request)
        if to_the_question:
            peer.send(to_the_question(*peer.read_query()))
        peer.wait_for_the_end()

    return raw_pacs(script).port


def changed(data, at, *values):
    return data[:at] + bytes(values) + data[at + len(values) :]


AC = associate_ac()
CONTEXT_AT = AC.index(bytes((0x21, 0, 0, 0x19))) + 4


@pytest.mark.parametrize(
    ("said", "error", "reason"),
    [
        (A_ABORT, PacsUnavailableError, "it aborts the association"),
        (A_RELEASE_RQ, PacsUnavailableError, "A_RELEASE_RQ is not expected here"),
        (bytes((3, 0, 0, 0, 0, 4, 0, 9, 9, 9)), PacsUnavailableError, "source 9, reason 9"),
        (bytes((3, 0, 0, 0, 0, 0)), PacsUnavailableError, "it rejects the association for now"),
        (bytes((3, 0, 0, 0, 0, 4, 0, 1, 1, 3)), PacsRefusesError, "Calling AE title not recognised"),
        (b"\x02\x00\x00\x00\x00\x00", PacsUnavailableError, "cannot be read"),
        (b"\x02\x00\x7f\xff\xff\xff", PacsUnavailableError, "claims 2147483647 bytes"),
        (b"GARBAGE, GARBAGE", PacsUnavailableError, "the peer seems to speak HTTP"),
        (changed(AC, CONTEXT_AT, 3), PacsRefusesError, "not the service"),
        (changed(AC, CONTEXT_AT + 2, 3), PacsRefusesError, "not the service"),
        (AC.replace(b"1.2.840.10008.1.2P", b"1.2.840.10008.1.9P"), PacsRefusesError, "not proposed"),
        (AC[:-30], PacsUnavailableError, "it does not answer the request"),
    ],
)
def test_an_answer_to_the_request_that_is_none_has_a_reason(said, error, reason, raw_pacs):
    with pytest.raises(error, match=reason):
        count(peer_that_says(raw_pacs, said))


ANSWERS = {
    "a request": (lambda n, q: response(n).replace(b"\x20\x80", b"\x20\x00"), "instead of an answer"),
    "a number of its own": (lambda n, q: answered(n + 1, q), "a question that it was not asked"),
    "no status": (lambda n, q: response(n).replace(bytes((0, 0, 0, 9)), bytes((0, 0, 0, 7))), "protocol"),
    "another context": (lambda n, q: changed(response(n), 10, 5), "is not allowed here"),
    "garbage": (lambda n, q: bytes(100), "PDU type 00H is unknown"),
    "a second request": (lambda n, q: AC, "A_ASSOCIATE_AC is not expected here"),
    "a fragment shorter than its header": (lambda n, q: bytes((4, 0, 0, 0, 0, 2, 0, 0)), "ends inside"),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_an_answer_to_the_question_that_is_none_has_a_reason(name, raw_pacs):
    script, reason = ANSWERS[name]
    with pytest.raises(PacsUnavailableError, match=reason):
        count(peer_that_says(raw_pacs, AC, script))


def test_an_answer_that_is_too_long_is_given_up_before_it_is_whole(raw_pacs):
    def script(message_id, query):
        pending = response(message_id, 0xFF00, answer(query, 7))
        fragment = bytes((4, 0, 0, 0, 0x40, 6, 0, 0, 0x40, 2, 1, 0)) + bytes(0x4000)
        return pending[: 6 + int.from_bytes(pending[2:6], "big")] + fragment * 100

    with pytest.raises(PacsUnavailableError, match="more than 1048576 bytes"):
        count(peer_that_says(raw_pacs, AC, script))


def test_an_identifier_that_cannot_be_read_is_a_doubt_of_its_own(raw_pacs):
    def script(message_id, query):
        identifier = encode(answer(query, 7), True, True)
        assert identifier is not None
        broken = response(message_id, 0xFF00, answer(query, 7)).replace(identifier, b"\xff" * len(identifier))
        return broken + response(message_id)

    with pytest.raises(PacsError, match=r"cannot be read|does not know") as caught:
        count(peer_that_says(raw_pacs, AC, script))
    assert not isinstance(caught.value, (PacsUnavailableError, PacsRefusesError))


@pytest.mark.parametrize("seed", range(40))
def test_a_changed_byte_anywhere_in_an_exchange_never_ends_in_another_error_or_a_wrong_number(seed, raw_pacs):
    draw = random.Random(seed)

    def script(message_id, query):
        whole = answered(message_id, query)
        return changed(whole, draw.randrange(len(whole)), draw.randrange(256))

    said = changed(AC, draw.randrange(len(AC)), draw.randrange(256)) if seed % 2 else AC
    try:
        number = count(peer_that_says(raw_pacs, said, script))
    except PacsError:
        return
    assert 0 <= number < 1000


def test_a_port_where_nobody_listens_is_told_with_its_address():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        with pytest.raises(PacsUnavailableError, match=f"no connection to 127.0.0.1 port {port}: Connection refused"):
            count(port)


def test_a_host_that_swallows_packets_costs_no_more_than_the_deadline():
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:  # further connections are not answered
        port = full.getsockname()[1]
        kept = [socket.socket() for _ in range(4)]
        for one in kept:
            one.setblocking(False)
            one.connect_ex(("127.0.0.1", port))
        began = time.monotonic()
        with pytest.raises(PacsUnavailableError, match=r"timed out|does not answer"):
            count(port)
        assert time.monotonic() - began < _TIMEOUT_SECONDS + 20
        for one in kept:
            one.close()


def test_an_ae_title_that_cannot_be_sent_is_refused_with_a_reason(raw_pacs):
    with pytest.raises(PacsRefusesError, match="it cannot be called"):
        count(peer_that_says(raw_pacs, AC), ae_title="PACS\xc4")


def test_a_deadline_that_is_over_ends_the_exchange_though_there_is_always_more_to_read(raw_pacs):
    over = threading.Event()

    def script(pacs, peer, _):
        peer.accept()
        message_id, query = peer.read_query()
        while not over.is_set():
            peer.send(response(message_id, 0xFF00, answer(query, 7)))

    port = raw_pacs(script).port
    began = time.monotonic()
    with pytest.raises(PacsError):
        count(port)
    over.set()
    assert time.monotonic() - began < _TIMEOUT_SECONDS + 20
