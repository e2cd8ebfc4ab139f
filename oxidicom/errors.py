"""The errors of this library.

OxidicomError
 ├── ConfigurationError        settings that cannot be used; holds all their faults at once
 ├── CertificateError          certificate or key of TLS cannot be used; at a reload the old ones stay
 ├── BootError                 a process cannot begin its work (storage not to be written, port taken); ends a start
 ├── ProtocolError             a peer broke PS3.8 or PS3.7; the association is aborted
 ├── DatasetError              one instance cannot be taken; the association goes on
 ├── DatabaseUnavailableError  CUBE's database cannot be used at present; work waits in the spool
 │    └── NotMigratedError     it has no tables for PACS files
 ├── FilesGoneError            files went away before their rows were committed; they are stored anew
 ├── RowRefusedError           the database refuses one row; it is set aside
 └── OperationError            a command of the operator cannot do its work

and, in their rooms, `PacsError` (`oxidicom/pacs/errors.py`) and `NoRowError` (`oxidicom/operations/repair.py`).

A message never holds patient data: it names attributes, columns and lengths, not values.
"""

from collections.abc import Collection, Sequence


class OxidicomError(Exception):
    """Base of all errors that this program raises on purpose."""


class ConfigurationError(OxidicomError):
    """Settings that cannot be used. `faults` has one sentence for each."""

    def __init__(self, faults: Sequence[str]) -> None:
        super().__init__("; ".join(faults))
        self.faults = tuple(faults)


class CertificateError(OxidicomError):
    """Certificate, key or client CA cannot be used. The message names variable, file and cause."""


class BootError(OxidicomError):
    """A process cannot begin its work, since something that it needs is not there."""


class ProtocolError(OxidicomError):
    """A peer sent what PS3.8 or PS3.7 does not allow here.

    `abort_reason` is the reason code of the A-ABORT of the service provider (PS3.8, 9.3.8).
    """

    def __init__(self, message: str, abort_reason: int = 0) -> None:
        super().__init__(message)
        self.abort_reason = abort_reason


class DatasetError(OxidicomError):
    """One instance cannot be stored.

    `status` is the DIMSE status to answer with, C000 (cannot understand) unless it is known better;
    `offending_tags` are the attributes to blame, as 32-bit tags. The message is sent as Error Comment.
    """

    def __init__(self, message: str, status: int = 0xC000, offending_tags: Sequence[int] = ()) -> None:
        super().__init__(message)
        self.status = status
        self.offending_tags = tuple(offending_tags)
        self.series_instance_uid = ""
        """That of the instance, once it is known."""


class DatabaseUnavailableError(OxidicomError):
    """CUBE's database cannot be used at present. The message is the reason that is shown; nothing is lost.

    `has_waited`: it was waited for there, so that it may be tried again at once. `grants` are statements that give our
    user the rights for want of which it cannot be used.
    """

    def __init__(self, message: str, *, has_waited: bool = False, grants: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.has_waited = has_waited
        self.grants = tuple(grants)


class NotMigratedError(DatabaseUnavailableError):
    """The database has no tables for PACS files: CUBE has not migrated it yet, or it is another one."""


class FilesGoneError(OxidicomError):
    """Files are not at their final paths any more. Their rows are not committed; `names` has their paths."""

    def __init__(self, names: Collection[str]) -> None:
        super().__init__(f"files are not there any more: {len(names)}")
        self.names = frozenset(names)


class RowRefusedError(OxidicomError):
    """The database, or the client library on its behalf, refuses a row for what it holds."""

    def __init__(self, message: str, sqlstate: str | None = None) -> None:
        super().__init__(message)
        self.sqlstate = sqlstate


class OperationError(OxidicomError):
    """A command of the operator cannot do its work. The message says why, and what to do."""
