"""Whoever goes through a million names gives signs of life on the way."""

from workers.channels.heartbeat import beating
from workers.channels.scoreboard import ProcessState, Role, Scoreboard


def test_signs_of_life_come_while_nothing_is_wanted():
    slot = Scoreboard(1).slots[0]
    slot.begin(Role.STORAGE, 1)
    beats = set()

    def look(number):
        beats.add(slot.heartbeat_ns)
        return False

    assert not any(look(number) for number in beating(slot, range(5000)))
    assert len(beats) == 5
    assert slot.state is ProcessState.WORKING
