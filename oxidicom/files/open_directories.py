"""Open directories of the spool: for the work on a group of entries, which are from few associations."""

import os
from types import TracebackType
from typing import Self

from oxidicom.files.descriptors import keepable

_MAX_OPEN = 64


class OpenDirectories:
    """Descriptors by association: opened at their first use, closed together; of very many the oldest are closed.

    A name that is looked up from the root each time costs a fifth of what is done there. Uses are not noted, which
    would slow each down by half: a group has rarely more associations than may be open.
    """

    def __init__(self, spool: str) -> None:
        self._spool = spool
        self._max_open = keepable(_MAX_OPEN)
        self._descriptors: dict[str, int] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for descriptor in self._descriptors.values():
            os.close(descriptor)

    def __getitem__(self, association: str) -> int:
        """Return the descriptor of the directory of an association, good until the next call. Raise OSError."""
        descriptor = self._descriptors.get(association)
        if descriptor is None:
            if len(self._descriptors) >= self._max_open:
                os.close(self._descriptors.pop(next(iter(self._descriptors))))
            path = os.path.join(self._spool, association)
            descriptor = self._descriptors[association] = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        return descriptor
