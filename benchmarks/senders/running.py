"""Programs that run to their end, side by side, timed from outside."""

import contextlib
import os
import select
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from benchmarks.errors import BenchmarkError
from benchmarks.forked import end_with_parent

_SECONDS = 300.0
_MAX_OUTPUT_BYTES = 2000


@dataclass(frozen=True)
class Ran:
    """What came of a run."""

    seconds: float
    """From the start of the first program to the end of the last."""
    said: str = ""
    """How the programs ended, and the last lines of what they wrote."""


def run_side_by_side(commands: Sequence[Sequence[str]]) -> Ran:
    """Run programs at once, with nothing in their environment but the PATH; return when the last has ended.

    Raise BenchmarkError when one does not end within 300 s. None is left. A status tells nothing certain: gdcmscu
    crashes when everything is sent, and others end well when nothing is.
    """
    with tempfile.TemporaryFile() as output, contextlib.ExitStack() as stack:
        began = time.monotonic()
        started = [stack.enter_context(_started(command, output.fileno())) for command in commands]
        for process in started:
            _await_end(process, began + _SECONDS)
        seconds = time.monotonic() - began
        states = ", ".join(str(process.returncode) for process in started)
        return Ran(seconds, f"status {states}. {_end_of(output.fileno())}")


@contextlib.contextmanager
def _started(command: Sequence[str], output: int) -> Iterator["subprocess.Popen[bytes]"]:
    process = subprocess.Popen(
        command,
        env={"PATH": os.environ["PATH"]},
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        start_new_session=True,  # Ctrl-C reaches the benchmark alone, which then ends it
        preexec_fn=lambda: end_with_parent(signal.SIGKILL),  # noqa: PLW1509 (this program has no threads)
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def _await_end(process: "subprocess.Popen[bytes]", deadline: float) -> None:
    """Wait for its end to the moment: `Popen.wait` with a timeout looks only every 50 ms."""
    descriptor = os.pidfd_open(process.pid)
    try:
        if not select.select([descriptor], [], [], max(deadline - time.monotonic(), 0.0))[0]:
            raise BenchmarkError(f"{process.args!r:.200}: no end within {_SECONDS:g} s")
    finally:
        os.close(descriptor)
    process.wait()


def _end_of(output: int) -> str:
    """Return the last lines of what was written."""
    length = os.fstat(output).st_size
    return os.pread(output, _MAX_OUTPUT_BYTES, max(length - _MAX_OUTPUT_BYTES, 0)).decode(errors="replace").strip()
