"""The waiting room: connections whose opening is not whole yet, waited for all at once by the doorman.

A listener that has waited a moment for the rest of a request hands the connection over to here. Nothing is read
from it: when the kernel has the whole opening, it goes back to the listeners. Who does not come to the point within
CHRIS_SCP_REQUEST_SECONDS is left without a word (ARTIM, PS3.8, 9.1.5).
"""

import contextlib
import dataclasses
import select
import socket
import time

from oxidicom.files.descriptors import keepable
from workers.channels.ending import Ending, EndKind
from workers.channels.ports import deferred_seconds, opening_seconds
from workers.channels.scoreboard import Slot
from workers.listener.arrival import MAX_BYTES, Arrival, opening_of
from workers.listener.association_account import write_connection_line
from workers.listener.connections import peer_of
from workers.listener.needs import ListenerNeeds

_MAX_WAITING = 256
"""At once. It bounds descriptors, and what the kernel keeps for them."""
_LEAST_SECONDS = 1.0
"""Grace for a silent connection that may have only just arrived: with SYN cookies the kernel holds none back."""


@dataclasses.dataclass
class _Guest:
    arrival: Arrival
    deadline: float
    """On the monotonic clock."""


class WaitingRoom:
    """Takes in what listeners hand over, and gives it back."""

    def __init__(self, shared: ListenerNeeds, slot: Slot) -> None:
        self._shared = shared
        self._slot = slot
        self._opening = opening_of(shared.settings)
        self._seconds = opening_seconds(shared.settings)
        self._silent_seconds = max(_LEAST_SECONDS, self._seconds - deferred_seconds(shared.listening_socket))
        """What is left to one that was silent in the kernel for so long already."""
        self._max_waiting = keepable(_MAX_WAITING)
        self._guests: dict[int, _Guest] = {}
        """By descriptor, oldest first."""
        self._poll = select.epoll()
        self._poll.register(shared.unfinished, select.EPOLLIN)
        self.given_back = 0
        """How many connections went back to the listeners."""

    def fileno(self) -> int:
        """A descriptor that is readable when there is something to do."""
        return self._poll.fileno()

    def work(self) -> None:
        """Give back whose opening is whole, take in who was handed over, and let those go whose time is over."""
        for descriptor, _ in self._poll.poll(0):
            if descriptor in self._guests:
                self._look_at(descriptor)
        while (connection := self._shared.unfinished.take()) is not None:
            self._take_in(Arrival(connection, peer_of(connection), self._opening))
        self._dismiss_slow()

    def close(self) -> None:
        """Close everything: the gateway accepts no more."""
        while (connection := self._shared.unfinished.take()) is not None:
            connection.close()
        while self._guests:
            self._let_go(next(iter(self._guests))).connection.close()
        self._poll.close()

    def _take_in(self, arrival: Arrival) -> None:
        descriptor = arrival.connection.fileno()
        is_whole = arrival.is_whole()  # says too whether it is silent
        seconds = self._silent_seconds if arrival.is_silent else self._seconds
        self._guests[descriptor] = _Guest(arrival, time.monotonic() + seconds)
        self._poll.register(descriptor, select.EPOLLIN)
        if is_whole:
            self._give_back(descriptor)
        elif len(self._guests) > self._max_waiting:
            self._make_room()

    def _look_at(self, descriptor: int) -> None:
        guest = self._guests[descriptor]
        was_silent = guest.arrival.is_silent
        if guest.arrival.is_whole():
            self._give_back(descriptor)
        elif was_silent and not guest.arrival.is_silent:
            guest.deadline = time.monotonic() + self._seconds

    def _give_back(self, descriptor: int) -> None:
        connection = self._let_go(descriptor).release()
        if self._shared.finished.put(connection):
            self.given_back += 1
        connection.close()

    def _let_go(self, descriptor: int) -> Arrival:
        """Forget a guest. The kernel would not by itself: the connection is open elsewhere too."""
        self._poll.unregister(descriptor)
        return self._guests.pop(descriptor).arrival

    def _make_room(self) -> None:
        """The one that has been here longest goes."""
        arrival = self._let_go(next(iter(self._guests)))
        arrival.connection.close()
        self._shared.repetitions.log(
            self._slot,
            "crowd",
            "WARNING",
            "More than {limit} connections are open that have not sent their request; the oldest is closed",
            limit=self._max_waiting,
            peer=str(arrival.peer),
            action="crowded",
        )

    def _dismiss_slow(self) -> None:
        now = time.monotonic()
        for descriptor, guest in list(self._guests.items()):
            if now > guest.deadline:
                arrival = self._let_go(descriptor)
                with contextlib.suppress(OSError):  # what is not read would turn the end into a reset
                    arrival.connection.recv(MAX_BYTES, socket.MSG_DONTWAIT)
                arrival.connection.close()
                what = "TLS handshake" if self._opening.encrypted else "association request"
                ending = Ending(EndKind.DEADLINE, f"no {what} within {self._seconds:g} s")
                write_connection_line(self._shared.repetitions, self._slot, arrival.peer, ending)
