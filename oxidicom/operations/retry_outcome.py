"""What becomes of what `oxidicom retry` put back: followed in the spools until it is registered or set aside again."""

import contextlib
import os
import time
from collections.abc import Sequence
from typing import NamedTuple

from rich.console import Console

from oxidicom.operations.printing import say
from oxidicom.spool.entries import contents
from oxidicom.spool.gateway_directory import aside_directory, gateway_paths, spool_of
from oxidicom.spool.journal import is_open
from oxidicom.spool.put_back import Plan
from oxidicom.spool.set_aside import ThingSetAside, set_aside_of
from oxidicom.wording import duration

_LOOK_SECONDS = 0.2
_SHARE = 20
"""A look may take a twentieth of the time."""


class Outcome(NamedTuple):
    """What became of everything that was put back."""

    registered: int
    set_aside_again: list[ThingSetAside]
    unfinished: int
    """When the waiting was over."""
    waited_seconds: float


def outcome_of(files_root: str, plans: Sequence[Plan], seconds: float, console: Console) -> Outcome:
    """Wait until all of it is registered or set aside again, for `seconds` at most. Raise OSError.

    A terminal is shown how far it is; elsewhere one line says that it begins. Ctrl-C ends the waiting as the end of the
    time does.
    """
    put = sum(len(plan.files) for plan in plans)
    unfinished = put
    start = time.monotonic()
    deadline = start + seconds
    with contextlib.suppress(KeyboardInterrupt), console.status("waiting for a gateway …") as status:
        if not console.is_terminal:
            say(console, f"Waiting for a gateway, for {duration(seconds)} at most.")
        while True:
            began = time.monotonic()
            unfinished = _unfinished(files_root, plans)
            if not unfinished or time.monotonic() >= deadline:
                break
            status.update(f"{put - unfinished} of {put} finished …")
            pause_seconds = max(_LOOK_SECONDS, _SHARE * (time.monotonic() - began))
            time.sleep(min(pause_seconds, max(0.0, deadline - time.monotonic())))
    waited_seconds = time.monotonic() - start
    again = [one for plan in plans for one in _set_aside_again(files_root, plan)]
    return Outcome(put - unfinished - len(again), again, unfinished, waited_seconds)


def _unfinished(files_root: str, plans: Sequence[Plan]) -> int:
    """Return how many things still stand in a spool. Raise OSError.

    Looked at up to three times: a look misses what is renamed meanwhile, and a thing is renamed twice while it waits,
    when its association is adopted and when it is stored.
    """
    return next(filter(None, (_left_in_spools(files_root, plans) for _ in range(3))), 0)


def _left_in_spools(files_root: str, plans: Sequence[Plan]) -> int:
    left = 0
    spools = [spool_of(path) for path in gateway_paths(files_root)]
    for plan in plans:
        names = {one.name for one in plan.files}
        there = {
            name
            for spool in spools
            for name, state in contents(os.path.join(spool, plan.association))
            if is_open(name, state)
        }
        left += len(names & there)
    return left


def _set_aside_again(files_root: str, plan: Plan) -> list[ThingSetAside]:
    names = {one.name for one in plan.files}
    return [one for one in set_aside_of(aside_directory(files_root), plan.association) if one.name in names]
