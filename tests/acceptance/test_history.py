"""The history of a real gateway: what it says of associations, whatever dies, and that nothing waits for it."""

import json
import os
import re
import signal
import urllib.request
from pathlib import Path

import pytest
from pynetdicom import AE

from oxidicom.settings import Settings
from tests.acceptance.test_retry import refusing
from tests.dicom import CT, contexts_of, dataset_bytes, make_instance, make_series, open_association, send
from tests.fixtures.gateway import free_port
from tests.fixtures.pacs import answer
from tests.processes import freeze
from tests.raw_sender import RawSender
from tests.waiting import wait_until


def log(gateway, *arguments):
    """Return the records as JSON."""
    done = gateway.run("log", "--json", *arguments)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def settled(gateway, count=1, *arguments):
    """Return the records once there are `count`, all of them settled."""

    def look():
        if not list(gateway.files_root.parent.glob("state/history-*.sqlite")):
            return None
        records = log(gateway, *arguments)
        return records if len(records) == count and all(one["settled"] for one in records) else None

    return wait_until(look, f"{count} associations in the history", every=0.2)


def test_what_came_and_what_was_refused(gateway, tmp_path):
    paths = make_series(tmp_path / "in", 3, "1.2.3", StudyInstanceUID="1.2")
    bad = make_instance(tmp_path / "bad.dcm", 6, StudyDate=None, PatientName="SECRET^NAME", PatientID="SECRETID")
    send(gateway.port, [*paths, bad], "PACS")
    (record,) = settled(gateway)
    assert [record[name] for name in ("calling_ae_title", "called_ae_title", "how")] == ["PACS", "ChRIS", "released"]
    assert [record[name] for name in ("received", "stored", "refused", "tls", "whole")] == [4, 3, {"C000": 1}, "", True]
    assert record["peer"].startswith("127.0.0.1:")
    assert record["bytes"] > 3 * 30_000
    (refusal,) = record["refusals"]
    assert (refusal["status"], refusal["count"], refusal["sop_instance_uids"]) == ("C000", 1, ["1.2.3.6"])
    assert "StudyDate" in refusal["reason"]
    assert record["series"] == [
        {
            "study_instance_uid": "1.2",
            "series_instance_uid": "1.2.3",
            "stored": 3,
            "repeated": 0,
            "registered": 3,
            "expected": None,
            "verdict": "unknown",
        }
    ]
    text = gateway.run("log", "--refused", "--study", "1.2").stdout
    assert "3 instances received" in text
    assert "C000 StudyDate" in text
    assert "series 1.2.3 of study 1.2: of unknown size; 3 received, 3 registered" in text
    (path,) = tmp_path.glob("state/history-*.sqlite")
    assert all(
        b"SECRET" not in part.read_bytes() and b"1CT1" not in part.read_bytes() for part in path.parent.iterdir()
    )


def test_an_instance_that_comes_twice_completes_no_series(make_gateway, rows, pacs, tmp_path):
    seen = pacs(lambda event: [(0xFF00, answer(event.identifier, 2))])
    gateway = make_gateway(CHRIS_PACS_ADDRESS=f"TEST=127.0.0.1:{seen['port']}", CHRIS_HTTP_PORT=str(free_port()))
    first, second = make_series(tmp_path / "in", 2, "1.2.3", StudyInstanceUID="1.2")
    send(gateway.port, [first, first])
    (record,) = settled(gateway)
    (series,) = record["series"]
    told = [series[name] for name in ("stored", "repeated", "registered", "expected", "verdict")]
    assert told == [2, 1, 1, 2, "incomplete"]
    assert len(rows()) == 1
    attempted = [row for row in rows(metadata=True) if row["ProtocolName"] == "OxidicomAttemptedPushCount"]
    assert [row["SeriesDescription"] for row in attempted] == ["2"], "attempts, as its name says"
    (line,) = wait_until(lambda: gateway.lines("series_ended"), "the account of the series")
    assert (line["verdict"], line["account"]) == ("incomplete", "1 of 2 received, 1 came again")
    (shown,) = wait_until(lambda: page_of(gateway)["series"], "the page shows it")
    assert (shown["verdict"], shown["registered"]) == ("incomplete", 1)
    text = gateway.run("log", "--study", "1.2").stdout
    assert "1 series incomplete (1 of 2)" in text
    assert "2 received (1 of them again), 1 registered, 2 expected" in text
    send(gateway.port, [first, second, first])
    assert [one["verdict"] for one in settled(gateway, 2)[1]["series"]] == ["complete"]


def test_what_was_put_back_and_registered_is_told_wherever_it_was_said_to_be_set_aside(
    make_gateway, database, pacs, tmp_path
):
    seen = pacs(lambda event: [(0xFF00, answer(event.identifier, 2))])
    gateway = make_gateway(CHRIS_PACS_ADDRESS=f"TEST=127.0.0.1:{seen['port']}", CHRIS_HTTP_PORT=str(free_port()))
    with refusing(database, """"PatientID" <> '1CT1'"""):
        send(gateway.port, make_series(tmp_path / "in", 2, "1.2.3", StudyInstanceUID="1.2"))
        (record,) = settled(gateway)
    assert [(one["registered"], one["verdict"]) for one in record["series"]] == [(0, "set aside in part")]
    assert "1 series set aside\n" in gateway.run("log").stdout, "nothing of it is registered: that is no part"
    (line,) = wait_until(lambda: gateway.lines("series_ended"), "the account of the series")
    assert re.search(r" was set aside: .*, 2 of them set aside", line["message"]), line["message"]
    wait_until(lambda: page_of(gateway)["series"], "the page shows it")
    assert gateway.run("retry", "--wait", "--at-most", "55s").returncode == 0

    def is_complete():
        (now,) = log(gateway, "--study", "1.2")
        (shown,) = page_of(gateway)["series"]
        return all((one["registered"], one["verdict"]) == (2, "complete") for one in (*now["series"], shown))

    wait_until(is_complete, "history and page say that it is complete", every=0.2)
    (now,) = log(gateway)
    assert {name: now[name] for name in now if name != "series"} == {
        name: record[name] for name in record if name != "series"
    }
    assert "1 series complete" in gateway.run("log").stdout
    (line,) = wait_until(lambda: gateway.lines("series_put_back"), "the line about it")
    assert (line["level"], line["account"]) == ("INFO", "no instance is set aside any more")


def test_rejected_and_aborted_associations_and_a_mere_connection(make_gateway, tmp_path):
    gateway = make_gateway(CHRIS_SCP_ALLOWED_AETS="GOOD")
    paths = make_series(tmp_path / "in", 2)
    entity = AE("EVIL")
    entity.requested_contexts = contexts_of(paths)
    assert not entity.associate("127.0.0.1", gateway.port).is_established
    association = open_association(gateway.port, contexts_of(paths), "GOOD")
    association.send_c_store(str(paths[0]))
    association.abort()
    rejected, aborted = settled(gateway, 2)
    assert rejected["rejected"]
    assert rejected["how"] == (
        "rejected: calling ae title not recognized (CHRIS_SCP_ALLOWED_AETS does not have this AE title; "
        "to do: if it may send, add EVIL@127.0.0.1 to CHRIS_SCP_ALLOWED_AETS)"
    )
    assert aborted["how"].startswith("aborted by the peer")
    assert aborted["stored"] == 1
    assert [one["association"] for one in log(gateway, "--refused")] == [rejected["association"]]
    assert [one["association"] for one in log(gateway, "--aet", "GOOD")] == [aborted["association"]]


def test_a_series_completes_after_a_restart(make_gateway, database, tmp_path):
    gateway = make_gateway(db="host=127.0.0.1 port=1 dbname=nowhere")
    send(gateway.port, make_series(tmp_path / "in", 4))
    (record,) = wait_until(lambda: log(gateway), "the association", every=0.2)
    assert not record["settled"]
    wait_until(lambda: log(gateway)[0]["series"], "its series", every=0.2)
    assert "not registered yet" in gateway.run("log").stdout
    gateway.kill_all()
    assert "not registered yet" in gateway.run("log").stdout, "a history is read without a gateway"
    gateway.environment["CHRIS_DB_CONNECTION"] = database
    gateway.start()
    (record,) = settled(gateway)
    assert record["whole"]
    assert [(one["stored"], one["registered"]) for one in record["series"]] == [(4, 4)]


def test_an_association_that_nobody_told_of_is_known_by_its_ledger(make_gateway, database, tmp_path):
    gateway = make_gateway()
    paths = make_series(tmp_path / "in", 2)
    association = open_association(gateway.port, contexts_of(paths))
    association.send_c_store(str(paths[0]))
    gateway.kill_all()
    gateway.start()
    (record,) = settled(gateway)
    assert (record["how"], record["stored"], record["received"], record["whole"]) == ("gateway died", 1, None, False)
    assert record["peer"].startswith("127.0.0.1:")
    assert [one["registered"] for one in record["series"]] == [1]
    assert record["seconds"] is None, "it was noticed at the restart, however long that took"
    text = gateway.run("log").stdout
    assert "not all of it is known" in text
    assert re.search(r"1 instance received, [\d.]+ kB, 1 series of unknown size \(gateway died\)", text), text


def test_a_dead_observer_costs_at_most_what_it_had_not_written(gateway, tmp_path):
    paths = make_series(tmp_path / "in", 2)
    send(gateway.port, paths, "BEFORE")
    settled(gateway)
    (observer,) = gateway.pids_of("observer")
    freeze(observer)
    send(gateway.port, paths, "MEANWHILE")
    os.kill(observer, signal.SIGKILL)
    send(gateway.port, paths, "AFTER")
    records = settled(gateway, 3)
    records.sort(key=lambda one: one["began"])  # what nobody told the end of ends with its registration
    assert [one["calling_ae_title"] for one in records] == ["BEFORE", "MEANWHILE", "AFTER"]
    assert all(one["whole"] for one in records)
    wait_until(lambda: "some reports did not reach" in gateway.run("log").stderr, "a gap is noted", every=0.2)


def test_without_a_directory_for_it_there_is_no_history_and_nothing_else_is_missing(make_gateway, rows, tmp_path):
    (tmp_path / "state").write_bytes(b"a file in the way")
    gateway = make_gateway()
    send(gateway.port, make_series(tmp_path / "in", 3))
    wait_until(lambda: len(rows()) == 3 and not gateway.spooled(), "all is registered")
    wait_until(lambda: gateway.lines("history_unavailable"), "it is said")
    send(gateway.port, make_series(tmp_path / "more", 3))
    wait_until(lambda: len(rows()) == 6 and not gateway.spooled(), "all is registered")
    assert gateway.stop() == 0
    assert len(gateway.lines("history_unavailable")) == 1
    done = gateway.run("log")
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1


def test_a_damaged_file_is_put_aside(gateway, tmp_path):
    paths = make_series(tmp_path / "in", 1)
    send(gateway.port, paths, "BEFORE")
    settled(gateway)
    gateway.stop()
    (path,) = tmp_path.glob("state/history-*.sqlite")
    path.write_bytes(b"no database at all, " * 1000)
    assert "cannot be read" in gateway.run("log").stderr
    gateway.start()
    send(gateway.port, paths, "AFTER")
    assert [one["calling_ae_title"] for one in settled(gateway)] == ["AFTER"]
    assert len(gateway.lines("history_damaged")) == 1


def test_what_is_no_file_keeps_nobody_waiting(make_gateway, rows, tmp_path):
    gateway = make_gateway(start=False)
    path = named_by(gateway)
    path.parent.mkdir()
    os.mkfifo(path)
    done = gateway.run("log")
    assert done.returncode == 1
    assert "is not a regular file" in done.stderr
    gateway.start()
    send(gateway.port, make_series(tmp_path / "in", 1))
    wait_until(lambda: gateway.lines("history_unavailable"), "it is told")
    wait_until(lambda: len(rows()) == 1 and not gateway.spooled(), "all is registered")
    assert path.is_fifo()


def named_by(gateway):
    """Return where a gateway keeps its history."""
    return Path(Settings.from_environment(gateway.environment).history_path)


def test_no_history_is_kept_where_none_is_wanted(make_gateway, tmp_path):
    gateway = make_gateway()
    send(gateway.port, make_series(tmp_path / "in", 1))
    settled(gateway)
    gateway.stop()
    gateway.environment["CHRIS_HISTORY_DAYS"] = "0"
    gateway.start()
    wait_until(lambda: not list(tmp_path.glob("state/history-*")), "what was kept is gone")
    done = gateway.run("log")
    assert (done.returncode, done.stderr) == (1, "oxidicom: there is no history: CHRIS_HISTORY_DAYS is 0\n")


def test_before_the_first_start_there_is_none(make_gateway):
    done = make_gateway(start=False).run("log")
    assert done.returncode == 1
    assert "there is no history yet" in done.stderr


@pytest.mark.parametrize("option", ["--aet", "--study", "--series"])
def test_bytes_that_are_no_text_are_a_usage_error(option, make_gateway):
    done = make_gateway(start=False).run("log", option, b"\xff")
    assert done.returncode == 3
    assert "it is not UTF-8" in done.stderr


@pytest.mark.parametrize("arguments", [["--since", "tuesday"], ["--until", "3y"]])
def test_a_moment_that_is_none(make_gateway, arguments):
    done = make_gateway(start=False).run("log", *arguments)
    assert done.returncode == 3
    assert "is not a time" in done.stderr


def test_one_can_follow_it(gateway, tmp_path):
    paths = make_series(tmp_path / "in", 2)
    send(gateway.port, paths, "FIRST")
    settled(gateway)
    output = tmp_path / "followed"
    with gateway.beginning(output, "log", "--follow") as follower:
        wait_until(lambda: "FIRST" in output.read_text(), "what was there")
        send(gateway.port, paths, "SECOND")
        wait_until(lambda: "SECOND" in output.read_text(), "what comes")
        follower.send_signal(signal.SIGINT)
        assert follower.wait(60) == 0
    lines = output.read_text().splitlines()
    assert len(lines) == 2
    assert "2 instances received" in lines[1]
    assert "1 series of unknown size" in lines[1]


def test_what_is_no_uid_is_shown_nowhere_and_found_all_the_same(make_gateway, tmp_path):
    number, name = "1.2.9999999999999999", "1.2.<b>SECRETDOE</b>"
    dataset = dataset_bytes(make_instance(tmp_path / "odd.dcm", 1, number, SOPInstanceUID="1.2.3.1"))
    dataset = dataset.replace(number.encode(), name.encode())
    gateway = make_gateway(CHRIS_HTTP_PORT=str(free_port()))
    with RawSender(gateway.port, CT, "1.2.840.10008.1.2.1") as sender:
        sender.store(dataset, CT, "1.2.3.1")
        wait_until(lambda: under_way(gateway), "the page shows it under way")
        assert [one["series_instance_uid"] for one in under_way(gateway)] == ["(no UID)"]
        sender.store(dataset, CT, name)  # is refused: another instance than that of the command
    (record,) = settled(gateway, 1, "--series", name)
    assert [one["series_instance_uid"] for one in record["series"]] == ["(no UID)"]
    assert [one["sop_instance_uids"] for one in record["refusals"]] == [[]]
    text = gateway.run("log", "--series", name, "--refused").stdout
    assert "series (no UID) of study" in text
    wait_until(lambda: page_of(gateway)["series"], "the page shows it at its end")
    wait_until(lambda: gateway.lines("series_ended"), "and so does the log")
    shown = [text, json.dumps(record), json.dumps(page_of(gateway)), gateway.run("top", "--once").stdout]
    assert not [one for one in (*shown, gateway.log_path.read_text()) if "SECRET" in one]
    assert gateway.lines("series_ended")[0]["series_instance_uid"] == "(no UID)"


def page_of(gateway):
    with urllib.request.urlopen(f"http://127.0.0.1:{gateway.environment['CHRIS_HTTP_PORT']}/status.json") as answer:
        return json.load(answer)


def under_way(gateway):
    return [series for one in page_of(gateway)["under_way"]["associations"] for series in one["series"]]
