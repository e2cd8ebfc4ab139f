"""The account after a drill: what was acknowledged is stored byte for byte and registered once, and nothing is left."""

from tests.dicom import dataset_bytes
from tests.waiting import wait_until


def settled(gateway, seconds=60):
    """Wait until nothing is left in the spool of any gateway on this storage."""
    wait_until(lambda: not gateway.spooled(), "nothing is left in the spool", seconds)


def nothing_lost(gateway, rows, acknowledged):
    """Check files and rows against `acknowledged`: SOP Instance UID → path of what was answered with Success."""
    found = rows()
    names = [row["fname"] for row in found]
    assert len(set(names)) == len(names), "a row is there twice"
    assert sorted(names) == gateway.stored(), "files and rows differ"
    by_uid = {name.rpartition("-")[2].removesuffix(".dcm"): gateway.files_root / name for name in names}
    assert not acknowledged.keys() - by_uid.keys(), "acknowledged, and lost"
    for uid, path in acknowledged.items():
        assert dataset_bytes(by_uid[uid]) == dataset_bytes(path), f"{uid} is not what was sent"
    nothing_temporary(gateway)
    return found


def nothing_temporary(gateway):
    """Below SERVICES stand only files of their final names, and metadata files, which are empty."""
    for path in gateway.find("SERVICES/**/*"):
        if path.is_file() and path.suffix != ".dcm":
            assert path.stat().st_size == 0
            assert path.name.split("=")[0] in ("NumberOfSeriesRelatedInstances", "OxidicomAttemptedPushCount")


def metadata_is_right(metadata):
    """Check that each association has both rows of each of its series, the count last. Return the sum of the counts."""
    by_directory: dict[str, list[str]] = {}
    for row in metadata:
        directory, _, name = row["fname"].rpartition("/")
        by_directory.setdefault(directory, []).append(name)
    for names in by_directory.values():
        assert [name.split("=")[0] for name in names] == [
            "NumberOfSeriesRelatedInstances",
            "OxidicomAttemptedPushCount",
        ]
    return sum(int(names[1].split("=")[1]) for names in by_directory.values())
