"""Turning away: connections from where nobody may come end without an answer, whatever AE title they would say.

Who had begun to ask for an association counts as rejected, so that somebody notices when the list lacks a PACS; a mere
probe does not. As it costs nothing to come here by the thousand, the observer is told as seldom as the log: of each
network at most once a minute.
"""

import contextlib
import socket
import time

from ulid import ULID

from workers.channels.ending import UNWELCOME
from workers.channels.facts import AssociationFinished
from workers.channels.scoreboard import Counter, Slot
from workers.listener.association_account import write_connection_line
from workers.listener.connections import Peer
from workers.listener.needs import ListenerNeeds
from workers.listener.rejection import explain_unwelcome

_FIRST_BYTES = (b"\x01", b"\x16")
"""Of an A-ASSOCIATE-RQ (PS3.8, 9.3.2), and of a TLS handshake (RFC 8446, 5.1)."""


def turn_away(shared: ListenerNeeds, slot: Slot, connection: socket.socket, peer: Peer, association: str = "") -> None:
    """Account for a connection that is about to be closed. Its timeout is how long its first byte is waited for."""
    if not _has_begun_to_ask(connection):
        write_connection_line(shared.repetitions, slot, peer, UNWELCOME, association)
        return
    association = association or str(ULID())
    slot.add(Counter.ASSOCIATIONS_REJECTED)
    slot.add(Counter.ASSOCIATIONS_TURNED_AWAY)
    rejection = explain_unwelcome(peer.address)
    is_written = shared.repetitions.log(
        slot,
        f"{peer.network} asks",  # of its own kind: probes, which come by the second, must not keep it from being told
        "WARNING",
        "Association request from {peer} turned away: {reason}. To do: {remedy}",
        association=association,
        peer=str(peer),
        reason=rejection.reason,
        remedy=rejection.remedy,
        action="association_rejected",
    )
    if is_written:
        now_ns = time.time_ns()
        shared.facts.tell(
            slot,
            AssociationFinished(
                association=association,
                began_ns=now_ns,
                ended_ns=now_ns,
                peer_address=peer.address,
                peer_port=peer.port,
                calling_ae_title="",
                called_ae_title="",
                ending=UNWELCOME,
                explanation=f"to do: {rejection.remedy}",
            ),
        )


def _has_begun_to_ask(connection: socket.socket) -> bool:
    """Look at the first byte where it lies, in the buffer of the kernel."""
    with contextlib.suppress(OSError):  # nothing came, or the peer is gone
        return connection.recv(1, socket.MSG_PEEK) in _FIRST_BYTES
    return False
