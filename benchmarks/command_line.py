"""What the command lines of the benchmark have in common."""

import contextlib
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from types import FrameType

import typer
from rich.console import Console

from benchmarks.errors import BenchmarkError
from oxidicom.errors import OxidicomError

_INTERRUPTS = (signal.SIGINT, signal.SIGTERM)


def known(chosen: Sequence[str], names: Sequence[str], what: str) -> list[str]:
    """Return what was chosen. Raise BadParameter with all `names` when something is none of them."""
    for one in chosen:
        if one not in names:
            raise typer.BadParameter(f"there is no {what} {one!r}; there are {', '.join(names)}")
    return list(chosen)


def require_directory(path: str) -> None:
    """Raise BadParameter when there is no such directory."""
    if not os.path.isdir(path):
        raise typer.BadParameter(f"{path} is not a directory")


def console() -> Console:
    """Return a console that is wide enough for the tables, also where the output goes to a file."""
    made = Console(highlight=False)
    return made if made.is_terminal else Console(width=150, highlight=False)


@contextlib.contextmanager
def ending_in_order() -> Iterator[None]:
    """Exit with what went wrong on stderr; after Ctrl-C or SIGTERM once everything that was started is ended."""
    for number in _INTERRUPTS:
        signal.signal(number, _interrupt)
    try:
        yield
    except (BenchmarkError, OxidicomError, OSError) as error:
        print(f"The benchmark cannot go on: {error}", file=sys.stderr)
        raise typer.Exit(1) from None
    except KeyboardInterrupt:
        raise typer.Exit(130) from None


def _interrupt(number: int, frame: FrameType | None) -> None:
    """End in order, with no process left; that takes some seconds, in which nothing interrupts it again."""
    for one in _INTERRUPTS:
        signal.signal(one, signal.SIG_IGN)
    raise KeyboardInterrupt
