"""The account that the server runs as: PostgreSQL refuses to run as root."""

import contextlib
import os
import pwd
import subprocess

from oxidicom.errors import BootError

ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LC_ALL": "C"}
"""Of the programs of PostgreSQL: nothing of ours may lead them elsewhere."""
_UNPRIVILEGED = "nobody"


class Account:
    """An ordinary user if we are root, else ourselves."""

    def __init__(self, data: str) -> None:
        """Whoever owns the directory `data` already stays its owner."""
        self._entry = _entry_for(data) if os.geteuid() == 0 else None

    @property
    def popen_arguments(self) -> dict[str, int | list[int]]:
        """What `subprocess` is to be told to run a program as this account."""
        if self._entry is None:
            return {}
        return {"user": self._entry.pw_uid, "group": self._entry.pw_gid, "extra_groups": []}

    def run(self, command: list[str]) -> subprocess.CompletedProcess[bytes]:
        """Run a program to its end. Raise OSError when it cannot be started."""
        return subprocess.run(  # type: ignore[call-overload,no-any-return]
            command, cwd="/", capture_output=True, check=False, env=ENVIRONMENT, **self.popen_arguments
        )

    def can_run(self, path: str) -> bool:
        """Tell whether the account may run a file, or pass through a directory."""
        return self._entry is None or self.run(["test", "-x", path]).returncode == 0

    def hand_over(self, path: str) -> None:
        """Give the account what we have made. Raise OSError."""
        if self._entry:
            os.chown(path, self._entry.pw_uid, self._entry.pw_gid)

    def require_reachable(self, path: str) -> None:
        """See that the account gets to `path`. Raise BootError."""
        if self._entry and not self.can_run(path):
            raise BootError(
                f"the user {self._entry.pw_name} cannot reach {path}, and PostgreSQL does not run as root; "
                "choose a place with STATE_DIRECTORY that every user can pass through"
            )


def _entry_for(data: str) -> pwd.struct_passwd:
    with contextlib.suppress(FileNotFoundError, KeyError):
        owner = os.stat(data).st_uid
        if owner != 0:
            return pwd.getpwuid(owner)
    return pwd.getpwnam(_UNPRIVILEGED)
