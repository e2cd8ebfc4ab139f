"""What a gateway costs that has 64 listeners and nothing to do.

Each listener has had one association with one instance before: what that leaves in its memory is part of its price.
"""

import contextlib
import time

from benchmarks.datasets import Content
from benchmarks.directories import empty_files, fresh_directory
from benchmarks.figures import Figure, Measurement
from benchmarks.load import Load
from benchmarks.memory import uss_bytes
from benchmarks.processes import precise_cpu_seconds, title_of, tree_of
from benchmarks.sender import Assignment
from benchmarks.server import Server
from benchmarks.workloads import IDLE, Workload

LISTENERS = 64
_WORKLOAD = Workload(IDLE, "idle, 64 listeners", [Content.SMALL_EXPLICIT] * LISTENERS, instances=1)


def measure_idle(round_number: int, server: Server, directory: str, seconds: float) -> Measurement:
    """Return private memory of the listeners, and CPU of all processes over so many seconds of rest."""
    own = fresh_directory(directory, "idle-")
    with contextlib.ExitStack() as stack:
        stack.callback(empty_files, own)
        running = stack.enter_context(server.running(own, _WORKLOAD))
        running.begin()
        assignments = [
            Assignment(round_number, association, content, 16384, instances=1, seconds=30.0)
            for association, content in enumerate(_WORKLOAD.contents)
        ]
        with Load(assignments, running.port) as load:  # all at once, so that each listener gets one
            outcome = load.run()
        running.finish(outcome)
        running.verify(outcome)
        pids = tree_of(running.pid)
        before, began = precise_cpu_seconds(pids), time.monotonic()
        time.sleep(seconds)
        cores = (precise_cpu_seconds(pids) - before) / (time.monotonic() - began)
        listeners = [uss_bytes(pid) or 0 for pid in pids if title_of(pid) == "listener"]
    figures = {Figure.LISTENER_USS_BYTES: float(max(listeners)), Figure.IDLE_CPU_CORES: cores}
    return Measurement(round_number, IDLE, server.name, figures)
