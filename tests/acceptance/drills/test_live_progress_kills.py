"""That a series is done is said once, and not lost, whoever is killed: the spool knows whether it was said."""

import collections
import os
import signal

import pytest

from tests.acceptance.drills.account import nothing_lost, settled
from tests.acceptance.drills.load import load
from tests.dicom import make_instance, make_series, send
from tests.fixtures.nats import DONE
from tests.processes import freeze, is_alive
from tests.waiting import wait_until

pytestmark = pytest.mark.nats


def ends_heard(subscriber):
    return {subject: said.count(DONE) for subject, said in subscriber.by_subject().items() if DONE in said}


def ends_registered(rows):
    """Return how often each series of SENDER… was ended in the database, by subject."""
    counts = collections.Counter()
    for row in rows(metadata=True):
        if row["ProtocolName"] == "OxidicomAttemptedPushCount":
            uid = row["SeriesInstanceUID"]
            counts[f"oxidicom.SENDER{uid.split('.')[2]}.{uid.replace('.', '_')}"] += 1
    return dict(counts)


def kill_observer(gateway):
    (pid,) = wait_until(lambda: gateway.pids_of("observer"), "there is an observer")
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not is_alive(pid), "it is dead")


@pytest.mark.timeout(300)
def test_the_observer_is_killed_again_and_again(make_gateway, nats, subscriber, rows, tmp_path, long_drill):
    gateway = make_gateway(CHRIS_NATS_ADDRESS=nats.address)
    with load([gateway], tmp_path) as senders:
        for _ in range(15 if long_drill else 6):
            senders.await_progress(6)
            kill_observer(gateway)
    settled(gateway)
    nothing_lost(gateway, rows, senders.acknowledged)
    wait_until(lambda: ends_heard(subscriber) == ends_registered(rows), "each end was heard once")
    assert len(ends_heard(subscriber)) > 6


@pytest.mark.timeout(300)
def test_everything_is_killed_again_and_again(make_gateway, nats, subscriber, rows, tmp_path, long_drill):
    gateway = make_gateway(CHRIS_NATS_ADDRESS=nats.address)
    with load([gateway], tmp_path) as senders:
        for _ in range(15 if long_drill else 4):
            senders.await_progress(6)
            gateway.kill_all()
            gateway.start()
    settled(gateway)
    nothing_lost(gateway, rows, senders.acknowledged)
    wait_until(lambda: ends_heard(subscriber) == ends_registered(rows), "each end was heard once")
    assert len(ends_heard(subscriber)) > 4


def leave_untold(gateway, directory):
    """Send a series whose end is registered and not told: its observer is stopped. Then kill everything."""
    (observer,) = gateway.pids_of("observer")
    freeze(observer)
    send(gateway.port, make_series(directory, 3, "1.2.3"))
    wait_until(lambda: [name for name in gateway.spooled() if name.endswith("Count=3.registered")], "its end waits")
    gateway.kill_all()


def test_what_was_not_told_is_told_after_a_restart(make_gateway, nats, subscriber, tmp_path):
    gateway = make_gateway(CHRIS_NATS_ADDRESS=nats.address)
    leave_untold(gateway, tmp_path / "in")
    assert DONE not in subscriber.said()
    gateway.start()
    settled(gateway)
    assert subscriber.said()[-2:] == [3, DONE]
    assert subscriber.said().count(DONE) == 1


def test_without_a_server_for_progress_nothing_waits_for_being_told(make_gateway, nats, subscriber, tmp_path):
    gateway = make_gateway(CHRIS_NATS_ADDRESS=nats.address)
    leave_untold(gateway, tmp_path / "in")
    del gateway.environment["CHRIS_NATS_ADDRESS"]
    gateway.start()
    settled(gateway)
    assert DONE not in subscriber.said()


@pytest.mark.strace
@pytest.mark.parametrize("aftermath", ["successor", "restart"])
@pytest.mark.parametrize(("calls", "when"), [("/^rename", 1), *(("sendto", when) for when in range(1, 7))])
def test_the_observer_dies_between_two_steps(calls, when, aftermath, make_gateway, nats, subscriber, inject, tmp_path):
    """Only between marking the series as told and writing the message can its end be lost; it is never repeated."""
    gateway = make_gateway(CHRIS_NATS_ADDRESS=nats.address)
    (victim,) = gateway.pids_of("observer")
    inject(victim, calls, f"signal=KILL:when={when}")
    if aftermath == "restart":
        freeze(gateway.process.pid)
    send(gateway.port, make_series(tmp_path / "in", 1, "1.2.3"))
    wait_until(lambda: not is_alive(victim), "it died at that step")
    if aftermath == "restart":
        gateway.kill_all()
        gateway.start()
    settled(gateway)
    send(gateway.port, make_series(tmp_path / "later", 1, "1.2.4"))
    wait_until(lambda: DONE in subscriber.said("oxidicom.TEST.1_2_4"), "a later series is done")
    ends = subscriber.said("oxidicom.TEST.1_2_3").count(DONE)
    assert ends == 1 if calls == "/^rename" else ends <= 1


def make_two_parts(directory):
    """Write a series that the spool takes for two: half of its instances have another study."""
    directory.mkdir()
    return [
        make_instance(directory / f"{number}.dcm", number, "1.2.3", StudyInstanceUID=f"1.2.9.{number % 2}")
        for number in range(1, 9)
    ]


@pytest.mark.strace
@pytest.mark.parametrize("aftermath", ["successor", "restart"])
@pytest.mark.parametrize(
    ("calls", "when"), [("/^rename", 1), ("/^rename", 2), *(("sendto", when) for when in (1, 3, 5))]
)
def test_the_observer_dies_between_the_parts_of_a_series(
    calls, when, aftermath, make_gateway, nats, subscriber, inject, tmp_path
):
    """The spool has two ends for what is one series for who follows it: the last of them is said, and no other."""
    gateway = make_gateway(CHRIS_NATS_ADDRESS=nats.address)
    (victim,) = gateway.pids_of("observer")
    inject(victim, calls, f"signal=KILL:when={when}")
    if aftermath == "restart":
        freeze(gateway.process.pid)
    send(gateway.port, make_two_parts(tmp_path / "in"))
    wait_until(lambda: not is_alive(victim), "it died at that step")
    if aftermath == "restart":
        if calls == "/^rename":
            wait_until(lambda: len(states_of_counts(gateway)) == 2, "both parts are registered")
            assert states_of_counts(gateway) == (["registered"] * 2 if when == 1 else ["registered", "told"])
        gateway.kill_all()
        gateway.start()
    settled(gateway)
    send(gateway.port, make_series(tmp_path / "later", 1, "1.2.4"))
    wait_until(lambda: DONE in subscriber.said("oxidicom.TEST.1_2_4"), "a later series is done")
    said = subscriber.said("oxidicom.TEST.1_2_3")
    assert said.count(DONE) == 1 if calls == "/^rename" else said.count(DONE) <= 1
    assert DONE not in said or said[-2:] == [8, DONE]
    assert said[:-1] == sorted(said[:-1])


def states_of_counts(gateway):
    """Return how far the ends of series are which the spool has as registered."""
    states = [name.rpartition(".")[2] for name in gateway.spooled() if "PushCount=" in name]
    return sorted(state for state in states if state in ("registered", "told"))
