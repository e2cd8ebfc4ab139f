"""Damage in the spool and trouble of the tree: one bad thing costs one thing, and nothing acknowledged is lost."""

import json
import os
import shutil
import signal
import subprocess
import urllib.request
from pathlib import Path

import pytest

from tests.acceptance.drills.account import metadata_is_right, nothing_lost, settled
from tests.dicom import make_series, send
from tests.fixtures.gateway import free_port
from tests.powers import need_mounts
from tests.processes import freeze
from tests.waiting import wait_until


def send_series(gateway, directory, series_uid, count=2, calling="TEST"):
    paths = make_series(directory / series_uid, count, series_uid)
    assert {status.Status for status in send(gateway.port, paths, calling)} == {0}
    return {f"{series_uid}.{number}": path for number, path in enumerate(paths, 1)}


@pytest.fixture
def waiting(make_gateway, proxied, proxy, tmp_path):
    """A stopped gateway with 20 associations in its spool: the database was away."""
    gateway = make_gateway(db=proxied)
    proxy.refuse()
    gateway.sent = {}
    for number in range(20):
        gateway.sent |= send_series(gateway, tmp_path / "in", f"1.2.3.{number}")
    wait_until(lambda: len(gateway.find(".oxidicom/0*/spool/*/*.stored")) >= 40, "all are stored")
    gateway.stop()
    proxy.accept()
    return gateway


def ledgers(gateway):
    return gateway.find(".oxidicom/0*/spool/*/ledger.jsonl")


@pytest.mark.parametrize("where", ["started", "series", "committed", "ended"])
def test_one_bad_byte_in_one_ledger_costs_that_line(waiting, rows, tmp_path, where):
    path = ledgers(waiting)[7]
    data = path.read_bytes()
    path.write_bytes(data.replace(f'"{where}"'.encode(), b'"\xff' + where[1:].encode() + b'"', 1))
    waiting.start()
    sent = send_series(waiting, tmp_path / "in", "1.2.4")
    settled(waiting, 20)
    nothing_lost(waiting, rows, {**waiting.sent, **sent})
    assert metadata_is_right(rows(metadata=True)) == 42
    assert not waiting.lines("process_died")


def test_a_bad_byte_while_the_gateway_runs_stops_nobody(make_gateway, proxied, proxy, rows, tmp_path):
    gateway = make_gateway(db=proxied)
    proxy.refuse()
    sent = {}
    for number in range(20):
        sent |= send_series(gateway, tmp_path / "in", f"1.2.3.{number}")
    wait_until(lambda: len(ledgers(gateway)) == 20, "all wait")
    path = ledgers(gateway)[7]
    path.write_bytes(path.read_bytes().replace(b'"committed"', b'"\xffommitted"', 1))
    for role in ("storage", "registration"):
        for pid in gateway.pids_of(role):
            os.kill(pid, signal.SIGKILL)
    proxy.accept()
    sent |= send_series(gateway, tmp_path / "in", "1.2.4")
    settled(gateway, 20)
    nothing_lost(gateway, rows, sent)


def test_associations_without_their_ledgers_are_completed_from_their_entries(waiting, rows, tmp_path):
    for path in ledgers(waiting)[::2]:
        path.unlink()
    waiting.start()
    settled(waiting)
    nothing_lost(waiting, rows, waiting.sent)
    assert metadata_is_right(rows(metadata=True)) == 40


def test_what_is_strange_in_the_spool_is_told_of_once_and_left_alone(waiting, rows, tmp_path):
    (gateway,) = waiting.find(".oxidicom/0*")
    spool = gateway / "spool"
    association = min(spool.iterdir())
    os.mkfifo(gateway.parent / "01HZ7TF03EZD364005NP332RBQ")
    os.mkfifo(spool / "01HZ7TF03EZD364005NP332RBQ")
    (spool / "core.123").write_bytes(b"core")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/1.stored").touch()
    (spool / "link").symlink_to(tmp_path / "elsewhere")
    os.mkfifo(association / "000009-00000000000000000000-10.received")
    (association / "000010-00000000000000000000-10.shipped").touch()
    waiting.start()
    wait_until(lambda: len(rows()) == 40, "the rows", 60)
    nothing_lost(waiting, rows, waiting.sent)
    wait_until(lambda: len(waiting.lines("stranger_left")) >= 2, "it is told")
    strange = {"000009-00000000000000000000-10.received", "000010-00000000000000000000-10.shipped", "1.stored"}
    wait_until(lambda: {Path(path).name for path in waiting.spooled()} == strange, "nothing else is left")
    messages = [line["message"] for line in waiting.lines("stranger_left")]
    assert len(messages) == len(set(messages))
    assert waiting.stop() == 0


def test_a_ledger_that_is_a_fifo_hangs_nobody(waiting, rows, tmp_path):
    path = ledgers(waiting)[3]
    path.unlink()
    os.mkfifo(path)
    waiting.start()
    sent = send_series(waiting, tmp_path / "in", "1.2.4")
    wait_until(lambda: len(rows()) == 42, "all rows, those of the damaged one too", 60)
    nothing_lost(waiting, rows, {**waiting.sent, **sent})


# -- the tree --------------------------------------------------------------------------------------------------------


def read_only_mount(gateway):
    services = gateway.files_root / "SERVICES"
    subprocess.run(["mount", "--bind", services, services], check=True)
    subprocess.run(["mount", "-o", "remount,ro,bind", services], check=True)
    return lambda: subprocess.run(["umount", "--lazy", services], check=True)


def no_permission(gateway):
    tree = gateway.files_root / "SERVICES/PACS"
    if subprocess.run(["chattr", "+i", tree], capture_output=True).returncode != 0:
        pytest.skip("chattr +i is not possible here: run the drills as root on ext4, XFS or Btrfs")
    return lambda: subprocess.run(["chattr", "-i", tree], check=True)


def not_there(gateway):
    tree, aside = gateway.files_root / "SERVICES/PACS", gateway.files_root / "aside"
    os.rename(tree, aside)
    tree.write_bytes(b"in the way")

    def mend():
        tree.unlink()
        os.rename(aside, tree)

    return mend


def readiness(gateway):
    url = f"http://127.0.0.1:{gateway.environment['CHRIS_HTTP_PORT']}/readyz"
    with urllib.request.urlopen(url, timeout=30) as answer:
        return json.load(answer)


UNDER, BEFORE = "under a running gateway", "before the start"


@pytest.mark.parametrize(
    ("trouble", "when"),
    [
        (no_permission, UNDER),
        (not_there, UNDER),
        (read_only_mount, BEFORE),
        (no_permission, BEFORE),
        (not_there, BEFORE),
    ],
)
def test_a_tree_that_takes_nothing_degrades_keeps_everything_and_heals(trouble, when, make_gateway, rows, tmp_path):
    need_mounts()
    gateway = make_gateway(CHRIS_HTTP_PORT=str(free_port()))
    sent = send_series(gateway, tmp_path / "in", "1.2.3")
    settled(gateway)
    if when == BEFORE:
        gateway.stop()
    mend = trouble(gateway)
    try:
        if when == BEFORE:
            gateway.start()
        for number in range(3):
            sent |= send_series(gateway, tmp_path / "in", f"1.2.4.{number}", calling=f"AET{number}")
        wait_until(lambda: gateway.lines("tree_unavailable"), "it is told")
        found = wait_until(lambda: (state := readiness(gateway))["status"] == "degraded" and state, "it is shown")
        assert any("SERVICES/PACS" in reason for reason in found["reasons"])
        assert not gateway.find(".oxidicom/set-aside/*")
    finally:
        mend()
    settled(gateway)
    nothing_lost(gateway, rows, sent)
    assert not gateway.lines("process_died")
    assert metadata_is_right(rows(metadata=True)) == 8
    assert readiness(gateway)["status"] == "ready"


# -- what was set aside ----------------------------------------------------------------------------------------------


def test_a_series_of_which_an_instance_was_set_aside_is_not_called_complete(gateway, database, rows, tmp_path):
    import psycopg

    with psycopg.connect(database) as connection:
        connection.execute("ALTER TABLE pacsfiles_pacsfile ADD CHECK (fname NOT LIKE '%/0002-%')")
    send_series(gateway, tmp_path / "in", "1.2.3", 3)
    settled(gateway)
    (line,) = wait_until(lambda: gateway.lines("series_ended"), "the account of the series")
    assert line["level"] == "WARNING"
    assert line["verdict"] == "set aside in part"
    assert "3 received, no PACS was asked (CHRIS_PACS_ADDRESS), 1 of them set aside" in line["message"]
    assert len(rows()) == 2


def test_a_metadata_value_that_cannot_be_decided_is_decided_later(make_gateway, rows, tmp_path):
    """Its place in the spool is taken: what is missing of a series keeps its association from being finished."""
    gateway = make_gateway(TOKIO_WORKER_THREADS="1")
    (storage,) = gateway.pids_of("storage")
    freeze(storage)
    send_series(gateway, tmp_path / "in", "1.2.3", 1)
    (entry,) = gateway.find(".oxidicom/0*/spool/*/*.received")
    series_hash = entry.name.split("-")[1]
    obstacle = entry.parent / f"{series_hash}-NumberOfSeriesRelatedInstances=unknown.due"
    obstacle.mkdir()
    os.kill(storage, signal.SIGCONT)
    wait_until(lambda: gateway.lines("metadata_failed"), "it is told")
    wait_until(rows, "the row of the instance")
    assert entry.parent.exists(), "an association without both values is not finished"
    obstacle.rmdir()
    settled(gateway)
    assert metadata_is_right(rows(metadata=True)) == 1
    shutil.rmtree(tmp_path / "in")
