"""The root of the storage as the operator's commands find it: judged as the gateway does, with their database."""

from collections.abc import Iterator
from typing import NamedTuple

from oxidicom.judgement.condition import Trouble
from oxidicom.judgement.judgement import Level, Reason
from oxidicom.judgement.rules import of_storage
from oxidicom.operations.database import database_has_files
from oxidicom.settings import Settings
from oxidicom.storage.root import Root, look_at_root
from oxidicom.storage.trouble import StorageTrouble, remedy_of, sentence_of, trouble_of_bare_root


class FoundRoot(NamedTuple):
    """What stands at the root, and what is wrong with that."""

    root: Root
    trouble: StorageTrouble

    @property
    def is_new(self) -> bool:
        """Whether it is the root of a new installation."""
        return self.root is Root.BARE and not self.trouble

    @property
    def is_unusable(self) -> bool:
        """Whether it is known not to be the storage."""
        return self.trouble in (StorageTrouble.ROOT_MISSING, StorageTrouble.ROOT_BARE)


def find_root(settings: Settings) -> FoundRoot:
    """Look at the root; only where that does not tell, the database is asked. Raise OSError."""
    root = look_at_root(settings.files_root)
    if root is Root.MISSING:
        return FoundRoot(root, StorageTrouble.ROOT_MISSING)
    if root is Root.BARE:
        return FoundRoot(root, trouble_of_bare_root(database_has_files(settings)))
    return FoundRoot(root, StorageTrouble.NONE)


def of_root(found: FoundRoot, expects_gateway: bool = False) -> Iterator[Reason]:
    """Is it the storage? Who `expects_gateway` is not content with doubt: one that runs leaves something there."""
    if found.trouble is StorageTrouble.ROOT_UNCERTAIN:
        yield Reason(
            Level.CRITICAL if expects_gateway else Level.WARNING,
            "storage",
            "nothing is in .oxidicom nor below SERVICES/PACS: a new installation, or the storage is not mounted; the "
            "database cannot be asked which",
            "unless this is a new installation, mount CUBE's storage at CHRIS_FILES_ROOT",
        )
    elif found.trouble:
        yield from of_storage(Trouble(sentence_of(found.trouble), remedy_of(found.trouble)))
