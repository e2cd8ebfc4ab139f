"""Files and rows are compared; what lacks is registered exactly as the gateway had done it."""

import json
import os
import shutil

import psycopg
import pydicom
import pytest

from tests.acceptance.test_retry import refusing
from tests.dicom import make_series, send
from tests.fixtures.postgres import value_of
from tests.waiting import wait_until

_UNNUMBERED = """SELECT f.*, p.identifier FROM pacsfiles_pacsfile f JOIN pacsfiles_pacs p ON p.id = f.pacs_id
ORDER BY fname"""


def execute(database, statement):
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(statement)


def all_rows(database):
    """Return the rows but for what is new each time."""
    with psycopg.connect(database, row_factory=psycopg.rows.dict_row) as connection:
        found = connection.execute(_UNNUMBERED).fetchall()
    return [{key: row[key] for key in row if key not in ("id", "creation_date", "pacs_id")} for row in found]


@pytest.fixture
def filled(gateway, database, tmp_path):
    """A gateway at rest, with two series of three instances."""
    for number in (1, 2):
        send(gateway.port, make_series(tmp_path / f"in{number}", 3, f"1.2.{number}", SeriesNumber=number))
    wait_until(lambda: not gateway.spooled() and len(all_rows(database)) == 10, "all is registered")
    return gateway


def reconcile(gateway, *arguments):
    """Return the exit status, the differences by path, and the totals."""
    done = gateway.run("reconcile", "--json", *arguments)
    seen = json.loads(done.stdout)
    return done.returncode, {one["path"]: one for one in seen.pop("differences")}, seen


def test_nothing_differs_at_rest(filled):
    code, differences, totals = reconcile(filled)
    assert (code, differences) == (0, {})
    assert totals == {
        "files": 10,
        "rows": 10,
        "files_without_rows": 0,
        "rows_without_files": 0,
        "files_in_spool": 0,
        "registered": 0,
        "series_without_rows": 0,
        "series_registered": 0,
    }
    assert "10 files and 10 rows compared" in filled.run("reconcile").stdout


@pytest.mark.parametrize(
    "lost",
    [
        "true",
        "fname LIKE '%.dcm'",
        "fname NOT LIKE '%.dcm'",
        """"ProtocolName" = 'OxidicomAttemptedPushCount'""",
        """"ProtocolName" = 'NumberOfSeriesRelatedInstances' OR "SeriesInstanceUID" = '1.2.1'""",
    ],
)
def test_rows_that_were_lost_are_registered_as_they_were(lost, filled, database):
    before = all_rows(database)
    execute(database, f"DELETE FROM pacsfiles_pacsfile WHERE {lost}")
    missing = {row["fname"] for row in before} - {row["fname"] for row in all_rows(database)}
    code, differences, _ = reconcile(filled)
    assert (code, set(differences)) == (1, missing)
    assert {one["kind"] for one in differences.values()} == {"file without a row"}
    code, differences, totals = reconcile(filled, "--register")
    assert (code, totals["registered"]) == (0, len(missing))
    assert {one["outcome"] for one in differences.values()} == {"registered"}
    assert all_rows(database) == before
    with psycopg.connect(database) as connection:
        last = value_of(connection, 'SELECT "ProtocolName" FROM pacsfiles_pacsfile ORDER BY id DESC LIMIT 1')
    assert "Oxidicom" in last or "dcm" in lost or "Number" in lost, "the count of a series is its last row"
    assert reconcile(filled)[0] == 0


def test_a_row_without_a_file_is_told_and_stays(filled, database):
    (path, *_) = filled.stored()
    (filled.files_root / path).unlink()
    code, differences, totals = reconcile(filled, "--register")
    assert code == 1
    assert differences == {path: {"kind": "row without a file", "path": path, "outcome": ""}}
    assert totals["rows_without_files"] == 1
    assert len(all_rows(database)) == 10
    assert f"row without a file: {path}" in filled.run("reconcile").stdout


def test_a_file_that_belongs_elsewhere_is_told_and_not_registered(filled, database):
    first, second, *_ = filled.stored()
    moved = first.replace(".dcm", "-copy.dcm")
    shutil.copy(filled.files_root / first, filled.files_root / moved)
    text = f"{os.path.dirname(second)}/values.txt"
    (filled.files_root / text).write_text("hello")
    key = "SERVICES/PACS/org.fnndsc.oxidicom/SERVICES/PACS/TEST/x/y/z/01HZ7TF03EZD364005NP332RBQ/{}=3"
    for name in ("Other", "OxidicomAttemptedPushCount"):
        (filled.files_root / key.format(name)).parent.mkdir(parents=True, exist_ok=True)
        (filled.files_root / key.format(name)).touch()
    code, differences, totals = reconcile(filled, "--register")
    assert code == 1
    assert {path: one["outcome"] for path, one in differences.items()} == {
        moved: "what it holds belongs to another path",
        text: "it is not a DICOM file that the gateway would accept: file meta information cannot be read",
        key.format("Other"): "its name is not that of a metadata file",
        key.format("OxidicomAttemptedPushCount"): "nothing names its series: it has neither rows nor files",
    }
    assert totals["registered"] == 0
    assert len(all_rows(database)) == 10


def test_a_series_that_cannot_be_told_exactly_is_not_guessed(filled, database):
    execute(database, """DELETE FROM pacsfiles_pacsfile WHERE "ProtocolName" <> '' AND fname NOT LIKE '%.dcm'""")
    execute(
        database,
        """UPDATE pacsfiles_pacsfile SET "PatientID" = 'other' WHERE id = (SELECT min(id) FROM pacsfiles_pacsfile)""",
    )
    code, differences, totals = reconcile(filled, "--register")
    assert (code, totals["registered"]) == (1, 2)
    assert sorted(one["outcome"] for one in differences.values()) == [
        "more than one series is in its directory",
        "more than one series is in its directory",
        "registered",
        "registered",
    ]


def test_metadata_is_derived_from_files_when_no_row_can_tell(filled, database):
    """The rows of the instances are refused, those of their metadata are not."""
    before = all_rows(database)
    execute(database, "DELETE FROM pacsfiles_pacsfile")
    with refusing(database, "fname NOT LIKE '%.dcm'"):
        code, differences, totals = reconcile(filled, "--register")
    assert (code, totals["registered"]) == (1, 4)
    assert {one["outcome"] for path, one in differences.items() if path.endswith(".dcm")} == {
        "its row is refused: SQLSTATE 23514 at strict"
    }
    assert all_rows(database) == [row for row in before if not row["fname"].endswith(".dcm")]


def test_a_file_without_a_calling_ae_title_is_that_of_its_directory(filled, database):
    before = all_rows(database)
    path = filled.files_root / filled.stored()[0]
    dataset = pydicom.dcmread(path)
    for keyword in ("SourceApplicationEntityTitle", "SendingApplicationEntityTitle", "ReceivingApplicationEntityTitle"):
        del dataset.file_meta[keyword]
    dataset.save_as(path)
    execute(database, f"DELETE FROM pacsfiles_pacsfile WHERE fname = '{filled.stored()[0]}'")
    assert reconcile(filled, "--register")[0] == 0
    assert all_rows(database) == before


def test_links_are_not_followed(filled, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "x.dcm").write_bytes(b"")
    (filled.files_root / "SERVICES/PACS/link").symlink_to(tmp_path / "elsewhere")
    assert reconcile(filled)[0] == 0


def test_a_name_that_is_no_text_is_told(filled):
    with open(os.path.join(os.fsencode(filled.files_root), b"SERVICES/PACS/TEST/\xff.dcm"), "wb"):
        pass
    code, differences, _ = reconcile(filled, "--register")
    assert code == 1
    assert differences == {
        "SERVICES/PACS/TEST/\\xff.dcm": {
            "kind": "file without a row",
            "path": "SERVICES/PACS/TEST/\\xff.dcm",
            "outcome": "its name is not valid text",
        }
    }
    assert "xff.dcm" in filled.run("reconcile").stdout


@pytest.mark.parametrize("running", [True, False])
def test_what_waits_in_a_spool_is_no_difference(running, make_gateway, database, rows, tmp_path):
    gateway = make_gateway(db="host=127.0.0.1 port=1 dbname=nowhere")
    send(gateway.port, make_series(tmp_path / "in", 3))
    wait_until(lambda: len(gateway.find("SERVICES/PACS/**/*=*")) == 2, "both metadata files")
    if not running:
        gateway.kill()
    gateway.environment["CHRIS_DB_CONNECTION"] = database
    code, differences, totals = reconcile(gateway, "--register")
    assert (code, differences) == (0, {})
    assert (totals["files"], totals["rows"], totals["files_in_spool"]) == (5, 0, 5)
    assert not rows()


def test_a_database_that_is_away_is_said(make_gateway):
    gateway = make_gateway(db="host=127.0.0.1 port=1 dbname=nowhere password=secret")
    done = gateway.run("reconcile")
    assert done.returncode == 1
    assert done.stderr.startswith("oxidicom: the database cannot be used: it refuses connections")
    assert "secret" not in done.stdout + done.stderr


@pytest.mark.parametrize("blocks", [0, 1])
def test_no_room_for_temporary_files_is_not_blamed_on_the_storage(blocks, filled, database):
    """No file can be made, as without a `/tmp`; or none grows beyond a block, as on a full disk."""
    execute(database, "DELETE FROM pacsfiles_pacsfile")
    filled.command = ["sh", "-c", f'ulimit -f {blocks}; exec "$@"', "sh", *filled.command]
    done = filled.run("reconcile")
    assert done.returncode == 1
    assert done.stderr.startswith("oxidicom: temporary files cannot be written: ")
    assert "TMPDIR" in done.stderr
    assert str(filled.files_root) not in done.stderr


def test_while_instances_come_nothing_differs(gateway, rows, tmp_path):
    """What is received, stored and registered at this moment is told from what differs."""
    from tests.acceptance.drills.load import load

    with load([gateway], tmp_path) as sent:
        sent.await_progress(20)
        for _ in range(10):
            code, differences, _ = reconcile(gateway)
            assert (code, differences) == (0, {})
    assert len(rows()) >= 20
