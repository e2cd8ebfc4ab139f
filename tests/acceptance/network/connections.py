"""What the kernel holds for the connections to a port (proc(5), /proc/net/tcp)."""

import os
from pathlib import Path


def keep_alive_seconds(port):
    """Return in how many seconds the kernel will ask, for each connection to a local port."""
    timers = [fields[5].partition(":")[::2] for fields in _connections(port)]
    return [int(ticks, 16) / os.sysconf("SC_CLK_TCK") for kind, ticks in timers if kind == "02"]


def open_connections(port):
    """Return the number of connections to a local port that it has not closed, queued ones included."""
    return sum(fields[3] in (_ESTABLISHED, _CLOSE_WAIT) for fields in _connections(port))


_ESTABLISHED, _CLOSE_WAIT = "01", "08"


def _connections(port):
    """Return the fields of each TCP socket of a local port."""
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in Path(table).read_text().splitlines()[1:]:
            fields = line.split()
            if fields[1].endswith(f":{port:04X}"):
                yield fields
