"""The scoreboard is shared, and outlives the processes that write it."""

import os
import signal
import time

from benchmarks.forked import end_with_parent
from tests.waiting import wait_until
from workers.channels.scoreboard import Counter, GatewayPhase, ProcessState, Role, Scoreboard


def test_what_a_child_writes_the_parent_reads():
    board = Scoreboard(3)
    pid = os.fork()
    if pid == 0:
        slot = board.slots[1]
        slot.begin(Role.LISTENER, os.getpid())
        slot.hold("01HZ7TF03EZD364005NP332RBQ", "SCÉ")
        slot.add(Counter.INSTANCES_COMMITTED, 5)
        slot.beat(ProcessState.WORKING)
        os._exit(0)
    os.waitpid(pid, 0)
    slot = board.slots[1]
    assert (slot.role, slot.state, slot.pid, slot.generation) == (Role.LISTENER, ProcessState.WORKING, pid, 1)
    assert (slot.association, slot.calling_ae_title) == ("01HZ7TF03EZD364005NP332RBQ", "SCÉ")
    assert 0 <= time.monotonic_ns() - slot.heartbeat_ns < 30e9
    assert board.total(Counter.INSTANCES_COMMITTED) == 5


def test_a_successor_goes_on_with_the_counters():
    slot = Scoreboard(2).slots[1]
    slot.begin(Role.STORAGE, 1)
    slot.add(Counter.INSTANCES_STORED, 3)
    slot.hold("x", "y")
    slot.begin(Role.STORAGE, 2)
    slot.add(Counter.INSTANCES_STORED)
    assert (slot[Counter.INSTANCES_STORED], slot.generation, slot.association) == (4, 2, "")


def test_the_phase_is_on_the_slot_of_the_supervisor():
    board = Scoreboard(1)
    assert board.phase is GatewayPhase.STARTING
    board.phase = GatewayPhase.FLUSHING_STORAGE
    assert board.phase is GatewayPhase.FLUSHING_STORAGE


def test_counters_fit_into_a_slot_beside_each_other():
    board = Scoreboard(2)
    for counter in Counter:
        board.slots[0].set(counter, 2**64 - 1)
    assert all(board.slots[1][counter] == 0 for counter in Counter)
    board.slots[1].begin(Role.LISTENER, 1)
    assert all(board.slots[0][counter] == 2**64 - 1 for counter in Counter)


def test_no_field_is_ever_seen_empty_while_its_writer_is_at_work():
    """Who reads a heartbeat of 0 takes its process for silent, and who finds no slot of a role stumbles."""
    board = Scoreboard(2)
    slot = board.slots[1]
    slot.begin(Role.INQUIRY, 7)
    writer = os.fork()
    if writer == 0:
        try:
            end_with_parent(signal.SIGKILL)
            while True:
                slot.begin(Role.INQUIRY, 7)
                slot.beat(ProcessState.WORKING)
        finally:
            os._exit(1)
    try:
        generation = slot.generation
        wait_until(lambda: slot.generation > generation, "the writer is at work")
        for _ in range(300_000):
            assert slot.heartbeat_ns
            assert slot.role is Role.INQUIRY
            assert slot.pid == 7
        assert slot.generation > generation
    finally:
        os.kill(writer, signal.SIGKILL)
        os.waitpid(writer, 0)
