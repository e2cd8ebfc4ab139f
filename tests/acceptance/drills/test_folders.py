"""CUBE 6 and 7 under fire: death between any two steps of a registration, several gateways, an upgrade, a deletion."""

import os
import shutil

import psycopg
import pytest

from oxidicom.embedded.schema import statements_of
from tests.acceptance.drills.account import nothing_lost, settled
from tests.acceptance.drills.load import Load, load
from tests.acceptance.drills.test_several_gateways import SameSeriesSender, deadlocks
from tests.dicom import contexts_of, make_series, open_association
from tests.fixtures.folders import dump
from tests.processes import freeze, is_alive
from tests.waiting import wait_until


def all_of_it(gateway, database, acknowledged):
    """Check files, rows, permissions and series against what was acknowledged."""
    rows = dump(database)
    found = nothing_lost(gateway, lambda: rows["core_chrisfile"], acknowledged)
    assert len(rows["core_filegrouppermission"]) == len(found)
    below = [row for row in rows["core_chrisfolder"] if row["path"].startswith("SERVICES/PACS/")]
    permitted = [row["path"] for row in rows["core_foldergrouppermission"] if row["name"] == "pacs_users"]
    assert sorted(permitted) == sorted(["SERVICES/PACS", *(row["path"] for row in below)])
    assert {row["folder"] for row in found} == {row["path"] for row in rows["pacsfiles_pacsseries"]}
    return rows


# -- death between two steps ---------------------------------------------------------------------------------------

OF_AN_INSTANCE = [
    *(("sendto", when) for when in range(1, 6)),  # BEGIN and the look; files; what precedes COMMIT; COMMIT
    ("/^unlink", 1),
]
OF_A_SERIES = [
    *(("sendto", when) for when in range(1, 6)),
    ("/^rename", 1),  # its value is registered
    ("/^unlink", 1),  # the ledger, then the rest
    ("rmdir", 1),
]


@pytest.fixture
def paths(tmp_path):
    return make_series(tmp_path / "in", 2, "1.2.3")


@pytest.fixture
def association(folders_gateway, folder_rows, paths):
    """An association whose first instance is registered."""
    opened = open_association(folders_gateway.port, contexts_of(paths))
    assert opened.send_c_store(os.fspath(paths[0])).Status == 0
    wait_until(lambda: len(folder_rows()) == 1, "the first instance is registered")
    wait_until(lambda: not folders_gateway.find(".oxidicom/0*/spool/*/*.stored"), "and all of it is cleared")
    yield opened
    opened.abort()


def die_at(gateway, inject, calls, when, restart):
    (victim,) = gateway.pids_of("registration")
    inject(victim, calls, f"signal=KILL:when={when}")
    if restart:
        freeze(gateway.process.pid)
    return victim


def go_on(gateway, victim, restart):
    wait_until(lambda: not is_alive(victim), "it died at that step")
    if restart:
        gateway.kill_all()
        gateway.start()


def named(steps):
    return [pytest.param(*step, id="-".join(map(str, step)).replace("/^", "")) for step in steps]


@pytest.mark.strace
@pytest.mark.parametrize("restart", [False, True], ids=["successor", "restart"])
@pytest.mark.parametrize(("calls", "when"), named(OF_AN_INSTANCE))
def test_dead_while_an_instance_is_registered(
    calls, when, restart, folders_gateway, folders_database, association, paths, series_rows, inject
):
    victim = die_at(folders_gateway, inject, calls, when, restart)
    assert association.send_c_store(os.fspath(paths[1])).Status == 0
    go_on(folders_gateway, victim, restart)
    if not restart:
        association.release()
    wait_until(series_rows, "the row of the series", 30)
    settled(folders_gateway)
    all_of_it(folders_gateway, folders_database, {"1.2.3.1": paths[0], "1.2.3.2": paths[1]})


@pytest.mark.strace
@pytest.mark.parametrize("restart", [False, True], ids=["successor", "restart"])
@pytest.mark.parametrize(("calls", "when"), named(OF_A_SERIES))
def test_dead_while_a_series_is_registered(
    calls, when, restart, folders_gateway, folders_database, association, paths, series_rows, inject
):
    victim = die_at(folders_gateway, inject, calls, when, restart)
    association.release()
    go_on(folders_gateway, victim, restart)
    wait_until(series_rows, "the row of the series", 30)
    settled(folders_gateway)
    all_of_it(folders_gateway, folders_database, {"1.2.3.1": paths[0]})


# -- under load ----------------------------------------------------------------------------------------------------


@pytest.mark.timeout(400)
def test_four_gateways_with_the_same_series(long_drill, make_gateway, folders_database, tmp_path):
    """One row for each file, folder and series, and no deadlock; one of them is killed."""
    gateways = [
        make_gateway(name=f"gateway{number}", db=folders_database, CHRIS_LISTENER_THREADS="3", TOKIO_WORKER_THREADS="1")
        for number in range(4)
    ]
    with Load(
        [SameSeriesSender([gateway.port for gateway in gateways], tmp_path, number) for number in range(4)]
    ) as sent:
        sent.await_progress(20)
        gateways[0].kill_all()
        sent.await_progress(3000 if long_drill else 200)
    gateways[0].start()
    settled(gateways[1], 90)
    all_of_it(gateways[1], folders_database, sent.acknowledged)
    assert deadlocks(folders_database) == 0
    assert not [line for gateway in gateways for line in gateway.lines("row_set_aside")]


@pytest.mark.timeout(400)
def test_cube_is_upgraded_under_load(make_gateway, make_folders_database, tmp_path):
    database = make_folders_database("6.0")
    gateway = make_gateway(db=database)
    with load([gateway], tmp_path) as sent:
        for number in (1, 2):
            sent.await_progress(30)
            with psycopg.connect(database, autocommit=True) as connection:
                connection.execute(statements_of("folders")[number])
        sent.await_progress(30)
    settled(gateway)
    rows = all_of_it(gateway, database, sent.acknowledged)
    assert {row["active"] for row in rows["pacsfiles_pacs"]} == {True}
    assert {row["deletion_status"] for row in rows["pacsfiles_pacsseries"]} == {"inactive"}
    assert not gateway.lines("row_set_aside")


@pytest.mark.timeout(400)
def test_series_are_deleted_while_they_come_again(make_gateway, folders_database, tmp_path):
    """What CUBE's worker does, again and again: whatever is acknowledged after that stands, and has its rows."""
    gateway = make_gateway(db=folders_database)
    with Load([SameSeriesSender([gateway.port], tmp_path, number) for number in range(3)]) as sent:
        for _ in range(20):
            sent.await_progress(10)
            delete_a_series(gateway, folders_database)
    settled(gateway, 120)
    rows = dump(folders_database)
    names = [row["fname"] for row in rows["core_chrisfile"]]
    assert not [name for name in names if not (gateway.files_root / name).exists()], "rows without files"
    assert sorted(names) == gateway.stored()
    assert len(rows["core_filegrouppermission"]) == len(names)
    assert not gateway.lines("row_set_aside")


def delete_a_series(gateway, database):
    """As CUBE does it: `pending` is committed; then rows and directory go in one transaction."""
    with psycopg.connect(database, autocommit=True) as connection:
        found = connection.execute(
            "UPDATE pacsfiles_pacsseries SET deletion_status = 'pending' WHERE id = (SELECT min(id) FROM "
            "pacsfiles_pacsseries) RETURNING id, folder_id, (SELECT path FROM core_chrisfolder WHERE id = folder_id)"
        ).fetchone()
        if found is None:
            return
        series, folder, path = found
        with connection.transaction():
            connection.execute("DELETE FROM pacsfiles_pacsseries WHERE id = %s", [series])
            connection.execute(
                "DELETE FROM core_filegrouppermission WHERE file_id IN "
                "(SELECT id FROM core_chrisfile WHERE parent_folder_id = %s)",
                [folder],
            )
            connection.execute("DELETE FROM core_chrisfile WHERE parent_folder_id = %s", [folder])
            connection.execute("DELETE FROM core_foldergrouppermission WHERE folder_id = %s", [folder])
            connection.execute("DELETE FROM core_chrisfolder WHERE id = %s", [folder])
            shutil.rmtree(gateway.files_root / path, ignore_errors=True)
