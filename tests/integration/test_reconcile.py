"""What is compared is judged in few walks of the spools, however much differs."""

import os
import resource

import pytest

from oxidicom.cube.database import Database
from oxidicom.errors import OperationError
from oxidicom.operations import reconcile, series_without_rows, work
from oxidicom.operations.consent import Wish
from oxidicom.operations.reconcile import Reconciliation
from oxidicom.operations.work import Work
from tests.integration.cube.folders_rows import SERIES, folder_file


@pytest.fixture
def walks(monkeypatch):
    """The spools as each walk finds them: a list of lists of paths, consumed from its beginning; the last one stays."""
    found = [[]]
    done = []

    def walk(_):
        done.append(found[0])
        yield from found.pop(0) if len(found) > 1 else found[0]

    monkeypatch.setattr(work, "paths_in_work", walk)
    monkeypatch.setattr(reconcile, "_BATCH", 3)
    return found, done


@pytest.fixture
def differing(tmp_path, database):
    """A function that makes so many files without a row, and returns the paths that are told of."""
    cube = Database(database)

    def make(count):
        os.makedirs(tmp_path / "SERVICES/PACS/A", exist_ok=True)
        for number in range(count):
            (tmp_path / f"SERVICES/PACS/A/{number:04}.dcm").touch()
        reconciliation = Reconciliation(str(tmp_path), cube)
        paths = [one.path for one in reconciliation.run(Wish())]
        assert reconciliation.totals.files_in_spool == count - len(paths), "whatever is left out is counted, once"
        return paths

    yield make
    cube.close()


@pytest.mark.parametrize(("count", "walked"), [(0, 0), (1, 2), (40, 2)])
def test_the_walks_do_not_grow_with_the_differences(count, walked, walks, differing):
    assert len(differing(count)) == count
    assert len(walks[1]) == walked


def test_what_a_first_look_misses_a_second_one_sees(walks, differing):
    """An association moves from one gateway to another while the spools are walked."""
    walks[0][:] = [["SERVICES/PACS/A/0001.dcm"], ["SERVICES/PACS/A/0007.dcm"]]
    assert differing(10) == [f"SERVICES/PACS/A/{number:04}.dcm" for number in range(10) if number not in (1, 7)]


@pytest.mark.parametrize(("count", "pages"), [(1, 1), (20, 1), (40, 2)])
def test_for_series_the_walks_are_those_of_large_pages(count, pages, walks, tmp_path, folders_database, monkeypatch):
    monkeypatch.setattr(series_without_rows, "_PAGE", 20)
    monkeypatch.setattr(series_without_rows, "_BATCH", 3)
    directories = [f"{SERIES}-{number:02}" for number in range(count)]
    walks[0][:] = [[]] * 3 + [directories[:1]]  # the second look at the first page sees what the first has missed
    cube = Database(folders_database)
    cube.register([folder_file(1, directory) for directory in directories])
    found = [one.path for one in Reconciliation(str(tmp_path), cube).run(Wish()) if one.kind == "series without a row"]
    cube.close()
    assert found == directories[1:]
    assert len(walks[1]) == 2 + 2 * pages


def test_a_look_is_of_one_moment_and_asks_for_any_number(walks, tmp_path):
    walks[0][:] = [["a", "a", "gone"], [f"{number}" for number in range(3000)]]
    with Work(str(tmp_path)) as present:
        present.look()
        assert present.among(["a", "b", "gone"]) == {"a", "gone"}
        present.look()
        assert present.among(["a", "gone"]) == set()
        assert len(present.among([f"{number}" for number in range(5000)])) == 3000
        assert present.among([]) == set()


def test_a_look_for_which_there_is_no_room_says_what_to_do(walks, tmp_path):
    walks[0][:] = [[f"{number:0100}" for number in range(50_000)]]  # more than SQLite keeps in memory
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    with Work(str(tmp_path)) as present:
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limits[1]))
        try:
            with pytest.raises(OperationError, match=r"temporary files cannot be written: .*TMPDIR"):
                present.look()
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
