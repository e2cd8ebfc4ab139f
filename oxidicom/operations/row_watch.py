"""Waiting for a row: a database that hangs holds whoever asks it for longer than a person waits."""

import threading
import time

from oxidicom.errors import DatabaseUnavailableError
from oxidicom.operations.database import database_of
from oxidicom.settings import Settings

_LOOK_SECONDS = 0.1


class RowWatch:
    """Looks for a row in a thread of its own, over one connection for as long as that holds."""

    def __init__(self, settings: Settings, name: str) -> None:
        """`name` is the `fname` of the row."""
        self._settings = settings
        self._name = name
        self._has_seen = False
        self._bug: Exception | None = None
        self.trouble = "it does not answer"
        """Why the database could not be asked; empty when it could."""
        threading.Thread(target=self._watch, daemon=True).start()

    def has_seen(self) -> bool:
        """Tell whether the row was seen. Raise what has ended the thread."""
        if self._bug:
            raise self._bug
        return self._has_seen

    def _watch(self) -> None:
        try:
            while not self._has_seen:
                self._look()
        except Exception as error:  # noqa: BLE001 (whoever waits raises it)
            self._bug = error

    def _look(self) -> None:
        """Look until the row is seen or the database cannot be asked."""
        try:
            with database_of(self._settings) as database:
                while self._name not in database.known([self._name]):
                    self.trouble = ""
                    time.sleep(_LOOK_SECONDS)
            self._has_seen = True
        except DatabaseUnavailableError as error:
            self.trouble = str(error)
            time.sleep(_LOOK_SECONDS)
