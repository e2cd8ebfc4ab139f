"""Which gateways run on this storage: a command that goes by a port should not meet the gateway of another one."""

import contextlib

from oxidicom.spool.gateway_directory import gateway_paths, is_running
from oxidicom.spool.published import published


def ports_here(files_root: str) -> list[int]:
    """Return the DICOM ports of the gateways that run on this storage, as far as they tell and can be read."""
    with contextlib.suppress(OSError):
        return sorted({port for path in gateway_paths(files_root) if (port := _port_of(path))})
    return []


def _port_of(gateway_path: str) -> int:
    with contextlib.suppress(OSError):
        condition = published(gateway_path) if is_running(gateway_path) else None
        return condition.port if condition else 0
    return 0
