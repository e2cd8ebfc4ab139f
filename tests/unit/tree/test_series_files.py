"""A series is described by any of its files; trouble of the storage is no missing series."""

import os

import msgspec
import pytest

from oxidicom.tree.series_files import describe_series
from tests.fixtures.storage import entry_file


@pytest.fixture
def stored(tmp_path):
    """A function that puts an instance at its final path, and returns what it says of itself."""

    def make(number=1):
        description = entry_file(tmp_path / "entry", number)
        path = tmp_path / description.file.fname
        path.parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "entry").rename(path)
        return description

    return make


def test_any_file_of_it_tells(tmp_path, stored):
    description = stored()
    assert describe_series(str(tmp_path), description.series) == description.file.columns


def test_other_files_in_its_directory_do_not_tell(tmp_path, stored):
    description = stored()
    other = msgspec.structs.replace(description.series, series_instance_uid="1.9")
    directory = tmp_path / description.series.directory
    (directory / "no.dcm").write_bytes(b"x")
    (directory / "directory").mkdir()
    os.mkfifo(directory / "fifo")
    (directory / "nowhere").symlink_to("gone")
    assert describe_series(str(tmp_path), other) is None
    assert describe_series(str(tmp_path), description.series) == description.file.columns


def test_a_directory_that_is_gone_tells_that_there_is_none(tmp_path, stored):
    description = stored()
    gone = msgspec.structs.replace(description.series, directory="SERVICES/PACS/X/Y")
    assert describe_series(str(tmp_path), gone) is None


def test_one_file_that_cannot_be_read_does_no_harm(tmp_path, stored, monkeypatch):
    stored(1)
    description = stored(2)
    usual = os.open

    def failing(path, *arguments, **keywords):
        if str(path).endswith(".1.dcm"):
            raise OSError(5, "Input/output error")
        return usual(path, *arguments, **keywords)

    monkeypatch.setattr(os, "open", failing)
    assert describe_series(str(tmp_path), description.series) == description.file.columns


@pytest.mark.parametrize("function", ["scandir", "open"])
def test_trouble_of_the_storage_is_no_answer(function, tmp_path, stored, monkeypatch):
    description = stored()

    def failing(*_, **__):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, function, failing)
    with pytest.raises(OSError, match="Input/output"):
        describe_series(str(tmp_path), description.series)
