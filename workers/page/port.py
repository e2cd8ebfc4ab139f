"""The port of the page: trouble with it is said once, and it is tried again."""

import socket

from loguru import logger

from oxidicom.settings import Settings
from workers.channels.ports import open_port


class Port:
    """Opens the port, at the first try or at a later one."""

    def __init__(self, settings: Settings) -> None:
        self._address, self._port = settings.http_address, settings.http_port
        self._is_told = False

    def open(self) -> socket.socket | None:
        """Return the listening socket, or None when the port cannot be used now."""
        try:
            return open_port(self._address, self._port)
        except OSError as error:
            if not self._is_told:
                logger.error(
                    "No page: {address}:{port} cannot be used: {reason}; set CHRIS_HTTP_PORT to a free port",
                    address=self._address,
                    port=self._port,
                    reason=error.strerror,
                    action="health_port_failed",
                )
            self._is_told = True
            return None
