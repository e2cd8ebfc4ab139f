"""Gateways that are broken on purpose, by which the tool shows that it can fail: `python -m …mutants NAME`.

Each leaves out one step, or does it too early, and is otherwise the gateway by its command.
"""

import os
import sys
from collections.abc import Callable

from oxidicom.cli import main
from oxidicom.spool import gateway_directory, incoming, spool_writer
from oxidicom.tree import final_tree, group_sync, tree_directories
from workers.channels.messages import Instance
from workers.storage import metadata_writer, storage_worker


def _nothing(*_: object) -> None:
    pass


def _nothing_failed(*_: object) -> dict[str, OSError]:
    return {}


def _replace(owner: object, name: str, new: object) -> None:
    setattr(owner, name, new)


def _leave_out_fsync(owner: object, name: str) -> None:
    """Let a function do everything but sync."""
    fsync, whole = os.fsync, getattr(owner, name)

    def unsynced(*arguments: object) -> object:
        os.fsync = _nothing  # type: ignore[assignment]
        try:
            return whole(*arguments)
        finally:
            os.fsync = fsync

    _replace(owner, name, unsynced)


def _no_file_sync() -> None:
    """CHRIS_SCP_SYNC: the data of an instance is not synced before it is committed."""
    _replace(spool_writer.SpoolWriter, "sync_data", _nothing)


def _no_entry_sync() -> None:
    """CHRIS_SCP_SYNC: the name of an instance is not synced before it is acknowledged."""
    enter = spool_writer.SpoolWriter.enter_in_ledger

    def enter_unsynced(self: spool_writer.SpoolWriter, *arguments: object) -> None:
        self.durable = False
        try:
            enter(self, *arguments)  # type: ignore[arg-type]
        finally:
            self.durable = True

    _replace(spool_writer.SpoolWriter, "enter_in_ledger", enter_unsynced)


def _no_association_sync() -> None:
    """CHRIS_SCP_SYNC: the directory of an association is not synced into the spool."""
    _replace(spool_writer, "sync_directory", _nothing)


def _name_before_data() -> None:
    """CHRIS_SCP_SYNC: an instance has its committed name before its data is synced."""
    commit = incoming.IncomingInstance.commit

    def commit_early(self: incoming.IncomingInstance, *arguments: str) -> object:
        writer = self._spool_writer
        writer.durable, was_durable = False, writer.durable
        try:
            return commit(self, *arguments)
        finally:
            writer.durable = was_durable
            if was_durable:
                os.fsync(writer._descriptor)

    _replace(incoming.IncomingInstance, "commit", commit_early)


def _no_group_sync() -> None:
    """Storage: entries are not synced before they are placed."""
    _replace(group_sync.GroupSync, "sync", _nothing_failed)


def _no_tree_sync() -> None:
    """Storage: the directories of the tree are not synced."""
    _replace(final_tree.FinalTree, "sync_directories", _nothing_failed)


def _no_parent_sync() -> None:
    """Storage: of the tree only those directories are synced that were made by the same process."""
    _replace(tree_directories.TreeDirectories, "_note_name", _nothing)


def _no_copy_sync() -> None:
    """Storage, without links: copies are not synced before they are renamed."""
    _leave_out_fsync(final_tree, "_copy_durably")


def _registered_before_sync() -> None:
    """Storage: registration is told of a group before it is synced."""
    tell = storage_worker.StorageWorker._tell_registration

    def tell_and_sync(self: storage_worker.StorageWorker, stored: list[Instance]) -> None:
        tell(self, stored)
        self._sync._sync_filesystem()
        self._tree.sync_directories()

    _replace(storage_worker.StorageWorker, "_make_durable", lambda _, group, __: group)
    _replace(storage_worker.StorageWorker, "_tell_registration", tell_and_sync)


def _placed_before_sync() -> None:
    """Storage: an entry is linked to its final path before its data is synced."""
    make_durable = storage_worker.StorageWorker._make_durable

    def make_durable_late(
        self: storage_worker.StorageWorker,
        group: list[Instance],
        sync: Callable[[list[Instance]], list[OSError | None]],
    ) -> list[Instance]:
        if sync == self._sync_spool:
            return group
        return make_durable(self, make_durable(self, group, self._sync_spool), sync)

    _replace(storage_worker.StorageWorker, "_make_durable", make_durable_late)


def _no_value_sync() -> None:
    """Storage: a metadata value that is decided is not synced before its row."""
    _replace(metadata_writer, "sync_directory", _nothing)


def _no_format_sync() -> None:
    """The format of a gateway's spool is not synced."""
    _leave_out_fsync(gateway_directory, "_write_format")


MUTANTS: dict[str, Callable[[], None]] = {
    function.__name__.strip("_").replace("_", "-"): function
    for function in (
        _no_file_sync,
        _no_entry_sync,
        _no_association_sync,
        _name_before_data,
        _no_group_sync,
        _no_tree_sync,
        _no_parent_sync,
        _no_copy_sync,
        _registered_before_sync,
        _placed_before_sync,
        _no_value_sync,
        _no_format_sync,
    )
}


if __name__ == "__main__":
    MUTANTS[sys.argv.pop(1)]()
    main()
