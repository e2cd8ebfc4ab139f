"""`oxidicom send-test` follows a made instance to its row, and where it does not arrive says at which step and why."""

import json

import pytest

from tests.acceptance.drills.account import settled
from tests.acceptance.test_retry import refusing


def verdicts(done):
    """Return the verdict of each step."""
    steps = [line.split()[:2] for line in done.stdout.splitlines() if line.startswith(("good", "WARNING", "CRITICAL"))]
    return {name: verdict for verdict, name in steps}


def test_it_arrives_and_what_is_left_behind_is_told(gateway, rows):
    done = gateway.run("send-test")
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert verdicts(done) == {"association": "good", "store": "good", "file": "good", "row": "good"}
    (row,) = rows()
    assert (row["PatientID"], row["PatientName"]) == ("OXIDICOM-TEST", "OXIDICOM^TEST")
    assert f"row   {row['fname']}" in done.stdout
    assert f"file  {gateway.files_root / row['fname']}" in done.stdout
    assert "cannot delete rows of CUBE" in done.stdout
    settled(gateway)


def test_it_writes_no_file_of_its_own(gateway, rows):
    """In a container with a read-only root there may be nowhere to write to."""
    gateway.command = ["sh", "-c", 'ulimit -f 0; exec "$@"', "sh", *gateway.command]
    done = gateway.run("send-test")
    assert done.returncode == 0, done.stdout
    assert len(rows()) == 1


def test_it_speaks_tls_where_the_port_does(make_tls_gateway, authority, rows):
    gateway = make_tls_gateway(CHRIS_TLS_CLIENT_CA=str(authority.path))
    done = gateway.run("send-test")
    assert done.returncode == 0, done.stdout
    assert "over TLS" in done.stdout
    assert len(rows()) == 1


def test_a_rejection_names_the_setting(make_gateway, rows):
    gateway = make_gateway(CHRIS_SCP_ALLOWED_AETS="ARCHIVE")
    done = gateway.run("send-test")
    assert done.returncode == 2
    assert verdicts(done) == {"association": "CRITICAL"}
    assert "CHRIS_SCP_ALLOWED_AETS" in done.stdout
    assert "--calling" in done.stdout
    assert "left behind" not in done.stdout
    assert "from this host: ARCHIVE" in done.stdout
    assert gateway.run("send-test", "--calling", "ARCHIVE").returncode == 0
    assert len(rows()) == 1


def test_a_list_without_this_host_is_told_with_what_to_add(make_gateway):
    gateway = make_gateway(CHRIS_SCP_ALLOWED_AETS="PACS@10.1.2.3")
    for arguments, calling in (((), "OXIDICOM-TEST"), (("--calling", "PACS"), "PACS")):
        done = gateway.run("send-test", *arguments)
        assert done.returncode == 2
        assert f"add {calling}@127.0.0.1 to it" in done.stdout


def test_nothing_is_sent_to_the_gateway_of_another_storage(make_gateway, tmp_path):
    gateway = make_gateway()
    (tmp_path / "other").mkdir()
    other = make_gateway(directory=tmp_path / "other")
    done = gateway.run("send-test", PORT=str(other.port))
    assert done.returncode == 2
    assert verdicts(done) == {"association": "CRITICAL"}
    assert f"listens on port {gateway.port}, not on {other.port}" in done.stdout
    assert not other.stored()
    assert gateway.run("send-test", PORT=str(gateway.port)).returncode == 0


def test_without_a_gateway_it_says_so(make_gateway):
    done = make_gateway(start=False).run("send-test")
    assert done.returncode == 2
    assert verdicts(done) == {"association": "CRITICAL"}
    assert "Is the gateway running" in done.stdout


def test_another_files_root_is_noticed(gateway, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    elsewhere = {"CHRIS_FILES_ROOT": str(tmp_path / "elsewhere"), "CHRIS_PACS_ADDRESS": "X=127.0.0.1:1"}
    done = gateway.run("send-test", "--at-most", "20s", **elsewhere)
    assert done.returncode == 2
    assert verdicts(done) == {"association": "good", "store": "good", "file": "CRITICAL", "PACS": "WARNING"}
    assert "is that the CHRIS_FILES_ROOT of the gateway?" in done.stdout
    assert "left to the gateway that answered" in done.stdout


def test_a_row_that_is_refused_is_a_failure(gateway, database):
    with refusing(database, """"PatientID" <> 'OXIDICOM-TEST'"""):
        done = gateway.run("send-test", "--at-most", "40s", CHRIS_PACS_ADDRESS="X=127.0.0.1:1")
    assert done.returncode == 2
    assert verdicts(done) == {
        "association": "good",
        "store": "good",
        "file": "good",
        "row": "CRITICAL",
        "PACS": "WARNING",
    }
    assert "the database has no row" in done.stdout


def test_as_json(gateway, rows):
    done = gateway.run("send-test", "--json")
    outcome = json.loads(done.stdout)
    assert (done.returncode, outcome["level"]) == (0, "ok")
    assert [(step["name"], step["verdict"]) for step in outcome["steps"]] == [
        ("association", "good"),
        ("store", "good"),
        ("file", "good"),
        ("row", "good"),
    ]
    assert all(step["seconds"] >= 0 and step["detail"] for step in outcome["steps"])
    (row,) = rows()
    assert outcome["left_behind"]["row"] == row["fname"]
    settled(gateway)


def test_a_database_that_hangs_holds_it_up_no_longer_than_it_may_take(make_gateway, proxied, proxy):
    gateway = make_gateway(db=proxied)
    proxy.swallow()
    outcome = json.loads(gateway.run("send-test", "--json", "--at-most", "3s").stdout)
    assert outcome["steps"][-1]["name"] == "row"
    assert outcome["steps"][-1]["verdict"] == "critical"
    assert "does not answer" in outcome["steps"][-1]["detail"]
    assert sum(step["seconds"] for step in outcome["steps"]) < 4.5


@pytest.mark.parametrize(("is_there", "status"), [(True, 0), (False, 1)])
def test_every_pacs_is_asked(is_there, status, make_gateway, pacs, rows):
    port = 1
    if is_there:
        port = pacs(lambda _: [])["port"]
    gateway = make_gateway(CHRIS_PACS_ADDRESS=f"TEST=127.0.0.1:{port}")
    done = gateway.run("send-test")
    assert done.returncode == status, done.stdout
    assert verdicts(done)["PACS"] == ("good" if is_there else "WARNING")
    assert len(rows()) == 1
