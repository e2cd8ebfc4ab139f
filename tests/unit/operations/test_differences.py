"""Two sorted streams are compared in one pass."""

from hypothesis import given
from hypothesis import strategies as st

from oxidicom.operations.differences import Difference, DifferenceKind, DifferencesFile, compare

_PATHS = st.sets(st.binary(max_size=2), max_size=20)


@given(_PATHS, _PATHS)
def test_what_is_on_one_side_only_is_found(files, rows):
    found = list(compare(sorted(files), sorted(rows)))
    assert len(found) == len(set(found))
    assert {one.path for one in found if one.kind is DifferenceKind.FILE_WITHOUT_ROW} == files - rows
    assert {one.path for one in found if one.kind is DifferenceKind.ROW_WITHOUT_FILE} == rows - files


def test_differences_are_kept_in_order_with_any_name():
    given = [Difference(DifferenceKind.FILE_WITHOUT_ROW, name) for name in (b"a\nb", b"\xff", b"c")]
    with DifferencesFile() as file:
        for one in given:
            file.add(one)
        assert list(file.batches(2)) == [given[:2], given[2:]]
    assert [one.name for one in given] == ["a\nb", None, "c"]
