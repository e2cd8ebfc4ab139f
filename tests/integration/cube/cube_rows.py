"""Rows to register, and what the database says of them and of our connections."""

import datetime

import msgspec
import psycopg

from oxidicom.records import PacsFile, Series, SeriesValue, SharedColumns

DATE = datetime.date(2020, 2, 29)


def file(number=1, **values):
    fname = values.pop("fname", f"SERVICES/PACS/A/{number:05}.dcm")
    return PacsFile(fname, msgspec.structs.replace(SharedColumns("A", "P", DATE, "1.2", "1.2.3"), **values))


def value(number=1, **values):
    """A metadata row, and a series that it is of."""
    row = file(number, pacs_identifier="org.fnndsc.oxidicom", **values)
    return SeriesValue(Series("A", "SERVICES/PACS/A/P/S/1", *row.columns.identity), row)


def counts(registered):
    return len(registered.new), registered.known


def execute(conninfo, *statements):
    with psycopg.connect(conninfo, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement)


def database_name(conninfo):
    return psycopg.conninfo.conninfo_to_dict(conninfo)["dbname"]


def backends(conninfo):
    """The server processes that work for us, by their pids."""
    with psycopg.connect(conninfo) as connection:
        found = connection.execute(
            "SELECT pid FROM pg_stat_activity WHERE application_name = 'oxidicom' AND datname = current_database()"
        )
        return {pid for (pid,) in found}


def waits_for_lock(conninfo):
    with psycopg.connect(conninfo) as connection:
        return connection.execute(
            "SELECT pid FROM pg_stat_activity "
            "WHERE application_name = 'oxidicom' AND datname = current_database() AND wait_event_type = 'Lock'"
        ).fetchone()
