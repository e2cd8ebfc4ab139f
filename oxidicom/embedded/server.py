"""The server: listens on a free port of the loopback address. It ends when its owner ends, however that happens."""

import contextlib
import ctypes
import os
import signal
import socket
import subprocess
import time

import psycopg
from psycopg import sql

from oxidicom.embedded.account import ENVIRONMENT, Account
from oxidicom.embedded.binaries import find_binaries, within_reach
from oxidicom.embedded.data_directory import USER, DataDirectory
from oxidicom.embedded.schema import DATABASES, Schema, statements_of
from oxidicom.errors import BootError

_START_SECONDS = 30.0
_STOP_SECONDS = 20.0
_MAX_LOG_BYTES = 8 * 1024 * 1024
_PR_SET_PDEATHSIG = 1
_SETTINGS = (
    "shared_buffers=64MB",
    "max_connections=50",
    "logging_collector=off",
    "unix_socket_directories=",
    "dynamic_shared_memory_type=mmap",  # containers often have no more than 64 MB of /dev/shm
)
_libc = ctypes.CDLL(None, use_errno=True)


class EmbeddedPostgres:
    """A PostgreSQL server below one directory, which belongs to one gateway at a time. Its rows outlive it."""

    def __init__(self, base_directory: str, schema: Schema = "flat") -> None:
        """`base_directory` is made if it is missing. Nothing is started yet."""
        self._schema = schema
        self._database = DATABASES[schema]
        self._directory = DataDirectory(os.path.abspath(base_directory))
        self._log = os.path.join(self._directory.base, "postgres.log")
        self._server: subprocess.Popen[bytes] | None = None
        self.password_file = self._directory.password_file
        self.port = 0

    def start(self) -> None:
        """Start the server, making its data on first use, and return when it takes connections. Raise BootError."""
        binaries = find_binaries()
        base = self._directory.base
        try:
            self._directory.take()
            self._account = Account(self._directory.path)
            self._account.hand_over(base)
            self._account.require_reachable(base)
            self._binaries = within_reach(binaries, self._account, os.path.join(base, "binaries"))
            self._end_left_over()
            self._directory.require_data(self._binaries, self._account)
            self._launch()
            self._prepare_database()
        except OSError as error:
            raise BootError(
                f"the embedded database in {base} cannot be used: {error.strerror} ({error.filename})"
            ) from error

    def stop(self) -> None:
        """Stop the server (fast: open transactions are rolled back) and give the directory free."""
        pid = self.postmaster_pid
        if pid:
            self._end(pid)
        if self._server:
            self._server.wait()
            self._server = None
        self._directory.release()

    @property
    def postmaster_pid(self) -> int | None:
        """The server's process, or None when none runs."""
        return self._directory.postmaster_pid

    @property
    def conninfo(self) -> str:
        """The connection string, which names the password file and holds no password."""
        return self.conninfo_for(self._database)

    def conninfo_for(self, database: str) -> str:
        """Return the connection string of a database of this server."""
        return self._directory.conninfo(self.port, database)

    @property
    def psql_command(self) -> str:
        """A line to paste into a shell, to look into the database."""
        return (
            f"PGPASSFILE={self.password_file} {self._binaries}/bin/psql "
            f"-h 127.0.0.1 -p {self.port} -U {USER} -d {self._database}"
        )

    def _end_left_over(self) -> None:
        """The server of a killed owner is ending by itself, or was left over: see that it is gone."""
        pid = self.postmaster_pid
        if pid:
            self._end(pid)
        self._directory.forget_server()

    def _end(self, pid: int) -> None:
        deadline = time.monotonic() + _STOP_SECONDS
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGINT)
        while self.postmaster_pid == pid:
            if self._server and self._server.pid == pid:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self._server.wait(0.05)
            else:
                time.sleep(0.05)
            if time.monotonic() > deadline:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGQUIT)
                deadline += _STOP_SECONDS

    def _launch(self) -> None:
        self.port = _free_port()
        with contextlib.suppress(FileNotFoundError):
            if os.path.getsize(self._log) > _MAX_LOG_BYTES:
                os.unlink(self._log)
        address = ("-h", "127.0.0.1", "-p", str(self.port))
        command = [f"{self._binaries}/bin/postgres", "-D", self._directory.path, *address]
        for setting in _SETTINGS:
            command += ["-c", setting]
        with open(self._log, "ab") as log:
            self._server = subprocess.Popen(  # type: ignore[call-overload]
                command,
                cwd="/",  # the account may not be able to read ours
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=ENVIRONMENT,
                start_new_session=True,  # else Ctrl-C stops the database before the gateway
                preexec_fn=_end_with_owner,  # noqa: PLW1509 (the supervisor has no threads)
                **self._account.popen_arguments,
            )

    def _prepare_database(self) -> None:
        with self._connect_when_up() as connection:
            connection.autocommit = True
            if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [self._database]).fetchone():
                connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(self._database)))
        with psycopg.connect(self.conninfo, autocommit=True) as connection:
            for statements in statements_of(self._schema):
                connection.execute(statements.encode())

    def _connect_when_up(self) -> "psycopg.Connection[tuple[object, ...]]":
        deadline = time.monotonic() + _START_SECONDS
        while True:
            try:
                return psycopg.connect(self.conninfo_for("postgres"), connect_timeout=5)
            except psycopg.OperationalError as error:
                if (self._server and self._server.poll() is not None) or time.monotonic() > deadline:
                    raise BootError(f"the embedded database does not start; {self._log} says why") from error
                time.sleep(0.02)


def conninfo_of_running(base_directory: str, schema: Schema = "flat") -> str | None:
    """Return the connection string of the server that another process runs there, or None when none does."""
    directory = DataDirectory(base_directory)
    port = directory.port
    return directory.conninfo(port, DATABASES[schema]) if port else None


def data_are_made(base_directory: str) -> bool:
    """Tell whether a server ever ran there. Raise OSError when it cannot be told."""
    return DataDirectory(base_directory).is_made


def _end_with_owner() -> None:
    """In the server's process, before exec: a fast stop when the owner dies, and none of its blocked signals."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGINT)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
