"""Whoever dies, fails or is overtaken, before whatever operation: nothing that was acknowledged is lost or stuck.

And the machine that says so is sharp: it fails when a mend is taken out of the code.
"""

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.model.journal_machine import JournalMachine
from tests.model.mutations import MUTATIONS

USUAL = settings(
    max_examples=80,
    stateful_step_count=30,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
LONG = settings(USUAL, max_examples=5000, derandomize=False, print_blob=True)


@pytest.mark.timeout(3600)
def test_nothing_is_lost_or_stuck_whatever_befalls_whom(long_drill):
    run_state_machine_as_test(JournalMachine, settings=LONG if long_drill else USUAL)


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.__name__)
def test_a_mend_that_is_taken_out_is_missed(mutation, monkeypatch):
    mutation(monkeypatch.setattr)
    with pytest.raises((AssertionError, UnicodeDecodeError)):
        run_state_machine_as_test(JournalMachine, settings=settings(USUAL, phases=[Phase.generate]))


def test_a_row_may_be_refused_when_it_comes_again_after_a_crash():
    """One of the long runs found it: the gateway died between the COMMIT and its mark, and then rows were refused."""
    machine = JournalMachine()
    machine.begin(sent=[("1.2.7", 1, False)], obstacle=2, is_over=False)
    for _ in range(3):
        machine.start_or_kill_gateway(which=0)
    machine.work(which=0, stroke=None, count=None)
    machine.start_or_kill_gateway(which=0)
    machine.obstruct_or_mend(what=1, which=0)
    machine.teardown()
