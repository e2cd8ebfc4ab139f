"""The condition of the storage: what the steward and the storage workers find, and everybody reads on the scoreboard.

Trouble of the *storage* stops reception: what cannot be kept is not answered with Success. Trouble of the *tree* stops
nothing but itself: instances wait in the spool.
"""

import enum

from workers.channels.scoreboard import Counter, Role, Scoreboard


class StorageTrouble(enum.IntEnum):
    """What is wrong with the storage or its tree."""

    NONE = 0
    NOT_LOOKED_AT = 1
    ROOT_MISSING = 2
    ROOT_BARE = 3
    ROOT_UNCERTAIN = 4
    ROOT_CHANGED = 5
    ROOT_REFUSES = 6
    SPOOL_MISSING = 7
    SPOOL_REFUSES = 8
    TREE_MISSING = 9
    TREE_REFUSES = 10


_SENTENCES = {
    StorageTrouble.NOT_LOOKED_AT: "the storage has not been checked yet",
    StorageTrouble.ROOT_MISSING: "the storage is not mounted: no directory",
    StorageTrouble.ROOT_BARE: "the storage is not mounted: files are missing",
    StorageTrouble.ROOT_UNCERTAIN: "the storage is empty: is it mounted?",
    StorageTrouble.ROOT_CHANGED: "another storage was mounted",
    StorageTrouble.ROOT_REFUSES: "the storage cannot be read",
    StorageTrouble.SPOOL_MISSING: "the spool is gone and is made again",
    StorageTrouble.SPOOL_REFUSES: "the spool takes no files",
    StorageTrouble.TREE_MISSING: "SERVICES/PACS is missing or empty",
    StorageTrouble.TREE_REFUSES: "SERVICES/PACS takes no files",
}
"""Short enough for an Error Comment (at most 64 characters)."""

_REMEDIES = {
    StorageTrouble.ROOT_MISSING: "mount CUBE's storage at CHRIS_FILES_ROOT, or set that to where it is",
    StorageTrouble.ROOT_BARE: "CHRIS_FILES_ROOT has nothing in .oxidicom nor below SERVICES/PACS, although this is no "
    "new installation: mount CUBE's storage there. Only if its files were removed on purpose, make an empty file "
    ".oxidicom/identity in it",
    StorageTrouble.ROOT_UNCERTAIN: "CHRIS_FILES_ROOT has nothing in .oxidicom nor below SERVICES/PACS, and the "
    "database cannot be asked whether this is a new installation: mount CUBE's storage there, or start its database",
    StorageTrouble.ROOT_CHANGED: "CHRIS_FILES_ROOT is not the storage that it was when the gateway started, in whose "
    "spool acknowledged instances may wait: mount that again; only if it is gone for good, restart the gateway",
    StorageTrouble.ROOT_REFUSES: "give this user the permission to read CHRIS_FILES_ROOT, or mount the storage again",
    StorageTrouble.SPOOL_REFUSES: "give this user write permission below CHRIS_FILES_ROOT/.oxidicom, or mount the "
    "storage for writing",
    StorageTrouble.TREE_MISSING: "the database has PACS files, or cannot be asked: mount the storage on which they "
    "are; only if they were removed on purpose, make any directory in it",
    StorageTrouble.TREE_REFUSES: "give this user write permission there, or mount the storage for writing",
}


def sentence_of(trouble: StorageTrouble) -> str:
    """Return what is wrong, in a few words; empty when nothing is."""
    return _SENTENCES.get(trouble, "")


def remedy_of(trouble: StorageTrouble) -> str:
    """Return what to do about it; empty when nothing is to be done."""
    return _REMEDIES.get(trouble, "")


class StorageCondition:
    """Reads the condition of the storage, and its time, from the scoreboard."""

    def __init__(self, scoreboard: Scoreboard) -> None:
        self._steward = scoreboard.of_role(Role.STEWARD)[0]
        self._storage = scoreboard.of_role(Role.STORAGE)

    @property
    def trouble(self) -> StorageTrouble:
        """Why no instance can be taken; NONE when all is well."""
        return StorageTrouble(self._steward[Counter.STORAGE_TROUBLE])

    @property
    def is_good(self) -> bool:
        """Whether instances can be taken."""
        return not self._steward[Counter.STORAGE_TROUBLE]

    @property
    def is_being_prepared(self) -> bool:
        """Whether nothing is known yet that speaks against the storage, and what it needs is about to be made."""
        return self.trouble in (StorageTrouble.NOT_LOOKED_AT, StorageTrouble.SPOOL_MISSING)

    @property
    def tree_is_there(self) -> bool:
        """Whether the steward has found that the tree is the tree, and can be written."""
        return not self._steward[Counter.TREE_TROUBLE]

    @property
    def tree_place(self) -> tuple[int, int] | None:
        """Device and inode of the tree, as the steward has found it; None: it has not yet."""
        device, inode = self._steward[Counter.TREE_DEVICE], self._steward[Counter.TREE_INODE]
        return (device, inode) if inode else None

    @property
    def tree_trouble(self) -> StorageTrouble:
        """Why no file can be stored at its final path; NONE when all is well."""
        return StorageTrouble(max(slot[Counter.TREE_TROUBLE] for slot in (self._steward, *self._storage)))
