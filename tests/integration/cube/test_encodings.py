"""Databases in other encodings than UTF-8: what they cannot take is that row's trouble, and nothing else's."""

import uuid

import pytest

from oxidicom.cube.database import Database
from oxidicom.cube.isolation import register_isolating
from oxidicom.errors import DatabaseUnavailableError
from tests.fixtures.postgres import read_rows
from tests.integration.cube.cube_rows import execute, file


@pytest.fixture
def encoded(request, postgres_server, flat_schema):
    """The connection string of a fresh database in the encoding of the parameter."""
    name = f"t{uuid.uuid4().hex}"
    execute(
        postgres_server.conninfo_for("postgres"),
        f"CREATE DATABASE {name} ENCODING '{request.param}' TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'",
    )
    conninfo = postgres_server.conninfo_for(name)
    execute(conninfo, flat_schema)
    yield conninfo
    execute(postgres_server.conninfo_for("postgres"), f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def make_cube():
    made = []

    def make(conninfo):
        made.append(Database(conninfo))
        return made[-1]

    yield make
    for one in made:
        one.close()


NAMES = {1: "plain", 2: "Müller", 3: "Wang^小東"}


@pytest.mark.parametrize(
    ("encoded", "refused"), [("UTF8", []), ("SQL_ASCII", []), ("LATIN1", [3])], indirect=["encoded"]
)
@pytest.mark.parametrize("option", ["", " client_encoding=latin1", " client_encoding=sql_ascii"])
def test_what_the_encoding_has_is_registered_and_the_rest_refused_with_the_reason(encoded, refused, option, make_cube):
    cube = make_cube(encoded + option)
    outcome = register_isolating(cube, [file(number, patient_name=name) for number, name in NAMES.items()], [])
    assert [(row.fname, str(error)) for row, error in outcome.refused] == [
        (file(number).fname, "the encoding of the database has no such character (SQLSTATE 22P05)")
        for number in refused
    ]
    assert len(outcome.new) == 3 - len(refused)
    assert not outcome.failed
    found = [row["PatientName"] for row in read_rows(f"{encoded} client_encoding=utf8")]
    assert found == [name for number, name in NAMES.items() if number not in refused]


@pytest.mark.parametrize("encoded", ["SQL_ASCII", "LATIN1"], indirect=True)
def test_names_are_found_again(encoded, make_cube):
    cube = make_cube(encoded)
    names = [f"SERVICES/PACS/{name}" for name in ("Müller", "Muller", "z")]
    cube.register([file(fname=name) for name in names])
    assert cube.names_below("SERVICES/PACS", "", 10) == sorted(names, key=str.encode)
    assert cube.known(names) == set(names)
    assert cube.traits().name == "flat"
    assert cube.has_files()


@pytest.mark.parametrize("encoded", ["SQL_ASCII"], indirect=True)
def test_a_name_that_is_no_utf_8_is_said_to_whom_asks_for_it(encoded, make_cube):
    """Somebody else put it there, in Latin-1."""
    cube = make_cube(encoded)
    cube.register([file(1)])
    execute(f"{encoded} client_encoding=sql_ascii", r"UPDATE pacsfiles_pacsfile SET fname = E'SERVICES/PACS/M\xfcller'")
    with pytest.raises(DatabaseUnavailableError, match="text that is not UTF-8"):
        cube.names_below("SERVICES/PACS", "", 10)
    assert len(cube.register([file(2)]).new) == 1
