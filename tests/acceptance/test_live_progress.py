"""Live progress over a real NATS server: what one hears who follows a series, and in which order."""

import psycopg
import pytest

from tests.dicom import contexts_of, make_instance, make_series, open_association, send
from tests.fixtures.nats import DONE
from tests.fixtures.postgres import read_rows
from tests.waiting import wait_until

pytestmark = pytest.mark.nats


@pytest.fixture
def gateway(make_gateway, nats):
    return make_gateway(CHRIS_NATS_ADDRESS=nats.address)


def is_in_order(said):
    """Counts that never fall, the last of them twice at most, then the end, once."""
    *counts, end = said
    return end == DONE and counts == sorted(counts) and len(counts) == len(set(counts)) + counts.count(counts[-1]) - 1


def test_a_single_instance_is_counted_twice_and_the_series_done_once(gateway, subscriber, tmp_path):
    send(gateway.port, make_series(tmp_path / "in", 1, "1.2.3"))
    subscriber.await_done()
    wait_until(lambda: not gateway.spooled(), "the directory of the association goes at once", 5)
    assert subscriber.by_subject() == {"oxidicom.TEST.1_2_3": [1, 1, DONE]}


def test_counts_rise_and_the_last_one_is_exact(gateway, subscriber, tmp_path):
    send(gateway.port, make_series(tmp_path / "in", 60, "1.2.3"))
    subscriber.await_done()
    assert is_in_order(subscriber.said())
    assert subscriber.said()[-2:] == [60, DONE]


def test_each_series_of_each_association_has_its_own_end(gateway, subscriber, tmp_path):
    first, second = make_series(tmp_path / "a", 5, "1.2.1"), make_series(tmp_path / "b", 7, "1.2.2")
    send(gateway.port, [*first, *second])
    subscriber.await_done(2)
    assert all(map(is_in_order, subscriber.by_subject().values()))
    send(gateway.port, first[:3], calling="OTHER")
    send(gateway.port, first)
    subscriber.await_done(4)
    heard = subscriber.by_subject()
    assert [said for said in heard["oxidicom.TEST.1_2_1"] if said == DONE] == [DONE] * 2
    assert heard["oxidicom.TEST.1_2_1"][-2:] == [5, DONE], "rows that were there already count as well"
    assert heard["oxidicom.TEST.1_2_2"][-2:] == [7, DONE]
    assert heard["oxidicom.OTHER.1_2_1"][-2:] == [3, DONE]


def test_hundreds_of_series_in_one_association(gateway, subscriber, tmp_path):
    paths = [path for number in range(300) for path in make_series(tmp_path / str(number), 1, f"1.2.{number}")]
    send(gateway.port, paths)
    subscriber.await_done(300, 60)
    wait_until(lambda: not gateway.spooled(), "the directory goes", 10)
    heard = subscriber.by_subject()
    assert len(heard) == 300
    assert all(said[-2:] == [1, DONE] and said.count(DONE) == 1 for said in heard.values())


def make_parts(directory, *parts):
    """Write instances of one series: `parts` are how many, and what they say of themselves. Return their paths."""
    paths = []
    for count, attributes in parts:
        for _ in range(count):
            directory.mkdir(exist_ok=True)
            number = len(paths) + 1
            paths.append(make_instance(directory / f"{number}.dcm", number, "1.2.3", **attributes))
    return paths


@pytest.mark.parametrize(
    "differing",
    [
        {"PatientName": "Another^Name"},
        {"SeriesDescription": "another directory"},
        {"StudyDate": "20200101"},
        {"PatientID": "another"},
        {"StudyInstanceUID": "1.2.9"},
    ],
    ids=lambda differing: next(iter(differing)),
)
def test_a_series_that_says_two_things_of_itself_is_done_once(gateway, subscriber, differing, tmp_path):
    send(gateway.port, make_parts(tmp_path / "in", (5, {}), (3, differing)))
    subscriber.await_done()
    wait_until(lambda: not gateway.spooled(), "the directory goes", 10)
    send(gateway.port, make_series(tmp_path / "later", 1, "1.2.4"))
    wait_until(lambda: DONE in subscriber.said("oxidicom.TEST.1_2_4"), "a later series is done")
    assert is_in_order(subscriber.said("oxidicom.TEST.1_2_3"))
    assert subscriber.said("oxidicom.TEST.1_2_3")[-2:] == [8, DONE]


def test_a_series_in_which_each_instance_has_a_study_of_its_own_is_done_once(gateway, subscriber, tmp_path):
    parts = [(1, {"StudyInstanceUID": f"1.2.9.{number}"}) for number in range(300)]
    send(gateway.port, make_parts(tmp_path / "in", *parts))
    subscriber.await_done(1, 60)
    wait_until(lambda: not gateway.spooled(), "the directory goes", 20)
    assert is_in_order(subscriber.said())
    assert subscriber.said()[-2:] == [300, DONE]


def test_a_series_of_which_one_part_has_no_count_has_one_error_and_no_end_before_it_is_mended(
    gateway, subscriber, database, tmp_path
):
    refuse(database, "\"ProtocolName\" = 'OxidicomAttemptedPushCount' AND \"StudyInstanceUID\" = '1.2.9'")
    send(gateway.port, make_parts(tmp_path / "in", (5, {}), (3, {"StudyInstanceUID": "1.2.9"})))
    wait_until(lambda: any(isinstance(said, str) for said in subscriber.said()), "the error")
    wait_until(lambda: not gateway.spooled(), "the directory goes")
    counts = [said for said in subscriber.said() if isinstance(said, int)]
    assert DONE not in subscriber.said()
    assert counts == sorted(counts)
    assert len(counts) == len(subscriber.said()) - 1
    with psycopg.connect(database) as connection:
        connection.execute("ALTER TABLE pacsfiles_pacsfile DROP CONSTRAINT refused")
    assert gateway.run("retry").returncode == 0
    gateway.stop()
    gateway.start()
    subscriber.await_done()
    wait_until(lambda: not gateway.spooled(), "the directory goes")
    assert subscriber.said().count(DONE) == 1


def test_a_series_is_done_after_the_commit_that_makes_it_true(gateway, subscriber, database, tmp_path):
    registered = []
    subscriber.when_done = lambda: registered.append(
        [row["SeriesDescription"] for row in read_rows(database, metadata=True)]
    )
    for number in range(20):
        send(gateway.port, make_series(tmp_path / str(number), 2, f"1.2.{number}"))
    subscriber.await_done(20)
    assert [values.count("2") for values in registered] == sorted(values.count("2") for values in registered)
    assert all(values.count("2") > at for at, values in enumerate(registered))


def test_in_cube_6_a_series_is_done_when_its_row_is_there(
    make_gateway, nats, subscriber, folders_database, series_rows, tmp_path
):
    """The user interface looks for it once, at the moment when it hears so."""
    gateway = make_gateway(db=folders_database, CHRIS_NATS_ADDRESS=nats.address)
    seen = []
    subscriber.when_done = lambda: seen.append(len(series_rows()))
    for number in range(10):
        send(gateway.port, make_series(tmp_path / str(number), 2, f"1.2.{number}"))
    subscriber.await_done(10)
    assert all(count > at for at, count in enumerate(seen))
    assert all(said[-2:] == [2, DONE] for said in subscriber.by_subject().values())
    wait_until(lambda: not gateway.spooled(), "nothing is left")


def test_nothing_is_said_of_what_is_not_registered(make_gateway, nats, subscriber, proxy, proxied, tmp_path):
    gateway = make_gateway(db=proxied, CHRIS_NATS_ADDRESS=nats.address)
    proxy.refuse()
    send(gateway.port, make_series(tmp_path / "in", 5, "1.2.3"))
    wait_until(lambda: any("PushCount" in name for name in gateway.spooled()), "all of it waits to be registered")
    assert subscriber.heard == []
    proxy.accept()
    subscriber.await_done()
    assert subscriber.said()[-2:] == [5, DONE]


def test_a_count_comes_no_more_often_than_the_interval_allows(make_gateway, nats, subscriber, rows, tmp_path):
    gateway = make_gateway(CHRIS_NATS_ADDRESS=nats.address, CHRIS_PROGRESS_INTERVAL="300ms")
    paths = make_series(tmp_path / "in", 40, "1.2.3")
    association = open_association(gateway.port, contexts_of(paths))
    for number, path in enumerate(paths, 1):
        association.send_c_store(str(path))
        wait_until(lambda number=number: len(rows()) == number, "it is registered", every=0.005)
    wait_until(lambda: 40 in subscriber.said(), "the newest count comes although the association goes on")
    association.release()
    subscriber.await_done()
    *counts, end = [one for one in subscriber.heard if one.said != DONE]
    moments = [one.moment for one in counts]
    assert counts[0].said == 1
    assert len(counts) > 2
    # They are told by when they come, which may be late on a busy machine: so all of them, and not each alone.
    assert len(counts) <= 2 + (moments[-1] - moments[0]) / 0.3
    assert end.said == 40


def refuse(database, condition):
    with psycopg.connect(database) as connection:
        connection.execute(f"ALTER TABLE pacsfiles_pacsfile ADD CONSTRAINT refused CHECK (NOT ({condition}))")


def test_instances_that_are_refused_are_not_counted_and_no_error(gateway, subscriber, database, tmp_path):
    refuse(database, "fname LIKE '%1.2.3.2.dcm'")
    send(gateway.port, make_series(tmp_path / "in", 3, "1.2.3"))
    subscriber.await_done()
    assert subscriber.said()[-2:] == [2, DONE]
    assert all(isinstance(said, int) for said in subscriber.said()[:-1])


def test_a_series_whose_count_is_refused_has_one_error_and_no_end(gateway, subscriber, database, tmp_path):
    refuse(database, "\"ProtocolName\" = 'OxidicomAttemptedPushCount' AND \"SeriesInstanceUID\" = '1.2.3'")
    send(gateway.port, make_series(tmp_path / "in", 3, "1.2.3"))
    send(gateway.port, make_series(tmp_path / "other", 1, "1.2.4"))
    subscriber.await_done()
    wait_until(lambda: isinstance(subscriber.said("oxidicom.TEST.1_2_3")[-1], str), "the error")
    *counts, error = subscriber.said("oxidicom.TEST.1_2_3")
    assert all(isinstance(count, int) for count in counts)
    assert "cannot be completed" in error
    wait_until(lambda: not gateway.spooled(), "the directories go")
    with psycopg.connect(database) as connection:
        connection.execute("ALTER TABLE pacsfiles_pacsfile DROP CONSTRAINT refused")
    assert gateway.run("retry").returncode == 0
    gateway.stop()
    gateway.start()
    subscriber.await_done(2)
    assert subscriber.said("oxidicom.TEST.1_2_3")[-2:] == [3, DONE]


def test_instances_that_are_put_back_do_not_end_their_series_again(gateway, subscriber, database, rows, tmp_path):
    refuse(database, "fname LIKE '%1.2.3.2.dcm'")
    send(gateway.port, make_series(tmp_path / "in", 3, "1.2.3"))
    subscriber.await_done()
    wait_until(lambda: not gateway.spooled(), "the directory goes")
    with psycopg.connect(database) as connection:
        connection.execute("ALTER TABLE pacsfiles_pacsfile DROP CONSTRAINT refused")
    assert gateway.run("retry").returncode == 0
    gateway.stop()
    gateway.start()
    wait_until(lambda: len(rows()) == 3 and not gateway.spooled(), "it is registered")
    send(gateway.port, make_series(tmp_path / "last", 1, "1.2.4"))
    wait_until(lambda: DONE in subscriber.said("oxidicom.TEST.1_2_4"), "a later series is done")
    assert subscriber.said("oxidicom.TEST.1_2_3").count(DONE) == 1


def test_what_has_a_meaning_in_subjects_is_replaced_in_the_name_of_the_pacs(gateway, subscriber, tmp_path):
    send(gateway.port, make_series(tmp_path / "in", 1, "1.2.3"), calling="MY PACS.*>")
    subscriber.await_done()
    assert set(subscriber.by_subject()) == {"oxidicom.MY_PACS___.1_2_3"}


def test_another_root_subject(make_gateway, nats, subscriber, tmp_path):
    gateway = make_gateway(OXIDICOM_NATS_ADDRESS=f"127.0.0.1:{nats.port}", OXIDICOM_ROOT_SUBJECT="test.lonk")
    send(gateway.port, make_series(tmp_path / "in", 1, "1.2.3"))
    subscriber.await_done()
    assert set(subscriber.by_subject()) == {"test.lonk.TEST.1_2_3"}
