"""A file stands at its final path when it can be seen there: anything else is no file."""

import errno
import os

import pytest

from oxidicom.tree.standing import missing

PATHS = [f"SERVICES/PACS/A/{series}/{number}.dcm" for series in "abc" for number in range(3)]


@pytest.fixture
def root(tmp_path):
    for path in PATHS:
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).touch()
    return tmp_path


def remove_file(root):
    (root / PATHS[4]).unlink()
    return {PATHS[4]}


def put_directory_there(root):
    (root / PATHS[4]).unlink()
    (root / PATHS[4]).mkdir()
    return {PATHS[4]}


def dangle(root):
    (root / PATHS[4]).unlink()
    (root / PATHS[4]).symlink_to("nowhere")
    return {PATHS[4]}


def move_directory(root):
    os.rename(root / "SERVICES/PACS/A/b", root / "moved")
    return set(PATHS[3:6])


def loop(root):
    os.rename(root / "SERVICES/PACS/A/b", root / "moved")
    (root / "SERVICES/PACS/A/b").symlink_to("b")
    return set(PATHS[3:6])


def put_file_in_the_way(root):
    os.rename(root / "SERVICES/PACS/A/b", root / "moved")
    (root / "SERVICES/PACS/A/b").touch()
    return set(PATHS[3:6])


@pytest.mark.parametrize(
    "damage", [remove_file, put_directory_there, dangle, move_directory, loop, put_file_in_the_way]
)
def test_what_cannot_be_seen_is_missing_and_nothing_else(root, damage):
    assert missing(str(root), PATHS) == set()
    gone = damage(root)
    assert missing(str(root), PATHS) == gone


def test_that_we_cannot_look_is_told(root, monkeypatch):
    def refuse(*_, **__):
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr("oxidicom.tree.standing.os.open", refuse)
    with pytest.raises(OSError):
        missing(str(root), PATHS)
