"""Waiting for a condition, with a deadline: the tests never sleep in the hope that something has happened."""

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
