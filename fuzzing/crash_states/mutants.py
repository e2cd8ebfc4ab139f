"""Gateways that are broken on purpose, by which the tool shows that it can fail: `python -m …mutants NAME`.

Each leaves out one step, or does it too early, and is otherwise the gateway by its command.
"""

import os
import sys
from collections.abc import Callable

from oxidicom.cli import main
from oxidicom.spool import gateway_directory, incoming, spool_writer
from oxidicom.tree import final_tree, group_sync, tree_directories
from workers.storage import metadata_writer, storage_worker


def _nothing(*_: object) -> None:
    pass


def _replace(owner: object, name: str, new: object) -> None:
    setattr(owner, name, new)


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
    _replace(group_sync.GroupSync, "sync", _nothing)


def _no_tree_sync() -> None:
    """Storage: the directories of the tree are not synced."""
    _replace(final_tree.FinalTree, "sync_directories", _nothing)


def _no_parent_sync() -> None:
    """Storage: of the tree only those directories are synced that were made by the same process."""
    _replace(tree_directories.TreeDirectories, "_note_name", _nothing)


def _no_copy_sync() -> None:
    """Storage, without links: copies are not synced before they are renamed."""
    fsync, copy = os.fsync, final_tree._copy_durably

    def copy_unsynced(source: final_tree._Original, target: int) -> None:
        os.fsync = _nothing  # type: ignore[assignment]
        try:
            copy(source, target)
        finally:
            os.fsync = fsync

    _replace(final_tree, "_copy_durably", copy_unsynced)


def _stored_before_sync() -> None:
    """Storage: an entry is `.stored`, and so is registered, before it is synced."""
    make_durable = storage_worker.StorageWorker._make_durable
    late: list[Callable[[], object]] = []

    def say_so(self: storage_worker.StorageWorker, group: list, sync: Callable) -> bool:  # type: ignore[type-arg]
        while late:
            late.pop()()
        late.append(lambda: make_durable(self, group, sync))
        return bool(group)

    _replace(storage_worker.StorageWorker, "_make_durable", say_so)


def _no_value_sync() -> None:
    """Storage: a metadata value that is decided is not synced before its row."""
    _replace(metadata_writer, "sync_directory", _nothing)


def _no_format_sync() -> None:
    """The format of a gateway's spool is not synced."""
    fsync, write = os.fsync, gateway_directory._write_format

    def write_unsynced(path: str, written: gateway_directory.Format) -> None:
        os.fsync = _nothing  # type: ignore[assignment]
        try:
            write(path, written)
        finally:
            os.fsync = fsync

    _replace(gateway_directory, "_write_format", write_unsynced)


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
        _stored_before_sync,
        _no_value_sync,
        _no_format_sync,
    )
}


if __name__ == "__main__":
    MUTANTS[sys.argv.pop(1)]()
    main()
