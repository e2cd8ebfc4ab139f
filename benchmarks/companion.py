"""A companion: a process that observes beside the load until it is asked for what it saw.

A process, not a thread: a thread would share the interpreter with the parent, which forks the senders.
"""

from collections.abc import Callable
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Generic, Self, TypeVar

from benchmarks.errors import BenchmarkError
from benchmarks.forked import fork, settle_in

_READY_SECONDS = 20.0

Seen = TypeVar("Seen")
Ended = Callable[[float], bool]
"""Wait so many seconds at most; return whether the end was asked for."""


class Companion(Generic[Seen]):
    """Runs `observe(say_ready, ended)` in a process of its own, from entering to leaving."""

    def __init__(self, observe: Callable[[Callable[[int], None], Ended], Seen]) -> None:
        """`observe` says when it is ready, with a number for its parent, and returns soon after `ended` is true."""
        self._observe = observe
        self._control, self._theirs = fork.Pipe()
        self._process = fork.Process(target=self._run, daemon=True)
        self.number = 0
        """What the observer said when it was ready."""

    def __enter__(self) -> Self:
        self._process.start()
        self._theirs.close()
        try:
            self.number = int(self._next(_READY_SECONDS))  # type: ignore[call-overload]
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def finish(self) -> Seen:
        """Ask for the end and return what was seen."""
        self._control.send(None)
        return self._next(_READY_SECONDS)  # type: ignore[return-value]

    def _next(self, seconds: float) -> object:
        if not self._control.poll(seconds):
            raise BenchmarkError("an observer does not answer")
        try:
            return self._control.recv()
        except EOFError:
            raise BenchmarkError("an observer died") from None

    def _run(self) -> None:
        settle_in()
        control: Connection = self._theirs
        control.send(self._observe(control.send, control.poll))

    def _end(self) -> None:
        self._process.kill()
        self._process.join()
        self._control.close()
