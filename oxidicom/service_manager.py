"""What systemd is told by sd_notify(3): ready, stopping, a line of status, and signs of life for its watchdog."""

import contextlib
import socket
import time


class ServiceManager:
    """Speaks to the service manager, if there is one."""

    def __init__(self, notify_socket: str, watchdog_microseconds: str) -> None:
        """The values of NOTIFY_SOCKET and WATCHDOG_USEC; empty without systemd.

        Without a number nobody waits for signs of life, and none are given.
        """
        self._address = f"\0{notify_socket[1:]}" if notify_socket.startswith("@") else notify_socket
        self._interval_seconds = int(watchdog_microseconds) / 1e6 / 2 if watchdog_microseconds.isdecimal() else 0.0
        self._due = 0.0

    def ready(self, status: str) -> None:
        """Startup is finished."""
        self._notify(f"READY=1\nSTATUS={status}")

    def starting(self, status: str, seconds: float) -> None:
        """Startup goes on: it is to be waited for so much longer at least, whatever TimeoutStartSec= says."""
        self._notify(f"STATUS={status}\nEXTEND_TIMEOUT_USEC={seconds * 1e6:.0f}")

    def stopping(self, status: str, seconds: float) -> None:
        """The gateway is ending: it is to be waited for so much longer at least, whatever TimeoutStopSec= says."""
        self._notify(f"STOPPING=1\nSTATUS={status}\nEXTEND_TIMEOUT_USEC={seconds * 1e6:.0f}")

    def status(self, status: str) -> None:
        """Show a line in `systemctl status`."""
        self._notify(f"STATUS={status}")

    def alive(self) -> None:
        """Give a sign of life when it is due: twice in the watchdog's interval."""
        if self._interval_seconds and time.monotonic() >= self._due:
            self._due = time.monotonic() + self._interval_seconds
            self._notify("WATCHDOG=1")

    def _notify(self, state: str) -> None:
        """Send, without ever waiting: a service manager that does not listen must not stop the gateway."""
        if not self._address:
            return
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as connection:
            connection.setblocking(False)
            connection.sendto(state.encode(), self._address)
