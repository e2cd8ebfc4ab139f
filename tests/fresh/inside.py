"""The first process of a fresh machine: it moves into the folder, starts one command there, and reaps what is left.

It is run by `unshare` with mounts, process numbers and, mostly, a network of its own: when it ends, all of these end
with it, whatever ended it. So nothing has to be undone.
"""

import fcntl
import os
import signal
import socket
import struct
import subprocess
import sys
from pathlib import Path

_GET_FLAGS, _SET_FLAGS, _UP = 0x8913, 0x8914, 1
"""SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP: netdevice(7)."""


def main() -> None:
    root, account, *command = sys.argv[1:]
    _raise_loopback()
    _move_into(root)
    child = os.fork()
    if child == 0:
        os.setsid()
        os.chdir("/")
        entry = ["setpriv", f"--reuid={account}", f"--regid={account}", "--init-groups", "--reset-env"]
        os.execvp(entry[0], [*entry, *command])
    signal.signal(signal.SIGINT, lambda *_: os.killpg(child, signal.SIGINT))  # as a terminal does upon Ctrl-C
    sys.exit(_reap_until(child))


def _raise_loopback() -> None:
    """A new network has a loopback that is down. One that is up stays so."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        interface = struct.pack("16sH14x", b"lo", 0)
        name, flags = struct.unpack("16sH14x", fcntl.ioctl(any_socket, _GET_FLAGS, interface))
        fcntl.ioctl(any_socket, _SET_FLAGS, struct.pack("16sH14x", name, flags | _UP))


def _move_into(root: str) -> None:
    """Make the folder the root of this process, with what a kernel and a boot put into it."""
    _run("mount", "--bind", root, root)
    os.chdir(root)
    _run("mount", "-t", "proc", "proc", "proc")
    _run("mount", "-t", "sysfs", "-o", "ro", "sysfs", "sys")
    _run("mount", "--rbind", "/dev", "dev")
    _run("mount", "-t", "tmpfs", "-o", "mode=1777", "shm", "dev/shm")
    Path("before").mkdir(exist_ok=True)
    _run("pivot_root", ".", "before")
    os.chdir("/")
    _run("umount", "--lazy", "before")
    Path("before").rmdir()


def _reap_until(child: int) -> int:
    """Reap as the first process of a machine must, until `child` has ended. Return its exit status."""
    while True:
        pid, status = os.wait()
        if pid == child:
            return os.waitstatus_to_exitcode(status) % 256


def _run(*command: str) -> None:
    subprocess.run(command, check=True, env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"})


if __name__ == "__main__":
    main()
