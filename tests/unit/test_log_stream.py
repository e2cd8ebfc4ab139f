"""Standard error that nobody waits for, over real pipes, terminals and sockets."""

import contextlib
import fcntl
import json
import os
import pty
import socket
import threading
import tty

import pytest
from loguru import logger

from oxidicom.log_stream import MAX_LINE_BYTES, LogStream, _write_if_there_is_room
from oxidicom.logs import configure_logs, report_dropped_lines
from tests.waiting import wait_until

LINE = b"x" * 999 + b"\n"


@pytest.fixture
def ends():
    """A function that keeps descriptors, to be closed at the end."""
    with contextlib.ExitStack() as stack:

        def keep(*descriptors):
            for descriptor in descriptors:
                stack.callback(os.close, descriptor)
            return descriptors

        yield keep


def read_all(descriptor):
    os.set_blocking(descriptor, False)
    data = b""
    with contextlib.suppress(BlockingIOError, OSError):
        while piece := os.read(descriptor, 65536):
            data += piece
    return data


def fill(stream):
    """Write until lines are lost. Return how many were written."""
    for count in range(100_000):
        stream.write(LINE)
        if stream.dropped_here:
            return count
    raise AssertionError("it takes everything")


def pipe(keep):
    return keep(*os.pipe())


def terminal(keep):
    master, slave = keep(*pty.openpty())
    tty.setraw(slave)
    return master, slave


def journal(keep):
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    return keep(ours.detach(), theirs.detach())


@pytest.mark.parametrize("kind", [pipe, terminal, journal])
def test_lines_that_nobody_reads_are_dropped_and_counted_and_none_is_glued_to_another(ends, kind):
    reader, writer = kind(ends)
    stream = LogStream(writer)
    fill(stream)
    if kind is not terminal:  # which goes on to make room for a while, by itself
        stream.write(LINE)
        assert stream.dropped_here == 2
        assert stream.take_dropped() == 0, "it would not be taken yet"
    read_all(reader)
    assert wait_until(stream.take_dropped, "it would be taken") == stream.dropped_here
    assert stream.take_dropped() == 0
    stream.write(b"next\n")
    read = bytearray()
    wait_until(lambda: (read.extend(read_all(reader)), read.endswith(b"next\n"))[1], "the next line")
    assert read.splitlines()[-1] == b"next", "also after a part of a line"


@pytest.mark.parametrize("kind", [pipe, terminal, journal])
def test_what_is_shared_with_others_is_left_as_it_is(ends, kind):
    _, writer = kind(ends)
    (shared,) = ends(os.dup(writer))
    LogStream(writer).write(LINE)
    assert not fcntl.fcntl(shared, fcntl.F_GETFL) & os.O_NONBLOCK


def test_who_writes_to_the_descriptor_itself_does_not_wait_either(ends):
    _, writer = pipe(ends)
    fill(LogStream(writer))
    with pytest.raises(BlockingIOError):
        os.write(writer, LINE)


def test_where_it_cannot_be_opened_anew_nobody_waits_either(ends):
    for kind in (pipe, terminal):
        _, writer = kind(ends)
        with pytest.raises(BlockingIOError):
            while True:
                _write_if_there_is_room(writer, LINE)


def test_without_a_reader_lines_are_dropped(ends):
    reader, writer = os.pipe()
    ends(writer)
    os.close(reader)
    stream = LogStream(writer)
    stream.write(LINE)
    assert stream.dropped_here == 1
    assert stream.take_dropped() == 0


def test_the_losses_of_all_processes_are_told_together(ends):
    reader, writer = pipe(ends)
    stream = LogStream(writer)
    fill(stream)
    if not (pid := os.fork()):
        stream.write(LINE * 2)
        os._exit(0)
    os.waitpid(pid, 0)
    read_all(reader)
    assert stream.take_dropped() == 3


def test_lines_of_several_processes_stay_whole_however_long_they_are(ends):
    """Four write at once, lines of up to 6,000 bytes, while the reader is slower than they are."""
    reader, writer = os.pipe()
    ends(reader)
    stream = LogStream(writer)
    children = []
    for number in range(4):
        if not (pid := os.fork()):
            for count in range(500):
                stream.write(bytes([65 + number]) * (count * 12) + b"\n")
            os._exit(0)
        children.append(pid)
    read = bytearray()
    thread = threading.Thread(target=lambda: read.extend(iter_to_end(reader)))
    thread.start()
    for pid in children:
        os.waitpid(pid, 0)
    os.close(writer)
    thread.join()
    lines = bytes(read).splitlines()
    assert len(lines) > 20
    for line in lines:
        assert len(set(line.removesuffix(b" [cut]"))) <= 1
        assert len(line) < MAX_LINE_BYTES


def iter_to_end(reader):
    return b"".join(iter(lambda: os.read(reader, 512), b""))


def test_a_long_line_of_json_is_json_still(capsys):
    configure_logs("listener-0", "json", verbose=False)
    try:
        logger.info("Something", short="a", long="b" * 10_000, longer="ü" * 20_000, action="tested")
    finally:
        logger.remove()
        logger.configure(extra={}, patcher=lambda record: None)
    (text,) = capsys.readouterr().err.splitlines()
    assert len(text) < MAX_LINE_BYTES
    line = json.loads(text)
    assert (line["message"], line["short"], line["action"]) == ("Something", "a", "tested")
    assert line["long"].endswith("[cut]")


def test_without_a_stream_of_ours_there_is_nothing_to_report(capsys):
    report_dropped_lines()
    assert capsys.readouterr().err == ""
