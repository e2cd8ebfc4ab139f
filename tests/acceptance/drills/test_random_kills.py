"""Random kills under load: whatever was answered with Success is stored, byte for byte, and registered once."""

import os
import random
import signal

import pytest

from tests.acceptance.drills.account import metadata_is_right, nothing_lost, settled
from tests.acceptance.drills.load import load


@pytest.mark.timeout(1800)
def test_nothing_that_was_acknowledged_is_lost_in_random_kills(long_drill, make_gateway, rows, tmp_path):
    """200 kills, or 20 in short: of one process, of the supervisor, of everybody at once."""
    chance = random.Random()
    gateway = make_gateway()
    with load([gateway], tmp_path) as sent:
        for _ in range(200 if long_drill else 20):
            sent.await_progress()
            kill_somebody(gateway, chance)
    settled(gateway)
    found = nothing_lost(gateway, rows, sent.acknowledged)
    # An instance that was committed and not answered is sent again by nobody here, so it is counted once.
    assert metadata_is_right(rows(metadata=True)) == len(found)


def kill_somebody(gateway, chance):
    """One child, or sometimes the supervisor, or everybody at once."""
    throw = chance.random()
    if throw < 0.1:
        gateway.kill()
        gateway.start()
    elif throw < 0.2:
        gateway.kill_all()
        gateway.start()
    else:
        children = gateway.children()
        if children:
            os.kill(chance.choice(children), signal.SIGKILL)
