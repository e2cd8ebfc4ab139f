"""Steps of a command that takes minutes: each is named when it begins, and has its time when it has ended."""

import time
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def step(command: str, name: str) -> Iterator[None]:
    """Print what a command does while it is done."""
    print(f"{command}: {name} ...", flush=True)
    began = time.monotonic()
    yield
    print(f"{command}: {name}: {time.monotonic() - began:.0f} s", flush=True)
