"""What processes hold, by /proc: memory of their own, descriptors, timers of their connections."""

import os
import re
from pathlib import Path


def own_bytes(pids):
    """Return the memory that the processes do not share with a file: it grows when they leak."""
    return sum(_own_bytes(Path(f"/proc/{pid}/status").read_text()) for pid in pids)


def _own_bytes(status):
    found = re.search(r"RssAnon:\s+(\d+)", status)
    assert found is not None
    return 1024 * int(found[1])


def descriptors(pids):
    """Return the number of open descriptors of the processes."""
    return sum(len(os.listdir(f"/proc/{pid}/fd")) for pid in pids)


def keep_alive_seconds(port):
    """Return in how many seconds the kernel will ask, for each connection to a local port."""
    timers = [fields[5].partition(":")[::2] for fields in _connections(port)]
    return [int(ticks, 16) / os.sysconf("SC_CLK_TCK") for kind, ticks in timers if kind == "02"]


def open_connections(port):
    """Return the number of connections to a local port that it has not closed, queued ones included."""
    return sum(fields[3] in (_ESTABLISHED, _CLOSE_WAIT) for fields in _connections(port))


_ESTABLISHED, _CLOSE_WAIT = "01", "08"


def _connections(port):
    """Return the fields of each TCP socket of a local port (proc(5), /proc/net/tcp)."""
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in Path(table).read_text().splitlines()[1:]:
            fields = line.split()
            if fields[1].endswith(f":{port:04X}"):
                yield fields
