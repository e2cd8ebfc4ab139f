"""Associations that are in no spool any more although nobody told that they are finished.

Only the storage knows, and it may hang: so a thread of its own looks, for which nobody waits.
"""

import collections
import concurrent.futures
import os
import threading
from collections.abc import Callable, Sequence

from oxidicom.spool.entries import contents
from oxidicom.spool.gateway_directory import aside_directories
from oxidicom.spool.names import EntryName
from oxidicom.spool.put_back import is_in_a_spool

SetAside = collections.Counter[str]
"""Number of instances by series hash."""


class LostAssociations:
    """One look after the other, and none beside one that does not end."""

    def __init__(self, files_root: str, spool: str, on_end: Callable[[], None]) -> None:
        """`spool` is that of this gateway: while it is not there, the storage is away. `on_end` is called after a look,
        in its thread.
        """
        self._files_root = files_root
        self._spool = spool
        self._on_end = on_end
        self._missing: set[str] = set()
        """Those that were in no spool at the last look."""
        self._look: concurrent.futures.Future[dict[str, SetAside]] | None = None

    def look_for(self, unsettled: Sequence[str]) -> None:
        """Begin to look for associations, unless the last look goes on."""
        if self._look is None:
            self._look = concurrent.futures.Future()
            thread = threading.Thread(target=self._run, args=(self._look, unsettled), daemon=True, name="lost")
            thread.start()

    def found(self) -> dict[str, SetAside]:
        """Return what a look found that has ended, once: the lost associations, and what is set aside of each."""
        if self._look is None or not self._look.done():
            return {}
        look, self._look = self._look, None
        return look.result()

    def _run(self, look: concurrent.futures.Future[dict[str, SetAside]], unsettled: Sequence[str]) -> None:
        try:
            look.set_result(self._lost_of(unsettled))
        except OSError:
            look.set_result({})  # the storage is away
        except Exception as error:  # noqa: BLE001 (who asks for what was found meets it)
            look.set_exception(error)
        self._on_end()

    def _lost_of(self, unsettled: Sequence[str]) -> dict[str, SetAside]:
        """They have to be missing at two looks: between them whatever was on its way has come."""
        if not os.path.isdir(self._spool):
            return {}
        missing = {one for one in unsettled if not is_in_a_spool(self._files_root, one)}
        lost = {one: self._set_aside_of(one) for one in missing & self._missing}
        self._missing = missing
        return lost

    def _set_aside_of(self, association: str) -> SetAside:
        return collections.Counter(
            name.series_hash
            for aside in aside_directories(self._files_root)
            for name, _ in contents(os.path.join(aside, association))
            if isinstance(name, EntryName)
        )
