"""The role of the page. What it does stands in `site.py`, which brings the web libraries: into its own process only."""

from workers.channels.scoreboard import Slot
from workers.page.needs import PageNeeds
from workers.page.port import Port


class Page:
    """Serves the page until everybody else has ended."""

    def __init__(self, shared: PageNeeds, slot: Slot) -> None:
        self._shared = shared
        self._slot = slot
        self._port = Port(shared.settings, slot)
        self._listening_socket = self._port.open()  # at once: who comes before the rest is there waits in the kernel

    def run(self) -> None:
        """Serve. Trouble with the port is logged, and the port tried again."""
        from workers.page.site import Site  # noqa: PLC0415 (the other processes, forked from one, do without it)

        Site(self._shared, self._slot, self._port).run(self._listening_socket)
