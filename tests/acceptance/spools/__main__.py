"""`make spool`: let this version leave a storage and a history behind, and keep them under its name.

Of the first series one instance is registered, and one set aside, since a constraint of the database refuses its row.
The second waits: the database is away when it comes. Then every process is killed at the same moment.
"""

import contextlib
import sqlite3
import subprocess
import sys
import tempfile
from pathlib import Path

import psycopg

from oxidicom import __version__
from oxidicom.embedded.server import EmbeddedPostgres
from tests.dicom import make_series, send
from tests.fixtures.gateway import Gateway
from tests.fixtures.postgres import read_rows
from tests.waiting import wait_until

HISTORY = ".state/history.sqlite"
_REFUSE = "ALTER TABLE pacsfiles_pacsfile ADD CONSTRAINT refused CHECK (fname NOT LIKE '%1.2.3.1.2.dcm')"


def main() -> None:
    """Write an archive named after this version into the directory that is named, or beside this file."""
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parent)
    with tempfile.TemporaryDirectory() as work:
        Path(work).chmod(0o755)  # for the account of PostgreSQL
        server = EmbeddedPostgres(f"{work}/postgres")
        server.start()
        gateway = Gateway(work, server.conninfo, new=True)
        try:
            leave_work(gateway, server, Path(work))
        finally:
            gateway.kill_all()
            server.stop()
        keep_history(gateway)
        archive = folder / f"{__version__}.tar.gz"
        subprocess.run(["tar", "-czf", archive, "-C", gateway.files_root, "."], check=True)
    print(f"made {archive}")


def leave_work(gateway, server, work):
    """Bring a gateway to where one is set aside and three wait, and the history has the associations."""
    with psycopg.connect(server.conninfo, autocommit=True) as connection:
        connection.execute(_REFUSE)
    gateway.start()
    send(gateway.port, make_series(work / "first", 2, "1.2.3.1"), "OLD")
    wait_until(lambda: gateway.find(".oxidicom/set-aside/*/*.json"), "one instance is set aside")
    wait_until(lambda: read_rows(server.conninfo) and not gateway.spooled(), "the other is registered")
    server.stop()
    send(gateway.port, make_series(work / "second", 3, "1.2.3.2"), "OLD")
    wait_until(lambda: len(gateway.find(".oxidicom/0*/spool/*/*=*.stored")) == 2, "the second waits with its metadata")
    wait_until(lambda: len(gateway.run("log", "--json").stdout.splitlines()) == 2, "the history has both")


def keep_history(gateway):
    """Put the history into the storage, as one file: what is in its log of writes goes with it."""
    (source,) = Path(gateway.environment["STATE_DIRECTORY"]).glob("history-*.sqlite")
    kept = gateway.files_root / HISTORY
    kept.parent.mkdir()
    with contextlib.closing(sqlite3.connect(source)) as old, contextlib.closing(sqlite3.connect(kept)) as new:
        old.backup(new)


if __name__ == "__main__":
    main()
