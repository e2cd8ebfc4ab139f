"""What a gateway costs that has 64 listeners and nothing to do.

Each listener has had one association with one instance before: what that leaves in its memory is part of its price.
It is measured right after that, and when the gateway has come to rest, as its CPU is.
"""

import contextlib
import time
from collections.abc import Sequence

from benchmarks.datasets import Content
from benchmarks.directories import empty_files, fresh_directory
from benchmarks.errors import BenchmarkError
from benchmarks.figures import Figure, Measurement
from benchmarks.load import Load, assign
from benchmarks.memory import uss_bytes
from benchmarks.processes import precise_cpu_seconds, title_of, tree_of
from benchmarks.server import Server
from benchmarks.workloads import IDLE, Workload

LISTENERS = 64
_REST_SECONDS = 30.0
"""A gateway may tidy up when nothing comes any more: this one replaces its used listeners after 20 s."""
_WORKLOAD = Workload(IDLE, "idle, 64 listeners", [Content.SMALL_EXPLICIT] * LISTENERS, LISTENERS, seconds=30.0)


def measure_idle(round_number: int, server: Server, directory: str, seconds: float) -> Measurement:
    """Return private memory of the listeners, and CPU of all processes over so many seconds of rest."""
    own = fresh_directory(directory, "idle-")
    with contextlib.ExitStack() as stack:
        stack.callback(empty_files, own)
        running = stack.enter_context(server.running(own, _WORKLOAD))
        running.begin()
        with Load(assign(_WORKLOAD, round_number), running.port) as load:  # all at once: each listener gets one
            outcome = load.run()
        running.finish(outcome)
        running.verify(outcome)
        used_bytes = _listener_bytes(tree_of(running.pid))
        time.sleep(_REST_SECONDS)
        pids = tree_of(running.pid)
        before, began = precise_cpu_seconds(pids), time.monotonic()
        time.sleep(seconds)
        cores = (precise_cpu_seconds(pids) - before) / (time.monotonic() - began)
        figures = {
            Figure.USED_LISTENER_USS_BYTES: used_bytes,
            Figure.LISTENER_USS_BYTES: _listener_bytes(pids),
            Figure.IDLE_CPU_CORES: cores,
        }
    return Measurement(round_number, IDLE, server.name, figures)


def _listener_bytes(pids: Sequence[int]) -> float:
    """Return the private memory of the largest listener."""
    listeners = [uss_bytes(pid) or 0 for pid in pids if title_of(pid) == "listener"]
    if len(listeners) != LISTENERS:
        raise BenchmarkError(f"there are {len(listeners)} processes named listener instead of {LISTENERS}")
    return float(max(listeners))
