"""Public files of many devices, as they are: stored as pydicom reads them, or refused with the true cause."""

import importlib.util
from pathlib import Path

import pydicom
import pytest

from tests.corpus import REQUIRED, completed, lacks, read_samples, send_all

FOLDERS = {
    "pydicom": [Path(pydicom.__file__).parent / "data" / name for name in ("test_files", "charset_files")],
    "pydicom-data": [
        Path(spec.origin).parent for spec in [importlib.util.find_spec("data_store")] if spec and spec.origin
    ],
}
"""The second is a package of its own (34 MB), in the extra `dev`."""

pytestmark = pytest.mark.filterwarnings("default")  # pydicom warns of what is odd in its odd files


@pytest.fixture(scope="module")
def samples():
    found = {name: list(read_samples(folders)) for name, folders in FOLDERS.items()}
    return {name: [sample for sample in of_one if "DICOMDIR" not in sample.path.name] for name, of_one in found.items()}


@pytest.mark.parametrize("source", FOLDERS)
def test_every_file_is_stored_as_pydicom_reads_it_or_refused_for_what_it_lacks(samples, gateway, database, source):
    if not samples[source]:
        pytest.skip(f"{source} is missing: pip install {source}")
    outcomes = send_all(gateway, database, samples[source], "A")
    for outcome in outcomes:
        name, dataset = outcome.sample.path.name, outcome.sample.dataset
        if outcome.is_stored:
            assert outcome.differences == [], name
            continue
        assert outcome.status == 0xC000, (name, outcome.comment)
        keyword, _, cause = outcome.comment.partition(" is ")
        assert keyword in REQUIRED, (name, outcome.comment)
        assert cause == ("empty" if keyword in dataset else "missing"), (name, outcome.comment)
        assert outcome.offending == pydicom.datadict.tag_for_keyword(keyword)
    assert sum(outcome.is_stored for outcome in outcomes) > len(outcomes) * 0.7


@pytest.mark.parametrize("source", FOLDERS)
def test_every_file_with_the_required_attributes_is_stored_as_pydicom_reads_it(samples, gateway, database, source):
    if not samples[source]:
        pytest.skip(f"{source} is missing: pip install {source}")
    whole = [sample for sample in map(completed, filter(lacks, samples[source])) if sample]
    outcomes = send_all(gateway, database, whole, "C")
    assert [(one.sample.path.name, one.comment) for one in outcomes if not one.is_stored] == []
    assert [(one.sample.path.name, one.differences) for one in outcomes if one.differences] == []
    assert outcomes
