"""How many file descriptors the processes of a gateway need, as its settings are."""

from oxidicom.settings import Settings
from workers.page.limits import MAX_CONNECTIONS

_QUEUES_OF_STORAGE_WORKER = 2
_OTHER_QUEUES = 6
"""To inquiry, registration, observer, page and doorman, and from the doorman back."""
_INHERITED = 8
"""Standard input, output and error, the count of lost lines, two locks of the gateway, the listening socket, and one
more of whoever starts the gateway."""
_SPARE = 32
"""What a process has beside: epoll, the file and the ledger of an association, its connection, those of an exporter."""
_PER_CONNECTION = 3
"""Of the page: the connection, and some to spare."""
_PER_PACS = 8
"""Inquiry has two associations with each PACS at most, and some to spare."""


def needed_descriptors(settings: Settings) -> int:
    """Return the lowest limit of open files with which every process has what it needs."""
    queues = _OTHER_QUEUES + _QUEUES_OF_STORAGE_WORKER * settings.storage_workers
    common = _INHERITED + 2 * queues + _SPARE
    return max(
        2 * common,  # storage and doorman: two keepers each, which take a quarter of the limit each (`keepable`)
        4 * (common + settings.db_pool) // 3 + 1,  # registration: one, and the pool
        common + _PER_CONNECTION * MAX_CONNECTIONS,  # page
        common + _PER_PACS * len(settings.pacs_addresses),  # inquiry
    )


def descriptor_fault(settings: Settings, limit: int) -> str | None:
    """Return a sentence when a process may not have as many open files as it needs."""
    needed = needed_descriptors(settings)
    if limit >= needed:
        return None
    return (
        f"the limit of open files (ulimit -n; systemd: LimitNOFILE) is {limit}, but {needed} are needed with "
        f"TOKIO_WORKER_THREADS={settings.storage_workers} and CHRIS_DB_POOL={settings.db_pool}: "
        "raise it, or lower these"
    )
