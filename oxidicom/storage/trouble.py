"""What can be wrong with the storage, in the words that are used wherever it is told, and what to do about it.

Trouble of the *storage* stops reception: what cannot be kept is not answered with Success. Trouble of the *tree* stops
nothing but itself: instances wait in the spool.
"""

import enum


class StorageTrouble(enum.IntEnum):
    """What is wrong with the storage or its tree."""

    NONE = 0
    NOT_LOOKED_AT = 1
    ROOT_MISSING = 2
    ROOT_BARE = 3
    ROOT_UNCERTAIN = 4
    ROOT_CHANGED = 5
    ROOT_REFUSES = 6
    ROOT_UNWRITABLE = 7
    SPOOL_MISSING = 8
    SPOOL_REFUSES = 9
    TREE_MISSING = 10
    TREE_REFUSES = 11


_SENTENCES = {
    StorageTrouble.NOT_LOOKED_AT: "the storage has not been checked yet",
    StorageTrouble.ROOT_MISSING: "the storage is not mounted: there is no directory",
    StorageTrouble.ROOT_BARE: "the storage is not mounted: files are missing",
    StorageTrouble.ROOT_UNCERTAIN: "the storage is empty: is it mounted?",
    StorageTrouble.ROOT_CHANGED: "another storage was mounted",
    StorageTrouble.ROOT_REFUSES: "the storage cannot be read",
    StorageTrouble.ROOT_UNWRITABLE: "the storage cannot be written",
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
    StorageTrouble.ROOT_CHANGED: "mount again what was at CHRIS_FILES_ROOT when the gateway started, since "
    "acknowledged instances may wait in its spool; only if it is gone for good, restart the gateway",
    StorageTrouble.ROOT_REFUSES: "give this user the permission to read CHRIS_FILES_ROOT, or mount the storage again",
    StorageTrouble.ROOT_UNWRITABLE: "give this user write permission in CHRIS_FILES_ROOT, or mount the storage for "
    "writing (for a systemd service: ReadWritePaths=); `oxidicom check` says whose it is",
    StorageTrouble.SPOOL_REFUSES: "give this user write permission below CHRIS_FILES_ROOT/.oxidicom, or mount the "
    "storage for writing",
    StorageTrouble.TREE_MISSING: "the database has PACS files, or cannot be asked: mount the storage on which they "
    "are; only if they were removed on purpose, make any directory in SERVICES/PACS",
    StorageTrouble.TREE_REFUSES: "give this user write permission there, or mount the storage for writing",
}


def sentence_of(trouble: StorageTrouble) -> str:
    """Return what is wrong, in a few words; empty when nothing is."""
    return _SENTENCES.get(trouble, "")


def remedy_of(trouble: StorageTrouble) -> str:
    """Return what to do about it; empty when nothing is to be done."""
    return _REMEDIES.get(trouble, "")


def trouble_of_bare_root(has_files: bool | None) -> StorageTrouble:
    """Judge a root that is bare by whether the database knows PACS files (None: it cannot be asked).

    None are known: it is a new installation, and nothing is wrong.
    """
    if has_files is None:
        return StorageTrouble.ROOT_UNCERTAIN
    return StorageTrouble.ROOT_BARE if has_files else StorageTrouble.NONE
