"""The power fails at any moment of a recorded gateway: the short version of `make crash-states`.

Two recordings that differ in everything. What the tool is worth is shown by the same recordings without their syncs.
"""

import dataclasses
import os

import pytest

from fuzzing.crash_states import campaign
from fuzzing.crash_states.campaign import Campaign, by_kind
from fuzzing.crash_states.history import History, SetTime
from fuzzing.crash_states.promises import Promises
from fuzzing.crash_states.recording import RecordingError, record
from fuzzing.crash_states.scenario import Scenario
from fuzzing.crash_states.tables import server

pytestmark = [pytest.mark.strace, pytest.mark.timeout(400)]

PROCESSES = 4
STATES, SECONDS = 1000, 8.0
STATES_OF_A_BROKEN_ONE, BROKEN_SECONDS = 60, 8.0
WHOLE = 2


@pytest.fixture(scope="module")
def postgres():
    with campaign.directory() as path, server(os.path.join(path, "postgres")) as running:
        yield running


@pytest.fixture(scope="module", params=[Scenario(), Scenario(sync=False, way="copies", schema="folders")], ids=str)
def recording(request, postgres):
    for last in (False, True):
        try:
            with campaign.directory() as path:
                return record(request.param, "test", postgres, path, associations=4)
        except RecordingError:  # the trace does not tell in which order two calls were done
            if last:
                raise
    raise AssertionError


@pytest.fixture
def examine(recording, postgres):
    """A function that examines states of the recording, or of it with another history."""

    def run(states, seconds, history=None, whole=0):
        examined = recording._replace(history=history) if history else recording
        return Campaign(examined, postgres, "test", PROCESSES).run(states, seconds=seconds, whole=whole)

    return run


def test_what_was_promised_before_a_power_failure_is_kept(examine):
    """As many states as there is time for: on a busy machine fewer."""
    outcome = examine(STATES, SECONDS, whole=WHOLE)
    assert by_kind(outcome.findings) == {}
    assert outcome.states > WHOLE
    assert len(outcome.digests) > 0.8 * (outcome.states - WHOLE)  # those are examined in both ways


def test_an_instance_that_is_whole_counts_though_its_listener_was_killed_before_it_set_its_time(recording):
    """The next start takes it, for it has no line in the ledger and is as long as its name says."""
    known = Promises(recording).versions
    without_times = [
        dataclasses.replace(inode, contents=[one for one in inode.contents if not isinstance(one, SetTime)])
        for inode in recording.history.inodes
    ]
    history = dataclasses.replace(recording.history, inodes=without_times)
    assert len(Promises(recording._replace(history=history)).versions) == len(known)


def without_syncs(history, of_directories):
    """Return what a gateway would have done that leaves out some syncs."""
    return History(
        history.inodes,
        history.names,
        [
            sync
            for sync in history.syncs
            if sync.inode is not None and history.inodes[sync.inode].is_directory != of_directories
        ],
        history.moments,
        history.responses,
    )


@pytest.mark.parametrize("of_directories", [False, True])
def test_a_gateway_that_syncs_no_files_or_no_directories_is_found_out(recording, examine, of_directories):
    broken = without_syncs(recording.history, of_directories)
    found = by_kind(examine(STATES_OF_A_BROKEN_ONE, BROKEN_SECONDS, broken).findings)
    assert any("lost" in wrong or "has no file" in wrong or "a damaged file" in wrong for wrong in found), found
