"""The temporary files of commands: for what there may be any number of, which is not kept in memory."""

import contextlib
from collections.abc import Iterator

from oxidicom.errors import OperationError


@contextlib.contextmanager
def blamed_on_their_place(*failures: type[Exception]) -> Iterator[None]:
    """Raise OperationError, which names TMPDIR, for a failure of a temporary file: it is none of the storage."""
    try:
        yield
    except failures as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
        raise OperationError(
            f"temporary files cannot be written: {reason}. Set TMPDIR to a directory that has room for them"
        ) from error
