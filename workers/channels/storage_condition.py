"""The condition of the storage: what the steward and the storage workers find, and all read on the scoreboard."""

from oxidicom.storage.trouble import StorageTrouble
from workers.channels.scoreboard import Counter, Role, Scoreboard


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
