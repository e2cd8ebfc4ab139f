"""What was set aside and is hopeless is thrown away: it counts no more, and what it was stays on record."""

import json
import os
import pty
import subprocess
import urllib.request

import pytest

from tests.acceptance.test_retry import REFUSED, refusing, send_series
from tests.fixtures.gateway import free_port
from tests.waiting import wait_until


@pytest.fixture
def stuck(make_gateway, database, tmp_path):
    """A running gateway that has set one instance of three aside."""
    gateway = make_gateway(CHRIS_HTTP_PORT=str(free_port()))
    with refusing(database, REFUSED[0]):
        send_series(gateway, tmp_path)
        wait_until(lambda: files(gateway) and not gateway.spooled(), "one is set aside")
    return gateway


def files(gateway):
    return [path for path in gateway.find(".oxidicom/set-aside/*/*") if path.suffix != ".json"]


def everything_else(gateway):
    """Return what stands below the files root outside of the gateway's own directory."""
    return [(path, path.stat().st_ino) for path in gateway.find("SERVICES/**/*")]


def counted_aside(gateway):
    return json.loads(gateway.run("status", "--json").stdout)["set_aside"]


def test_a_file_goes_and_its_reason_stays_with_the_moment(stuck):
    (path,) = files(stuck)
    association, size_bytes = path.parent.name, path.stat().st_size
    before = everything_else(stuck)
    done = stuck.run("discard", "--association", association, "--yes")
    assert (done.returncode, done.stderr) == (0, "")
    assert "1 file" in done.stdout
    assert "1CT1" not in done.stdout, "patient data"
    assert "SERVICES/PACS/TEST" not in done.stdout, "patient data"
    assert not files(stuck)
    told = json.loads(path.with_name(path.name + ".json").read_text())
    assert "23514" in told["reason"]
    assert told["size_bytes"] == size_bytes
    assert told["discarded"] >= told["at"]
    assert everything_else(stuck) == before
    assert counted_aside(stuck) == []
    assert stuck.run("retry").stdout == "Nothing is set aside.\n"
    assert path.with_name(path.name + ".json").exists(), "retry forgets nothing of it"
    assert stuck.run("discard", "--all", "--yes").stdout == "Nothing is set aside.\n"


def test_a_running_gateway_counts_it_no_more(stuck):
    def seen():
        (running,) = json.loads(stuck.run("status", "--json").stdout)["running"]
        with urllib.request.urlopen(f"http://127.0.0.1:{stuck.environment['CHRIS_HTTP_PORT']}/status.json") as answer:
            page = json.load(answer)["set_aside"]
        return running["condition"]["set_aside"], len(page["associations"]), page["more"]

    wait_until(lambda: seen() == (1, 1, 0), "the gateway has counted it")
    assert stuck.run("discard", "--all", "--yes").returncode == 0
    wait_until(lambda: seen() == (0, 0, 0), "the gateway counts it no more")


def test_a_dry_run_changes_nothing(stuck):
    before = [path.stat().st_mtime_ns for path in stuck.find(".oxidicom/set-aside/*/*")]
    told = json.loads(stuck.run("discard", "--all", "--dry-run", "--json").stdout)
    assert [(one["kind"], one["files"]) for one in told["discarded"]] == [("instance", 1)]
    assert told["dry_run"]
    assert [path.stat().st_mtime_ns for path in stuck.find(".oxidicom/set-aside/*/*")] == before


def test_nothing_goes_without_being_meant(stuck):
    assert stuck.run("discard").returncode == 3
    assert stuck.run("discard", "--association", "", "--yes").returncode == 3
    assert stuck.run("discard", "--all", "--association", "x").returncode == 3
    assert stuck.run("discard", "--association", "../..", "--yes").returncode == 3
    for arguments in (["--all"], ["--all", "--json"]):
        done = stuck.run("discard", *arguments)
        assert done.returncode == 1
        assert "--yes" in done.stderr
    assert files(stuck)


@pytest.mark.parametrize(("answer", "is_gone"), [("n", False), ("y", True)])
def test_on_a_terminal_it_asks(answer, is_gone, stuck):
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [*stuck.command, "discard", "--all"], env=stuck.environment, stdin=theirs, stdout=theirs, stderr=theirs
    )
    os.close(theirs)
    shown = ""
    while "[y/N]" not in shown:
        shown += os.read(ours, 4096).decode()
    os.write(ours, f"{answer}\n".encode())
    assert process.wait(60) == (0 if is_gone else 1)
    os.close(ours)
    assert (not files(stuck)) == is_gone


def test_what_is_not_of_the_gateway_stays(stuck):
    (path,) = files(stuck)
    strange, elsewhere = path.with_name("notes.txt"), path.parents[1] / "copies"
    strange.touch()
    elsewhere.mkdir()
    (elsewhere / path.name).touch()
    done = stuck.run("discard", "--all", "--yes")
    assert done.returncode == 1
    assert "notes.txt: it is not a file of the gateway" in done.stdout
    assert "no" in done.stdout
    assert strange.exists()
    assert (elsewhere / path.name).exists()
    assert not path.exists()
