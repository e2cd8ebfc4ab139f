"""Trials with real processes: what is stored is counted, and every lie of a server is found out."""

import contextlib
import dataclasses
import os
import struct
import sys

import pytest

from benchmarks.datasets import PLACEHOLDER, Content, Identity, templates_of
from benchmarks.directories import fresh_directory, workplace
from benchmarks.errors import BenchmarkError
from benchmarks.figures import WARM_UP, Figure
from benchmarks.floors import FLOORS, Floor
from benchmarks.load import Load
from benchmarks.message import Message
from benchmarks.requestor import Requestor, decode_response
from benchmarks.sender import Assignment
from benchmarks.server import free_port, listening_ports, process, require_sizes
from benchmarks.trial import Trial
from benchmarks.workloads import Workload
from tests.processes import children, is_alive, running_with
from tests.waiting import wait_until

DISCARD, WRITE = FLOORS
MIX = (Content.SMALL_EXPLICIT, Content.LARGE_IMPLICIT, Content.SMALL_IMPLICIT)
WORKLOAD = Workload("tiny", "a few instances", MIX, instances=90, seconds=20.0)


@pytest.mark.parametrize("server", FLOORS, ids=lambda server: server.name)
def test_a_trial_measures_what_the_senders_saw(server, tmp_path):
    measurement = Trial(1, WORKLOAD, server).run(str(tmp_path))
    figures = measurement.figures
    assert figures[Figure.INSTANCES_PER_SECOND] > 0
    seconds = 90 / figures[Figure.INSTANCES_PER_SECOND]
    assert figures[Figure.MEGABYTES_PER_SECOND] * seconds == pytest.approx(30 * (0.0102 * 2 + 0.5257), rel=0.02)
    assert 0 < figures[Figure.LATENCY_P50_SECONDS] <= figures[Figure.LATENCY_P99_SECONDS] < 60
    assert figures[Figure.SENDER_CPU_SECONDS] > 0
    assert Figure.SERVER_CPU_SECONDS in figures
    assert not measurement.uss_bytes


def test_the_warm_up_tells_of_memory_alone(tmp_path):
    measurement = Trial(WARM_UP, WORKLOAD, WRITE).run(str(tmp_path))
    assert set(measurement.figures) == {Figure.PEAK_USS_BYTES, Figure.USS_RISE_BYTES}
    assert measurement.figures[Figure.PEAK_USS_BYTES] > 1_000_000


def test_afterwards_no_process_and_no_bytes_are_left(tmp_path):
    Trial(1, WORKLOAD, WRITE).run(str(tmp_path))
    files = [os.path.join(parent, name) for parent, _, names in os.walk(tmp_path) for name in names]
    assert len(files) == 90
    assert sum(map(os.path.getsize, files)) == 0
    assert not running_with(str(tmp_path))


def test_a_server_that_stores_nothing_is_found_out(tmp_path):
    assert isinstance(WRITE, Floor)
    lazy = dataclasses.replace(WRITE, kind="neither")  # discards, but is verified as one that writes
    with pytest.raises(
        BenchmarkError, match="a few instances: 90 instances were answered with Success, 0 files are there"
    ):
        Trial(1, WORKLOAD, lazy).run(str(tmp_path))


def test_sizes_must_be_those_of_the_datasets():
    require_sizes([10_400, 500_300], [500_000, 10_000])
    with pytest.raises(BenchmarkError, match="a dataset of 500000 bytes is a file of 250000 bytes"):
        require_sizes([10_400, 250_000], [500_000, 10_000])
    with pytest.raises(BenchmarkError, match="is a file of 20000 bytes"):
        require_sizes([20_000], [10_000])


def test_pace_and_time_bound_a_load(tmp_path):
    workload = Workload("paced", "paced", [Content.SMALL_EXPLICIT] * 2, instances=10_000, seconds=0.5)
    measurement = Trial(1, workload, WRITE, instances_per_second=100).run(str(tmp_path))
    assert 0 < measurement.figures[Figure.INSTANCES_PER_SECOND] < 115  # a busy machine may be slower than the pace


def response(message_id, status):
    elements = ((0x0100, 0x8001), (0x0120, message_id), (0x0800, 0x0101), (0x0900, status))
    body = b"".join(struct.pack("<HHLH", 0, element, 2, value) for element, value in elements)
    return bytes(12) + struct.pack("<HHLL", 0, 0, 4, len(body)) + body


def test_a_response_is_read_element_by_element():
    for message_id in (1, 0x0209, 0x0120, 0x0900, 65535):  # the second looks like the tag of the status
        assert decode_response(response(message_id, 0xA700)) == (message_id, 0xA700)
    assert decode_response(bytes(12)) == (None, None)


REFUSING = """
import sys
sys.argv = ["", "discard", *sys.argv[1:]]
from benchmarks import floor_process
answer = floor_process._response
floor_process._response = lambda number: answer(number)[:-2] + bytes((0, 0xA7) if number == 3 else (0, 0))
floor_process.main()
"""


@contextlib.contextmanager
def refusing_server():
    port = free_port()
    command = [sys.executable, "-c", REFUSING, str(port), "", "16384"]
    with process(command, [port], {}, cwd=os.getcwd()):
        yield port


def test_a_failure_status_ends_the_load():
    assignment = Assignment(1, 0, Content.SMALL_EXPLICIT, 16384, instances=5, seconds=20.0)
    with (
        refusing_server() as port,
        pytest.raises(BenchmarkError, match=r"association 0: message 3 was answered with .*\(3, 42752\)"),
        Load([assignment], port) as load,
    ):
        load.run()


def test_a_connection_that_is_closed_ends_the_load(tmp_path):
    assignment = Assignment(1, 0, Content.SMALL_EXPLICIT, 16384, instances=1_000_000, seconds=20.0)
    floor = Floor("floor", "floor", "discard")
    with pytest.raises(BenchmarkError, match="association 0: "), contextlib.ExitStack() as stack:
        running = stack.enter_context(floor.running(str(tmp_path), WORKLOAD))
        load = stack.enter_context(Load([assignment], running.port))
        for pid in children(running.pid):
            os.kill(pid, 9)
        load.run()


def test_a_server_that_does_not_start_is_an_error_and_leaves_nothing():
    with (
        pytest.raises(BenchmarkError, match="ended with status 3"),
        process([sys.executable, "-c", "raise SystemExit(3)"], [free_port()], {}),
    ):
        pass


def test_a_server_and_its_children_end_with_their_trial(tmp_path):
    port = free_port()
    code = (
        "import os, signal, socket, sys, time\n"
        "if os.fork():\n    listening = socket.create_server(('127.0.0.1', int(sys.argv[1])))\n"
        "else:\n    signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "time.sleep(60)"
    )
    with process([sys.executable, "-c", code, str(port)], [port], {}) as started:
        assert port in listening_ports()
        (child,) = children(started.pid)
    assert port not in listening_ports()
    wait_until(lambda: not is_alive(child), "its child ended too")


def test_a_workplace_is_gone_afterwards(tmp_path):
    with workplace(str(tmp_path)) as own:
        directory = fresh_directory(own, "trial-")
        assert os.listdir(directory) == []
        assert os.listdir(own) == [os.path.basename(directory)]
        assert os.stat(directory).st_mode & 0o777 == 0o755
    assert os.listdir(tmp_path) == []


def test_the_floor_writes_what_was_sent(tmp_path):
    (template,) = templates_of(Content.LARGE_EXPLICIT)
    with WRITE.running(str(tmp_path), WORKLOAD) as running:
        requestor = Requestor(running.port, template.sop_class_uid, template.transfer_syntax_uid)
        message = Message(template, requestor.max_pdu_bytes)
        for number in (1, 2):
            message.address(Identity(1, 0, number), number)
            requestor.store(message, number)
        requestor.release()
    first, second = sorted(tmp_path.iterdir())
    for path, number in ((first, 1), (second, 2)):
        identity = Identity(1, 0, number)
        expected = template.head.replace(
            PLACEHOLDER.sop_instance_uid.encode(), identity.sop_instance_uid.encode()
        ).replace(PLACEHOLDER.series_instance_uid.encode(), identity.series_instance_uid.encode())
        number_at = expected.index(b"IS\x06\x00" + PLACEHOLDER.instance_number.encode(), 900) + 4
        expected = expected[:number_at] + identity.instance_number.encode() + expected[number_at + 6 :]
        assert path.read_bytes() == expected
