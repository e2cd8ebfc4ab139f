"""The root must be the root: what stands there tells, and nothing is made where it may be a mount point."""

import os

import pytest

from oxidicom.spool.gateway_directory import Storage
from oxidicom.storage.root import Root, has_tree, identity_of, look_at_root, make_identity, make_tree


@pytest.fixture
def root(tmp_path):
    (tmp_path / "files").mkdir()
    return tmp_path / "files"


def test_nothing_there_is_no_root(tmp_path):
    assert look_at_root(str(tmp_path / "missing")) is Root.MISSING
    (tmp_path / "file").touch()
    assert look_at_root(str(tmp_path / "file")) is Root.MISSING


@pytest.mark.parametrize("there", ["", "home/user", "SERVICES", "SERVICES/PACS", ".oxidicom"])
def test_a_root_without_a_sign_of_a_gateway_or_of_files_is_bare(root, there):
    os.makedirs(root / there, exist_ok=True)
    assert look_at_root(str(root)) is Root.BARE


@pytest.mark.parametrize("there", [".oxidicom/identity", ".oxidicom/set-aside", "SERVICES/PACS/TEST"])
def test_a_root_that_was_used_is_there(root, there):
    os.makedirs(root / there)
    assert look_at_root(str(root)) is Root.THERE


def test_the_tree_is_made_below_a_root_that_is_there(root, tmp_path):
    assert not has_tree(str(root))
    for _ in range(2):
        make_tree(str(root))
    assert has_tree(str(root))
    with pytest.raises(FileNotFoundError):
        make_tree(str(tmp_path / "missing"))


def test_the_identity_is_written_once(root):
    (root / ".oxidicom").mkdir()
    assert identity_of(str(root)) is None
    identity = make_identity(str(root))
    assert identity_of(str(root)) == make_identity(str(root)) == identity


@pytest.mark.parametrize("content", [b"", b"\xff" * 100, b"nonsense\n"])
def test_an_identity_that_a_crash_cut_off_is_written_again(root, content):
    (root / ".oxidicom").mkdir()
    (root / ".oxidicom/identity").write_bytes(content)
    wanted = "01HZ7TF03EZD364005NP332RBQ"
    assert make_identity(str(root), wanted) == identity_of(str(root)) == wanted


def test_a_storage_that_is_mounted_again_is_known_by_its_identity(gateway_directory, tmp_path):
    files = tmp_path / "files"
    assert gateway_directory.storage() is Storage.SAME
    os.rename(files, tmp_path / "moved")
    files.mkdir()
    assert gateway_directory.storage() is Storage.OTHER
    files.rmdir()
    copied = tmp_path / "moved"
    files.mkdir()
    for name in (".oxidicom", "SERVICES"):
        os.rename(copied / name, files / name)
    assert gateway_directory.storage() is Storage.REMOUNTED


def test_a_directory_that_is_made_again_keeps_its_names_and_the_identity(gateway_directory, tmp_path):
    identity = identity_of(str(tmp_path / "files"))
    os.rename(tmp_path / "files/.oxidicom", tmp_path / "gone")
    assert not gateway_directory.is_there()
    gateway_directory.make()
    assert gateway_directory.is_there()
    assert identity_of(str(tmp_path / "files")) == identity
