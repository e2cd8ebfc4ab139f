"""Waiting for a condition, with a deadline: the tests never sleep in the hope that something has happened."""

import select
import time


def wait_until(condition, what, seconds=60.0, every=0.02):
    """Return the first true value of `condition()`, asked `every` so many seconds; fail, naming `what`, when late."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds:g} s: {what}; last value {value!r}")
        time.sleep(every)


def readable(ends, seconds=0.0):
    """Return those of sockets or descriptors from which something can be read; `select` knows none beyond 1,023."""
    of_descriptor = {end if isinstance(end, int) else end.fileno(): end for end in ends}
    poll = select.poll()
    for descriptor in of_descriptor:
        poll.register(descriptor, select.POLLIN)
    return [of_descriptor[descriptor] for descriptor, _ in poll.poll(seconds * 1000)]
