"""What processes hold, by /proc: memory of their own, descriptors, timers of their connections."""

import os
import re
from pathlib import Path


def own_bytes(pids):
    """Return the memory that the processes do not share with a file: it grows when they leak."""
    statuses = (Path(f"/proc/{pid}/status").read_text() for pid in pids)
    return sum(1024 * int(re.search(r"RssAnon:\s+(\d+)", status)[1]) for status in statuses)


def descriptors(pids):
    """Return the number of open descriptors of the processes."""
    return sum(len(os.listdir(f"/proc/{pid}/fd")) for pid in pids)


def keep_alive_seconds(port):
    """Return in how many seconds the kernel will ask, for each connection to a local port (/proc/net/tcp)."""
    seconds = []
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in Path(table).read_text().splitlines()[1:]:
            fields = line.split()
            timer, _, ticks = fields[5].partition(":")
            if int(fields[1].rpartition(":")[2], 16) == port and timer == "02":
                seconds.append(int(ticks, 16) / os.sysconf("SC_CLK_TCK"))
    return seconds
