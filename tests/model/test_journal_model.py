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
