"""What can be wrong with the storage is told in words that fit everywhere, and name what is to be done."""

import pytest

from oxidicom.storage.trouble import StorageTrouble, remedy_of, sentence_of, trouble_of_bare_root

TROUBLES = list(StorageTrouble)[1:]


@pytest.mark.parametrize("trouble", TROUBLES)
def test_each_trouble_fits_into_an_error_comment(trouble):
    assert 0 < len(sentence_of(trouble)) <= 64


def test_what_passes_by_itself_has_no_remedy_and_everything_else_has_one():
    without = {trouble for trouble in TROUBLES if not remedy_of(trouble)}
    assert without == {StorageTrouble.NOT_LOOKED_AT, StorageTrouble.SPOOL_MISSING}


def test_the_remedy_for_an_empty_tree_names_the_directory_in_which_one_is_to_be_made():
    assert "make any directory in SERVICES/PACS" in remedy_of(StorageTrouble.TREE_MISSING)


@pytest.mark.parametrize(
    ("has_files", "trouble"),
    [(True, StorageTrouble.ROOT_BARE), (False, StorageTrouble.NONE), (None, StorageTrouble.ROOT_UNCERTAIN)],
)
def test_the_database_tells_whether_a_bare_root_is_new(has_files, trouble):
    assert trouble_of_bare_root(has_files) is trouble
