"""What was set aside is put back by the operator, stored and registered again, and its metadata stay right."""

import concurrent.futures
import contextlib
import json
import signal

import psycopg
import pytest

from tests.acceptance.drills.account import nothing_lost, settled
from tests.dicom import make_series, send
from tests.fixtures.pacs import answer
from tests.processes import freeze
from tests.waiting import wait_until


@contextlib.contextmanager
def refusing(database, condition):
    """While it lasts the table refuses every row for which `condition` does not hold."""
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(f"ALTER TABLE pacsfiles_pacsfile ADD CONSTRAINT strict CHECK ({condition})")
    try:
        yield
    finally:
        with psycopg.connect(database, autocommit=True) as connection:
            connection.execute("ALTER TABLE pacsfiles_pacsfile DROP CONSTRAINT strict")


def send_series(gateway, tmp_path, count=3):
    """Send a series; return its files by their SOP Instance UID."""
    paths = make_series(tmp_path / "in", count, "1.2.3")
    assert {status.Status for status in send(gateway.port, paths)} == {0}
    return {f"1.2.3.{number}": path for number, path in enumerate(paths, 1)}


def set_aside(gateway):
    return sorted(str(path) for path in gateway.find(".oxidicom/set-aside/**/*") if path.is_file())


def everything_is_right(gateway, rows, sent, expected="unknown"):
    settled(gateway, 120)
    nothing_lost(gateway, rows, sent)
    found = sorted((row["ProtocolName"], row["SeriesDescription"]) for row in rows(metadata=True))
    assert found == [("NumberOfSeriesRelatedInstances", expected), ("OxidicomAttemptedPushCount", str(len(sent)))]
    assert not gateway.find(".oxidicom/set-aside/*")
    assert not gateway.find(".oxidicom/0*/spool/*")


REFUSED = [
    """position('-1.2.3.2.dcm' in fname) = 0""",  # one instance of three
    """"ProtocolName" <> 'OxidicomAttemptedPushCount'""",
    """"ProtocolName" <> 'NumberOfSeriesRelatedInstances'""",
    """"PatientID" <> '1CT1'""",  # everything
]


@pytest.mark.parametrize("condition", REFUSED)
def test_a_stopped_gateway_takes_up_at_its_start_what_was_put_back(
    condition,
    make_gateway,
    database,
    rows,
    tmp_path,
    pacs,
):
    seen = pacs(lambda event: [(0xFF00, answer(event.identifier, 7))])
    gateway = make_gateway(CHRIS_PACS_ADDRESS=f"TEST=127.0.0.1:{seen['port']}")
    with refusing(database, condition):
        sent = send_series(gateway, tmp_path)
        wait_until(lambda: set_aside(gateway), "something is set aside")
        wait_until(lambda: not gateway.spooled(), "the association is finished")
        assert gateway.stop() == 0
    left = len(set_aside(gateway)) // 2
    done = gateway.run("retry")
    assert done.returncode == 0, done.stderr
    assert f"{left} put back" in done.stdout
    assert not set_aside(gateway)
    assert gateway.run("retry").stdout == "Nothing is set aside.\n"
    gateway.start()
    everything_is_right(gateway, rows, sent, "7")
    assert len(seen["queries"]) == 1, "the PACS is not asked again"
    assert len(gateway.lines("series_ended")) <= 1, "the account of the series is given once"


@pytest.mark.timeout(240)
def test_a_running_gateway_takes_it_up_within_a_minute(make_gateway, database, rows, tmp_path):
    gateway = make_gateway()
    with refusing(database, """"PatientID" <> '1CT1'"""):
        sent = send_series(gateway, tmp_path)
        wait_until(lambda: len(set_aside(gateway)) == 2 * 5 and not gateway.spooled(), "everything is set aside")
    assert gateway.run("retry").returncode == 0
    wait_until(lambda: len(rows()) == 3, "the rows", 90)
    everything_is_right(gateway, rows, sent)


def test_two_at_the_same_time_put_everything_back_once(make_gateway, database, rows, tmp_path):
    gateway = make_gateway()
    with refusing(database, REFUSED[3]):
        sent = send_series(gateway, tmp_path)
        wait_until(lambda: len(set_aside(gateway)) == 2 * 5 and not gateway.spooled(), "everything is set aside")
    with concurrent.futures.ThreadPoolExecutor(3) as threads:
        done = list(threads.map(lambda _: gateway.run("retry"), range(3)))
    assert 0 in {one.returncode for one in done}
    for one in done:
        assert one.returncode == 0 or "another `oxidicom retry`" in one.stderr or "not finished" in one.stdout
    gateway.stop()
    gateway.start()
    everything_is_right(gateway, rows, sent)


def test_what_is_refused_again_is_set_aside_again(make_gateway, database, rows, tmp_path):
    gateway = make_gateway()
    with refusing(database, REFUSED[0]):
        sent = send_series(gateway, tmp_path)
        wait_until(lambda: set_aside(gateway) and not gateway.spooled(), "one is set aside")
        before = set_aside(gateway)
        gateway.stop()
        assert gateway.run("retry").returncode == 0
        gateway.start()
        wait_until(lambda: set_aside(gateway) == before and not gateway.spooled(), "it is set aside again")
        gateway.stop()
    assert gateway.run("retry").returncode == 0
    gateway.start()
    everything_is_right(gateway, rows, sent)


def test_a_disk_that_does_not_take_what_is_set_aside_costs_no_worker(make_gateway, database, rows, tmp_path):
    gateway = make_gateway()
    aside = gateway.files_root / ".oxidicom" / "set-aside"
    aside.rmdir()
    aside.touch()  # a file in the way
    with refusing(database, REFUSED[0]):
        send_series(gateway, tmp_path)
        (line,) = wait_until(lambda: gateway.lines("set_aside_failed"), "it says so")
        assert "Not a directory" in line["message"]
        assert "23514" in line["message"]
        wait_until(lambda: len(rows()) == 2 and len(rows(metadata=True)) == 1, "the others are registered")
        assert [name for name in gateway.spooled() if name.endswith(".stored")]
    assert not gateway.lines("process_died")
    aside.unlink()
    gateway.stop()
    gateway.start()
    wait_until(lambda: len(rows()) == 3, "the next start tries it again")
    settled(gateway)


def test_retry_says_what_it_leaves_and_why(make_gateway, database, tmp_path):
    gateway = make_gateway()
    with refusing(database, REFUSED[0]):
        send_series(gateway, tmp_path)
        wait_until(lambda: set_aside(gateway) and not gateway.spooled(), "one is set aside")
    (path,) = gateway.find(".oxidicom/set-aside/*/*.stored")
    path.write_bytes(b"cut")
    done = gateway.run("retry")
    assert done.returncode == 1
    assert f"{path.parent.name}/{path.name}: it has 3 bytes" in done.stdout
    assert set_aside(gateway)
    for association in ("", "x", "../x"):
        refused = gateway.run("retry", "--association", association)
        assert refused.returncode == 3
        assert "ULID" in refused.stderr
    none = gateway.run("retry", "--association", "01HZ7TF03EZD364005NP332RBQ")
    assert (none.returncode, none.stdout) == (1, "")
    assert "nothing of an association 01HZ7TF03EZD364005NP332RBQ is set aside" in none.stderr
    assert json.loads(gateway.run("status", "--json").stdout)["set_aside"][0]["size_bytes"] == 3


def test_retry_waits_until_everything_is_registered_and_nothing_looks_like_a_gateway_that_died(
    make_gateway, database, rows, tmp_path
):
    gateway = make_gateway()
    with refusing(database, REFUSED[3]):
        sent = send_series(gateway, tmp_path)
        wait_until(lambda: len(set_aside(gateway)) == 2 * 5 and not gateway.spooled(), "everything is set aside")
    done = gateway.run("retry", "--wait", "--at-most", "55s")
    assert (done.returncode, done.stderr) == (0, "")
    assert "5 registered, 0 set aside again" in done.stdout
    assert len(rows()) == 3
    everything_is_right(gateway, rows, sent)
    assert [line["level"] for line in gateway.lines("put_back_adopted")] == ["INFO"]
    assert not gateway.lines("spool_adopted")


def test_retry_waits_and_says_what_was_set_aside_again_and_why(make_gateway, database, tmp_path):
    gateway = make_gateway()
    with refusing(database, REFUSED[0]):
        send_series(gateway, tmp_path)
        wait_until(lambda: set_aside(gateway) and not gateway.spooled(), "one is set aside")
        before = set_aside(gateway)
        done = gateway.run("retry", "--wait", "--at-most", "55s", "--json")
    assert done.returncode == 1
    told = json.loads(done.stdout)
    assert [one["instances"] for one in told["put_back"]] == [1]
    assert (told["registered"], told["unfinished"], told["left"]) == (0, 0, [])
    (again,) = told["set_aside_again"]
    assert "23514" in again["reason"]
    assert set_aside(gateway) == before


def test_nobody_waits_for_a_gateway_that_does_not_run(make_gateway, database, tmp_path):
    gateway = make_gateway()
    with refusing(database, REFUSED[0]):
        send_series(gateway, tmp_path)
        wait_until(lambda: set_aside(gateway) and not gateway.spooled(), "one is set aside")
        gateway.stop()
    done = gateway.run("retry", "--wait", "--json")
    assert done.returncode == 1
    assert "no gateway runs" in done.stderr
    told = json.loads(done.stdout)
    assert [one["instances"] for one in told["put_back"]] == [1]
    assert (told["registered"], told["set_aside_again"], told["unfinished"]) == (None, None, None)
    (shown,) = json.loads(gateway.run("status", "--json").stdout)["gateways"]
    assert (shown["running"], shown["put_back"]) == (False, True)
    assert "put back by `oxidicom retry`" in gateway.run("status").stdout


def test_who_waits_no_longer_is_told_what_is_not_finished(make_gateway, database, tmp_path):
    gateway = make_gateway()
    with refusing(database, REFUSED[0]):
        send_series(gateway, tmp_path)
        wait_until(lambda: set_aside(gateway) and not gateway.spooled(), "one is set aside")
    for pid in gateway.pids_of("registration"):
        freeze(pid)
    output = tmp_path / "retried"
    with gateway.beginning(output, "retry", "--wait", "--at-most", "1h") as waiting:
        wait_until(lambda: "Waiting for a gateway, for 1 h at most" in output.read_text(), "it waits")
        waiting.send_signal(signal.SIGINT)
        assert waiting.wait(60) == 1
    assert "1 thing not finished within " in output.read_text()
    assert "within 1 h" not in output.read_text(), "the time that was really waited"
    assert "Traceback" not in output.read_text()
