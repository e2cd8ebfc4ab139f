"""What is set aside keeps its name, its reason, and what it takes to put it back."""

import datetime
import os
from pathlib import Path

import msgspec
import pytest

from oxidicom.spool.names import EntryName, MetadataValue
from oxidicom.spool.set_aside import (
    Reason,
    associations_set_aside,
    forget_reasons,
    read_reason,
    set_aside,
    set_aside_of,
)
from tests.fixtures.storage import describe_file

ASSOCIATION = "01HZ7TF03EZD364005NP332RBQ"
ENTRY = EntryName(1, "0123456789abcdef0123", 4)
NOTE = MetadataValue("0123456789abcdef0123", "OxidicomAttemptedPushCount", "3")


@pytest.fixture
def directory(tmp_path):
    path = tmp_path / "spool" / ASSOCIATION
    path.mkdir(parents=True)
    (path / ENTRY.at("stored")).write_bytes(b"data")
    (path / NOTE.at("stored")).touch()
    return path


@pytest.fixture
def aside(tmp_path):
    return tmp_path / "aside"


def test_an_instance_is_moved_beside_its_reason(directory, aside):
    set_aside(str(directory), ENTRY.at("stored"), str(aside), "because", path="SERVICES/PACS/x")
    (one,) = set_aside_of(str(aside), ASSOCIATION)
    assert (one.name, one.kind, one.size_bytes, one.reason) == (ENTRY, "instance", 4, "because")
    assert abs(one.since - datetime.datetime.now(datetime.UTC)) < datetime.timedelta(minutes=1)
    assert not (directory / ENTRY.at("stored")).exists()
    assert read_reason(str(aside / ASSOCIATION / f"{one.file_name}.json")).path == "SERVICES/PACS/x"


def test_a_metadata_value_keeps_its_series(directory, aside):
    series = describe_file().series
    set_aside(str(directory), NOTE.at("stored"), str(aside), "because", series=series)
    (one,) = set_aside_of(str(aside), ASSOCIATION)
    assert (one.name, one.kind, one.series) == (NOTE, "OxidicomAttemptedPushCount", series)


def test_what_goes_on_at_that_moment_leaves_no_reason_behind(directory, aside, monkeypatch):
    rename = os.rename

    def registered_first(source, target):
        os.unlink(source)
        rename(source, target)

    monkeypatch.setattr(os, "rename", registered_first)
    assert not set_aside(str(directory), ENTRY.at("stored"), str(aside), "because")
    assert os.listdir(aside / ASSOCIATION) == []


def test_what_two_set_aside_at_once_keeps_its_reason(directory, aside, monkeypatch):
    rename = os.rename

    def both(source, target):
        rename(source, target)
        rename(source, target)

    monkeypatch.setattr(os, "rename", both)
    assert not set_aside(str(directory), ENTRY.at("stored"), str(aside), "because")
    (one,) = set_aside_of(str(aside), ASSOCIATION)
    assert one.reason == "because"


def test_only_its_owner_can_look_into_it(directory, aside):
    set_aside(str(directory), ENTRY.at("stored"), str(aside), "because")
    assert [path.stat().st_mode & 0o077 for path in (aside, aside / ASSOCIATION)] == [0, 0]


def test_what_is_gone_already_leaves_no_reason(directory, aside):
    assert not set_aside(str(directory), "000009-0123456789abcdef0123-4.stored", str(aside), "because")
    assert associations_set_aside(str(aside)) == []


def test_what_cannot_be_moved_stays_where_it_was(directory, aside):
    aside.touch()
    with pytest.raises(OSError, match="Not a directory"):
        set_aside(str(directory), ENTRY.at("stored"), str(aside), "because")
    assert (directory / ENTRY.at("stored")).exists()


def test_without_room_for_the_reason_nothing_is_moved(directory, aside, monkeypatch):
    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(msgspec.json, "encode", full)  # the write of a real full disk fails in the same place
    with pytest.raises(OSError, match="No space"):
        set_aside(str(directory), ENTRY.at("stored"), str(aside), "because")
    assert (directory / ENTRY.at("stored")).exists()
    assert not list((aside / ASSOCIATION).iterdir())


DAMAGES = [
    Path.unlink,
    lambda path: path.write_bytes(b'{"reas'),
    lambda path: path.write_bytes(b'{"reason": "because", "at": "2026-11-25T12:00:00"}'),  # of which time zone?
]


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_file_without_a_readable_reason_is_listed_all_the_same(damage, directory, aside):
    set_aside(str(directory), ENTRY.at("stored"), str(aside), "because")
    damage(aside / ASSOCIATION / f"{ENTRY.at('stored')}.json")
    (one,) = set_aside_of(str(aside), ASSOCIATION)
    assert (one.name, one.size_bytes) == (ENTRY, 4)
    assert "JSON file" in one.reason


def test_a_file_of_somebody_else_is_listed_as_unknown(directory, aside):
    set_aside(str(directory), ENTRY.at("stored"), str(aside), "because")
    (aside / ASSOCIATION / "README").touch()
    assert {one.kind for one in set_aside_of(str(aside), ASSOCIATION)} == {"instance", "unknown file"}


def test_nothing_rejected_is_no_error(aside):
    assert associations_set_aside(str(aside)) == []
    assert list(set_aside_of(str(aside), ASSOCIATION)) == []


def test_reasons_of_files_that_are_gone_are_forgotten_and_others_kept(directory, aside):
    set_aside(str(directory), ENTRY.at("stored"), str(aside), "because")
    set_aside(str(directory), NOTE.at("stored"), str(aside), "because", series=describe_file().series)
    os.unlink(aside / ASSOCIATION / ENTRY.at("stored"))
    forget_reasons(str(aside), ASSOCIATION)
    assert {path.name for path in (aside / ASSOCIATION).iterdir()} == {
        NOTE.at("stored"),
        f"{NOTE.at('stored')}.json",
    }
    os.unlink(aside / ASSOCIATION / NOTE.at("stored"))
    forget_reasons(str(aside), ASSOCIATION)
    assert associations_set_aside(str(aside)) == []


def test_a_reason_is_plain_json(tmp_path):
    now = datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=datetime.UTC)
    assert msgspec.json.encode(Reason("because", now)) == b'{"reason":"because","at":"2026-01-02T03:04:05Z"}'
