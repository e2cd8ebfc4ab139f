"""Which gateways of this host run on this storage: what goes by a port should not meet the gateway of another one."""

import contextlib
import socket

from oxidicom.spool.gateway_directory import gateway_paths, is_running
from oxidicom.spool.published import published


def ports_here(files_root: str) -> list[int]:
    """Return the DICOM ports of the gateways of this host that run on this storage, as far as they can be read."""
    with contextlib.suppress(OSError):
        return sorted({port for path in gateway_paths(files_root) if (port := _port_of(path))})
    return []


def _port_of(gateway_path: str) -> int:
    with contextlib.suppress(OSError):
        condition = published(gateway_path) if is_running(gateway_path) else None
        return condition.port if condition and condition.host == socket.gethostname() else 0
    return 0
