"""What makes a batch."""

from oxidicom.records import COMMITTED_COUNT_KEY, EXPECTED_COUNT_KEY
from tests.fixtures.storage import describe_file
from workers.channels.messages import Instance, MetadataStored
from workers.registration.batching import MAX_COUNTS, MAX_IN_BATCH, MAX_PENDING, Pending

FILE = describe_file().file
SERIES = describe_file().series


def instance(number):
    return Instance("A", number, "h", 1, 0, FILE)


def test_a_batch_is_the_oldest_and_no_larger_than_is_useful():
    pending = Pending()
    for number in range(MAX_IN_BATCH + 5):
        pending.add(instance(number))
    batch = pending.next_batch()
    assert [one.number for one in batch.instances] == list(range(MAX_IN_BATCH))
    pending.done(batch)
    assert [one.number for one in pending.next_batch().instances] == list(range(MAX_IN_BATCH, MAX_IN_BATCH + 5))


def test_a_thing_that_two_messages_tell_of_is_taken_once():
    pending = Pending()
    pending.add(instance(1))
    pending.add(instance(1))
    assert len(pending) == 1


def test_a_batch_that_failed_is_still_pending():
    pending = Pending()
    pending.add(instance(1))
    assert pending.next_batch() == pending.next_batch()


def test_the_last_count_waits_to_be_chosen():
    pending = Pending()
    pending.add(MetadataStored("A", "h", COMMITTED_COUNT_KEY, "1", SERIES))
    pending.add(MetadataStored("A", "h", EXPECTED_COUNT_KEY, "1", SERIES))
    batch = pending.next_batch()
    assert [value.key for value in batch.values] == [EXPECTED_COUNT_KEY]
    batch.values += pending.counts()
    pending.done(batch)
    assert len(pending) == 0


def test_memory_is_bounded():
    pending = Pending()
    for number in range(MAX_PENDING):
        assert not pending.full
        pending.add(instance(number))
    assert pending.full


def test_counts_that_wait_take_no_room_from_what_they_wait_for():
    pending = Pending()
    for number in range(MAX_COUNTS + 1):
        pending.add(MetadataStored("A", str(number), COMMITTED_COUNT_KEY, "1", SERIES))
    assert pending.room == MAX_PENDING
    assert len(pending.counts()) == MAX_COUNTS
    assert pending.counts()[0].series_hash == "1", "that which waits longest is left to the next rescan"
