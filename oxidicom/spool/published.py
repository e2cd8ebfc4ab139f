"""How a running gateway tells its condition to whoever looks at the same storage.

It stands in the file whose lock says that the gateway lives: it belongs to that gateway alone, every version removes it
with its directory, and what is in it means nothing any more once the lock is free.
"""

import contextlib
import os
import time

import msgspec

from oxidicom.files.foreign_json import NOT_READABLE
from oxidicom.files.regular_file import open_regular
from oxidicom.judgement.condition import Condition
from oxidicom.spool.gateway_directory import lock_of

MAX_SILENT_SECONDS = 60.0
"""A condition that is older says nothing of now."""
_MAX_BYTES = 16384
_ATTEMPTS = 25
_PAUSE_SECONDS = 0.02
"""A write is over by then: what cannot be read after all attempts is no half of one."""


def publish(gateway_path: str, condition: Condition) -> None:
    """Write the condition of the gateway whose directory this is. Raise OSError.

    In one write: who reads just then sees the old one, the new one, or what cannot be read and is read again.
    """
    descriptor = open_regular(lock_of(gateway_path), os.O_WRONLY)
    try:
        data = msgspec.json.encode(condition) + b"\n"
        os.pwrite(descriptor, data, 0)
        os.ftruncate(descriptor, len(data))
    finally:
        os.close(descriptor)


def published(gateway_path: str) -> Condition | None:
    """Return the condition that a running gateway has told last.

    None: it has told none, or in the words of another version. Raise OSError.
    """
    for attempt in range(_ATTEMPTS):
        if attempt:
            time.sleep(_PAUSE_SECONDS)
        with open(lock_of(gateway_path), "rb", opener=open_regular) as file:
            data = file.read(_MAX_BYTES)
        with contextlib.suppress(*NOT_READABLE):
            return msgspec.json.decode(data, type=Condition)
    return None
