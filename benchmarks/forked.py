"""The processes that the benchmark forks: senders and companions. It starts no threads, so that it may fork."""

import ctypes
import multiprocessing
import signal

fork = multiprocessing.get_context("fork")
_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


def settle_in() -> None:
    """In the child: the parent alone ends what it has begun, but if it is killed itself the kernel does."""
    for number in (signal.SIGINT, signal.SIGTERM):  # Ctrl-C reaches every process of the terminal
        signal.signal(number, signal.SIG_IGN)
    end_with_parent(signal.SIGKILL)


def end_with_parent(number: signal.Signals) -> None:
    """Let the kernel send this process a signal when its parent is gone (prctl(2))."""
    _libc.prctl(_PR_SET_PDEATHSIG, number)
