"""The port of the page: while it cannot be used it is tried again, and everybody is told that there is no page."""

import socket

from oxidicom.judgement.rules import PAGE_REMEDY
from oxidicom.outage import Outage
from oxidicom.settings import Settings
from workers.channels.ports import open_port
from workers.channels.scoreboard import Slot


class Port:
    """Opens the port, at the first try or at a later one."""

    def __init__(self, settings: Settings, slot: Slot) -> None:
        self._address, self._port = settings.http_address, settings.http_port
        self._slot = slot
        self._outage = Outage("page", "ERROR")

    def open(self) -> socket.socket | None:
        """Return the listening socket, or None when the port cannot be used now."""
        address, port = self._address, self._port
        try:
            listening_socket = open_port(address, port)
        except OSError as error:
            reason = error.strerror or "it cannot be used"
            self._slot.say(f"{address}, port {port}: {reason}")
            self._outage.goes_on(
                "No page at {address}, port {port}", reason, remedy=PAGE_REMEDY, address=address, port=port
            )
            return None
        self._slot.say("")
        self._outage.is_over("there is a page at {address}, port {port}", address=address, port=port)
        return listening_socket
