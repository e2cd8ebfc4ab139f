"""Our queue, and the two failures of the stock queues that it avoids."""

import multiprocessing
import os
import signal
import socket
from typing import Any

import msgspec
import pytest

from tests.processes import state
from tests.waiting import wait_until
from workers.channels.queues import MAX_MESSAGE_BYTES, Queue


class Said(msgspec.Struct, tag=1):
    text: str


@pytest.fixture
def queue():
    made = Queue(Said)
    yield made
    made.close()


def fork(work):
    pid = os.fork()
    if pid == 0:
        try:
            work()
        finally:
            os._exit(0)
    return pid


def kill_when_blocked(pid):
    """SIGKILL a child once it sleeps in the kernel."""
    wait_until(lambda: state(pid) == "S", "the child blocks")
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


def test_what_was_put_comes_out_in_order(queue):
    for number in range(20):
        assert queue.put(Said(str(number)))
    assert [queue.get().text for _ in range(20)] == [str(number) for number in range(20)]
    assert queue.get() is None


def test_a_full_queue_says_so_and_loses_nothing(queue):
    count = 0
    while queue.put(Said("x" * 5000)):
        count += 1
    assert count > 10
    assert queue.put(Said("late"), timeout_seconds=0.01) is False
    assert sum(1 for _ in iter(queue.get, None)) == count


def test_a_message_that_is_too_large_is_refused(queue):
    with pytest.raises(ValueError, match="larger than"):
        queue.put(Said("x" * (MAX_MESSAGE_BYTES + 1)))


def test_many_writers_and_one_reader(queue):
    def write():
        for number in range(200):
            while not queue.put(Said(f"{os.getpid()} {number}"), 5):
                pass

    pids = [fork(write) for _ in range(4)]
    got = [queue.get(5).text for _ in range(800)]
    assert len(set(got)) == 800
    for pid in pids:
        os.waitpid(pid, 0)
        mine = [int(text.split()[1]) for text in got if text.startswith(f"{pid} ")]
        assert mine == sorted(mine)


def test_a_reader_that_is_killed_while_it_waits_leaves_the_queue_to_the_next(queue):
    kill_when_blocked(fork(lambda: queue.get(60)))
    queue.put(Said("for the successor"))
    assert queue.get(5).text == "for the successor"


def test_a_writer_that_is_killed_right_after_put_has_put(queue):
    def write():
        queue.put(Said("kept"))
        os.kill(os.getpid(), signal.SIGKILL)

    os.waitpid(fork(write), 0)
    assert queue.get(5).text == "kept"


def test_the_stock_queue_stays_locked_by_a_reader_that_was_killed():
    stock: Any = multiprocessing.get_context("fork").SimpleQueue()  # its type does not tell of its lock
    kill_when_blocked(fork(stock.get))
    stock.put("for nobody")
    assert stock._rlock.acquire(timeout=0.2) is False
    stock.close()


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_the_stock_queue_loses_what_a_writer_put_before_it_was_killed():
    stock: Any = multiprocessing.get_context("fork").Queue()  # its type does not tell of its reading end
    lost = 0
    for _ in range(10):

        def write():
            stock.put("lost")
            os.kill(os.getpid(), signal.SIGKILL)

        os.waitpid(fork(write), 0)
        lost += not stock._reader.poll(0.05)
    assert lost > 0
    stock.close()


def test_the_queue_needs_no_more_than_the_socket_buffer_that_every_kernel_gives():
    small = Queue(Said)
    small._write_end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 212_992)
    assert all(small.put(Said("x" * 1200)) for _ in range(90))
    small.close()
