"""The storage is a mount: no Success is given for what would land below its mount point, and no hand is needed."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.acceptance.drills.account import metadata_is_right, nothing_lost, settled
from tests.dicom import contexts_of, make_series, open_association, send
from tests.powers import filesystem_in_memory, need_mounts
from tests.waiting import wait_until

OUT_OF_RESOURCES = 0xA700


class Storage:
    """A directory that is mounted, by a bind, where the gateway looks for its storage."""

    def __init__(self, directory):
        self.real, self.point = directory / "real", directory / "files"
        self.real.mkdir()
        self.point.mkdir()

    def mount(self):
        subprocess.run(["mount", "--bind", self.real, self.point], check=True)

    def unmount(self):
        subprocess.run(["umount", "--lazy", self.point], check=True)

    @property
    def is_mounted(self):
        return os.path.samefile(self.real, self.point)

    def below(self):
        """Return what stands below the mount point while nothing is mounted."""
        assert not self.is_mounted
        return list(self.point.iterdir())


@pytest.fixture
def storage(tmp_path):
    need_mounts()
    made = Storage(tmp_path)
    yield made
    while made.is_mounted:
        made.unmount()


@pytest.fixture
def used(storage, make_gateway, tmp_path):
    """A stopped gateway whose storage and database know a series of two instances."""
    storage.mount()
    gateway = make_gateway(new=True)
    gateway.sent = {f"1.2.3.{n}": path for n, path in enumerate(make_series(tmp_path / "in", 2, "1.2.3"), 1)}
    assert {status.Status for status in send(gateway.port, gateway.sent.values())} == {0}
    settled(gateway)
    gateway.stop()
    return gateway


def statuses(gateway, directory, series_uid, count=2):
    paths = make_series(directory / series_uid, count, series_uid)
    answers = send(gateway.port, paths)
    assert all(answer.Status == 0 or answer.ErrorComment for answer in answers)
    return [answer.Status for answer in answers], {f"{series_uid}.{n}": path for n, path in enumerate(paths, 1)}


def is_taken(gateway, directory, series_uid):
    """Send a series again and again until all of it is taken; return what was sent."""
    sent = {}

    def all_taken():
        answers, paths = statuses(gateway, directory, series_uid)
        sent.update(paths)
        return set(answers) == {0}

    wait_until(all_taken, "instances are taken", 60)
    return sent


def test_a_gateway_that_starts_before_its_storage_is_mounted_waits_for_it(used, storage, rows, tmp_path):
    storage.unmount()
    used.start(wait=False)
    (line,) = wait_until(lambda: used.lines("storage_unavailable"), "it says why")
    assert "not mounted" in line["message"]
    assert "mount" in line["message"]
    answers, _ = statuses(used, tmp_path, "1.2.4")
    assert answers == [OUT_OF_RESOURCES] * 2
    assert not used.lines("ready")[1:]
    assert storage.below() == []
    storage.mount()
    wait_until(lambda: used.lines("ready")[1:], "it goes on by itself")
    sent = is_taken(used, tmp_path, "1.2.5")
    settled(used)
    nothing_lost(used, rows, {**used.sent, **sent})
    assert metadata_is_right(rows(metadata=True)) == 4


def test_a_storage_that_is_unmounted_and_mounted_again_under_a_running_gateway(used, storage, rows, tmp_path):
    used.start()
    first = is_taken(used, tmp_path, "1.2.4")
    (path,) = make_series(tmp_path / "open", 1, "1.2.6")
    association = open_association(used.port, contexts_of([path]))
    storage.unmount()
    wait_until(lambda: used.lines("storage_unavailable"), "it is noticed")
    answers, _ = statuses(used, tmp_path, "1.2.5")
    assert answers == [OUT_OF_RESOURCES] * 2
    assert association.send_c_store(os.fspath(path)).Status == OUT_OF_RESOURCES
    assert storage.below() == []
    storage.mount()
    second = is_taken(used, tmp_path, "1.2.5")
    association.release()
    settled(used, 90)
    nothing_lost(used, rows, {**used.sent, **first, **second})


def test_what_waits_when_the_storage_goes_is_registered_when_it_is_there_again(used, storage, rows, tmp_path):
    """The backlog is in the spool of the storage that went."""
    os.rename(storage.real / "SERVICES/PACS", storage.real / "aside")
    (storage.real / "SERVICES/PACS").write_bytes(b"in the way")
    used.start()
    sent = is_taken(used, tmp_path, "1.2.4")
    storage.unmount()
    wait_until(lambda: used.lines("storage_unavailable"), "it is noticed")
    os.unlink(storage.real / "SERVICES/PACS")
    os.rename(storage.real / "aside", storage.real / "SERVICES/PACS")
    storage.mount()
    settled(used, 90)
    nothing_lost(used, rows, {**used.sent, **sent})


def test_services_that_is_a_mount_of_its_own_and_goes(used, storage, rows, tmp_path):
    """Below its mount point stands what looks like a tree. Everything waits in the spool, which is on the root."""
    services, point = tmp_path / "services", storage.point / "SERVICES"
    os.rename(storage.real / "SERVICES", services)
    (point / "PACS").mkdir(parents=True)
    subprocess.run(["mount", "--bind", services, point], check=True)
    try:
        used.start()
        sent = is_taken(used, tmp_path, "1.2.4")
        settled(used)
        subprocess.run(["umount", "--lazy", point], check=True)
        sent |= is_taken(used, tmp_path, "1.2.5")
        wait_until(lambda: used.lines("tree_unavailable"), "it is noticed")
        sent |= is_taken(used, tmp_path, "1.2.6")
        assert list((point / "PACS").iterdir()) == []
        subprocess.run(["mount", "--bind", services, point], check=True)
        settled(used, 90)
        nothing_lost(used, rows, {**used.sent, **sent})
        used.stop()
    finally:
        subprocess.run(["umount", "--lazy", point], check=False)


def test_a_root_that_does_not_exist_is_never_made(used, storage, tmp_path):
    storage.unmount()
    storage.point.rmdir()
    used.start(wait=False)
    (line,) = wait_until(lambda: used.lines("storage_unavailable"), "it says why")
    assert "no directory" in line["message"]
    assert statuses(used, tmp_path, "1.2.4")[0] == [OUT_OF_RESOURCES] * 2
    assert not storage.point.exists()
    storage.point.mkdir()
    storage.mount()
    wait_until(lambda: used.lines("ready")[1:], "it goes on by itself")


def test_another_storage_at_the_same_place_is_not_taken_for_it(used, storage, rows, tmp_path):
    used.start()
    other = tmp_path / "other"
    (other / "SERVICES/PACS/OTHER").mkdir(parents=True)
    storage.unmount()
    subprocess.run(["mount", "--bind", other, storage.point], check=True)
    try:
        wait_until(lambda: used.lines("storage_unavailable"), "it is noticed")
        assert statuses(used, tmp_path, "1.2.4")[0] == [OUT_OF_RESOURCES] * 2
        assert sorted(path.name for path in other.iterdir()) == ["SERVICES"]
    finally:
        subprocess.run(["umount", "--lazy", storage.point], check=True)
    storage.mount()
    sent = is_taken(used, tmp_path, "1.2.5")
    settled(used, 90)
    nothing_lost(used, rows, {**used.sent, **sent})


def test_a_new_installation_starts_without_a_switch(make_gateway, rows, tmp_path):
    gateway = make_gateway(new=True)
    sent = is_taken(gateway, tmp_path, "1.2.3")
    settled(gateway)
    nothing_lost(gateway, rows, sent)


def test_a_new_volume_is_taken_although_the_database_is_not_there_yet(storage, make_gateway, tmp_path):
    """Database and gateway of a new installation start at the same moment."""
    with filesystem_in_memory(storage.point, 16):
        gateway = make_gateway(db="host=127.0.0.1 port=1", new=True, CHRIS_STORAGE_RESERVE_BYTES="0")
        is_taken(gateway, tmp_path, "1.2.3")
        gateway.stop()


def test_an_empty_directory_is_not_taken_before_the_database_says_that_it_is_new(
    make_gateway, proxied, proxy, tmp_path
):
    proxy.refuse()
    gateway = make_gateway(start=False, db=proxied, new=True)
    gateway.start(wait=False)
    wait_until(lambda: gateway.lines("storage_unavailable"), "it says why")
    assert statuses(gateway, tmp_path, "1.2.4")[0] == [OUT_OF_RESOURCES] * 2
    assert list(gateway.files_root.iterdir()) == []
    proxy.accept()
    is_taken(gateway, tmp_path, "1.2.5")


@pytest.mark.parametrize("what", [".oxidicom", ".oxidicom/0*", ".oxidicom/0*/spool", ".oxidicom/0*/lock"])
def test_a_spool_that_is_removed_under_a_running_gateway_is_made_again(what, gateway, rows, tmp_path):
    first = is_taken(gateway, tmp_path, "1.2.3")
    settled(gateway)
    (removed,) = gateway.files_root.glob(what)
    if removed.is_dir():
        shutil.rmtree(removed)
    else:
        removed.unlink()
    wait_until(lambda: gateway.lines("storage_renewed"), "it is noticed")
    second = is_taken(gateway, tmp_path, "1.2.4")
    settled(gateway)
    nothing_lost(gateway, rows, {**first, **second})
    assert Path(gateway.files_root, ".oxidicom", "set-aside").is_dir()
    assert len(gateway.lines("storage_renewed")) == 1
    assert not gateway.lines("spool_unavailable")
