"""What the user of the gateway needs in the database, and what of it is lacking."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from oxidicom.cube.connections import Connection


class Right(NamedTuple):
    """A privilege on a table, or on some of its columns."""

    privilege: str
    table: str
    columns: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.privilege} ({', '.join(self.columns)})" if self.columns else self.privilege


class LackingGrants(NamedTuple):
    """Statements that give our user what it has not, to be pasted into psql."""

    needed: list[str]
    """Without these it cannot work."""
    useful: list[str]
    """With these something works better."""


_HAS_TABLE = "SELECT has_table_privilege(%s, %s)"
_HAS_COLUMN = "SELECT bool_and(has_column_privilege(%s, name, %s)) FROM unnest(%s::text[]) AS name"

# Only a `serial` needs a right of its own; what is IDENTITY does not.
_SEQUENCES = """
SELECT sequence FROM pg_attribute, pg_get_serial_sequence(attrelid::regclass::text, attname) AS sequence
WHERE attrelid = ANY (%s::regclass[]) AND attnum > 0 AND NOT attisdropped AND attidentity = ''
    AND sequence IS NOT NULL AND NOT has_sequence_privilege(sequence, 'USAGE')
"""


def grants(rights: Iterable[Right]) -> list[str]:
    """Return what gives `rights`, in the words of SQL but for the name of the user, in few lines."""
    by_table: dict[str, list[str]] = {}
    for right in rights:
        by_table.setdefault(right.table, []).append(str(right))
    by_privileges: dict[str, list[str]] = {}
    for table, privileges in by_table.items():
        by_privileges.setdefault(", ".join(privileges), []).append(table)
    return [f"GRANT {privileges} ON {', '.join(tables)}" for privileges, tables in by_privileges.items()]


def lacking(connection: Connection, rights: Sequence[Right]) -> list[str]:
    """Return statements that give our user what it has not of `rights`, to be pasted into psql. Raise psycopg.Error."""
    wanted = grants(right for right in rights if not _has(connection, right))
    tables = sorted({right.table for right in rights if right.privilege == "INSERT"})
    wanted += [f"GRANT USAGE ON SEQUENCE {name}" for (name,) in connection.execute(_SEQUENCES, [tables])]
    (user,) = connection.execute("SELECT quote_ident(current_user)").fetchone() or ("",)
    return [f"{grant} TO {user};" for grant in wanted]


def _has(connection: Connection, right: Right) -> bool:
    if right.columns:
        found = connection.execute(_HAS_COLUMN, [right.table, right.privilege, list(right.columns)])
    else:
        found = connection.execute(_HAS_TABLE, [right.table, right.privilege])
    return found.fetchone() == (True,)
