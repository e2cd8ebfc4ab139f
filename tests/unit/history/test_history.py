"""The history over a real SQLite file: told in any order, twice or late; its limits; files that are damaged."""

import datetime
import os
import sqlite3
import stat
import time

import msgspec
import pytest

from oxidicom.history.reader import HistoryReader, Wanted
from oxidicom.history.records import AssociationEnd, Refusal, SeriesCount
from oxidicom.history.schema import FORMAT, DamagedHistoryError, NewerHistoryError
from oxidicom.history.store import HistoryStore
from oxidicom.spool.metadata_rows import Verdict

DAY_NS = 86400 * 10**9


def end(association="A1", ended_ns=None, **fields):
    """Return an association that brought ten instances."""
    ended_ns = time.time_ns() if ended_ns is None else ended_ns
    told = {"received": 10, "warned": 0, "tls": ""}
    return AssociationEnd(
        **{
            "association": association,
            "gateway": "G",
            "began_ns": ended_ns - 10**9,
            "ended_ns": ended_ns,
            "peer": "10.1.2.3:104",
            "calling_ae_title": "PACS",
            "called_ae_title": "ChRIS",
            "how": "released",
            "stored": 10,
            "bytes": 1000,
            **told,
            **fields,
        }
    )


def of_ledger(association="A1", **fields):
    """Return what a ledger tells of the same."""
    return end(association, received=None, warned=None, tls=None, how="listener died", is_settled=True, **fields)


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "state" / "history.sqlite")


@pytest.fixture
def make_store(path):
    made = []

    def make(days=30, **limits):
        made.append(HistoryStore(path, days, **limits))
        return made[-1]

    yield make
    for store in made:
        store.close()


@pytest.fixture
def store(make_store):
    return make_store()


def read(path, **wanted):
    with HistoryReader(path) as reader:
        return list(reader.records(Wanted(**wanted)))


def test_an_association_and_its_series(store, path):
    refusal = Refusal("C000", "PatientID is missing", 2, ["1.2.3", "1.2.4"])
    with store.transaction() as transaction:
        transaction.ended(end(refused={"C000": 2}))
        transaction.refused("A1", [refusal])
        transaction.series("A1", [SeriesCount("h", "1.1", "1.2", 10)])
    (record,) = read(path)
    assert (record.peer, record.received, record.seconds, record.settled, record.whole) == (
        "10.1.2.3:104",
        10,
        1.0,
        False,
        True,
    )
    assert record.refusals == [refusal]
    (series,) = record.series
    assert (series.stored, series.registered, series.verdict) == (10, None, None)
    with store.transaction() as transaction:
        transaction.registered(of_ledger())
        transaction.series("A1", [SeriesCount("h", "1.1", "1.2", 10, 1, 12, True)])
    (record,) = read(path)
    assert (record.settled, record.whole, record.how, record.refused) == (True, True, "released", {"C000": 2})
    (series,) = record.series
    assert (series.registered, series.expected, series.verdict) == (9, 12, Verdict.SET_ASIDE)


def test_what_registration_tells_first_or_twice_stays(store, path):
    counts = [SeriesCount("h", "1.1", "1.2", 10, 0, 10, True)]
    for told in (of_ledger(), of_ledger(), end()):
        with store.transaction() as transaction:
            transaction.registered(told) if told.received is None else transaction.ended(told)
            transaction.series("A1", counts if told.received is None else [SeriesCount("h", "1.1", "1.2", 10)])
    (record,) = read(path)
    assert (record.settled, record.whole, record.how) == (True, True, "released")
    assert [one.verdict for one in record.series] == [Verdict.COMPLETE]


def test_what_only_the_ledger_tells_is_not_whole(store, path):
    with store.transaction() as transaction:
        transaction.registered(of_ledger())
    (record,) = read(path)
    assert (record.whole, record.received, record.stored, record.how) == (False, None, 10, "listener died")


def test_what_was_set_aside_and_put_back_completes_its_series(store, path):
    with store.transaction() as transaction:
        transaction.ended(end())
        transaction.registered(of_ledger())
        transaction.series("A1", [SeriesCount("h", "1.1", "1.2", 10, 3, 10, True)])
        transaction.series("A1", [SeriesCount("h", "1.1", "1.2", 0, 0, None, True)])
    (series,) = read(path)[0].series
    assert (series.stored, series.registered, series.verdict) == (10, 10, Verdict.COMPLETE)


def test_of_what_is_lost_nobody_knows_the_end(store, path):
    with store.transaction() as transaction:
        transaction.ended(end(ended_ns=time.time_ns() - DAY_NS))
        transaction.series("A1", [SeriesCount("h", "1", "2", 4), SeriesCount("i", "1", "3", 6)])
    assert store.unsettled() == ["A1"]
    with store.transaction() as transaction:
        transaction.lost("A1", {"i": 6})
    assert store.unsettled() == []
    (record,) = read(path)
    assert (record.settled, record.whole) == (True, False)
    assert [one.verdict for one in record.series] == [None, Verdict.SET_ASIDE]


def test_one_can_ask_for_a_time_a_peer_a_study_a_series_and_what_was_refused(store, path):
    now = time.time_ns()
    with store.transaction() as transaction:
        transaction.ended(end("OLD", now - 3 * DAY_NS))
        transaction.series("OLD", [SeriesCount("h", "study", "series", 1)])
        transaction.ended(end("NO", now - 2 * DAY_NS, stored=0, is_rejected=True, how="rejected: x"))
        transaction.ended(end("BAD", now - DAY_NS, refused={"A900": 1}, calling_ae_title="OTHER"))

    def asked(**wanted):
        return [one.association for one in read(path, **wanted)]

    at = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=2, hours=12)
    assert asked() == ["OLD", "NO", "BAD"]
    assert asked(since=at) == ["NO", "BAD"]
    assert asked(until=at) == ["OLD"]
    assert asked(calling_ae_title="OTHER") == ["BAD"]
    assert asked(study_instance_uid="study") == asked(series_instance_uid="series") == ["OLD"]
    assert asked(study_instance_uid="none") == []
    assert asked(refused=True) == ["NO", "BAD"]
    with HistoryReader(path) as reader:
        assert [one.association for one in reader.records(Wanted(), 2)] == ["NO", "BAD"]
        assert [one.association for one in reader.records(Wanted(), 9)] == ["OLD", "NO", "BAD"]


def test_many_are_read_page_by_page_in_order(store, path):
    with store.transaction() as transaction:
        for number in range(1234):
            transaction.ended(end(f"A{number:04}", ended_ns=10**18 + number // 3))
    assert [one.association for one in read(path)] == [f"A{number:04}" for number in range(1234)]


def test_what_changed_is_told_once(store, path):
    with store.transaction() as transaction:
        transaction.ended(end("A1"))
    with HistoryReader(path) as reader:
        seen = reader.last_change
        with store.transaction() as transaction:
            transaction.ended(end("A2"))
        assert [one.association for one in reader.changed(Wanted(), seen, reader.last_change)] == ["A2"]
        assert reader.changed(Wanted(), reader.last_change, reader.last_change) == []


# -- limits ------------------------------------------------------------------------------------------------------------


def test_what_is_too_old_goes(make_store, path):
    store = make_store(days=2)
    with store.transaction() as transaction:
        transaction.ended(end("OLD", time.time_ns() - 3 * DAY_NS))
        transaction.series("OLD", [SeriesCount("h", "1", "2", 1)])
        transaction.ended(end("NEW"))
    store.prune()
    assert [one.association for one in read(path)] == ["NEW"]
    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT count(*) FROM series").fetchone() == (0,)
    connection.close()


def test_what_brought_nothing_pushes_out_its_like_alone(make_store, path):
    store = make_store(max_empty=3)
    with store.transaction() as transaction:
        transaction.ended(end("FIRST", 10**18 + 10**17 * 7))
        for number in range(10):
            at = time.time_ns() - 10**9 + number
            transaction.ended(end(f"NO{number}", at, stored=0, is_rejected=True, how="rejected"))
        transaction.ended(end("LAST"))
    store.prune()
    kept = [one.association for one in read(path)]
    assert kept[-4:] == ["NO7", "NO8", "NO9", "LAST"]


def test_the_oldest_go_when_the_file_is_too_large_and_it_shrinks(make_store, path):
    store = make_store(max_bytes=400_000)
    now = time.time_ns()
    for start in range(0, 6000, 1000):
        with store.transaction() as transaction:
            for number in range(start, start + 1000):
                transaction.ended(end(f"A{number:04}", now + number))
    store.prune()
    store.close()
    kept = read(path)
    assert kept[-1].association == "A5999"
    assert 0 < len(kept) < 6000
    assert os.path.getsize(path) <= 500_000


# -- the file ----------------------------------------------------------------------------------------------------------


def test_only_its_owner_reads_it(store, path):
    with store.transaction() as transaction:
        transaction.ended(end())
    for name in os.listdir(os.path.dirname(path)):
        assert stat.S_IMODE(os.stat(os.path.join(os.path.dirname(path), name)).st_mode) == 0o600, name


def test_what_was_written_is_read_without_the_writer_that_was_killed_or_closed(store, path):
    with store.transaction() as transaction:
        transaction.ended(end())
    assert len(read(path)) == 1  # it is open, and the record is in its log
    store.close()
    assert len(read(path)) == 1


def test_two_gateways_write_one_file(make_store, path):
    first, second = make_store(), make_store()
    for number in range(5):
        for store in (first, second):
            with store.transaction() as transaction:
                transaction.ended(end(f"{number}{id(store)}"))
    assert len(read(path)) == 10


def test_a_newer_format_is_left_alone(store, path):
    store.prune()
    store.close()
    connection = sqlite3.connect(path)
    connection.execute(f"PRAGMA user_version = {FORMAT + 1}")
    connection.close()
    before = os.stat(path).st_mtime_ns
    with pytest.raises(NewerHistoryError, match=f"format {FORMAT + 1}"), store.transaction():
        pass
    with pytest.raises(NewerHistoryError):
        read(path)
    assert os.stat(path).st_mtime_ns == before


def damage_header(path):
    with open(path, "r+b") as file:
        file.write(b"no database at all, " * 100)


def make_other_database(path):
    os.unlink(path)
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE something (else_ TEXT)")
    connection.close()


@pytest.mark.parametrize("damage", [damage_header, make_other_database])
def test_a_damaged_file_is_put_aside_and_a_new_one_begun(store, path, damage):
    with store.transaction() as transaction:
        transaction.ended(end("BEFORE"))
    store.close()
    damage(path)
    with pytest.raises(DamagedHistoryError):
        read(path)
    with pytest.raises(DamagedHistoryError), store.transaction():
        pass
    with store.transaction() as transaction:
        transaction.ended(end("AFTER"))
    assert [one.association for one in read(path)] == ["AFTER"]
    assert os.path.exists(f"{path}.damaged")


def test_a_file_that_was_removed_is_made_anew(store, path):
    with store.transaction() as transaction:
        transaction.ended(end("BEFORE"))
    os.unlink(path)
    with store.transaction() as transaction:
        transaction.ended(end("AFTER"))
    assert [one.association for one in read(path)] == ["AFTER"]


def test_a_gap_is_known(store, path):
    with store.transaction() as transaction:
        transaction.gap(time.time_ns() - 10**9, 3)
    with HistoryReader(path) as reader:
        (gap,) = reader.gaps(Wanted())
        assert gap.reports == 3
        assert reader.gaps(Wanted(since=gap.noticed + datetime.timedelta(seconds=1))) == []


def test_records_become_json(store, path):
    with store.transaction() as transaction:
        transaction.ended(end())
    assert msgspec.json.decode(msgspec.json.encode(read(path)[0]))["calling_ae_title"] == "PACS"
