"""Private names, through which a file gets its final one: where a rename leads there, and where CUBE does not look.

On the filesystem of the spool they are in the `tmp` of the gateway. On another one, which `SERVICES` or a directory
below it may be, in a directory `.oxidicom` at its top. What a crash leaves there is removed by the next who needs it.
"""

import contextlib
import os
import re

from oxidicom.tree.tree_directories import TreeDirectories

_DIRECTORY = ".oxidicom"
_LEFT = re.compile(r"([0-7][0-9A-HJKMNP-TV-Z]{25})-(\d+)")


class PrivateName:
    """A name that only this process uses."""

    def __init__(self, name: str, directory: int | None = None) -> None:
        """`directory` is a descriptor; without, `name` is a path."""
        self.name = name
        self.directory = directory

    def open(self, flags: int) -> int:
        """Open it. Raise OSError."""
        return os.open(self.name, flags, 0o666, dir_fd=self.directory)

    def remove(self) -> None:
        """Remove it; that it is not there is no error. Raise OSError."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.name, dir_fd=self.directory)


class PrivateNames:
    """The private names of one process."""

    def __init__(self, tmp: str, directories: TreeDirectories) -> None:
        """`tmp` is the private directory of the gateway, whose ULID is the name of the one above."""
        self.beside_spool = PrivateName(os.path.join(tmp, str(os.getpid())))
        self._tmp = tmp
        self._gateway = os.path.basename(os.path.dirname(tmp))
        self._directories = directories
        self._cleared: set[int] = set()
        """Mounts in which nothing is left of others."""

    def clear(self) -> None:
        """Remove what processes of this gateway left that were killed; copies may be large. Raise OSError."""
        for name in os.listdir(self._tmp):
            if name.isdecimal() and not os.path.exists(f"/proc/{name}"):
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(os.path.join(self._tmp, name))

    def on_filesystem_of(self, path: str) -> PrivateName:
        """Return a name from which a rename leads into the directory `path` of the tree. Raise OSError.

        It is good until the next directory of the tree is opened.
        """
        tmp = os.open(self._tmp, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            if _mount_of(tmp) == _mount_of(self._directories.open(path)):
                return self.beside_spool
        finally:
            os.close(tmp)
        top = self._directories.open(self._top_of_mount(path))
        with contextlib.suppress(FileExistsError):
            os.mkdir(_DIRECTORY, 0o700, dir_fd=top)
        self._clear_once(top)
        return PrivateName(f"{_DIRECTORY}/{self._gateway}-{os.getpid()}", top)

    def _clear_once(self, top: int) -> None:
        """Remove what a crash left in the directory of private names: of gateways and processes that are gone."""
        mount = _mount_of(top)
        if mount in self._cleared:
            return
        self._cleared.add(mount)
        directory = os.open(_DIRECTORY, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=top)
        try:
            for name in os.listdir(directory):
                left = _LEFT.fullmatch(name)
                if left and not self._is_in_use(*left.groups()):
                    with contextlib.suppress(FileNotFoundError):
                        os.unlink(name, dir_fd=directory)
        finally:
            os.close(directory)

    def _is_in_use(self, gateway: str, pid: str) -> bool:
        if gateway == self._gateway:
            return os.path.exists(f"/proc/{pid}")
        return os.path.exists(os.path.join(os.path.dirname(os.path.dirname(self._tmp)), gateway))

    def _top_of_mount(self, path: str) -> str:
        """Return the highest directory above `path` that is in the same mount."""
        mount = _mount_of(self._directories.open(path))
        while (above := path.rpartition("/")[0]) and _mount_of(self._directories.open(above)) == mount:
            path = above
        return path


def is_left_over(directory: bytes, name: bytes) -> bool:
    """Tell whether a name in a directory of the tree is a private one, which is no file of CUBE's."""
    return directory.endswith(f"/{_DIRECTORY}".encode()) and _LEFT.fullmatch(os.fsdecode(name)) is not None


def _mount_of(descriptor: int) -> int:
    """Return the number of the mount in which an open directory is (proc(5)): a rename does not leave it.

    The device will not do: two mounts of one filesystem have the same.
    """
    with open(f"/proc/self/fdinfo/{descriptor}") as file:
        for line in file:
            if line.startswith("mnt_id:"):
                return int(line.split()[1])
    raise OSError(0, "the kernel does not say which mount a file is on")
