"""Waiting for a row: a database that hangs holds whoever asks it for longer than a person waits."""

import threading
import time

from oxidicom.errors import DatabaseUnavailableError
from oxidicom.operations.database import database_of
from oxidicom.settings import Settings

_LOOK_SECONDS = 0.1


class RowWatch:
    """Looks for a row in a thread of its own."""

    def __init__(self, settings: Settings, name: str) -> None:
        """`name` is the `fname` of the row."""
        self._settings = settings
        self._name = name
        self.trouble = "it does not answer"
        """Why the database could not be asked; empty when it could."""
        self.has_seen = threading.Event()
        threading.Thread(target=self._look, daemon=True).start()

    def _look(self) -> None:
        while not self.has_seen.is_set():
            try:
                with database_of(self._settings) as database:
                    is_known = self._name in database.known([self._name])
                self.trouble = ""
                if is_known:
                    self.has_seen.set()
            except DatabaseUnavailableError as error:
                self.trouble = str(error)
            time.sleep(_LOOK_SECONDS)
