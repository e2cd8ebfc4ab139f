"""A bug of ours or of the client library costs the row that meets it."""

import os
import resource

import pytest

from oxidicom.cube import flat, session
from oxidicom.cube.isolation import register_isolating
from oxidicom.errors import DatabaseUnavailableError
from tests.integration.cube.cube_rows import file, value


class Poison(str):
    """A value over which our own code stumbles."""

    __slots__ = ()


@pytest.fixture
def stumbling(monkeypatch):
    """Our code raises KeyError for each row that holds a poison."""
    arrays = flat._arrays

    def stumble(rows):
        if any(isinstance(row.columns.patient_id, Poison) for row in rows):
            raise KeyError("secret")
        return arrays(rows)

    monkeypatch.setattr(flat, "_arrays", stumble)


@pytest.mark.usefixtures("stumbling")
def test_an_unexpected_exception_costs_one_row(cube, rows):
    poisoned = file(20, patient_id=Poison("P"))
    outcome = register_isolating(cube, [*(file(number) for number in range(1, 20)), poisoned, file(21)], [])
    assert [(row.fname, type(error)) for row, error in outcome.failed] == [(poisoned.fname, KeyError)]
    assert outcome.failed[0][1].__traceback__ is not None
    assert (len(outcome.new), outcome.known, outcome.refused) == (20, 0, [])
    assert len(rows()) == 20


@pytest.mark.usefixtures("stumbling")
def test_metadata_of_a_series_of_which_a_row_failed_waits(cube, rows):
    """The count is the last row of its series."""
    metadata = [value(number, series_instance_uid=uid) for number, uid in ((8, "1.2.3"), (9, "1.2.4"))]
    outcome = register_isolating(cube, [file(1, patient_id=Poison("P")), file(2)], metadata)
    assert outcome.postponed == [metadata[0].file]
    assert outcome.new == [file(2).fname, metadata[1].file.fname]
    assert len(rows(metadata=True)) == 1


@pytest.mark.usefixtures("stumbling")
def test_a_refused_row_is_told_from_a_failed_one(cube):
    outcome = register_isolating(cube, [file(1, patient_id=Poison("P")), file(2, patient_id="x" * 101)], [])
    assert [row.fname for row, _ in outcome.failed] == [file(1).fname]
    assert [row.fname for row, _ in outcome.refused] == [file(2).fname]


def test_an_unexpected_exception_before_any_row_was_touched_is_no_fault_of_a_row(monkeypatch, cube):
    def stumble(_):
        raise KeyError("secret")

    monkeypatch.setattr(session, "generation_of", stumble)
    with pytest.raises(DatabaseUnavailableError, match="KeyError") as raised:
        register_isolating(cube, [file(1), file(2)], [])
    assert "secret" not in str(raised.value)


def test_a_machine_without_descriptors_is_no_fault_of_a_row(cube, rows):
    cube.register([file(1)])
    usual = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest_free = os.dup(0)
    os.close(lowest_free)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest_free, usual[1]))
    try:
        with pytest.raises(DatabaseUnavailableError, match="Too many open files"):
            register_isolating(cube, [file(2), file(3)], [])
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, usual)
    assert len(register_isolating(cube, [file(2), file(3)], []).new) == 2


def test_a_database_that_goes_away_meanwhile_is_no_fault_of_a_row(monkeypatch, cube, database):
    def gone(_):
        cube._session.end()
        cube._session._parameters = {"host": "127.0.0.1", "port": 1}
        raise KeyError

    monkeypatch.setattr(flat, "_arrays", gone)
    with pytest.raises(DatabaseUnavailableError, match="refuses connections"):
        register_isolating(cube, [file(1), file(2)], [])
