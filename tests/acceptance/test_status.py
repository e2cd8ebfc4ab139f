"""The operator sees what waits, and what was set aside and why, beside a running gateway and for a stopped one."""

import json

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from tests.acceptance.test_retry import refusing
from tests.dicom import CT, contexts_of, dataset_bytes, make_instance, make_series, open_association, send
from tests.fixtures.postgres import value_of
from tests.raw_sender import RawSender
from tests.waiting import wait_until


def status(gateway, **variables):
    """Return the exit status and what it says as JSON."""
    done = gateway.run("status", "--json", **variables)
    return done.returncode, json.loads(done.stdout)


def counts(waiting):
    return [waiting[step]["count"] for step in ("receiving", "committed", "stored", "metadata")]


def test_a_gateway_that_is_at_rest_is_good(gateway, rows, tmp_path):
    send(gateway.port, make_series(tmp_path / "in", 2))
    wait_until(lambda: not gateway.spooled() and len(rows()) == 2, "all is registered")
    wait_until(lambda: status(gateway)[0] == 0, "it has said that it has started")
    _, seen = status(gateway)
    name = seen["database"].pop("name")
    assert name.startswith("postgresql://postgres@127.0.0.1")
    assert "pass" not in name
    assert seen["database"] == {"reachable": True, "generation": "flat", "reason": None, "grants": []}
    assert seen["judgement"] == {"level": "ok", "reasons": []}
    (only,) = seen["gateways"]
    assert only["running"]
    assert counts(only["waiting"]) == [0, 0, 0, 0]
    assert seen["running"][0]["condition"]["phase"] == "serving"
    assert seen["set_aside"] == []
    assert seen["space"]["free_bytes"] > seen["space"]["reserve_bytes"]
    text = gateway.run("status").stdout
    assert only["gateway"] in text
    assert "running" in text
    assert "set aside nothing" in text


def test_a_backlog_is_shown_while_it_grows_and_after_the_gateway_has_gone(make_gateway, database, tmp_path):
    gateway = make_gateway(db="host=127.0.0.1 port=1 dbname=nowhere password=secret")
    paths = make_series(tmp_path / "in", 5)
    association = open_association(gateway.port, contexts_of(paths))
    for path in paths[:3]:
        assert association.send_c_store(str(path)).Status == 0

    def waits():
        _, seen = status(gateway, CHRIS_DB_CONNECTION=database)
        return seen if counts(seen["gateways"][0]["waiting"]) == [0, 0, 3, 1] else None

    seen = wait_until(waits, "three instances and one metadata value are stored", 40)
    (only,) = seen["gateways"]
    assert only["running"]
    assert only["associations"][0]["calling_ae_title"] == "TEST"
    assert only["waiting"]["stored"]["size_bytes"] > 3 * 30_000
    assert only["waiting"]["stored"]["oldest"] < seen["at"]

    done = gateway.run("status")
    assert done.returncode == 1
    assert "stored, not registered: 3" in done.stdout
    assert "refuses connections" in done.stdout
    assert "secret" not in done.stdout + done.stderr

    gateway.kill()
    association.abort()
    code, seen = status(gateway, CHRIS_DB_CONNECTION=database)
    assert code == 2, "nobody works on what waits, though this database can be reached"
    assert "no gateway runs on this storage, with 4 things waiting to be stored or registered" in str(seen["judgement"])
    assert not seen["gateways"][0]["running"]
    assert counts(seen["gateways"][0]["waiting"]) == [0, 0, 3, 1]
    assert "gone" in gateway.run("status", CHRIS_DB_CONNECTION=database).stdout


def test_what_was_set_aside_is_shown_with_its_reason_and_without_patient_data(make_gateway, database, rows, tmp_path):
    gateway = make_gateway()
    with refusing(database, """"PatientID" <> '1CT1'"""):
        send(gateway.port, make_series(tmp_path / "in", 30))
        wait_until(lambda: gateway.lines("row_set_aside") and not gateway.spooled(), "all are set aside")
    done = gateway.run("status")
    assert done.returncode == 1
    assert "instance: 30, " in done.stdout
    assert "SQLSTATE 23514" in done.stdout
    code, seen = status(gateway)
    assert code == 1
    assert sorted({(one["kind"], one["size_bytes"] > 0) for one in seen["set_aside"]}) == [
        ("NumberOfSeriesRelatedInstances", False),
        ("OxidicomAttemptedPushCount", False),
        ("instance", True),
    ]
    assert len(seen["set_aside"]) == 32
    assert "1CT1" not in done.stdout + json.dumps(seen)


def test_a_table_has_the_oldest_twenty(make_gateway, database, tmp_path):
    gateway = make_gateway(db="host=127.0.0.1 port=1 dbname=nowhere")
    paths = make_series(tmp_path / "in", 1)
    for _ in range(22):
        send(gateway.port, paths)
    _, seen = status(gateway, CHRIS_DB_CONNECTION=database)
    unfinished = [one["association"] for one in seen["gateways"][0]["associations"]]
    text = gateway.run("status", CHRIS_DB_CONNECTION=database).stdout
    assert "the oldest 20 of 22" in text
    assert [one in text for one in unfinished] == [True] * 20 + [False] * 2


def test_looking_disturbs_nobody(make_gateway, database, tmp_path):
    """The lock of a gateway is tried all the time while it starts and serves."""
    gateway = make_gateway(start=False)
    gateway.start(wait=False)
    looks = 0
    while not gateway.lines("ready"):
        looks += 1
        gateway.run("status")
        assert gateway.process.poll() is None
    assert looks
    assert send(gateway.port, make_series(tmp_path / "in", 1))[0].Status == 0
    with psycopg.connect(database) as connection:
        query = "SELECT count(*) FROM pacsfiles_pacsfile"
        wait_until(lambda: value_of(connection, query) == 3, "the rows")


def test_a_storage_that_is_not_there_is_said(make_gateway, tmp_path):
    gateway = make_gateway(start=False)
    missing = {"CHRIS_FILES_ROOT": str(tmp_path / "missing")}
    done = gateway.run("status", **missing)
    assert done.returncode == 2
    assert "the storage is not mounted: there is no directory" in done.stdout
    assert str(tmp_path / "missing") in done.stdout
    for command in (["reconcile"], ["retry"], ["discard", "--all", "--yes"]):
        done = gateway.run(*command, **missing)
        assert done.returncode == 1
        assert "not a directory" in done.stderr
    assert not (tmp_path / "missing").exists()


def reasons_of(gateway, *arguments, **variables):
    """Return the exit status, and of each reason its level, subject and sentence."""
    done = gateway.run("status", "--json", *arguments, **variables)
    judgement = json.loads(done.stdout)["judgement"]
    return done.returncode, [(one["level"], one["subject"], one["sentence"]) for one in judgement["reasons"]]


def test_without_a_gateway_it_is_a_warning_or_critical_when_one_is_expected(make_gateway):
    gateway = make_gateway(start=False)
    assert reasons_of(gateway) == (1, [("warning", "gateway", "no gateway runs on this storage; nothing waits")])
    assert reasons_of(gateway, "--expect-running") == (
        2,
        [("critical", "gateway", "no gateway runs on this storage; nothing waits")],
    )


def test_what_waits_too_long_is_critical(make_gateway, tmp_path):
    gateway = make_gateway(db="host=127.0.0.1 port=1 dbname=nowhere")
    send(gateway.port, make_series(tmp_path / "in", 1))

    def judged(*arguments):
        return {(level, subject) for level, subject, _ in reasons_of(gateway, *arguments)[1]}

    wait_until(lambda: judged("--max-age", "1s") == {("critical", "backlog"), ("critical", "database")}, "too old")
    assert judged() == {("warning", "database")}
    assert gateway.run("status", "--max-age", "soon").returncode == 3


def test_a_database_that_would_take_no_row_is_noticed_without_any(make_gateway, database):
    """The gateway asks at its start and while it is idle; `status` and systemd's line have it from there."""
    with psycopg.connect(database, autocommit=True) as owner:
        owner.execute("DROP ROLE IF EXISTS reader")
        owner.execute("CREATE ROLE reader LOGIN PASSWORD 'reads'")
        owner.execute("GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader")
        try:
            gateway = make_gateway(db=make_conninfo(database, user="reader", password="reads"))
            (line,) = gateway.lines("ready")
            assert line["level"] == "WARNING"
            assert "lacks rights" in line["message"]
            wait_until(lambda: [one[:2] for one in reasons_of(gateway)[1]] == [("warning", "database")], "it is judged")
            assert "GRANT INSERT" in gateway.run("check").stdout
            owner.execute("GRANT INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO reader")
            owner.execute("GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO reader")
            wait_until(lambda: gateway.lines("database_available"), "it is noticed that it would")
            wait_until(lambda: reasons_of(gateway) == (0, []), "all is well")
            assert gateway.stop() == 0
        finally:
            owner.execute("DROP OWNED BY reader")
            owner.execute("DROP ROLE reader")


def test_a_database_that_only_reads_is_noticed(make_gateway, database):
    gateway = make_gateway(db=make_conninfo(database, options="-c default_transaction_read_only=on"))
    assert "it only reads" in gateway.lines("ready")[0]["message"]
    done = gateway.run("check")
    assert done.returncode == 2
    assert "it only reads" in done.stdout.replace("\n", " ")


def test_output_for_which_there_is_no_room_is_not_blamed_on_the_storage(make_gateway):
    gateway = make_gateway(start=False)
    gateway.command = ["sh", "-c", 'exec "$@" >/dev/full', "sh", *gateway.command]
    done = gateway.run("status", PYTHONUNBUFFERED="1")  # so that it fails while it is printed
    assert done.returncode == 1
    assert "or where the output goes, cannot be used: No space left on device" in done.stderr


def test_a_storage_that_cannot_be_read_is_judged(make_gateway):
    gateway = make_gateway(start=False)
    private = gateway.files_root / ".oxidicom"
    private.rmdir()
    private.symlink_to(private)
    code, reasons = reasons_of(gateway)
    assert code == 2
    ((level, subject, sentence),) = reasons
    assert (level, subject) == ("critical", "storage")
    assert "cannot be read: Too many levels of symbolic links (.oxidicom)" in sentence
    assert gateway.run("check").returncode == 2
    root = gateway.files_root.with_name("loop")
    root.symlink_to(root)
    done = gateway.run("status", CHRIS_FILES_ROOT=str(root))
    assert done.returncode == 2
    assert "cannot be read" in done.stdout


def test_a_database_that_stops_answering_is_seen_beside_a_gateway_that_has_not_noticed(make_gateway):
    gateway = make_gateway()
    wait_until(lambda: reasons_of(gateway) == (0, []), "all is well")
    code, reasons = reasons_of(gateway, CHRIS_DB_CONNECTION="host=127.0.0.1 port=1 dbname=nowhere")
    assert code == 1
    assert [one[:2] for one in reasons] == [("warning", "database")]


def test_an_embedded_database_that_is_sought_in_the_wrong_place_is_told(gateway, tmp_path):
    done = gateway.run("status", CHRIS_DB_CONNECTION="embedded", STATE_DIRECTORY=str(tmp_path / "elsewhere"))
    assert done.returncode == 1
    assert "a gateway runs on this storage; is STATE_DIRECTORY as that gateway has it?" in done.stdout


def test_an_embedded_database_rests_with_its_gateway(make_gateway):
    gateway = make_gateway(start=False, db="embedded")
    assert reasons_of(gateway) == (1, [("warning", "gateway", "no gateway runs on this storage; nothing waits")])


def test_a_spool_of_a_later_version_is_left_to_it(make_gateway):
    gateway = make_gateway(start=False)
    directory = gateway.files_root / ".oxidicom" / "01JDZX2M6T3V8Q5R7W9Y0A1B2C"
    (directory / "spool").mkdir(parents=True)
    (directory / "format.json").write_text('{"format": 99}')
    (directory / "lock").touch()
    assert "written by a later version" in gateway.run("status").stdout
    assert status(gateway)[1]["gateways"][0]["later"]


def test_a_spool_that_takes_nothing_is_told_at_once(gateway):
    """The lock file, where the gateway tells how it is, can be written all the same."""
    (spool,) = gateway.find(".oxidicom/0*/spool")
    (steward,) = gateway.pids_of("steward")
    obstacle = spool / f".probe-{steward}"
    obstacle.mkdir()
    seen = wait_until(lambda: [one for one in reasons_of(gateway)[1] if one[1] == "storage"], "it is said")
    assert seen == [("critical", "storage", "no instance is accepted (A700): the spool takes no files")]
    obstacle.rmdir()
    wait_until(lambda: reasons_of(gateway) == (0, []), "all is well again")


def test_what_came_from_the_network_or_stands_on_the_disk_is_shown_as_text(make_gateway, tmp_path):
    gateway = make_gateway(db="host=127.0.0.1 port=1 dbname=nowhere")
    title = "\x1b[31m[b]E<b>V"
    dataset = dataset_bytes(make_instance(tmp_path / "one.dcm"))
    with RawSender(gateway.port, CT, "1.2.840.10008.1.2.1", calling=title) as sender:
        sender.store(dataset, CT, "1.2.3.1")
    for directory in ("[red]evil", "\x1b[31mevil"):
        evil = gateway.files_root / ".oxidicom" / "set-aside" / directory
        evil.mkdir(parents=True)
        (evil / "[b]x").touch()
        reason = {"reason": "\x1b[31mwhy[/x]", "at": "2026-01-31T12:00:00Z"}
        (evil / "[b]x.json").write_text(json.dumps(reason))
    wait_until(lambda: "unfinished associations" in gateway.run("status").stdout, "it waits for its row", every=0.2)
    shown = gateway.run("status").stdout
    assert "\\x1b[31m[b]E<b>V" in shown
    told = [gateway.run(*command).stdout for command in (["retry", "--dry-run"], ["discard", "--all", "--dry-run"])]
    for text in (shown, *told):
        assert "\x1b" not in text
        assert "[red]evil" in text
        assert "\\x1b[31mevil" in text
    assert "\\x1b[31mwhy[/x]" in shown
    assert all("/[b]x: " in text for text in told)


NOT_MOUNTED = "no instance is accepted (A700): the storage is not mounted: files are missing"
IN_DOUBT = "nothing is in .oxidicom nor below SERVICES/PACS: a new installation, or the storage is not mounted; the "


def storage_found(gateway, **variables):
    """Return the exit status of `check`, and each verdict with what it says of the storage."""
    done = gateway.run("check", "--json", **variables)
    findings = json.loads(done.stdout)["findings"]
    return done.returncode, [(one["verdict"], one["detail"]) for one in findings if one["subject"] == "storage"]


def lose_the_storage(gateway):
    """Leave an empty directory at the root, as behind a mount that is gone."""
    gateway.files_root.rename(gateway.files_root.with_name("away"))
    gateway.files_root.mkdir()


def test_a_storage_that_is_lost_is_told_as_the_gateway_tells_it(make_gateway, rows, tmp_path):
    gateway = make_gateway()
    send(gateway.port, make_series(tmp_path / "in", 1))
    wait_until(lambda: len(rows()) == 1, "the database knows a file")
    lose_the_storage(gateway)
    (line,) = wait_until(lambda: gateway.lines("storage_unavailable"), "the gateway notices")
    code, seen = status(gateway)
    assert code == 2
    (reason,) = seen["judgement"]["reasons"]
    assert (reason["level"], reason["subject"], reason["sentence"]) == ("critical", "storage", NOT_MOUNTED)
    assert reason["remedy"] in line["message"], "one remedy, wherever it is told"
    assert seen["space"] is None, "what is free there is not the room of the storage"
    code, ((verdict, detail),) = storage_found(gateway)
    assert (code, verdict) == (2, "critical")
    assert NOT_MOUNTED in detail
    assert reason["remedy"] in detail
    assert list(gateway.files_root.iterdir()) == []


def test_an_empty_root_while_the_database_cannot_be_asked_is_in_doubt(make_gateway):
    gateway = make_gateway(start=False, db="host=127.0.0.1 port=1 dbname=nowhere", new=True)
    code, reasons = reasons_of(gateway)
    assert code == 1
    assert [(level, subject) for level, subject, _ in reasons] == [("warning", "storage"), ("warning", "database")]
    assert IN_DOUBT in reasons[0][2]
    code, reasons = reasons_of(gateway, "--expect-running")
    assert code == 2, "one that runs leaves something there"
    assert reasons[0][:2] == ("critical", "storage")
    (verdict, detail), _ = storage_found(gateway)[1]
    assert verdict == "warning"
    assert IN_DOUBT in detail


@pytest.mark.parametrize("is_embedded", [False, True], ids=["a database without files", "none made yet"])
def test_an_empty_root_of_a_new_installation_is_no_fault(make_gateway, is_embedded):
    gateway = make_gateway(start=False, db="embedded" if is_embedded else None, new=True)
    assert reasons_of(gateway) == (1, [("warning", "gateway", "no gateway has used this storage yet")])
    code, found = storage_found(gateway)
    assert code == 0
    assert [verdict for verdict, _ in found] == ["note", "good"]
    assert "a new installation" in found[0][1]
    assert list(gateway.files_root.iterdir()) == []


def test_an_embedded_database_that_rests_cannot_be_asked(make_gateway, public_directory):
    gateway = make_gateway(db="embedded", STATE_DIRECTORY=f"{public_directory}/state")
    gateway.stop()
    lose_the_storage(gateway)
    code, reasons = reasons_of(gateway)
    assert code == 1
    assert [one[:2] for one in reasons] == [("warning", "storage")]
    assert storage_found(gateway)[1][0][0] == "warning"
