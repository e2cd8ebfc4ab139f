"""What the probes are told."""

import time

from workers.channels.scoreboard import ProcessState, Role
from workers.page.health import health


def test_a_process_that_waits_for_the_storage_is_not_silent_and_one_that_hangs_is(shared, monkeypatch):
    for slot in shared.scoreboard.slots:
        slot.begin(slot.role, 0)  # as the supervisor does before it forks the first
    (doorman,) = shared.scoreboard.of_role(Role.DOORMAN)
    doorman.begin(Role.DOORMAN, 4711)
    later_ns = time.monotonic_ns() + 100_000_000_000
    monkeypatch.setattr(time, "monotonic_ns", lambda: later_ns)
    assert health(shared) == (False, {"status": "failing", "silent": ["doorman"]})
    doorman.beat(ProcessState.WAITING)
    assert health(shared) == (True, {"status": "ok", "silent": []})
