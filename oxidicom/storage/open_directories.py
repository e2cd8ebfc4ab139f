"""Open directories of the spool: for the work on a group of entries, which are from few associations."""

import os
from types import TracebackType
from typing import Self


class OpenDirectories:
    """Descriptors by association, opened at their first use and closed together.

    A name that is looked up from the root each time costs a fifth of what is done there.
    """

    def __init__(self, spool: str) -> None:
        self._spool = spool
        self._descriptors: dict[str, int] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for descriptor in self._descriptors.values():
            os.close(descriptor)

    def __getitem__(self, association: str) -> int:
        """Return the descriptor of the directory of an association. Raise OSError."""
        descriptor = self._descriptors.get(association)
        if descriptor is None:
            path = os.path.join(self._spool, association)
            descriptor = self._descriptors[association] = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        return descriptor
