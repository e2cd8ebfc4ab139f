"""Directories of the spool that are held open: a few, however many there are."""

import os
import resource

import pytest

from oxidicom.files.descriptors import keepable
from oxidicom.files.open_directories import OpenDirectories


def open_descriptors():
    return len(os.listdir("/proc/self/fd"))


def inode(descriptor):
    return os.fstat(descriptor).st_ino


@pytest.fixture
def spool(tmp_path):
    for number in range(200):
        (tmp_path / str(number)).mkdir()
    return tmp_path


def test_each_name_gives_its_directory_and_no_more_than_64_are_open(spool):
    before = open_descriptors()
    with OpenDirectories(str(spool)) as directories:
        for number in [*range(200), *range(200)]:
            assert inode(directories[str(number)]) == (spool / str(number)).stat().st_ino
            assert open_descriptors() <= before + 64
    assert open_descriptors() == before


def test_a_missing_directory_is_an_error_and_costs_nothing(spool):
    before = open_descriptors()
    with OpenDirectories(str(spool)) as directories, pytest.raises(FileNotFoundError):
        directories["missing"]
    assert open_descriptors() == before


def test_a_low_limit_makes_it_a_quarter(spool):
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (100, limits[1]))
        assert (keepable(64), keepable(10)) == (25, 10)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert keepable(64) == 64
