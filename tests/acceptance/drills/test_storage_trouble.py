"""Trouble with the storage: before Success it is a transient refusal, after Success it is tried again."""

import errno
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.acceptance.drills.account import metadata_is_right, nothing_lost, settled
from tests.dicom import LARGE, SMALL, contexts_of, make_series, open_association, send
from tests.powers import filesystem_in_memory
from tests.waiting import wait_until

OUT_OF_RESOURCES = 0xA700


def free_bytes(path):
    space = os.statvfs(path)
    return space.f_bavail * space.f_frsize


# -- in the spool ----------------------------------------------------------------------------------------------------


@pytest.mark.strace
@pytest.mark.parametrize(
    ("size", "calls", "error"),
    [
        pytest.param(SMALL, "openat", "EROFS", id="small-openat"),
        pytest.param(SMALL, "writev", "EIO", id="small-writev"),
        pytest.param(SMALL, "write", "ENOSPC", id="small-write"),
        pytest.param(LARGE, "openat", "EROFS", id="large-openat"),
        pytest.param(LARGE, "writev", "EDQUOT", id="large-writev"),
        pytest.param(LARGE, "/^rename", "EIO", id="large-rename"),
    ],
)
def test_an_error_of_the_spool_costs_one_instance_and_is_transient(
    size, calls, error, make_gateway, inject, rows, tmp_path
):
    gateway = make_gateway(CHRIS_LISTENER_THREADS="1")
    paths = make_series(tmp_path / "in", 3, "1.2.3", **size)
    association = open_association(gateway.port, contexts_of(paths))
    assert association.send_c_store(os.fspath(paths[0])).Status == 0
    inject(gateway.pids_of("listener")[0], calls, f"error={error}:when=1")
    refused = association.send_c_store(os.fspath(paths[1]))
    assert refused.Status == OUT_OF_RESOURCES
    assert os.strerror(getattr(errno, error)) in refused.ErrorComment
    assert not gateway.find(".oxidicom/0*/spool/*/000002*"), "its space is given back"
    assert association.send_c_store(os.fspath(paths[2])).Status == 0, "the association goes on"
    association.release()
    settled(gateway)
    found = nothing_lost(gateway, rows, {"1.2.3.1": paths[0], "1.2.3.3": paths[2]})
    assert len(found) == metadata_is_right(rows(metadata=True)) == 2


@pytest.fixture
def small_disk(tmp_path):
    """The storage is a filesystem of 16 MiB."""
    path = tmp_path / "files"
    path.mkdir()
    with filesystem_in_memory(path, 16):
        yield path


def large_series(directory, count):
    """Instances of 1 MiB."""
    return make_series(directory, count, "1.2.3", PixelData=bytes(1 << 20), Rows=1024, Columns=512)


def statuses_of(gateway, paths):
    return [status.Status for status in send(gateway.port, paths)]


def acknowledged(paths, statuses):
    return {
        f"1.2.3.{number}": path
        for number, (path, status) in enumerate(zip(paths, statuses, strict=True), 1)
        if status == 0
    }


@pytest.mark.parametrize("reserve", ["0", str(8 << 20)])
def test_a_disk_that_fills_up_and_is_emptied_again(reserve, small_disk, make_gateway, rows, tmp_path):
    """With a reserve it is never full; without one it is, and still nothing that was acknowledged is lost."""
    gateway = make_gateway(CHRIS_STORAGE_RESERVE_BYTES=reserve)
    paths = large_series(tmp_path / "in", 20)
    statuses = statuses_of(gateway, paths)
    assert set(statuses) == {0, OUT_OF_RESOURCES}
    assert statuses[0] == 0
    first = acknowledged(paths, statuses)
    if reserve != "0":
        assert int(reserve) - (2 << 20) < free_bytes(small_disk)
        assert len(first) in (7, 8)
        settled(gateway)
        nothing_lost(gateway, rows, first)
    wait_until(lambda: len(rows()) == len(first), "the rows")
    shutil.rmtree(small_disk / "SERVICES" / "PACS" / "TEST")  # CUBE makes room
    settled(gateway, 90)
    assert metadata_is_right(rows(metadata=True)) == len(first)
    assert set(statuses_of(gateway, paths[:3])) == {0}, "it recovers by itself"


def test_a_large_instance_stops_at_the_reserve_while_it_comes(small_disk, make_gateway, tmp_path):
    gateway = make_gateway(CHRIS_STORAGE_RESERVE_BYTES=str(4 << 20))
    paths = make_series(tmp_path / "in", 1, "1.2.3", PixelData=bytes(64 << 20), Rows=1024, Columns=32768)
    assert statuses_of(gateway, paths) == [OUT_OF_RESOURCES]
    wait_until(lambda: free_bytes(small_disk) > 15 << 20, "its space is given back")


# -- at the final path, after Success --------------------------------------------------------------------------------


@pytest.mark.strace
@pytest.mark.parametrize(
    ("calls", "error"),
    [("linkat", "EIO"), ("linkat", "ENOSPC"), ("fdatasync", "EIO"), ("fsync", "EIO"), ("/^rename", "EIO")],
)
def test_an_error_after_success_is_tried_again(calls, error, make_gateway, inject, rows, tmp_path):
    gateway = make_gateway(CHRIS_LISTENER_THREADS="1", TOKIO_WORKER_THREADS="1")
    (first,) = make_series(tmp_path / "first", 1, "1.2.2")
    assert statuses_of(gateway, [first]) == [0]
    settled(gateway)  # by now it has tried the tree
    (path,) = make_series(tmp_path / "in", 1, "1.2.3")
    tracer = inject(gateway.pids_of("storage")[0], calls, f"error={error}:when=1")
    assert statuses_of(gateway, [path]) == [0]
    settled(gateway)
    assert "INJECTED" in tracer.output()
    nothing_lost(gateway, rows, {"1.2.2.1": first, "1.2.3.1": path})
    assert metadata_is_right(rows(metadata=True)) == 2
    assert gateway.lines("store_failed")


@pytest.mark.strace
def test_a_file_whose_sync_failed_is_written_anew(make_gateway, trace, rows, tmp_path):
    """After a failed sync Linux marks the pages clean: a second sync of the same file would mean nothing."""
    gateway = make_gateway(CHRIS_LISTENER_THREADS="1", TOKIO_WORKER_THREADS="1")
    (path,) = make_series(tmp_path / "in", 1, "1.2.3")
    storage = gateway.pids_of("storage")[0]
    tracer = trace(storage, "fdatasync,/^rename", "-s", "500", "-e", "inject=fdatasync:error=EIO:when=1")
    assert statuses_of(gateway, [path]) == [0]
    settled(gateway)
    assert "INJECTED" in tracer.output()
    assert re.search(r'rename\w*\(.*/tmp/\d+", .*\.received"', tracer.output()), "a copy takes the place of the entry"
    nothing_lost(gateway, rows, {"1.2.3.1": path})


@pytest.fixture
def final_path(tmp_path_factory, make_gateway):
    """Where the first instance of the series 1.2.3 goes: learnt from another gateway."""
    directory = tmp_path_factory.mktemp("other")
    other = make_gateway(name="other", directory=directory)
    send(other.port, make_series(directory / "in", 1, "1.2.3"))
    wait_until(lambda: not other.spooled(), "it is through")
    other.stop()
    return other.stored()[0]


def directory_in_the_way(path):
    path.mkdir(parents=True)
    return path.rmdir


def immutable_directory(path):
    path.parent.mkdir(parents=True)
    if os.geteuid() != 0 or subprocess.run(["chattr", "+i", path.parent], capture_output=True).returncode != 0:
        pytest.skip("chattr +i is not possible here: run the drills as root on ext4, XFS or Btrfs")
    return lambda: subprocess.run(["chattr", "-i", path.parent], check=True)


@pytest.mark.parametrize("obstacle", [directory_in_the_way, immutable_directory])
def test_an_obstacle_at_the_final_path_is_waited_for(obstacle, final_path, make_gateway, database, rows, tmp_path):
    gateway = make_gateway(start=False)
    remove = obstacle(gateway.files_root / final_path)
    try:
        gateway.start()
        paths = make_series(tmp_path / "in", 2, "1.2.3")
        assert statuses_of(gateway, paths) == [0, 0]
        (line, *_) = wait_until(lambda: gateway.lines("store_failed"), "it is shown")
        assert "tried again" in line["message"]
    finally:
        remove()
    settled(gateway)
    assert len(rows()) >= 2
    assert gateway.stored()[0] == final_path
    assert not gateway.find(".oxidicom/set-aside/*")


@pytest.mark.timeout(300)
def test_an_obstacle_that_stays_is_set_aside_in_the_end(long_drill, final_path, make_gateway, rows, tmp_path):
    if not long_drill:
        pytest.skip("takes two minutes: make drills")
    gateway = make_gateway(start=False)
    (gateway.files_root / final_path).mkdir(parents=True)
    gateway.start()
    paths = make_series(tmp_path / "in", 3, "1.2.3")
    assert statuses_of(gateway, paths) == [0, 0, 0]
    wait_until(lambda: gateway.lines("instance_set_aside"), "it is given up and set aside", 200)
    settled(gateway)
    (reason,) = gateway.find(".oxidicom/set-aside/*/*.json")
    assert "cannot be stored" in reason.read_text()
    assert metadata_is_right(rows(metadata=True)) == 1 + 3, (
        "three were acknowledged, beside the one of the other gateway"
    )


def test_a_series_directory_that_cube_deletes_meanwhile_is_made_again(gateway, rows, tmp_path):
    paths = make_series(tmp_path / "in", 2, "1.2.3")
    association = open_association(gateway.port, contexts_of(paths))
    assert association.send_c_store(os.fspath(paths[0])).Status == 0
    (row,) = wait_until(rows, "the first row")
    # Until its entry is gone, a file that vanishes is stored again from it.
    wait_until(lambda: not gateway.find(".oxidicom/0*/spool/*/000001-*"), "the entry of the first is gone")
    shutil.rmtree((gateway.files_root / row["fname"]).parent)
    assert association.send_c_store(os.fspath(paths[1])).Status == 0
    association.release()
    settled(gateway)
    assert len(gateway.stored()) == 1


def test_a_series_directory_on_another_filesystem_gets_copies(final_path, make_gateway, rows, tmp_path):
    gateway = make_gateway(start=False)
    mount = (gateway.files_root / final_path).parent
    mount.mkdir(parents=True)
    with filesystem_in_memory(mount, 16):
        gateway.start()
        paths = make_series(tmp_path / "in", 2, "1.2.3")
        assert statuses_of(gateway, paths) == [0, 0]
        settled(gateway)
        found = rows()
        assert {Path(row["fname"]).name for row in found} >= {path.name for path in mount.iterdir() if path.is_file()}
        assert len(list(mount.glob("*.dcm"))) == 2
        gateway.stop()


# -- answers after the sync ------------------------------------------------------------------------------------------


@pytest.mark.strace
@pytest.mark.parametrize("size", [SMALL, LARGE], ids=["small", "large"])
def test_on_request_success_is_answered_after_the_sync(size, make_gateway, trace, rows, tmp_path):
    """CHRIS_SCP_SYNC=yes: data, then name, then directory; only then the answer."""
    gateway = make_gateway(CHRIS_LISTENER_THREADS="1", CHRIS_SCP_SYNC="yes")
    paths = make_series(tmp_path / "in", 2, "1.2.3", **size)
    association = open_association(gateway.port, contexts_of(paths))
    assert association.send_c_store(os.fspath(paths[0])).Status == 0
    tracer = trace(gateway.pids_of("listener")[0], "fdatasync,/^rename,fsync,sendto")
    assert association.send_c_store(os.fspath(paths[1])).Status == 0
    tracer.detach()
    association.release()
    assert tracer.calls() == ["fdatasync", "renameat", "fsync", "sendto", "sendto"]
    settled(gateway)
    nothing_lost(gateway, rows, {"1.2.3.1": paths[0], "1.2.3.2": paths[1]})
