"""The publisher: it never waits, keeps little, and asks what it drops."""

import contextlib
import time

import pytest

from oxidicom.lonk import connection
from oxidicom.lonk import publisher as module
from oxidicom.lonk.messages import DONE, count_payload
from oxidicom.lonk.publisher import MAX_WAITING, Message, Publisher
from tests.fixtures.gateway import free_port
from tests.waiting import wait_until

pytestmark = pytest.mark.nats


def said(*payloads):
    return Message("a.b", lambda: payloads)


class Counts:
    published = dropped = 0

    def __call__(self, published, dropped):
        self.published += published
        self.dropped += dropped


@pytest.fixture
def counts():
    return Counts()


@pytest.fixture
def make_publisher(counts):
    made = contextlib.ExitStack()

    def make(*addresses):
        publisher = Publisher(addresses, "", counts)
        publisher.start()
        made.callback(publisher.join, 10)
        made.callback(publisher.close)
        return publisher

    with made:
        yield make


def test_what_is_published_before_it_is_connected_arrives_in_its_order(make_publisher, nats, subscriber, counts):
    publisher = make_publisher(nats.address)
    for number in range(1000):
        publisher.publish(said(count_payload(number)))
    publisher.publish(said(count_payload(1000), DONE))
    subscriber.await_done()
    assert subscriber.said() == [*range(1001), "done"]
    wait_until(lambda: (counts.published, counts.dropped) == (1002, 0), "all of it is counted")


def test_what_somebody_else_has_said_is_not_sent(make_publisher, nats, subscriber):
    publisher = make_publisher(nats.address)
    publisher.publish(Message("a.b", lambda: ()))
    publisher.publish(said(count_payload(2), DONE))
    subscriber.await_done()
    assert subscriber.said() == [2, "done"]


def test_what_a_message_says_is_not_asked_before_it_can_be_written(make_publisher, nats, monkeypatch):
    monkeypatch.setattr(connection, "_CONNECT_SECONDS", 60)
    nats.hang()
    publisher = make_publisher(nats.address)
    asked = []
    publisher.publish(Message("a.b", lambda: asked.append(1) or (DONE,)))
    wait_until(publisher.is_alive, "it tries to connect")
    assert not asked
    nats.go_on()
    wait_until(lambda: asked, "it is asked for")


def test_a_message_is_written_before_the_next_one_is_asked(make_publisher, nats, subscriber):
    publisher = make_publisher(nats.address)

    def last():
        wait_until(lambda: subscriber.said() == list(range(100)), "all before it are heard", 5)
        return (DONE,)

    for number in range(100):
        publisher.publish(said(count_payload(number)))
    publisher.publish(Message("a.b", last))
    subscriber.await_done(seconds=10)


def test_while_no_server_answers_everything_is_dropped_and_asked_for_at_once(make_publisher, counts):
    publisher = make_publisher(f"nats://127.0.0.1:{free_port()}")
    wait_until(lambda: publisher._is_away, "no server answers")
    asked = []
    for _ in range(100):
        publisher.publish(Message("a.b", lambda: asked.append(1) or (DONE,)))
    assert len(asked) == 100
    assert counts.dropped == 100


def test_a_server_that_hangs_costs_no_time_and_little_memory(make_publisher, nats, counts):
    publisher = make_publisher(nats.address)
    publisher.publish(said(DONE))
    wait_until(lambda: counts.published == 1, "it is connected")
    nats.hang()
    began, most = time.monotonic(), 0
    for _ in range(10 * MAX_WAITING):
        publisher.publish(said(count_payload(1)))
        most = max(most, len(publisher._waiting))
    assert most <= MAX_WAITING + module._MAX_AT_ONCE
    assert time.monotonic() - began < 60, "none of them waits: a millisecond for each would be more"
    wait_until(lambda: counts.published + counts.dropped == 10 * MAX_WAITING + 1, "everything is accounted for")
    nats.go_on()


def test_what_waits_at_the_end_is_sent(make_publisher, nats, subscriber):
    publisher = make_publisher(nats.address)
    for number in range(5000):
        publisher.publish(said(count_payload(number)))
    publisher.publish(said(DONE))
    publisher.close()
    publisher.join(60)
    subscriber.await_done()
    assert len(subscriber.said()) == 5001
