"""CPU and memory of real trees of processes."""

import subprocess
import sys

import pytest

from benchmarks.memory import uss_bytes, watch_memory
from benchmarks.processes import cpu_seconds, precise_cpu_seconds, settled_cpu_seconds, title_of, tree_of
from tests.waiting import wait_until

BURN = "import time\nwhile time.process_time() < 0.3: pass\n"


@pytest.fixture
def start():
    """Start Python with some code that reads its standard input; ended by closing that."""
    started = []

    def run(code):
        process = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        started.append(process)
        return process

    yield run
    for process in started:
        process.communicate(timeout=60)


def test_the_cpu_time_of_children_counts_before_they_are_reaped_and_after(start):
    fork = f"import os, sys\npid = os.fork()\nif not pid:\n    exec({BURN!r})\n    os._exit(0)\n"
    root = start(f"{fork}sys.stdin.readline()\nos.waitpid(pid, 0)\nprint('reaped', flush=True)\nsys.stdin.read()")
    wait_until(lambda: len(tree_of(root.pid)) == 2 and cpu_seconds(root.pid) >= 0.29, "the child has burnt its time")
    before = settled_cpu_seconds(root.pid)
    root.stdin.write(b"\n")
    root.stdin.flush()
    assert root.stdout.readline() == b"reaped\n"
    assert tree_of(root.pid) == [root.pid]
    assert before == pytest.approx(cpu_seconds(root.pid), abs=0.03)
    assert 0.29 <= before < 1


def test_the_precise_time_is_that_of_the_threads_that_live(start):
    root = start(f"{BURN}print('burnt', flush=True)\nimport sys\nsys.stdin.read()")
    assert root.stdout.readline() == b"burnt\n"
    assert precise_cpu_seconds([root.pid]) == pytest.approx(cpu_seconds(root.pid), abs=0.03)
    assert precise_cpu_seconds([]) == 0


def test_what_is_gone_costs_nothing():
    process = subprocess.Popen(["true"])
    process.wait()
    assert cpu_seconds(process.pid) == 0
    assert uss_bytes(process.pid) is None


def test_the_rise_of_memory_is_seen(start):
    root = start(
        "import sys\nprint('ready', flush=True)\nsys.stdin.readline()\nblock = b'x' * 50_000_000\n"
        "print('full', flush=True)\nsys.stdin.read()"
    )
    root.stdout.readline()
    with watch_memory(root.pid) as memory:
        root.stdin.write(b"\n")
        root.stdin.flush()
        root.stdout.readline()
        peaks = memory.finish()
    # Pages of the interpreter's files stop being this process's own when another Python starts meanwhile.
    assert 48_000_000 < peaks.rise_bytes < 60_000_000
    assert list(peaks.peak_bytes) == [title_of(root.pid)]
    assert peaks.peak_bytes[title_of(root.pid)] > peaks.rise_bytes
