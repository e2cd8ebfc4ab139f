"""What the scoreboard says of the gateway."""

import datetime
import time

import pytest

from oxidicom.judgement.judgement import Level
from oxidicom.judgement.rules import judge
from oxidicom.storage.trouble import StorageTrouble
from workers.channels.condition import condition_of
from workers.channels.scoreboard import Counter, GatewayPhase, ProcessState, Role


@pytest.fixture
def board(shared):
    """The scoreboard of a gateway that is well."""
    board = shared.scoreboard
    for slot in board.slots:
        slot.beat(ProcessState.WAITING)
    board.phase = GatewayPhase.SERVING
    board.steward.set(Counter.STORAGE_TROUBLE, StorageTrouble.NONE)
    board.of_role(Role.REGISTRATION)[0].set(Counter.DATABASE_UP, 1)
    board.steward.set(Counter.STORAGE_FREE_BYTES, 10 << 30)
    board.steward.set(Counter.STORAGE_TOTAL_BYTES, 20 << 30)
    return board


def test_a_gateway_that_is_well(shared, board):
    assert judge(condition_of(shared)).level is Level.OK


def test_the_database_and_the_pacs_say_why_in_their_own_words(shared, board):
    (registration,), (inquiry,) = board.of_role(Role.REGISTRATION), board.of_role(Role.INQUIRY)
    registration.set(Counter.DATABASE_UP, 0)
    registration.set(Counter.DATABASE_DOWN, int(time.time()) - 60)
    registration.say("it refuses connections")
    inquiry.say("PACS A: é" + "x" * 1000)
    database, pacs = judge(condition_of(shared)).reasons
    assert "for 1 min" in database.sentence
    assert database.sentence.endswith(": it refuses connections")
    assert pacs.sentence.startswith("it is not known whether series are complete: PACS A: éxxx")
    inquiry.say("short")
    assert condition_of(shared).pacs_trouble == "short"


def test_a_tree_that_nobody_has_looked_at_is_no_second_trouble(shared, board):
    board.steward.set(Counter.STORAGE_TROUBLE, StorageTrouble.ROOT_BARE)
    board.steward.set(Counter.TREE_TROUBLE, StorageTrouble.NOT_LOOKED_AT)
    assert [reason.subject for reason in judge(condition_of(shared)).reasons] == ["storage"]


def test_a_storage_that_does_not_answer_is_trouble(shared, board, monkeypatch):
    board.steward.beat(ProcessState.SYNCING)
    assert condition_of(shared).storage is None
    later_ns = time.monotonic_ns() + 16_000_000_000
    monkeypatch.setattr(time, "monotonic_ns", lambda: later_ns)
    assert "has not answered for 15 s" in judge(condition_of(shared)).reasons[0].sentence


def test_the_certificate_and_the_room_are_those_of_the_scoreboard(shared, board):
    board.steward.set(Counter.STORAGE_TOTAL_BYTES, 0)
    assert condition_of(shared).room is None, "nobody has looked yet"
    expires = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    board.slots[0].set(Counter.CERTIFICATE_EXPIRES_SECONDS, int(expires.timestamp()))
    for counter, value in (
        (Counter.STORAGE_FREE_BYTES, 10),
        (Counter.STORAGE_TOTAL_BYTES, 20),
        (Counter.STORAGE_IS_FULL, 1),
    ):
        board.steward.set(counter, value)
    condition = condition_of(shared)
    assert condition.certificate_expires == expires
    assert condition.room
    assert (condition.room.free_bytes, condition.room.total_bytes, condition.room.is_full) == (10, 20, True)
