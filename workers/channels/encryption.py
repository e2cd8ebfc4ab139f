"""TLS, as listeners and doorman use it: one context in each process, read anew when the supervisor says so.

The supervisor reads the files first. Only if they are good does it count a new generation up on the scoreboard, by
which the others see that theirs is old; what they hold until then, and what a respawned process inherits, is the last
that was good. So a bad certificate on disk harms nobody but whoever starts the gateway anew.
"""

import contextlib
import datetime
import socket
import ssl

from loguru import logger

from oxidicom.errors import CertificateError
from oxidicom.judgement.rules import of_certificate
from oxidicom.settings import Settings
from oxidicom.tls import build_context, expiry_of
from workers.channels.ending import Ending, EndKind

_MAX_SESSIONS = 256
"""OpenSSL keeps the session of each association by TLS 1.2 for two hours, up to 20,480 of them with 1 KB each, or 5 KB
with a peer's certificate; `ssl` has no switch for that. So the context is made anew after so many."""
_NO_TLS = {"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "UNKNOWN_PROTOCOL", "HTTPS_PROXY_REQUEST", "RECORD_TOO_SMALL"}
"""OpenSSL's reasons for a first record that is none."""


class Encryption:
    """The TLS of this process."""

    def __init__(self, settings: Settings) -> None:
        """Read the files. Raise CertificateError."""
        self._settings = settings
        self.reload(0)

    def reload(self, generation: int) -> None:
        """Read the files anew. Raise CertificateError, and keep what there was."""
        context, self.expires = build_context(self._settings), expiry_of(self._settings.tls_certificate)
        self._context, self._generation = context, generation
        self._most_sessions = _MAX_SESSIONS

    def wrap(self, connection: socket.socket, generation: int) -> ssl.SSLSocket:
        """Return the connection as a server's TLS socket whose handshake has not begun. Raise OSError.

        `generation` is that of the scoreboard.
        """
        sessions = self._context.session_stats()["number"]
        if generation != self._generation or sessions >= self._most_sessions:
            try:
                self.reload(generation)
            except CertificateError as error:  # it was good when the supervisor read it
                logger.error("The old certificate stays in use: {reason}", reason=str(error), action="tls_kept")
                self._generation = generation
                self._most_sessions = sessions + _MAX_SESSIONS
        return self._context.wrap_socket(
            connection, server_side=True, do_handshake_on_connect=False, suppress_ragged_eofs=True
        )

    def warn_of_expiry(self) -> None:
        """Log it when the certificate in use has expired or expires soon."""
        for reason in of_certificate(self.expires, datetime.datetime.now(datetime.UTC)):
            logger.warning(
                "TLS: {reason}. To do: {remedy}", reason=reason.sentence, remedy=reason.remedy, action="tls_expires"
            )


def say_no_more(connection: socket.socket) -> None:
    """Say that nothing more will be sent: the closure alert of TLS (RFC 8446, 6.1), then FIN. Raise OSError.

    With TLS it waits for the peer's alert as long as the timeout of the socket allows.
    """
    if isinstance(connection, ssl.SSLSocket):
        with contextlib.suppress(OSError, ValueError):  # ValueError: the handshake did not happen
            connection.unwrap()
    connection.shutdown(socket.SHUT_WR)


def handshake_failure(error: OSError) -> Ending:
    """Return how the connection ended in its handshake."""
    if not isinstance(error, ssl.SSLError) or isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError):
        return Ending(EndKind.CONNECTION_LOST)
    if error.reason in _NO_TLS:
        return Ending(EndKind.NO_TLS, "this port speaks nothing else")
    reason = (error.reason or "no reason given").lower().replace("_", " ")
    return Ending(EndKind.HANDSHAKE_FAILED, reason)
