"""What happened within the last minutes."""

import time

import pytest

from workers.channels.scoreboard import Counter, Role
from workers.steward.lately import MINUTES, Lately


@pytest.fixture
def clock(monkeypatch):
    """A clock that a test moves on, in minutes."""

    class Clock:
        minutes = 1000.0

    monkeypatch.setattr(time, "monotonic", lambda: Clock.minutes * 60)
    return Clock


def test_what_happened_before_the_last_minutes_is_forgotten(shared, clock):
    listener = shared.scoreboard.of_role(Role.LISTENER)[0]
    steward = shared.scoreboard.steward
    listener.add(Counter.REFUSED_CANNOT_UNDERSTAND, 7)  # by who knows when: a successor counts from now
    lately = Lately(shared.scoreboard, steward)
    lately.tell()
    assert steward[Counter.LATELY_REFUSED] == 0
    listener.add(Counter.REFUSED_CANNOT_UNDERSTAND, 2)
    listener.add(Counter.REFUSED_OUT_OF_RESOURCES, 1)
    listener.add(Counter.INSTANCES_COMMITTED, 5)
    listener.add(Counter.ASSOCIATIONS_REJECTED, 4)
    listener.add(Counter.ASSOCIATIONS_ACCEPTED, 6)
    shared.scoreboard.slots[1].add(Counter.RESPAWNS)
    lately.tell()
    assert steward[Counter.LATELY_MINUTES] == MINUTES
    assert (steward[Counter.LATELY_REFUSED], steward[Counter.LATELY_TAKEN]) == (3, 5)
    assert steward[Counter.LATELY_RESPAWNED] == 1
    assert steward[Counter.LATELY_OUT_OF_RESOURCES] == 1
    assert (steward[Counter.LATELY_REJECTED], steward[Counter.LATELY_ACCEPTED]) == (4, 6)
    for _ in range(MINUTES):
        assert steward[Counter.LATELY_REFUSED] == 3
        clock.minutes += 1
        lately.tell()
    assert steward[Counter.LATELY_REFUSED] == steward[Counter.LATELY_TAKEN] == 0
