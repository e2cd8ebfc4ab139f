"""Memory that the host of a virtual machine has taken back, fetched again before a load.

With free page reporting (virtio-balloon) a host takes large free blocks back after a moment, and the next who touches
one waits for it: 1 to 4 ms for 2 MiB, more than a server needs to receive and write as much. It falls on who writes in
large pieces, for which the page cache takes such blocks; who writes 4 KiB at a time lives on the small ones, which are
never taken back. On a real machine this costs a twentieth of a second and changes nothing.
"""

import mmap

_BYTES = 1 << 30
"""Twice what a load leaves in the page cache."""
_PAGE_BYTES = 4096


def fetch_memory() -> None:
    """Touch 1 GiB in huge pages and free them, which leaves these blocks backed for the load that follows at once."""
    with mmap.mmap(-1, _BYTES, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as memory:
        memory.madvise(mmap.MADV_HUGEPAGE)
        for start in range(0, _BYTES, _PAGE_BYTES):
            memory[start] = 1
