"""The size of a series, asked from a PACS: a C-FIND SCP with scripted misbehaviour."""

import contextlib
import socket
import threading
import time

import pytest

from tests.dicom import make_series, send
from tests.fixtures.gateway import free_port
from tests.fixtures.inquiry import series as series_uids
from tests.fixtures.pacs import answer
from tests.fixtures.raw_pacs import A_RELEASE_RQ, REJECTED_FOR_NOW, number_of, serve
from tests.waiting import wait_until


def expected_counts(make_gateway, rows, tmp_path, port, series=1, **variables):
    """Send `series` series of 2 instances; return the NumberOfSeriesRelatedInstances that were registered."""
    gateway = make_gateway(CHRIS_PACS_ADDRESS=f"TEST=127.0.0.1:{port}", **variables)
    paths = [path for n in range(series) for path in make_series(tmp_path / str(n), 2, f"1.2.9.{n}")]
    assert {status.Status for status in send(gateway.port, paths)} == {0}
    wait_until(lambda: len(rows(metadata=True)) == 2 * series, "all metadata", 40)
    names = [row["ProtocolName"] for row in rows(metadata=True)]
    assert names.index("NumberOfSeriesRelatedInstances") < names.index("OxidicomAttemptedPushCount")
    found = [row for row in rows(metadata=True) if row["ProtocolName"] == "NumberOfSeriesRelatedInstances"]
    return gateway, [row["SeriesDescription"] for row in found]


def test_the_pacs_is_asked_by_our_title_at_its_own_and_its_number_is_registered(make_gateway, rows, tmp_path, pacs):
    seen = pacs(lambda event: [(0xFF00, answer(event.identifier, 192))])
    _, counts = expected_counts(make_gateway, rows, tmp_path, seen["port"])
    assert counts == ["192"]
    (query,) = seen["queries"]
    assert (query.QueryRetrieveLevel, query.SeriesInstanceUID) == ("SERIES", "1.2.9.0")
    assert seen["called"] == ("ChRIS", "TEST")


def abort(event):
    event.assoc.abort()
    return iter(())


SCRIPTS = {
    "another series among the answers": (
        lambda e: [(0xFF00, answer(e.identifier, 7, SeriesInstanceUID="9.9")), (0xFF00, answer(e.identifier, 5))],
        "5",
    ),
    "some keys not supported": (lambda e: [(0xFF01, answer(e.identifier, 5))], "5"),
    "no number": (lambda e: [(0xFF00, answer(e.identifier, None))], "unknown"),
    "the wrong level": (lambda e: [(0xFF00, answer(e.identifier, 5, QueryRetrieveLevel="STUDY"))], "unknown"),
    "only another series": (lambda e: [(0xFF00, answer(e.identifier, 5, SeriesInstanceUID="9.9"))], "unknown"),
    "two numbers": (lambda e: [(0xFF00, answer(e.identifier, n)) for n in (5, 6)], "unknown"),
    "a negative number": (lambda e: [(0xFF00, answer(e.identifier, -5))], "unknown"),
    "nothing": (lambda e: [], "unknown"),
    "a failure": (lambda e: [(0xA700, None)], "unknown"),
    "a number and then a failure": (lambda e: [(0xFF00, answer(e.identifier, 5)), (0xC001, None)], "unknown"),
    "an abort": (abort, "unknown"),
}


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_pacs_that_answers(name, make_gateway, rows, tmp_path, pacs):
    script, expected = SCRIPTS[name]
    seen = pacs(script)
    gateway, counts = expected_counts(make_gateway, rows, tmp_path, seen["port"], CHRIS_PACS_TIMEOUT_SECONDS="5")
    assert counts == [expected]
    assert len(gateway.lines("series_size_unknown")) == (expected == "unknown")


def test_a_dead_pacs_is_unknown_with_one_warning_for_all_its_series(make_gateway, rows, tmp_path):
    gateway, counts = expected_counts(make_gateway, rows, tmp_path, free_port(), series=10)
    assert counts == ["unknown"] * 10
    assert gateway.lines("series_size_unknown")
    accounts = wait_until(lambda: gateway.lines("series_ended"), "the account of a series")
    assert accounts[0]["account"] == "2 received, the PACS did not say how many it has"


def test_of_a_pacs_without_an_address_it_is_said_that_none_was_asked(make_gateway, tmp_path):
    gateway = make_gateway(CHRIS_PACS_ADDRESS="OTHER=127.0.0.1:1")
    send(gateway.port, make_series(tmp_path / "in", 1))
    (line,) = wait_until(lambda: gateway.lines("series_ended"), "the account of the series")
    assert line["account"] == "1 received, no PACS was asked (CHRIS_PACS_ADDRESS)"
    assert not gateway.lines("series_size_unknown")


@pytest.mark.parametrize("said", [b"", b"\x02\x00\x00\x00\x01"], ids=["silent", "inside a PDU"])
def test_a_pacs_that_stalls_is_unknown_in_time_and_holds_nothing_up(said, make_gateway, rows, tmp_path):
    over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def stall():
            connection, _ = server.accept()
            with connection:
                connection.sendall(said)
                over.wait(120)

        thread = threading.Thread(target=stall)
        thread.start()
        began = time.monotonic()
        gateway = make_gateway(
            CHRIS_PACS_ADDRESS=f"TEST=127.0.0.1:{server.getsockname()[1]}", CHRIS_PACS_TIMEOUT_SECONDS="3"
        )
        send(gateway.port, make_series(tmp_path / "in", 3))
        wait_until(lambda: len(rows()) == 3, "files are stored and registered meanwhile")
        assert not rows(metadata=True)
        wait_until(lambda: len(rows(metadata=True)) == 2, "the metadata")
        assert time.monotonic() - began < 60
        over.set()
        thread.join()
    assert rows(metadata=True)[0]["SeriesDescription"] == "unknown"


def test_questions_that_wait_together_share_an_association(make_gateway, rows, tmp_path, pacs):
    seen = pacs(lambda event: [(0xFF00, answer(event.identifier, 2))])
    _, counts = expected_counts(make_gateway, rows, tmp_path, seen["port"], series=40)
    assert counts == ["2"] * 40
    assert len(seen["queries"]) == 40
    assert seen["associations"] < 20


def test_a_pacs_that_stalls_does_not_hold_up_the_questions_to_another(make_gateway, rows, tmp_path, pacs):
    seen = pacs(lambda event: [(0xFF00, answer(event.identifier, 2))])
    with socket.create_server(("127.0.0.1", 0)) as silent:  # connects, and never says a word
        book = f"SILENT=127.0.0.1:{silent.getsockname()[1]},TEST=127.0.0.1:{seen['port']}"
        gateway = make_gateway(CHRIS_PACS_ADDRESS=book, CHRIS_PACS_TIMEOUT_SECONDS="30")
        send(gateway.port, make_series(tmp_path / "a", 2, "1.2.1"), calling="SILENT")
        send(gateway.port, make_series(tmp_path / "b", 2, "1.2.2"))
        began = time.monotonic()
        first = wait_until(lambda: rows(metadata=True), "the metadata of the one that answers")
        assert time.monotonic() - began < 28
        assert {row["SeriesInstanceUID"] for row in first} == {"1.2.2"}
        wait_until(lambda: len(rows(metadata=True)) == 4, "the metadata of the other")


def counts_by_series(rows, count):
    """Return NumberOfSeriesRelatedInstances by SeriesInstanceUID, when `count` series are wholly registered."""
    wait_until(lambda: len(rows(metadata=True)) == 2 * count, "all metadata", 60)
    found = [row for row in rows(metadata=True) if row["ProtocolName"] == "NumberOfSeriesRelatedInstances"]
    return {row["SeriesInstanceUID"]: row["SeriesDescription"] for row in found}


def send_series(gateway, tmp_path, count):
    paths = [path for uid in series_uids(count) for path in make_series(tmp_path / uid, 1, uid)]
    assert {status.Status for status in send(gateway.port, paths)} == {0}


def test_one_answer_without_a_number_spoils_nothing_for_the_other_series_of_a_study(make_gateway, rows, tmp_path, pacs):
    def script(event):
        number = number_of(event.identifier)
        return [(0xFF00, answer(event.identifier, None if number == 100 else number))]

    gateway = make_gateway(CHRIS_PACS_ADDRESS=f"TEST=127.0.0.1:{pacs(script)['port']}")
    send_series(gateway, tmp_path, 8)
    numbers = {f"1.2.9.{number}": str(100 + number) for number in range(1, 8)}
    assert counts_by_series(rows, 8) == {"1.2.9.0": "unknown", **numbers}
    assert len(gateway.lines("series_size_unknown")) == 1


def test_a_pacs_with_one_association_that_it_releases_after_each_answer_gives_all_numbers(
    make_gateway, rows, tmp_path, raw_pacs
):
    turn = threading.Lock()

    def script(pacs, peer, _):
        if not turn.acquire(blocking=False):
            peer.read_pdu()
            peer.send(REJECTED_FOR_NOW)
            return
        with contextlib.ExitStack() as stack:
            stack.callback(turn.release)
            serve(pacs, peer, until=1)
            peer.send(A_RELEASE_RQ)
            peer.wait_for_the_end()

    pacs = raw_pacs(script)
    gateway = make_gateway(CHRIS_PACS_ADDRESS=f"TEST=127.0.0.1:{pacs.port}", CHRIS_PACS_TIMEOUT_SECONDS="60")
    send_series(gateway, tmp_path, 8)
    assert counts_by_series(rows, 8) == {f"1.2.9.{number}": str(100 + number) for number in range(8)}
    assert not gateway.lines("series_size_unknown")


def test_check_tells_of_a_pacs_that_stalls(make_gateway, raw_pacs):
    pacs = raw_pacs(lambda pacs, peer, _: (peer.send(b"\x02\x00\x00\x00\x01"), peer.wait_for_the_end()))
    gateway = make_gateway(start=False, CHRIS_PACS_ADDRESS=f"TEST=127.0.0.1:{pacs.port}")
    assert "it does not answer the request of an association" in gateway.run("check").stdout


def test_check_tells_why_a_pacs_rejects_us(make_gateway, raw_pacs):
    rejected = bytes((3, 0, 0, 0, 0, 4, 0, 1, 1, 3))
    pacs = raw_pacs(lambda pacs, peer, _: (peer.read_pdu(), peer.send(rejected), peer.wait_for_the_end()))
    gateway = make_gateway(start=False, CHRIS_PACS_ADDRESS=f"TEST=127.0.0.1:{pacs.port}")
    assert "Calling AE title not recognised" in gateway.run("check").stdout
